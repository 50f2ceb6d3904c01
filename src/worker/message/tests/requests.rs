//! The grammar of a request for a token.

use super::*;
use crate::wire::evidence::{KeyType, Operation};
use crate::wire::order::TokenType;

fn named(local: &str, text: &str) -> String {
    format!("<t:{local}>{text}</t:{local}>")
}

#[test]
fn a_plain_request_becomes_a_wish() {
    let message = Message::with(format!(
        "{}<t:Lifetime><u:Created>2026-11-22T06:00:00Z</u:Created><u:Expires>2026-11-22T07:00:00Z</u:Expires></t:Lifetime>\
         <t:Claims><i:ClaimType xmlns:i='{}' Uri='urn:c1' Optional='true'/><i:ClaimType xmlns:i='{}' Uri='urn:c2'/></t:Claims>",
        named("TokenType", names::SAML20),
        names::IDENTITY,
        names::AUTH
    ));
    let (shape, _, _, wish) = message.accepted(&generic()).into_parts();
    assert!(shape.leniencies().is_empty());
    assert_eq!(wish.operation, Operation::Issue);
    assert_eq!(wish.applies_to.as_deref(), Some("urn:rp"));
    assert_eq!((wish.token_type, wish.key_type, wish.key_size), (Some(TokenType::Saml20), Some(KeyType::Bearer), None));
    let claims: Vec<_> = wish.claims.iter().map(|claim| (claim.uri.as_str(), claim.optional)).collect();
    assert_eq!(claims, [("urn:c1", true), ("urn:c2", false)]);
    let lifetime = wish.lifetime.unwrap();
    assert_eq!(lifetime.expires.unwrap().0 - lifetime.created.unwrap().0, 3_600_000);
}

#[test]
fn both_versions_are_read_and_only_where_they_are_offered() {
    for (message, offered, other) in
        [(Message::default(), Trust::V13, Trust::V2005), (Message::of_2005(), Trust::V2005, Trust::V13)]
    {
        for profile in [Profile::Adfs, Profile::Generic] {
            assert_eq!(message.accepted(&endpoint(profile, offered)).wish.key_type, Some(KeyType::Bearer));
            assert_eq!(message.refused(&endpoint(profile, other)), Fault::BadRequest);
        }
    }
    let before_all_standards = Message { trust: "http://schemas.xmlsoap.org/ws/2004/04/trust", ..Message::default() };
    assert_eq!(before_all_standards.refused(&lenient()), Fault::BadRequest);
}

#[test]
fn the_request_type_is_issue_r_t005() {
    let with = |request_type: String| Message { request_type, ..Message::default() };
    for (request_type, fault) in [
        (String::new(), Fault::InvalidRequest),
        (named("RequestType", "Issue"), Fault::InvalidRequest),
        (named("RequestType", ""), Fault::InvalidRequest),
        (named("RequestType", "<x/>"), Fault::InvalidRequest),
        (named("RequestType", "urn:issue"), Fault::BadRequest),
        (named("RequestType", &format!("{}/Renew", names::WST13)), Fault::BadRequest),
        (named("RequestType", &format!("{}/Issue", names::WST05)), Fault::BadRequest),
        (named("RequestType", &format!("{}/Issue", names::WST13)).repeat(2), Fault::InvalidRequest),
    ] {
        assert_eq!(with(request_type.clone()).refused(&lenient()), fault, "{request_type}");
    }
    with(named("RequestType", &format!("\n {}/Issue\t", names::WST13))).accepted(&generic());
}

#[test]
fn each_element_comes_once_r_t007() {
    for element in [
        named("TokenType", names::SAML20),
        named("KeySize", "0"),
        named("Delegatable", "false"),
        named("Renewing", ""),
        named("Entropy", ""),
        "<t:SecondaryParameters/>".to_owned(),
        "<t:Claims/>".to_owned(),
    ] {
        Message::with(&element).accepted(&generic());
        assert_eq!(Message::with(element.repeat(2)).refused(&lenient()), Fault::InvalidRequest, "{element}");
    }
    let key_type = Message::default().key_type;
    assert_eq!(Message::with(key_type).refused(&lenient()), Fault::InvalidRequest);
    let applies_to = Message::default().applies_to;
    assert_eq!(Message::with(&applies_to).refused(&lenient()), Fault::InvalidRequest);
    let other_policy = applies_to.replace("<p:AppliesTo", &format!("<p:AppliesTo xmlns:p='{}'", names::WSP15));
    assert_eq!(Message::with(&other_policy).refused(&lenient()), Fault::InvalidRequest);
    Message { applies_to: other_policy, ..Message::default() }.accepted(&generic());
}

#[test]
fn uris_are_absolute_and_trimmed_r_t008() {
    for (uri, fault) in [
        ("", Fault::InvalidRequest),
        ("saml", Fault::InvalidRequest),
        ("#SAMLV2.0", Fault::InvalidRequest),
        ("1urn:x", Fault::InvalidRequest),
        ("urn:", Fault::InvalidRequest),
        ("urn:a b", Fault::InvalidRequest),
        ("urn:unknown", Fault::BadRequest),
    ] {
        assert_eq!(Message::with(named("TokenType", uri)).refused(&lenient()), fault, "{uri}");
    }
    let padded = named("TokenType", &format!("\n{}\n", names::SAML20));
    assert_eq!(Message::with(padded).accepted(&generic()).wish.token_type, Some(TokenType::Saml20));
}

#[test]
fn every_alias_of_a_token_type_is_known() {
    let profile = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV";
    for (uri, kind) in [
        (format!("{profile}1.1"), TokenType::Saml11),
        (format!("{profile}2.0"), TokenType::Saml20),
        ("urn:oasis:names:tc:SAML:1.0:assertion".to_owned(), TokenType::Saml11),
        ("urn:oasis:names:tc:SAML:1.1:assertion".to_owned(), TokenType::Saml11),
        ("http://schemas.microsoft.com/ws/2006/05/identitymodel/tokens/Saml".to_owned(), TokenType::Saml11),
        ("urn:oasis:names:tc:SAML:2.0:assertion".to_owned(), TokenType::Saml20),
    ] {
        assert_eq!(Message::with(named("TokenType", &uri)).accepted(&adfs()).wish.token_type, Some(kind), "{uri}");
    }
}

#[test]
fn what_a_client_does_not_say_is_not_said_for_it() {
    assert_eq!(Message::default().accepted(&adfs()).wish.token_type, None);
    let absent = Message { key_type: String::new(), ..Message::default() };
    assert_eq!(absent.accepted(&generic()).wish.key_type, None);
}

#[test]
fn a_key_type_is_of_the_version_of_the_request_r_t024() {
    let with = |uri: &str| Message { key_type: named("KeyType", uri), ..Message::default() };
    for (uri, key_type) in [
        (format!("{}/Bearer", names::WST13), KeyType::Bearer),
        (format!("{}/SymmetricKey", names::WST13), KeyType::Symmetric),
        (format!("{}/PublicKey", names::WST13), KeyType::Public),
        ("http://docs.oasis-open.org/wssx/wstrust/200512/Bearer".to_owned(), KeyType::Bearer),
    ] {
        assert_eq!(with(&uri).accepted(&generic()).wish.key_type, Some(key_type), "{uri}");
    }
    for (uri, fault) in [
        (format!("{}/SymmetricKey", names::WST05), Fault::BadRequest),
        (format!("{}/NoProofKey", names::IDENTITY), Fault::BadRequest),
        ("urn:key".to_owned(), Fault::InvalidRequest),
    ] {
        assert_eq!(with(&uri).refused(&lenient()), fault, "{uri}");
    }
}

#[test]
fn a_key_size_fits_its_key_r_t025() {
    let symmetric = |size: &str| Message {
        key_type: named("KeyType", &format!("{}/SymmetricKey", names::WST13)),
        ..Message::with(named("KeySize", size))
    };
    assert_eq!(symmetric("256").accepted(&generic()).wish.key_size, Some(256));
    for bad in ["0", "7", "255", "2147483648", "4294967296", "-8", "+8", "", "0x100", "5120"] {
        assert_eq!(symmetric(bad).refused(&lenient()), Fault::InvalidRequest, "{bad}");
    }
    assert_eq!(Message::with(named("KeySize", "256")).refused(&lenient()), Fault::InvalidRequest);
    assert_eq!(Message::with(named("KeySize", "0")).accepted(&generic()).wish.key_size, None);
}

#[test]
fn what_stands_in_the_request_wins_over_secondary_parameters_r_t035() {
    let secondary = |inside: &str| format!("<t:SecondaryParameters>{inside}</t:SecondaryParameters>");
    let public = named("KeyType", &format!("{}/PublicKey", names::WST13));
    let saml = named("TokenType", names::SAML20);
    let wish = Message::with(secondary(&format!("{saml}{public}"))).accepted(&generic()).wish;
    assert_eq!((wish.token_type, wish.key_type), (Some(TokenType::Saml20), Some(KeyType::Bearer)));
    let alone = Message { key_type: String::new(), ..Message::with(secondary(&public)) };
    assert_eq!(alone.accepted(&generic()).wish.key_type, Some(KeyType::Public));
    for bad in [secondary(""), format!("{saml}{saml}"), named("OnBehalfOf", "<x/>"), named("UseKey", "")] {
        assert!(Message::with(secondary(&bad)).read(&lenient()).is_err(), "{bad}");
    }
    let in_2005 = Message { more: secondary(""), ..Message::of_2005() };
    assert_eq!(in_2005.refused(&lenient()), Fault::InvalidRequest);
}

#[test]
fn what_would_change_the_token_and_is_not_done_is_refused() {
    for (element, fault) in [
        ("<t:OnBehalfOf><x/></t:OnBehalfOf>", Fault::BadRequest),
        ("<w:ActAs xmlns:w='http://docs.oasis-open.org/ws-sx/ws-trust/200802'><x/></w:ActAs>", Fault::BadRequest),
        ("<t:DelegateTo><x/></t:DelegateTo>", Fault::BadRequest),
        ("<t:Delegatable>true</t:Delegatable>", Fault::BadRequest),
        ("<t:Delegatable>maybe</t:Delegatable>", Fault::InvalidRequest),
        // An address nobody opens (R-T037, A-18), and parties nobody vouches for (R-T036).
        ("<t:Issuer><a:Address>http://169.254.169.254/</a:Address></t:Issuer>", Fault::BadRequest),
        ("<t:Participants><t:Primary/><t:Participant/></t:Participants>", Fault::BadRequest),
        ("<t:UseKey Sig='_x'/>", Fault::InvalidRequest),
        ("<t:Encryption><x/></t:Encryption>", Fault::BadRequest),
        ("<t:ProofEncryption><x/></t:ProofEncryption>", Fault::BadRequest),
        ("<t:AuthenticationType>urn:x</t:AuthenticationType>", Fault::BadRequest),
        ("<t:BinaryExchange/>", Fault::BadRequest),
        ("<t:RenewTarget><x/></t:RenewTarget>", Fault::InvalidRequest),
        ("<t:Unheard/>", Fault::BadRequest),
        ("<w:TokenType xmlns:w='http://schemas.xmlsoap.org/ws/2005/02/trust'/>", Fault::BadRequest),
        ("text", Fault::InvalidRequest),
    ] {
        assert_eq!(Message::with(element).refused(&generic()), fault, "{element}");
    }
}

#[test]
fn hints_for_the_form_of_a_token_are_passed_over_r_t034() {
    for element in
        ["SignatureAlgorithm", "EncryptionAlgorithm", "CanonicalizationAlgorithm", "SignWith", "KeyWrapAlgorithm"]
    {
        let message = Message::with(named(element, "http://www.w3.org/2000/09/xmldsig#rsa-sha1"));
        assert!(message.accepted(&generic()).shape.leniencies().is_empty(), "{element}");
    }
}

#[test]
fn an_unknown_element_or_attribute_of_a_request_is_a_leniency() {
    for message in [
        Message::with("<p:PolicyReference URI='MBI'/>"),
        Message::with("<x:Extension xmlns:x='urn:x'/>"),
        Message { attributes: " Id='RST0'".to_owned(), ..Message::default() },
    ] {
        assert_eq!(message.refused(&generic()), Fault::BadRequest);
        assert_eq!(message.accepted(&adfs()).shape.leniencies(), [Leniency::UnknownRequestElement]);
    }
    Message { attributes: " u:Id='r1'".to_owned(), ..Message::default() }.accepted(&generic());
}

#[test]
fn the_scope_is_the_one_address_r_t020() {
    let with =
        |inside: &str| Message { applies_to: format!("<p:AppliesTo>{inside}</p:AppliesTo>"), ..Message::default() };
    let old = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
    let reference = |inside: &str| format!("<a:EndpointReference>{inside}</a:EndpointReference>");
    for good in [
        reference("<a:Address>https://rp/</a:Address>"),
        reference("<a:Address>https://rp/</a:Address><i:Identity xmlns:i='urn:wsid'/>"),
        format!("<b:EndpointReference xmlns:b='{old}'><b:Address>https://rp/</b:Address></b:EndpointReference>"),
    ] {
        assert_eq!(with(&good).accepted(&generic()).wish.applies_to.as_deref(), Some("https://rp/"), "{good}");
    }
    for (bad, fault) in [
        (String::new(), Fault::InvalidRequest),
        ("https://rp/".to_owned(), Fault::InvalidRequest),
        (reference(""), Fault::InvalidRequest),
        (reference("<a:Address>urn:a</a:Address>").repeat(2), Fault::InvalidRequest),
        (reference("<a:Address>urn:a</a:Address><a:Address>urn:b</a:Address>"), Fault::InvalidRequest),
        (reference("<a:Address>urn:a<!-- -->.evil</a:Address>"), Fault::InvalidRequest),
        (reference("<a:Address> </a:Address>"), Fault::InvalidScope),
        (reference(&format!("<a:Address>urn:{}</a:Address>", "a".repeat(1024))), Fault::InvalidScope),
    ] {
        assert_eq!(with(&bad).refused(&lenient()), fault, "{bad}");
    }
    let none = Message { applies_to: String::new(), ..Message::default() };
    assert_eq!(none.accepted(&generic()).wish.applies_to, None);
}

#[test]
fn claims_are_names_and_never_values_r_t027() {
    let claims = |dialect: &str, inside: &str| {
        Message::with(format!(
            "<t:Claims {dialect} xmlns:i='{}' xmlns:h='{}'>{inside}</t:Claims>",
            names::IDENTITY,
            names::AUTH
        ))
    };
    let valued = claims(
        "Dialect='http://docs.oasis-open.org/wsfed/authorization/200706/authclaims'",
        "<h:ClaimType Uri='urn:role'><h:Value>root</h:Value></h:ClaimType>",
    );
    let wish = valued.accepted(&generic()).wish;
    assert_eq!((wish.claims.len(), wish.claims[0].uri.as_str()), (1, "urn:role"));
    assert_eq!(claims("Dialect='urn:other'", "").refused(&lenient()), Fault::BadRequest);
    for bad in [
        "<i:ClaimType/>".to_owned(),
        "<i:ClaimType Uri=' '/>".to_owned(),
        "<i:ClaimType Uri='urn:x' Optional='perhaps'/>".to_owned(),
        "<i:Claim Uri='urn:x'/>".to_owned(),
        "<x Uri='urn:x'/>".to_owned(),
        "<i:ClaimType Uri='urn:x'/>".repeat(65),
    ] {
        assert_eq!(claims("", &bad).refused(&lenient()), Fault::InvalidRequest, "{bad}");
    }
}

#[test]
fn an_empty_lifetime_is_no_lifetime_r_t026() {
    let created = "<u:Created>2026-11-22T06:00:00Z</u:Created>";
    let expires = "<u:Expires>2026-11-22T06:00:00Z</u:Expires>";
    let with = |inside: &str| Message::with(format!("<t:Lifetime>{inside}</t:Lifetime>"));
    with(expires).accepted(&generic());
    with("").accepted(&generic());
    assert_eq!(with(&format!("{created}{expires}")).refused(&lenient()), Fault::InvalidTimeRange);
    for bad in ["<u:Created>tomorrow</u:Created>", "<t:Created>2026-11-22T06:00:00Z</t:Created>", &created.repeat(2)] {
        assert_eq!(with(bad).refused(&lenient()), Fault::InvalidRequest, "{bad}");
    }
}
