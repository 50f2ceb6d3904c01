//! SOAP, WS-Addressing and WS-Security: what a message must be before its request is looked at.

use super::*;
use crate::wire::{Correlation, Millis};

fn timestamp(inside: &str) -> Message {
    Message { timestamp: format!("<u:Timestamp u:Id='_0'>{inside}</u:Timestamp>"), ..Message::default() }
}

fn username(inside: &str) -> Message {
    Message { username: format!("<o:UsernameToken>{inside}</o:UsernameToken>"), ..Message::default() }
}

fn addressed(with: &str) -> Message {
    let message = Message::default();
    Message { addressing: message.addressing.clone() + with, ..message }
}

fn unaddressed(addressing: &str) -> Message {
    Message { addressing: addressing.to_owned(), ..Message::default() }
}

const ALICE: &str = "<o:Username>alice</o:Username>";
const PASSWORD: &str = "<o:Password>secret</o:Password>";

#[test]
fn both_soap_versions_are_read_and_others_refused() {
    assert_eq!(Message::default().accepted(&generic()).shape.soap, shape::Soap::V12);
    assert_eq!(Message::default().in_soap11().accepted(&generic()).shape.soap, shape::Soap::V11);
    let other = Message { soap: "urn:soap-1.3", ..Message::default() };
    assert_eq!(other.refused(&lenient()), Fault::VersionMismatch);
}

#[test]
fn an_envelope_has_a_header_then_a_body_and_nothing_else() {
    let good = Message::default().xml();
    for (from, to) in [
        ("</s:Header>", "</s:Header><s:Header/>"),
        ("</s:Header>", "</s:Header>text"),
        ("</s:Body>", "</s:Body><s:Body/>"),
        ("</s:Body>", "</s:Body><x/>"),
        ("<s:Header>", "<s:Header>text"),
    ] {
        let body = good.replacen(from, to, 1);
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        assert_eq!(read(&lenient(), &incoming).unwrap_err().fault(), Fault::Malformed, "{to}");
    }
}

#[test]
fn the_body_holds_exactly_one_element_r_t001() {
    let good = Message::default().xml();
    let start = good.find("<t:RequestSecurityToken>").unwrap();
    let end = good.find("</s:Body>").unwrap();
    let request = &good[start..end];
    for inside in [String::new(), format!("{request}{request}"), format!("{request}<x/>"), format!("x{request}")] {
        let body = good.replacen(request, &inside, 1);
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        assert_eq!(read(&lenient(), &incoming).unwrap_err().fault(), Fault::InvalidRequest, "{inside}");
    }
}

#[test]
fn a_message_with_a_doctype_or_an_instruction_is_answered_with_400_and_no_detail_r_t143() {
    for before in ["<!DOCTYPE a>", "<?p i?>", "\0"] {
        let body = before.to_owned() + &Message::default().xml();
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        let reply = read(&lenient(), &incoming).unwrap_err().reply(Correlation([7; 16]), Millis(0));
        assert_eq!((reply.status, reply.content_type), (400, SOAP12));
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.contains("The message could not be read (07070707"), "{text}");
    }
}

#[test]
fn a_mandatory_header_that_is_not_understood_stops_the_message() {
    let header = |attributes: &str| Message {
        more_headers: format!("<x:Unknown xmlns:x='urn:x' {attributes}/>"),
        ..Message::default()
    };
    for value in ["1", "true", " 1 "] {
        assert_eq!(header(&format!("s:mustUnderstand='{value}'")).refused(&lenient()), Fault::MustUnderstand);
    }
    for (attributes, fault) in [
        ("s:mustUnderstand='1' s:role=''", Fault::MustUnderstand),
        ("s:mustUnderstand='1' s:role='http://www.w3.org/2003/05/soap-envelope/role/next'", Fault::MustUnderstand),
        ("s:mustUnderstand='yes'", Fault::Malformed),
    ] {
        assert_eq!(header(attributes).refused(&lenient()), fault, "{attributes}");
    }
    // For somebody else, or to be passed over.
    for attributes in ["s:mustUnderstand='1' s:role='urn:proxy'", "s:mustUnderstand='0'", "", "mustUnderstand='1'"] {
        header(attributes).accepted(&generic());
    }
}

#[test]
fn an_unknown_header_is_passed_over_and_counted() {
    let message =
        Message { more_headers: "<x:AuthInfo xmlns:x='urn:ps' Id='PPAuthInfo'/>".to_owned(), ..Message::default() };
    assert_eq!(message.accepted(&adfs()).shape.leniencies(), [Leniency::UnknownHeader]);
}

#[test]
fn the_media_type_must_be_that_of_the_envelope() {
    let with =
        |content_type: Option<&str>| Message { content_type: content_type.map(str::to_owned), ..Message::default() };
    for wrong in [None, Some("text/xml"), Some("application/x-www-form-urlencoded"), Some("application/xml")] {
        let rejection = with(wrong).read(&generic()).unwrap_err();
        assert_eq!(rejection.reply(Correlation([0; 16]), Millis(0)).status, 415, "{wrong:?}");
        assert_eq!(with(wrong).accepted(&adfs()).shape.leniencies(), [Leniency::MediaType], "{wrong:?}");
    }
    for never in ["multipart/related; type=\"application/xop+xml\"", "application/soap+xml; charset=utf-16"] {
        assert_eq!(with(Some(never)).refused(&adfs()), Fault::Malformed, "{never}");
    }
}

#[test]
fn the_actions_of_transport_and_message_agree_r_t002() {
    let action = format!("{}/RST/Issue", names::WST13);
    let with = |soap_action: &str| Message { soap_action: Some(soap_action.to_owned()), ..Message::default() };
    for good in [action.as_str(), &format!("\"{action}\""), "", "\"\"", &format!(" \"{action}\" ")] {
        with(good).accepted(&generic());
    }
    for bad in ["urn:other", "\"urn:other\"", &format!("{action}/"), &action.replace("Issue", "Renew")] {
        assert_eq!(with(bad).refused(&lenient()), Fault::ActionMismatch, "{bad}");
    }
    let parameter =
        |value: &str| Message { content_type: Some(format!("{SOAP12}; action=\"{value}\"")), ..Message::default() };
    parameter(&action).accepted(&generic());
    assert_eq!(parameter("urn:other").refused(&lenient()), Fault::ActionMismatch);
}

#[test]
fn the_action_is_that_of_the_request_r_t002() {
    let with = |action: &str| Message { addressing: format!("<a:Action>{action}</a:Action>"), ..Message::default() };
    for (action, fault) in [
        (format!("{}/RST/Renew", names::WST13), Fault::InvalidRequest),
        (format!("{}/RSTR/Issue", names::WST13), Fault::InvalidRequest),
        (format!("{}/RST/Issue", names::WST05), Fault::BadRequest),
        ("urn:other".to_owned(), Fault::ActionNotSupported),
        (" ".to_owned(), Fault::InvalidAddressingHeader),
        ("<!-- -->urn:a".to_owned(), Fault::InvalidAddressingHeader),
    ] {
        assert_eq!(with(&action).refused(&lenient()), fault, "{action}");
    }
    with(&format!("\n  {}/RST/Issue ", names::WST13)).accepted(&generic());
}

#[test]
fn a_message_without_addressing_is_a_leniency_and_its_soapaction_still_counts() {
    let message = unaddressed("");
    assert_eq!(message.refused(&generic()), Fault::AddressingRequired);
    assert_eq!(message.accepted(&lenient()).shape.leniencies(), [Leniency::AddressingAbsent]);
    let renewing = Message { soap_action: Some(format!("{}/RST/Renew", names::WST13)), ..message };
    assert_eq!(renewing.refused(&lenient()), Fault::InvalidRequest);
}

#[test]
fn addressing_headers_come_once_and_in_one_version() {
    assert_eq!(addressed("<a:MessageID>urn:2</a:MessageID>").refused(&lenient()), Fault::InvalidAddressingHeader);
    assert_eq!(addressed("<a:To>urn:2</a:To>").refused(&lenient()), Fault::InvalidAddressingHeader);
    let both = addressed("<b:To xmlns:b='http://schemas.xmlsoap.org/ws/2004/08/addressing'>urn:x</b:To>");
    assert_eq!(both.refused(&lenient()), Fault::InvalidAddressingHeader);
    addressed("<a:RelatesTo>urn:1</a:RelatesTo><a:RelatesTo>urn:2</a:RelatesTo>").accepted(&generic());
}

#[test]
fn the_submission_of_2004_is_understood() {
    let old = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
    let message = unaddressed(&format!(
        "<b:Action xmlns:b='{old}'>{}/RST/Issue</b:Action><b:ReplyTo xmlns:b='{old}'>\
         <b:Address>{old}/role/anonymous</b:Address></b:ReplyTo>",
        names::WST13
    ));
    assert_eq!(message.accepted(&generic()).shape.addressing, Some(shape::Addressing::Submission));
}

#[test]
fn replies_go_to_nobody_else_r_t152_r_t153() {
    let reply_to = |inside: &str| addressed(&format!("<a:FaultTo>{inside}</a:FaultTo>"));
    reply_to(&format!("<a:Address>{}/none</a:Address>", names::WSA)).accepted(&generic());
    for (inside, fault) in [
        ("<a:Address>http://169.254.169.254/</a:Address>", Fault::OnlyAnonymousAddressSupported),
        ("<a:Address>urn:a</a:Address><a:Address>urn:b</a:Address>", Fault::InvalidAddressingHeader),
        ("<a:ReferenceParameters><x/></a:ReferenceParameters>", Fault::InvalidAddressingHeader),
        ("", Fault::InvalidAddressingHeader),
    ] {
        assert_eq!(reply_to(inside).refused(&lenient()), fault, "{inside}");
    }
}

#[test]
fn a_misspelt_message_id_is_none_r_t151() {
    let message =
        unaddressed(&format!("<a:Action>{}/RST/Issue</a:Action><a:messageID>urn:uuid:1</a:messageID>", names::WST13));
    let request = message.accepted(&adfs());
    assert_eq!(request.shape.leniencies(), [Leniency::MessageIdCase]);
    assert_eq!(request.shape.message_id, None);
    assert_eq!(message.refused(&generic()), Fault::InvalidAddressingHeader);
}

#[test]
fn there_is_one_security_header_for_us_r_w001() {
    let security = |role: &str| Message {
        more_headers: format!("<o:Security {role}>{}</o:Security>", "<o:UsernameToken/>"),
        ..Message::default()
    };
    assert_eq!(security("").refused(&lenient()), Fault::InvalidSecurity);
    security("s:role='urn:proxy'").accepted(&generic());
    let none = Message::default().xml().replace("o:Security", "o:Insecurity").replace("mustUnderstand", "x");
    let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: none.as_bytes() };
    assert_eq!(read(&lenient(), &incoming).unwrap_err().fault(), Fault::InvalidSecurity);
}

#[test]
fn a_timestamp_keeps_the_rules_of_r_w010() {
    let later = "2026-11-22T06:32:07Z";
    let good = format!("<u:Created>{CREATED}</u:Created><u:Expires>{later}</u:Expires>");
    let read = timestamp(&good).accepted(&generic()).timestamp.unwrap();
    assert_eq!((read.created, read.expires), (Millis(1_795_328_527_000), Some(Millis(1_795_329_127_000))));
    for bad in [
        String::new(),
        "text".to_owned() + &good,
        format!("<u:Expires>{later}</u:Expires>"),
        format!("<u:Expires>{later}</u:Expires><u:Created>{CREATED}</u:Created>"),
        format!("<u:Created>{CREATED}</u:Created><u:Created>{CREATED}</u:Created>"),
        format!("{good}<u:Expires>{later}</u:Expires>"),
        format!("{good}<x/>"),
        format!("<u:Created>{later}</u:Created><u:Expires>{CREATED}</u:Expires>"),
        format!("<u:Created>{CREATED}</u:Created><u:Expires>{CREATED}</u:Expires>"),
        format!("<u:Created ValueType='x'>{CREATED}</u:Created>"),
        "<u:Created>2026-11-22T06:22:07+01:00</u:Created>".to_owned(),
        "<u:Created>2026-11-22T06:22:60Z</u:Created>".to_owned(),
        "<u:Created>now<!-- --></u:Created>".to_owned(),
        "<Created>2026-11-22T06:22:07Z</Created>".to_owned(),
    ] {
        assert_eq!(timestamp(&bad).refused(&lenient()), Fault::InvalidSecurity, "{bad}");
    }
    let two =
        Message { timestamp: Message::default().timestamp.repeat(2).replacen("_0", "_1", 1), ..Message::default() };
    assert_eq!(two.refused(&lenient()), Fault::InvalidSecurity);
}

#[test]
fn a_missing_timestamp_or_its_plain_id_is_a_leniency() {
    let none = Message { timestamp: String::new(), ..Message::default() };
    assert_eq!(none.refused(&generic()), Fault::InvalidSecurity);
    let request = none.accepted(&adfs());
    assert_eq!(request.shape.leniencies(), [Leniency::TimestampAbsent]);
    assert!(request.timestamp.is_none());
    let plain = Message { timestamp: Message::default().timestamp.replace("u:Id", "Id"), ..Message::default() };
    assert_eq!(plain.refused(&generic()), Fault::InvalidSecurity);
    assert_eq!(plain.accepted(&adfs()).shape.leniencies(), [Leniency::TimestampIdUnqualified]);
}

#[test]
fn the_timestamp_may_follow_the_user_name() {
    let message = Message::default();
    let turned = Message { timestamp: message.username.clone(), username: message.timestamp, ..Message::default() };
    assert!(turned.accepted(&generic()).timestamp.is_some());
}

#[test]
fn a_password_is_text_also_when_it_does_not_say_so_r_w020() {
    let profile = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
    let typed = |kind: &str| username(&format!("{ALICE}<o:Password Type='{profile}#{kind}'>secret</o:Password>"));
    let evidence = username(&format!("{ALICE}{PASSWORD}")).accepted(&generic()).evidence;
    let Evidence::Password { username: name, password } = evidence else { panic!("a password") };
    assert_eq!((name.as_str(), password.expose()), ("alice", &b"secret"[..]));
    typed("PasswordText").accepted(&generic());
    assert_eq!(typed("Other").refused(&lenient()), Fault::UnsupportedSecurityToken);
    username(&format!("{ALICE}{PASSWORD}<o:Nonce>AA==</o:Nonce><u:Created>{CREATED}</u:Created>")).accepted(&generic());
}

/// `wsse:UsernameToken` with the digest of R-W021.
fn digested(change: impl Fn(String) -> String) -> Message {
    let profile = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
    username(&change(format!(
        "{ALICE}<o:Password Type='{profile}#PasswordDigest'>qdX2HuWZ9A5NzaJNVYu9pDpaaBw=</o:Password>\
         <o:Nonce>AAECAwQFBgcICQoLDA0ODw==</o:Nonce><u:Created>2026-01-02T03:04:05Z</u:Created>"
    )))
}

#[test]
fn a_digest_is_handed_on_with_what_it_is_over_r_w021() {
    let read = |change: &dyn Fn(String) -> String| {
        let Evidence::Digest(digest) = digested(change).accepted(&generic()).evidence else { panic!("a digest") };
        digest
    };
    let digest = read(&|inside| inside);
    assert_eq!(digest.username.as_str(), "alice");
    assert_eq!(digest.nonce.octets(), std::array::from_fn::<u8, 16, _>(|n| n as u8));
    assert_eq!(digest.created.as_str(), "2026-01-02T03:04:05Z");
    assert_eq!((digest.digest[0], digest.digest[19]), (0xA9, 0x1C));
    // It goes into the digest as it came.
    let padded = read(&|inside| inside.replace("2026-01-02T03:04:05Z", " 2026-01-02T03:04:05.0Z\n"));
    assert_eq!(padded.created.as_str(), " 2026-01-02T03:04:05.0Z\n");
    let base64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
    let named = read(&|inside| inside.replace("<o:Nonce>", &format!("<o:Nonce EncodingType='{base64}'>")));
    assert_eq!(named.nonce, digest.nonce);
    let wrapped = read(&|inside| inside.replace("AAECAwQF", "\n AAEC\nAwQF"));
    assert_eq!(wrapped.nonce, digest.nonce);
    let long = read(&|inside| inside.replace("AAECAwQFBgcICQoLDA0ODw==", &format!("{}AAA=", "AAAA".repeat(42))));
    assert_eq!(long.nonce.octets(), [0; 128]);
}

#[test]
fn a_digest_comes_with_one_nonce_and_one_instant_r_w022() {
    let nonce = "<o:Nonce>AAECAwQFBgcICQoLDA0ODw==</o:Nonce>";
    let created = "<u:Created>2026-01-02T03:04:05Z</u:Created>";
    let encoding = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#HexBinary";
    for (from, to) in [
        (nonce, String::new()),
        (created, String::new()),
        (nonce, nonce.repeat(2)),
        (created, created.repeat(2)),
        // R4220, R4221.
        (nonce, nonce.replace("<o:Nonce>", &format!("<o:Nonce EncodingType='{encoding}'>"))),
        (nonce, nonce.replace("<o:Nonce>", "<o:Nonce EncodingType=''>")),
        (nonce, "<o:Nonce/>".to_owned()),
        (nonce, nonce.replace("Dw==", "")),
        (nonce, nonce.replace("AAEC", &"AAEC".repeat(39))),
        (nonce, nonce.replace("==", "=")),
        (nonce, nonce.replace("AAEC", "AA<!-- -->EC")),
        (created, "<u:Created/>".replace("/>", "><x/></u:Created>")),
        (created, format!("<u:Created>{}</u:Created>", "2".repeat(65))),
        ("qdX2HuWZ9A5NzaJNVYu9pDpaaBw=", String::new()),
        ("qdX2HuWZ9A5NzaJNVYu9pDpaaBw=", "qdX2HuWZ9A5NzaJNVYu9pDpaaA==".to_owned()),
        ("qdX2HuWZ9A5NzaJNVYu9pDpaaBw=", "qdX2HuWZ9A5NzaJNVYu9pDpaaBwA".to_owned()),
        ("qdX2HuWZ9A5NzaJNVYu9pDpaaBw=", "not base64".to_owned()),
    ] {
        let message = digested(|inside| {
            let changed = inside.replacen(from, &to, 1);
            assert_ne!(changed, inside);
            changed
        });
        assert_eq!(message.refused(&lenient()), Fault::InvalidSecurity, "{to}");
    }
    let signatures = Endpoint { credential: Credential::Signature, ..generic() };
    assert_eq!(digested(|inside| inside).refused(&signatures), Fault::UnsupportedSecurityToken);
}

#[test]
fn a_user_name_token_has_each_part_once() {
    for (inside, fault) in [
        (format!("{ALICE}{ALICE}{PASSWORD}"), Fault::InvalidSecurity),
        (format!("{ALICE}{PASSWORD}{PASSWORD}"), Fault::InvalidSecurity),
        (format!("{ALICE}{PASSWORD}<o:Nonce/><o:Nonce/>"), Fault::InvalidSecurity),
        (format!("{ALICE}{PASSWORD}<x/>"), Fault::InvalidSecurity),
        (format!("{PASSWORD}x{ALICE}"), Fault::InvalidSecurity),
        (PASSWORD.to_owned(), Fault::InvalidSecurity),
        // Cut short by a comment, alice would be somebody else (R-S037).
        (format!("<o:Username>alice<!-- -->.evil</o:Username>{PASSWORD}"), Fault::InvalidSecurity),
        (format!("{ALICE}<o:Password>a<!-- -->b</o:Password>"), Fault::InvalidSecurity),
        // Only somebody's word (R-W026), and what cannot be right is wrong like any other (R-T142).
        (ALICE.to_owned(), Fault::FailedAuthentication),
        (format!("<o:Username>{}</o:Username>{PASSWORD}", "a".repeat(257)), Fault::FailedAuthentication),
        (format!("{ALICE}<o:Password>{}</o:Password>", "a".repeat(1025)), Fault::FailedAuthentication),
    ] {
        assert_eq!(username(&inside).refused(&lenient()), fault, "{inside}");
    }
    let twice =
        Message { username: Message::default().username.replace(" u:Id='u1'", "").repeat(2), ..Message::default() };
    assert_eq!(twice.refused(&lenient()), Fault::InvalidSecurity);
}

#[test]
fn user_names_and_passwords_are_taken_to_the_letter() {
    let message = username("<o:Username> alice\u{A0}</o:Username><o:Password> p\r\n </o:Password>");
    let Evidence::Password { username, password } = message.accepted(&generic()).evidence else { panic!("a password") };
    assert_eq!((username.as_str(), password.expose()), (" alice\u{A0}", &b" p\n "[..]));
}

#[test]
fn no_id_is_given_twice_r_w005() {
    for id in ["u:Id='_0'", "xml:id='_0'"] {
        let message = Message { more_headers: format!("<x:H xmlns:x='urn:x' {id}/>"), ..Message::default() };
        assert_eq!(message.refused(&lenient()), Fault::InvalidSecurity, "{id}");
    }
    Message { more_headers: "<x:H xmlns:x='urn:x' Id='_0'/>".to_owned(), ..Message::default() }.accepted(&generic());
}
