//! Answers that are signed: to requests that were, at endpoints that say so, and over all that a client looks at.

use super::signed::{direct, signature, signed, token};
use super::*;
use crate::config::worker::Replies;
use crate::wire::order::{Release, TokenType};
use crate::wire::reply::{MOST_REPLY_OCTETS, ReplyPart, SIGNED_IDS, SealedFor, SignedReply};
use crate::wire::unwrap::{KeyTransport, PartCipher};
use crate::wire::{Correlation, List, Millis, Octets, Text};
use crate::xml::encryption::{EncryptedData, EncryptedKey};
use crate::xml::{Ids, Method};
use aws_lc_rs::digest::{SHA256, digest};

const NOW: Millis = Millis(1_795_328_527_486);

fn release() -> Release {
    Release {
        correlation: Correlation([0xAB; 16]),
        token: Octets::new(*b"<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"></saml:Assertion>")
            .unwrap(),
        token_type: TokenType::Saml20,
        token_id: Text::new("_t1").unwrap(),
        created: NOW,
        expires: NOW.plus(3_600_000),
    }
}

fn endpoint(replies: Replies, signature_confirmation: bool) -> Endpoint {
    Endpoint { credential: Credential::Any, replies, signature_confirmation, ..generic() }
}

/// A request that is signed, read at this endpoint.
fn shape(endpoint: &Endpoint) -> Shape {
    let request = signed(&format!("{}{}", token(), signature(&["_0", "to", "b"], &direct())));
    request.read(endpoint).unwrap_or_else(|why| panic!("{}", why.reason())).shape
}

#[test]
fn an_answer_to_a_signed_request_is_signed_over_all_that_a_client_looks_at() {
    for confirms in [false, true] {
        let shape = shape(&endpoint(Replies::Signed, confirms));
        let unsigned = shape.certified(&release(), NOW).unwrap().unwrap();
        let question = unsigned.question(Correlation([0xAB; 16])).unwrap();
        let parts: Vec<ReplyPart> = question.parts.iter().map(|covered| covered.part).collect();
        let most = if confirms { 7 } else { 6 };
        assert_eq!(parts, ReplyPart::ALL[..most]);
        let (certificate, signature) = (Octets::new(*b"<c></c>").unwrap(), Octets::new(*b"<s></s>").unwrap());
        let signed = SignedReply { correlation: Correlation([0xAB; 16]), certificate, signature };
        let reply = unsigned.signed(&signed).unwrap().finished().unwrap();
        let text = String::from_utf8(reply.body).unwrap();
        let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
        let ids = Ids::of(&tree).unwrap();
        for covered in question.parts.iter() {
            let element = ids.element(covered.part.id()).unwrap();
            let octets = element.canonical(&Method::exclusive(), None, 65536).unwrap();
            assert_eq!(digest(&SHA256, octets.as_bytes()).as_ref(), covered.digest, "{:?}", covered.part);
        }
        // What refers comes after what is referred to.
        let security = tree.elements().find(|element| element.is(names::WSSE, "Security")).unwrap();
        let locals: Vec<&str> = security.children().map(|child| child.local()).collect();
        let confirmation: &[&str] = if confirms { &["SignatureConfirmation"] } else { &[] };
        assert_eq!(locals, [&["Timestamp", "c"], confirmation, &["s"]].concat());
        assert_eq!(text.contains("Value=\"AAECAwQF\""), confirms);
    }
}

#[test]
fn no_other_answer_is_signed() {
    assert!(shape(&endpoint(Replies::Plain, false)).certified(&release(), NOW).is_none());
    let password = Message::default().accepted(&endpoint(Replies::Signed, true)).shape;
    assert!(password.certified(&release(), NOW).is_none());
    let plain = String::from_utf8(password.released(&release(), NOW).body).unwrap();
    assert!(!plain.contains(SIGNED_IDS) && !plain.contains("SignatureConfirmation"), "{plain}");
    let fault = shape(&endpoint(Replies::Signed, true)).fault(Fault::RequestFailed, Correlation([0xAB; 16]), NOW);
    let fault = String::from_utf8(fault.body).unwrap();
    assert!(!fault.contains(SIGNED_IDS) && !fault.contains("SignatureConfirmation"), "{fault}");
}

#[test]
fn an_answer_is_sealed_as_its_request_was_and_its_body_always() {
    let (sha256, aes128) = (KeyTransport::OaepSha256, PartCipher::Aes128Gcm);
    for (signature, by) in [(false, None), (true, Some((sha256, aes128)))] {
        let mut shape = shape(&endpoint(Replies::Sealed, true));
        shape.were_sealed(Were { body: true, signature, by });
        let correlation = Correlation([0xAB; 16]);
        let unsigned = shape.certified(&release(), NOW).unwrap().unwrap();
        let (certificate, value) = (Octets::new(*b"<c></c>").unwrap(), Octets::new(*b"<s></s>").unwrap());
        let signed = unsigned.signed(&SignedReply { correlation, certificate, signature: value }).unwrap();
        assert!(signed.seals());
        let question = signed.question(correlation).unwrap();
        assert_eq!(
            (question.transport, question.cipher),
            by.unwrap_or((KeyTransport::OaepSha1, PartCipher::Aes256Gcm))
        );
        let plain: Vec<String> =
            question.contents.iter().map(|content| String::from_utf8(content.expose().to_vec()).unwrap()).collect();
        let number = if signature { 3 } else { 1 };
        assert_eq!(plain.len(), number);
        assert!(plain.iter().any(|content| content.starts_with("<wst:RequestSecurityTokenResponseCollection ")));
        assert_eq!(plain.iter().any(|content| content == "<s></s>"), signature);
        let contents = (0..number).map(|octet| Octets::new([octet as u8; 40]).unwrap()).collect::<Vec<_>>();
        let sealed = |contents: &[Octets<{ MOST_REPLY_OCTETS + 28 }>]| SealedFor {
            correlation,
            thumbprint: [7; 20],
            key: Octets::new([8; 256]).unwrap(),
            contents: List::new(contents.to_vec()).unwrap(),
        };
        let text = String::from_utf8(signed.finished_with(&sealed(&contents)).unwrap().body).unwrap();
        let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
        Ids::of(&tree).unwrap();
        assert!(!text.contains("saml:Assertion") && text.contains("<s></s>") != signature, "{text}");
        assert_ne!(text.contains("SignatureConfirmation"), signature);
        let security = tree.elements().find(|element| element.is(names::WSSE, "Security")).unwrap();
        let locals: Vec<&str> = security.children().map(|child| child.local()).collect();
        let rest: &[&str] =
            if signature { &["EncryptedData", "EncryptedData"] } else { &["SignatureConfirmation", "s"] };
        assert_eq!(locals, [&["Timestamp", "c", "EncryptedKey"], rest].concat());
        // It is of our own grammar, and each part is listed.
        let key =
            EncryptedKey::read(security.children().find(|child| child.local() == "EncryptedKey").unwrap()).unwrap();
        assert_eq!(crate::trust::parts::transport(key.oaep), Some(question.transport));
        let mut found = 0;
        for element in tree.elements().filter(|element| element.is(names::XENC, "EncryptedData")) {
            let data = EncryptedData::read(element).unwrap();
            assert!(key.references.contains(&data.id.unwrap()));
            assert_eq!(crate::trust::parts::cipher(data.cipher), question.cipher);
            found += 1;
        }
        assert_eq!((found, key.references.len()), (number, number));
    }
}

#[test]
fn an_answer_of_which_another_number_of_parts_was_sealed_does_not_leave() {
    let shape = shape(&endpoint(Replies::Sealed, false));
    let correlation = Correlation([0xAB; 16]);
    for number in [0, 2] {
        let unsigned = shape.certified(&release(), NOW).unwrap().unwrap();
        let signed = SignedReply { correlation, certificate: Octets::default(), signature: Octets::default() };
        let contents = List::new(vec![Octets::new([7; 40]).unwrap(); number]).unwrap();
        let sealed = SealedFor { correlation, thumbprint: [7; 20], key: Octets::default(), contents };
        assert!(unsigned.signed(&signed).unwrap().finished_with(&sealed).is_err(), "{number}");
    }
}
