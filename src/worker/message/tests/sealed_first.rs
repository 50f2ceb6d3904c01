//! Messages that were signed as they are sealed: told from those that were signed first, and handed on so that auth
//! verifies before it opens anything.

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};

use super::super::sealed::{Sealed, Within, sealed};
use super::signed::{direct, signature, token};
use super::*;
use crate::wire::evidence::SignedMessage;
use crate::wire::unwrap::PartCipher;
use crate::wire::{List, Secret};

const NOTHING: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const KEY: &str = "<x:EncryptedKey Id='ek'><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'/>\
<ds:KeyInfo><o:SecurityTokenReference><o:KeyIdentifier ValueType='http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1'>\
AAAAAAAAAAAAAAAAAAAAAAAAAAA=</o:KeyIdentifier></o:SecurityTokenReference></ds:KeyInfo><x:CipherData><x:CipherValue>AAEC</x:CipherValue></x:CipherData>\
<x:ReferenceList><x:DataReference URI='#ed'/></x:ReferenceList></x:EncryptedKey>";
const STAMP: &str = "<u:Timestamp u:Id='t'><u:Created>2026-01-02T03:04:05Z</u:Created></u:Timestamp>";
const GCM: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
const CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const PLAIN: &str = "<t:RequestSecurityToken xmlns:t=\"http://docs.oasis-open.org/ws-sx/ws-trust/200512\"><t:RequestType>\
http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</t:RequestType></t:RequestSecurityToken>";

fn data(id: &str, algorithm: &str) -> String {
    format!(
        "<x:EncryptedData xmlns:x=\"{0}\" Id=\"{id}\" Type=\"{0}Content\"><x:EncryptionMethod Algorithm=\"{algorithm}\">\
         </x:EncryptionMethod><x:CipherData><x:CipherValue>AwQF</x:CipherValue></x:CipherData></x:EncryptedData>",
        names::XENC
    )
}

/// In canonical form.
fn body(inside: &str) -> String {
    format!("<s:Body xmlns:s=\"{}\" xmlns:u=\"{}\" u:Id=\"b\">{inside}</s:Body>", names::SOAP12, names::WSU)
}

/// A message with this body, signed while its body was that one.
fn message(body: &str, signed: &str, key: &str, more: &str) -> String {
    let value = Base64::encode_string(digest(&SHA256, signed.as_bytes()).as_ref());
    let signature = signature(&["b"], &direct()).replace(NOTHING, &value);
    format!(
        "<s:Envelope xmlns:s='{}' xmlns:a='{}' xmlns:o='{}' xmlns:u='{}' xmlns:x='{}' xmlns:ds='{}'><s:Header>\
         <a:Action>http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action><a:MessageID>urn:uuid:1</a:MessageID>\
         <o:Security>{STAMP}{}{signature}{key}{more}</o:Security></s:Header>{body}</s:Envelope>",
        names::SOAP12,
        names::WSA,
        names::WSSE,
        names::WSU,
        names::XENC,
        names::DS,
        token()
    )
}

fn at(credential: Credential) -> Endpoint {
    Endpoint { credential, encryption: true, replies: Replies::Sealed, ..generic() }
}

fn incoming(body: &str) -> Incoming<'_> {
    Incoming { content_type: Some("application/soap+xml"), soap_action: None, body: body.as_bytes() }
}

fn apart(credential: Credential, text: &str) -> Result<Sealed, &'static str> {
    let found = sealed(&at(credential), &incoming(text)).map_err(|rejection| rejection.reason())?;
    Ok(found.expect("something is sealed"))
}

fn signed(text: &str) -> Option<SignedMessage> {
    match apart(Credential::Signature, text).unwrap().question().unwrap().3 {
        Within::Signed(message) => Some(message),
        Within::Parts(_) => None,
    }
}

#[test]
fn what_is_signed_as_it_is_sealed_is_handed_on_as_it_was_signed_and_read_when_it_is_open() {
    for (algorithm, by) in [(GCM, Some(PartCipher::Aes256Gcm)), (CBC, None)] {
        let sealed = body(&data("ed", algorithm));
        let text = message(&sealed, &sealed, KEY, "");
        let covered = signed(&text).unwrap();
        assert_eq!(covered.parts.iter().map(Secret::expose).collect::<Vec<_>>(), [sealed.as_bytes()], "{algorithm}");
        for credential in [Credential::Signature, Credential::Any] {
            let mut apart = apart(credential, &text).unwrap();
            let (_, transport, ..) = apart.question().unwrap();
            let parts = List::new(vec![Secret::new(PLAIN.as_bytes()).unwrap()]).unwrap();
            let Whole { message: whole, were, .. } = apart.opened(&parts).unwrap();
            assert!(were.body && !were.signature && were.by == by.map(|by| (transport, by)), "{were:?}");
            assert!(whole.contains(PLAIN) && !whole.contains("Encrypted"), "{}", *whole);
            // What is submitted is what was verified, and not what stands there now.
            let around = Around { signed: Some(covered.clone()), ..Around::default() };
            let request = read_of(around, &at(credential), &incoming(&whole)).unwrap();
            let Evidence::Signature(submitted) = request.evidence else { panic!("a signature") };
            assert_eq!(submitted.parts[0].expose(), sealed.as_bytes());
        }
    }
}

#[test]
fn what_was_signed_before_it_was_sealed_is_opened_first_and_never_by_cbc_a_21() {
    let plain = body(PLAIN);
    assert!(signed(&message(&body(&data("ed", GCM)), &plain, KEY, "")).is_none());
    let unknown = "encryption: unknown algorithm";
    let sealed = body(&data("ed", CBC));
    for (what, credential, text) in [
        ("signed while it was plain", Credential::Signature, message(&sealed, &plain, KEY, "")),
        ("another one was signed", Credential::Signature, message(&sealed, &body(&data("ed", GCM)), KEY, "")),
        (
            "no signature",
            Credential::Signature,
            message(&sealed, &sealed, KEY, "")
                .replace("ds:Signature>", "ds:Other>")
                .replace("<ds:Signature ", "<ds:Other ")
                .replace(&token(), ""),
        ),
        (
            "where no signature alone is taken",
            Credential::Saml,
            message(&sealed, &sealed, KEY, "").replace(&token(), ""),
        ),
    ] {
        assert_eq!(apart(credential, &text).map(drop).unwrap_err(), unknown, "{what}");
    }
    let twice = message(&sealed, &sealed, KEY, "");
    let start = twice.find("<ds:Signature ").unwrap();
    let end = twice.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let twice = [&twice[..end], &twice[start..]].concat();
    assert_eq!(apart(Credential::Signature, &twice).map(drop).unwrap_err(), unknown, "two signatures");
}

#[test]
fn beside_a_body_that_is_signed_as_it_is_sealed_nothing_else_is() {
    let sealed = body(&data("ed", CBC));
    let unknown = "encryption: unknown algorithm";
    let other = "encryption: sealed by no key before it";
    let gcm = data("e2", GCM);
    let both = KEY.replace("<x:DataReference URI='#ed'/>", "<x:DataReference URI='#ed'/><x:DataReference URI='#e2'/>");
    let named = |id: &str| {
        let info = format!(
            "<ds:KeyInfo xmlns:ds=\"{}\"><o:SecurityTokenReference xmlns:o=\"{}\"><o:Reference URI=\"#{id}\">\
             </o:Reference></o:SecurityTokenReference></ds:KeyInfo><x:CipherData>",
            names::DS,
            names::WSSE
        );
        sealed.replace("<x:CipherData>", &info)
    };
    for (what, text, reason) in [
        ("one in the header", message(&sealed, &sealed, KEY, &gcm), other),
        (
            "one in the header that is listed",
            message(&sealed, &sealed, &both, &gcm),
            "encryption: sealed at no place for it",
        ),
        // What may be sealed there is opened to be read, and all else with it.
        ("an element that is", message(&sealed, &sealed, &both, &gcm.replace("#Content", "#Element")), unknown),
        ("one in another element", message(&sealed, &sealed, KEY, &format!("<o:a>{gcm}</o:a>")), other),
        ("a list of another", message(&sealed, &sealed, &KEY.replace("#ed", "#t"), ""), other),
        ("a list of more", message(&sealed, &sealed, &both, ""), other),
        ("by another key", message(&named("t"), &named("t"), KEY, ""), "encryption: sealed by another key"),
    ] {
        assert_eq!(apart(Credential::Signature, &text).map(drop).unwrap_err(), reason, "{what}");
    }
    assert!(signed(&message(&named("ek"), &named("ek"), KEY, "")).is_some());
    // Another credential beside it would be judged by what stands there now.
    let whole = message(&body(PLAIN), &sealed, "", "<o:UsernameToken><o:Username>a</o:Username></o:UsernameToken>");
    let covered = signed(&message(&sealed, &sealed, KEY, ""));
    let around = Around { signed: covered, ..Around::default() };
    let refused = read_of(around, &at(Credential::Any), &incoming(&whole)).map(drop).unwrap_err();
    assert_eq!(refused.reason(), "security: another credential beside a signature over what is sealed");
}

/// A message with this body, whose signature, made while its body was that one, was sealed then; and the signature.
fn signature_sealed(body: &str, signed: &str) -> (String, String) {
    let text = message(body, signed, KEY, "");
    let (start, end) = (text.find("<ds:Signature ").unwrap(), text.find("</ds:Signature>").unwrap());
    let end = end + "</ds:Signature>".len();
    let signature = text[start..end].to_owned();
    let list = "<x:ReferenceList><x:DataReference URI='#es'/></x:ReferenceList>";
    let data = data("es", GCM).replace("xmlenc#Content", "xmlenc#Element");
    let text = [&text[..start], &text[end..]].concat().replace(KEY, &format!("{KEY}{list}{data}"));
    (text, signature)
}

/// What is submitted of it, once this is in its parts.
fn submitted(text: &str, within: [&str; 2]) -> Result<(Evidence, Were), &'static str> {
    let at = at(Credential::Signature);
    let within = within.map(|part| Secret::new(part.as_bytes()).unwrap());
    let opened = apart(Credential::Signature, text)?.opened(&List::new(within.to_vec()).unwrap());
    let Whole { message, were, earlier } = opened.map_err(|rejection| rejection.reason())?;
    let around = Around { earlier: earlier.as_deref().map(String::as_str), ..Around::default() };
    let request = read_of(around, &at, &incoming(&message)).map_err(|rejection| rejection.reason())?;
    Ok((request.evidence, were))
}

#[test]
fn a_signature_that_was_sealed_covers_the_body_as_it_was_when_it_was_made_whichever_that_is() {
    let (sealed, plain) = (body(&data("ed", GCM)), body(PLAIN));
    for (signed, covered) in [(&sealed, &sealed), (&plain, &plain), (&body("<a></a>"), &plain)] {
        let (text, signature) = signature_sealed(&sealed, signed);
        // All of it is asked for, since nobody can see what was signed.
        let Within::Parts(parts) = apart(Credential::Signature, &text).unwrap().question().unwrap().3 else {
            panic!("signed as it is sealed")
        };
        assert_eq!(parts.len(), 2);
        let (evidence, were) = submitted(&text, [&signature, PLAIN]).unwrap();
        assert!(were.body && were.signature && were.by.is_some(), "{were:?}");
        let Evidence::Signature(message) = evidence else { panic!("a signature") };
        assert_eq!(message.parts.iter().map(Secret::expose).collect::<Vec<_>>(), [covered.as_bytes()]);
    }
    // Nor is any of it opened by CBC, of which nobody has verified anything.
    let chained = body(&data("ed", CBC));
    let (text, _) = signature_sealed(&chained, &chained);
    assert_eq!(apart(Credential::Signature, &text).map(drop).unwrap_err(), "encryption: unknown algorithm");
}

#[test]
fn what_was_sealed_in_the_place_of_a_signature_is_one_and_stays_there() {
    let sealed = body(&data("ed", GCM));
    let (text, signature) = signature_sealed(&sealed, &sealed);
    for (what, inside) in [
        ("two", signature.repeat(2)),
        ("one and text", format!("{signature}text")),
        ("one in another header", format!("</o:Security><o:Security>{signature}")),
        ("one in something else", format!("<n:w xmlns:n='urn:n'>{signature}</n:w>")),
        ("a timestamp", STAMP.to_owned()),
        ("something that is sealed", data("ex", GCM)),
        ("nothing", String::new()),
    ] {
        assert!(submitted(&text, [&inside, PLAIN]).is_err(), "{what}");
    }
    let list = "<x:ReferenceList><x:DataReference URI='#es'/></x:ReferenceList>";
    let data = data("es", GCM).replace("xmlenc#Content", "xmlenc#Element");
    for (what, from, to) in [
        ("listed by none", list, ""),
        ("listed twice", list, &list.repeat(2)),
        ("in a list of something else", list, &list.replace("#es", "#t")),
        ("in a list elsewhere", list, &format!("<o:a>{list}</o:a>")),
        ("elsewhere", &data, &format!("<o:a>{data}</o:a>")),
        ("twice", &data, &data.repeat(2)),
        ("nowhere", &data, ""),
    ] {
        assert!(text.contains(from), "{what}");
        assert!(apart(Credential::Signature, &text.replace(from, to)).is_err(), "{what}");
    }
}
