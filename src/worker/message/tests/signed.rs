//! Signed messages: what of them is handed on, and every place where a reference may not lead.

use super::*;
use crate::wire::evidence::{AddressingHeader, KeyReference, KeyType, NamedToken, SignatureAlgorithm, SignedMessage};

const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0";
const BINARY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
const DIGEST: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn endpoint_for(credential: Credential) -> Endpoint {
    Endpoint { credential, ..generic() }
}

fn reference(id: &str) -> String {
    format!(
        "<ds:Reference URI='#{id}'><ds:Transforms><ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>\
         </ds:Transforms><ds:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>\
         <ds:DigestValue>{DIGEST}</ds:DigestValue></ds:Reference>"
    )
}

pub(super) fn token() -> String {
    format!(
        "<o:BinarySecurityToken u:Id='x' ValueType='{X509}#X509v3' EncodingType='{BINARY}'>AAEC</o:BinarySecurityToken>"
    )
}

pub(super) fn direct() -> String {
    format!("<o:SecurityTokenReference><o:Reference URI='#x' ValueType='{X509}#X509v3'/></o:SecurityTokenReference>")
}

/// A header with a signature over these ids, and with this in its `KeyInfo`.
pub(super) fn signature(ids: &[&str], key_info: &str) -> String {
    let references: String = ids.iter().map(|id| reference(id)).collect();
    format!(
        "<ds:Signature xmlns:ds='{}'><ds:SignedInfo>\
         <ds:CanonicalizationMethod Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>\
         <ds:SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/>{references}\
         </ds:SignedInfo><ds:SignatureValue>AAECAwQF</ds:SignatureValue><ds:KeyInfo>{key_info}</ds:KeyInfo>\
         </ds:Signature>",
        names::DS
    )
}

/// A message whose timestamp, `wsa:To` and body have ids, with this in the place of a user name.
pub(super) struct Signed {
    message: Message,
    body: String,
    security: String,
}

pub(super) fn signed(credential: &str) -> Signed {
    let plain = Message::default();
    let addressing = plain.addressing.replace("<a:To ", "<a:To u:Id='to' ");
    Signed {
        message: Message { username: credential.to_owned(), addressing, ..plain },
        body: " u:Id='b'".to_owned(),
        security: String::new(),
    }
}

impl Signed {
    pub(super) fn read(&self, endpoint: &Endpoint) -> Result<Request, Rejection> {
        let xml = self.message.xml().replace("<s:Body>", &format!("<s:Body{}>", self.body));
        let xml = xml.replacen("<o:Security ", &format!("<o:Security{} ", self.security), 1);
        read(endpoint, &Incoming { content_type: Some(SOAP12), soap_action: None, body: xml.as_bytes() })
    }

    fn accepted(&self) -> SignedMessage {
        let request = self.read(&endpoint_for(Credential::Signature)).unwrap_or_else(|why| panic!("{}", why.reason()));
        let Evidence::Signature(message) = request.evidence else { panic!("a signature") };
        message
    }

    fn refused(&self) -> (Fault, &'static str) {
        let refused = self.read(&endpoint_for(Credential::Any)).map(|_| "accepted").unwrap_err();
        (refused.fault(), refused.reason())
    }
}

fn usual() -> Signed {
    signed(&format!("{}{}", token(), signature(&["_0", "to", "b", "x"], &direct())))
}

#[test]
fn the_octets_of_each_part_are_handed_on_in_the_order_of_the_references() {
    let message = usual().accepted();
    assert_eq!(message.algorithm, SignatureAlgorithm::RsaSha256);
    assert_eq!(*message.value, [0, 1, 2, 3, 4, 5]);
    assert_eq!(message.key, KeyReference::Certificate(crate::wire::Octets::new([0, 1, 2]).unwrap()));
    let parts: Vec<&str> = message.parts.iter().map(|part| std::str::from_utf8(part.expose()).unwrap()).collect();
    let begins = ["<u:Timestamp xmlns:u=", "<a:To xmlns:a=", "<s:Body xmlns:s=", "<o:BinarySecurityToken xmlns:o="];
    assert_eq!(parts.len(), begins.len());
    assert!(parts.iter().zip(begins).all(|(part, begin)| part.starts_with(begin)), "{parts:?}");
    let info = std::str::from_utf8(&message.signed_info).unwrap();
    assert!(info.starts_with(&format!("<ds:SignedInfo xmlns:ds=\"{}\">", names::DS)), "{info}");
}

#[test]
fn which_addressing_headers_there_are_for_us_is_handed_on_signed_or_not_r_w042() {
    use AddressingHeader::{Action, From, MessageId, RelatesTo, ReplyTo, To};
    assert_eq!(*usual().accepted().addressing, [Action, MessageId, ReplyTo, To]);
    let mut more = usual();
    more.message.addressing += "<a:From u:Id='f'><a:Address>urn:x</a:Address></a:From><a:RelatesTo>urn:x</a:RelatesTo>\
                                <a:FaultTo s:role='urn:another'/><a:Unknown/><a:RelatesTo>urn:y</a:RelatesTo>";
    assert_eq!(*more.accepted().addressing, [Action, MessageId, ReplyTo, To, From, RelatesTo, RelatesTo]);
    more.message.addressing += &"<a:RelatesTo>urn:x</a:RelatesTo>".repeat(10);
    assert_eq!(more.refused(), (Fault::InvalidAddressingHeader, "addressing: too many headers"));
}

/// A reference that is dereferenced.
fn dereferenced(id: &str) -> String {
    let exclusive = "Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>";
    let parameters = format!(
        "Algorithm='{}'><o:TransformationParameters><ds:CanonicalizationMethod {exclusive}\
         </o:TransformationParameters></ds:Transform>",
        names::STR_TRANSFORM
    );
    reference(id).replacen(exclusive, &parameters, 1)
}

/// A signature over these ids and a reference that is dereferenced.
fn by_reference(ids: &[&str], id: &str, key_info: &str) -> String {
    signature(ids, key_info).replacen("</ds:SignedInfo>", &format!("{}</ds:SignedInfo>", dereferenced(id)), 1)
}

#[test]
fn of_a_reference_to_a_token_the_token_is_handed_on_r_w063() {
    let named = direct().replacen("<o:SecurityTokenReference>", "<o:SecurityTokenReference u:Id='str'>", 1);
    let header = format!("{named}{}{}", token(), by_reference(&["_0"], "str", &direct()));
    let of_key = format!("{}{}", token(), by_reference(&["_0"], "str", &named));
    for credential in [header, of_key] {
        let message = signed(&credential).accepted();
        let text = std::str::from_utf8(message.parts[1].expose()).unwrap();
        let begin = format!("<o:BinarySecurityToken xmlns=\"\" xmlns:o=\"{}\" xmlns:u=", names::WSSE);
        assert!(text.starts_with(&begin) && text.ends_with(">AAEC</o:BinarySecurityToken>"), "{text}");
    }
}

/// A way in which a certificate is named that is not here, as the reference that a signature has for its key.
fn named(kind: &str, text: &str) -> String {
    format!(
        "<o:SecurityTokenReference u:Id='str'><o:KeyIdentifier ValueType='{kind}'>{text}</o:KeyIdentifier>\
         </o:SecurityTokenReference>"
    )
}

#[test]
fn of_a_certificate_that_is_only_named_it_is_handed_on_where_its_token_belongs_r_w063() {
    let (thumbprint, twenty) = (crate::trust::identifiers::THUMBPRINT, "AAECAwQFBgcICQoLDA0ODxAREhM=");
    let identifier = format!("{X509}#X509SubjectKeyIdentifier");
    let numbered = "<o:SecurityTokenReference u:Id='str'><ds:X509Data xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>\
                    <ds:X509IssuerSerial><ds:X509IssuerName>CN=x</ds:X509IssuerName><ds:X509SerialNumber>16\
                    </ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data></o:SecurityTokenReference>";
    for key_info in [named(thumbprint, twenty), named(&identifier, "AAEC"), numbered.to_owned()] {
        let message = signed(&by_reference(&["_0", "to"], "str", &key_info)).accepted();
        assert_eq!((message.parts.len(), message.key == KeyReference::Assertion), (2, false));
        let prefix = crate::wire::Text::new("o").unwrap();
        assert_eq!(message.named, Some(NamedToken { reference: 2, prefix }));
        assert_eq!(signed(&signature(&["_0", "to"], &key_info)).accepted().named, None);
    }
    let unoffered = (Fault::UnsupportedAlgorithm, "signature: transform not offered");
    // One that is written without a prefix: what WSS4J would write is not known.
    let unprefixed = format!(
        "<SecurityTokenReference xmlns='{0}' u:Id='str'><KeyIdentifier ValueType='{thumbprint}'>{twenty}</KeyIdentifier>\
         </SecurityTokenReference>",
        names::WSSE
    );
    // Nor is another certificate's than the one that signed, or one that is named by nothing.
    let beside = format!("{}{}", named(thumbprint, twenty), by_reference(&["_0"], "str", &direct()));
    let serial = "<o:SecurityTokenReference u:Id='str'><ds:X509Data xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>\
                  <ds:X509IssuerSerial/></ds:X509Data></o:SecurityTokenReference>";
    for credential in [
        by_reference(&["_0"], "str", &unprefixed),
        format!("{}{beside}", token()),
        by_reference(&["_0"], "str", serial),
        by_reference(&["_0"], "str", &named("urn:x", twenty)),
    ] {
        assert_eq!(signed(&credential).refused(), unoffered, "{credential}");
    }
}

#[test]
fn a_reference_to_a_token_leads_to_a_token_of_this_header_or_nowhere() {
    let str = |inside: &str| format!("<o:SecurityTokenReference u:Id='str'>{inside}</o:SecurityTokenReference>");
    let good = str("<o:Reference URI='#x'/>");
    let over = |id: &str, key_info: &str| by_reference(&["_0"], id, key_info);
    let place = (Fault::InvalidSecurity, "signature: reference to an element at no place for one");
    let bad = (Fault::InvalidSecurity, "signature: bad reference to a token");
    let nothing = (Fault::SecurityTokenUnavailable, "signature: no such token");
    let unoffered = (Fault::UnsupportedAlgorithm, "signature: transform not offered");
    let identifier = "<o:KeyIdentifier ValueType='urn:x'>AAEC</o:KeyIdentifier>";
    for (header, signature, expected) in [
        (String::new(), over("_0", &direct()).replacen(&reference("_0"), "", 1), place),
        (String::new(), over("x", &direct()), place),
        (String::new(), over("b", &direct()), place),
        (String::new(), over("to", &direct()), place),
        (String::new(), over("str", &format!("{}{good}", direct())), place),
        (String::new(), over("str", &direct()), (Fault::InvalidSecurity, "signature: reference to nothing here")),
        (str("<o:Reference URI='#b'/>"), over("str", &direct()), nothing),
        (str("<o:Reference URI='#_0'/>"), over("str", &direct()), nothing),
        (str("<o:Reference URI='#str'/>"), over("str", &direct()), nothing),
        (str("<o:Reference URI='#y'/>"), over("str", &direct()), nothing),
        (
            str("<o:Reference URI='http://x.example/#x'/>"),
            over("str", &direct()),
            (Fault::InvalidSecurity, "signature: bad key information"),
        ),
        (str(""), over("str", &direct()), bad),
        (str("<o:Reference URI='#x'/><o:Reference URI='#x'/>"), over("str", &direct()), bad),
        (
            str(&format!("<o:Embedded>{}</o:Embedded>", token().replace("'x'", "'y'"))),
            over("str", &direct()),
            unoffered,
        ),
        (str(identifier), over("str", &direct()), unoffered),
        (str("<ds:X509Data xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>"), over("str", &direct()), unoffered),
        // What no signature covers the token of has no use.
        (good.clone(), signature(&["_0"], &direct()), (Fault::UnsupportedSecurityToken, "security: unsupported token")),
        (
            good.clone(),
            signature(&["_0", "str"], &direct()),
            (Fault::UnsupportedSecurityToken, "security: unsupported token"),
        ),
        (good.repeat(2), over("str", &direct()), (Fault::InvalidSecurity, "security: duplicate id")),
    ] {
        assert_eq!(signed(&format!("{header}{}{signature}", token())).refused(), expected, "{header} {signature}");
    }
    // Nor one without a signature.
    let alone = signed(&good).read(&endpoint_for(Credential::Any)).unwrap_err();
    assert_eq!(alone.reason(), "security: no credential");
}

#[test]
fn a_key_is_named_in_one_way() {
    let thumbprint = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";
    let str = |inside: &str| format!("<o:SecurityTokenReference>{inside}</o:SecurityTokenReference>");
    let identifier =
        |kind: &str, text: &str| str(&format!("<o:KeyIdentifier ValueType='{kind}'>{text}</o:KeyIdentifier>"));
    let with = |key_info: &str| signed(&format!("{}{}", token(), signature(&["_0"], key_info)));
    let twenty = "AAECAwQFBgcICQoLDA0ODxAREhM=";
    let key = |key_info: &str| with(key_info).accepted().key;
    assert_eq!(key(&identifier(thumbprint, twenty)), KeyReference::Thumbprint(std::array::from_fn(|n| n as u8)));
    assert!(matches!(
        key(&identifier(&format!("{X509}#X509SubjectKeyIdentifier"), "AAEC")),
        KeyReference::KeyIdentifier(_)
    ));
    for data in [
        "<ds:X509Data><ds:X509Certificate>AA\nEC</ds:X509Certificate></ds:X509Data>".to_owned(),
        str("<ds:X509Data><ds:X509IssuerSerial/><ds:X509Certificate>AAEC</ds:X509Certificate></ds:X509Data>"),
    ] {
        assert!(matches!(key(&data), KeyReference::Certificate(_)), "{data}");
    }
    let serial = |name: &str, number: &str| {
        format!(
            "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>{name}</ds:X509IssuerName><ds:X509SerialNumber>{number}\
             </ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data>"
        )
    };
    let numbered = KeyReference::Serial(crate::wire::Octets::new([1, 0]).unwrap());
    for data in [serial("CN=sam", " 256 "), str(&serial("O=\\,, CN=x", "0256"))] {
        assert_eq!(key(&data), numbered, "{data}");
    }
    let by_ski = str("<ds:X509Data><ds:X509SKI>AAEC</ds:X509SKI></ds:X509Data>");
    assert!(matches!(key(&by_ski), KeyReference::KeyIdentifier(_)));
    for (key_info, fault) in [
        (String::new(), Fault::InvalidSecurity),
        (format!("{0}{0}", direct()), Fault::InvalidSecurity),
        ("<ds:KeyName>sam</ds:KeyName>".to_owned(), Fault::UnsupportedSecurityToken),
        ("<ds:KeyValue/>".to_owned(), Fault::UnsupportedSecurityToken),
        ("<ds:RetrievalMethod URI='http://169.254.169.254/'/>".to_owned(), Fault::UnsupportedSecurityToken),
        (str(""), Fault::InvalidSecurity),
        (str("<o:Reference URI='#y'/>"), Fault::SecurityTokenUnavailable),
        (str("<o:Reference URI='#b'/>"), Fault::SecurityTokenUnavailable),
        (str("<o:Reference URI='http://169.254.169.254/#x'/>"), Fault::InvalidSecurity),
        (str("<o:Embedded/>"), Fault::UnsupportedSecurityToken),
        (identifier("urn:x", twenty), Fault::UnsupportedSecurityToken),
        (identifier(thumbprint, "AAEC"), Fault::SecurityTokenUnavailable),
        (identifier(thumbprint, "*"), Fault::SecurityTokenUnavailable),
        (str("<ds:X509Data><ds:X509IssuerSerial/></ds:X509Data>"), Fault::SecurityTokenUnavailable),
        (str(&serial("CN=sam", "0x10")), Fault::SecurityTokenUnavailable),
        (str(&serial("CN=sam", &"9".repeat(50))), Fault::SecurityTokenUnavailable),
        (str("<ds:X509Data><ds:X509SKI>*</ds:X509SKI></ds:X509Data>"), Fault::SecurityTokenUnavailable),
        (str(&format!("{0}{0}", serial("CN=sam", "16"))), Fault::InvalidSecurity),
        (
            "<ds:X509Data><ds:X509Certificate>AA==</ds:X509Certificate><ds:X509Certificate>AA==</ds:X509Certificate>\
             </ds:X509Data>"
                .to_owned(),
            Fault::SecurityTokenUnavailable,
        ),
    ] {
        assert_eq!(with(&key_info).refused().0, fault, "{key_info}");
    }
    let of_kind =
        |kind: &str| signed(&format!("{}{}", token().replace("#X509v3", kind), signature(&["_0"], &direct())));
    let path = KeyReference::Path(crate::wire::Octets::new([0, 1, 2]).unwrap());
    assert_eq!(of_kind("#X509PKIPathv1").accepted().key, path);
    assert_eq!(of_kind("#PKCS7").refused().0, Fault::UnsupportedSecurityToken);
}

/// Each shape puts an element that was signed where it means nothing, and another one where it means something
/// (A-09, threats.md 2).
#[test]
fn an_element_that_is_signed_stands_where_a_message_has_one() {
    let good = usual();
    let moved = |more_headers: &str, body: &str, ids: &[&str]| Signed {
        message: Message {
            username: format!("{}{}", token(), signature(ids, &direct())),
            more_headers: more_headers.to_owned(),
            ..good.message.clone()
        },
        body: body.to_owned(),
        security: String::new(),
    };
    let wrapped = "<s:Body u:Id='b'><t:RequestSecurityToken/></s:Body>";
    for (what, message) in [
        ("a body in a header of nobody's", moved(&format!("<x:W xmlns:x='urn:x'>{wrapped}</x:W>"), "", &["_0", "b"])),
        ("a body as a header", moved(wrapped, "", &["_0", "b"])),
        ("a body in an addressing header", moved(&format!("<a:From>{wrapped}</a:From>"), "", &["_0", "b"])),
        ("a timestamp elsewhere", moved("<x:W xmlns:x='urn:x'><u:Timestamp u:Id='t2'/></x:W>", "", &["t2"])),
        ("the request without its body", {
            let mut message = moved("", "", &["_0", "r"]);
            message.message.attributes = " u:Id='r'".to_owned();
            message
        }),
        ("the header that is for another", {
            moved(&format!("<a:To u:Id='t2' s:role='urn:other'>{}</a:To>", "https://localhost/"), "", &["_0", "t2"])
        }),
        ("the whole envelope", {
            let mut message = moved("", "", &["_0", "e"]);
            message.message.addressing = message.message.addressing.replacen("<a:Action ", "<a:Action u:Id='e2' ", 1);
            message
        }),
    ] {
        let (fault, reason) = message.refused();
        assert_eq!(fault, Fault::InvalidSecurity, "{what}: {reason}");
        assert!(reason.starts_with("signature: reference to"), "{what}: {reason}");
    }
}

#[test]
fn one_credential_comes_and_of_a_kind_that_is_offered() {
    let both = format!("{}{}", Message::default().username, signature(&["_0"], &direct()));
    let twice = format!("{}{0}", signature(&["_0"], &direct()));
    assert_eq!(signed(&both).refused().0, Fault::UnsupportedSecurityToken);
    assert_eq!(signed(&twice).refused().0, Fault::UnsupportedSecurityToken);
    assert_eq!(signed(&token()).refused().0, Fault::UnsupportedSecurityToken);
    assert_eq!(signed(&token().repeat(9).replace(" u:Id='x'", "")).refused().0, Fault::InvalidSecurity);
    let refused = usual().read(&endpoint_for(Credential::Username)).unwrap_err();
    assert_eq!(refused.fault(), Fault::UnsupportedSecurityToken);
    let refused = Message::default().read(&endpoint_for(Credential::Signature)).unwrap_err();
    assert_eq!(refused.fault(), Fault::UnsupportedSecurityToken);
    assert!(Message::default().read(&endpoint_for(Credential::Any)).is_ok());
}

#[test]
fn what_is_weak_or_not_offered_is_refused_by_name() {
    let changed = |from: &str, to: &str| {
        let mut signed = usual();
        signed.message.username = signed.message.username.replace(from, to);
        signed.refused()
    };
    for (from, to) in [
        ("2001/04/xmlenc#sha256", "2001/04/xmldsig-more#md5"),
        ("2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#ecdsa-sha1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#dsa-sha1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2007/05/xmldsig-more#sha1-rsa-MGF1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#hmac-sha256"),
        ("2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#rsa-md5"),
    ] {
        assert_eq!(changed(from, to).0, Fault::UnsupportedAlgorithm, "{to}");
    }
}

#[test]
fn what_is_by_sha1_is_handed_on_by_name_for_auth_to_judge() {
    let sha1 = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=";
    let by = |signature: bool, digests: usize| {
        let mut signed = usual();
        let username = &mut signed.message.username;
        if signature {
            *username = username.replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1");
        }
        *username = username.replacen("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1", digests);
        *username = username.replacen(DIGEST, sha1, digests);
        signed.accepted()
    };
    for digests in [0, 1, 4] {
        assert_eq!(by(false, digests).algorithm, SignatureAlgorithm::RsaSha256);
        assert_eq!(by(true, digests).algorithm, SignatureAlgorithm::RsaSha1);
        let info = by(true, digests).signed_info;
        assert_eq!(std::str::from_utf8(&info).unwrap().matches("xmldsig#sha1").count(), digests);
    }
}

#[test]
fn an_enveloped_transform_that_leaves_nothing_out_is_handed_on_and_no_other() {
    let enveloping = |xml: &str| {
        let transform = "<ds:Transform Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/>";
        xml.replace("<ds:Transforms>", &format!("<ds:Transforms>{transform}"))
    };
    let mut signed = usual();
    let plain = signed.accepted();
    signed.message.username = enveloping(&signed.message.username);
    let octets = |message: &SignedMessage| message.parts.iter().map(|part| part.expose().to_vec()).collect::<Vec<_>>();
    assert_eq!(octets(&signed.accepted()), octets(&plain));
    // The header that the signature stands in is a place for a reference, and would lose what else is signed.
    let mut around = self::signed(&format!("{}{}", token(), signature(&["_0", "s"], &direct())));
    around.security = " u:Id='s'".to_owned();
    assert!(around.accepted().parts[1].expose().starts_with(b"<o:Security "));
    around.message.username = enveloping(&around.message.username);
    assert_eq!(around.refused(), (Fault::UnsupportedAlgorithm, "signature: transform not offered"));
}

#[test]
fn the_holder_of_key_requests_of_govmomi_and_pyvmomi_are_handed_on() {
    for (path, parts) in [("govmomi/wire/hok.xml", [0, 1]), ("pyvmomi/hok.xml", [1, 0])] {
        let Some(data) = data("captured-signatures") else { return };
        let text = std::fs::read_to_string(data.join("clients").join(path)).unwrap();
        let endpoint = Endpoint { leniencies: Some(Leniency::ALL.to_vec()), ..endpoint_for(Credential::Signature) };
        let sent = |text: &str| {
            let incoming = Incoming { content_type: Some(SOAP11), soap_action: None, body: text.as_bytes() };
            read(&endpoint, &incoming)
        };
        let request = sent(&text).unwrap_or_else(|why| panic!("{path}: {}", why.reason()));
        assert_eq!(request.wish.key_type, Some(KeyType::Public), "{path}");
        assert!(request.wish.use_key.is_some(), "{path}");
        let Evidence::Signature(message) = request.evidence else { panic!("a signature") };
        let names = ["Timestamp ", "Body "];
        for (part, name) in message.parts.iter().zip(parts.map(|at| names[at])) {
            let octets = std::str::from_utf8(part.expose()).unwrap();
            assert!(octets.split_once('>').unwrap().0.contains(name), "{path}: {octets}");
        }
        // Another signature than this message has proves nothing about its key.
        let refused = sent(&text.replace("UseKey Sig=\"", "UseKey Sig=\"x")).unwrap_err();
        assert_eq!(
            (refused.fault(), refused.reason()),
            (Fault::InvalidRequest, "trust: key without a proof"),
            "{path}"
        );
    }
}

#[test]
fn a_key_is_named_by_the_signature_that_proves_it_r_t031() {
    let with = |use_key: &str, kind: &str| {
        let mut signed = usual();
        signed.message.username = signed.message.username.replace("<ds:Signature ", "<ds:Signature Id='sig' ");
        signed.message.key_type = format!("<t:KeyType>{}/{kind}</t:KeyType>{use_key}", names::WST13);
        signed
    };
    for sig in ["sig", "#sig", " sig "] {
        let signed = with(&format!("<t:UseKey Sig='{sig}'/>"), "PublicKey");
        let request = signed.read(&endpoint_for(Credential::Any)).unwrap_or_else(|why| panic!("{}", why.reason()));
        assert_eq!(request.wish.use_key.as_deref(), Some("sig"));
    }
    for (use_key, kind) in [
        ("<t:UseKey/>", "PublicKey"),
        ("<t:UseKey Sig=''/>", "PublicKey"),
        ("<t:UseKey Sig='other'/>", "PublicKey"),
        ("<t:UseKey Sig='b'/>", "PublicKey"),
        ("<t:UseKey Sig='sig'><ds:KeyInfo xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/></t:UseKey>", "PublicKey"),
        ("<t:UseKey Sig='sig'>key</t:UseKey>", "PublicKey"),
        ("<t:UseKey Sig='sig'/><t:UseKey Sig='sig'/>", "PublicKey"),
        ("<t:UseKey Sig='sig'/>", "Bearer"),
        ("<t:UseKey Sig='sig'/>", "SymmetricKey"),
    ] {
        assert_eq!(with(use_key, kind).refused().0, Fault::InvalidRequest, "{use_key} {kind}");
    }
    // With a password there is no signature that could prove a key.
    let mut password = with("<t:UseKey Sig='sig'/>", "PublicKey");
    password.message.username = Message::default().username;
    assert_eq!(password.refused().0, Fault::InvalidRequest);
}
