//! Octets as what a client sends over HTTP: a whole body, or only the part of a message that a stranger writes most
//! freely, in a message that is good otherwise. Whatever is said of it, the answer is a document.

use chancery::config::worker::{Credential, Endpoint, Profile, Trust};
use chancery::wire::evidence::{Evidence, Wish};
use chancery::wire::{Correlation, Millis};
use chancery::worker::message::{Description, Fault, Incoming, Leniency, Reply, inquire, read};
use chancery::xml::{Limits, Tree};

const SOAP11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const WST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";

/// One that lets everything pass that can be let pass, one that lets nothing, and one for passwords under a MAC.
pub(crate) fn endpoints() -> [Endpoint; 3] {
    let strict = Endpoint {
        path: "/sts".to_owned(),
        profile: Profile::Generic,
        trust: Trust::Any,
        credential: Credential::Any,
        leniencies: Some(Vec::new()),
        encryption: true,
        signature_confirmation: false,
        replies: chancery::config::worker::Replies::Plain,
    };
    let lenient = Endpoint { profile: Profile::Adfs, leniencies: Some(Leniency::ALL.to_vec()), ..strict.clone() };
    let symmetric = Endpoint { credential: Credential::UsernameSymmetric, ..strict.clone() };
    [strict, lenient, symmetric]
}

pub(crate) fn answered(reply: &Reply) {
    let limits = Limits { octets: 1 << 20, value: 1 << 20, ..Limits::default() };
    let text = String::from_utf8_lossy(&reply.body);
    assert!(Tree::parse(&reply.body, &limits).is_ok(), "an answer is a document: {text}");
}

/// What is sent on must arrive as it was sent.
fn sent_on(evidence: &Evidence, wish: &Wish) {
    if let Evidence::Signature(message) = evidence {
        assert!(message.parts.iter().all(|part| !part.expose().is_empty()), "nothing is never what is signed");
    }
    let sent = borsh::to_vec(&(evidence, wish)).expect("what was read can be sent");
    let arrived: (Evidence, Wish) = borsh::from_slice(&sent).expect("and arrives");
    assert_eq!(borsh::to_vec(&arrived).expect("can be sent again"), sent, "as it was");
}

/// A body: under its own media type where nothing is let pass or a MAC is due, and under the other one where all is.
pub fn envelope(octets: &[u8]) {
    let is_11 = octets.windows(SOAP11.len()).any(|window| window == SOAP11.as_bytes());
    for (endpoint, as_11) in endpoints().iter().zip([is_11, !is_11, is_11]) {
        let content_type = if as_11 { "text/xml; charset=utf-8" } else { "application/soap+xml; charset=utf-8" };
        let incoming = Incoming { content_type: Some(content_type), soap_action: None, body: octets };
        match read(endpoint, &incoming) {
            Err(rejection) => answered(&rejection.reply(Correlation([7; 16]), Millis(0))),
            Ok(request) => {
                let (shape, evidence, _timestamp, wish) = request.into_parts();
                answered(&shape.fault(Fault::RequestFailed, Correlation([7; 16]), Millis(0)));
                sent_on(&evidence, &wish);
            }
        }
    }
}

/// A body that asks for a description.
pub fn inquiry(octets: &[u8]) {
    let description = Description { wsdl: "<description></description>".to_owned(), identifier: "urn:description" };
    let is_11 = octets.windows(SOAP11.len()).any(|window| window == SOAP11.as_bytes());
    let content_type = if is_11 { "text/xml; charset=utf-8" } else { "application/soap+xml; charset=utf-8" };
    match inquire(&Incoming { content_type: Some(content_type), soap_action: None, body: octets }) {
        Err(rejection) => answered(&rejection.reply(Correlation([7; 16]), Millis(0))),
        Ok(inquiry) => {
            let reply = inquiry.answer(&description, Correlation([7; 16]), Millis(0));
            assert!(reply.body.len() < 4096, "a question makes no large answer: {} octets", reply.body.len());
            answered(&reply);
        }
    }
}

/// A good message with these in the place of its security header's children and of its request's.
pub(crate) fn message(security: &str, request: &str) -> Vec<u8> {
    format!(
        "<s:Envelope xmlns:s=\"{SOAP11}\" xmlns:u=\"{WSU}\" xmlns:o=\"{WSSE}\" xmlns:ds=\"{DS}\" xmlns:t=\"{WST}\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\" xmlns:p=\"http://schemas.xmlsoap.org/ws/2004/09/policy\">\
         <s:Header><a:Action>{WST}/RST/Issue</a:Action><a:To u:Id=\"to\">https://sts.example.com/</a:To>\
         <o:Security>{security}</o:Security></s:Header><s:Body u:Id=\"b\"><t:RequestSecurityToken>{request}\
         </t:RequestSecurityToken></s:Body></s:Envelope>"
    )
    .into_bytes()
}

pub(crate) const STAMP: &str = "<u:Timestamp u:Id=\"t\"><u:Created>2026-01-01T00:00:00Z</u:Created></u:Timestamp>";

pub(crate) fn issue() -> String {
    format!("<t:RequestType>{WST}/Issue</t:RequestType>")
}

/// The inside of a security header.
pub fn security(octets: &[u8]) {
    envelope(&message(&String::from_utf8_lossy(octets), &issue()));
}

/// The inside of a `ds:KeyInfo`, of a signature over the body.
pub fn key_info(octets: &[u8]) {
    const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let token = "<o:BinarySecurityToken u:Id=\"x\" ValueType=\"http://docs.oasis-open.org/wss/2004/01/\
                 oasis-200401-wss-x509-token-profile-1.0#X509v3\">AAEC</o:BinarySecurityToken>";
    let signature = format!(
        "<ds:Signature><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"/><ds:SignatureMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"/><ds:Reference URI=\"#b\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{EXCLUSIVE}\"/></ds:Transforms><ds:DigestMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue>\
         47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue>AAEC</ds:SignatureValue><ds:KeyInfo>{}</ds:KeyInfo></ds:Signature>",
        String::from_utf8_lossy(octets)
    );
    envelope(&message(&format!("{STAMP}{token}{signature}"), &issue()));
}

/// The inside of a `wst:RequestSecurityToken`.
pub fn request(octets: &[u8]) {
    let user = "<o:UsernameToken><o:Username>alice</o:Username><o:Password>secret</o:Password></o:UsernameToken>";
    envelope(&message(&format!("{STAMP}{user}"), &format!("{}{}", issue(), String::from_utf8_lossy(octets))));
}
