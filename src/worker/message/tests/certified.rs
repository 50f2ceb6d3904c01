//! Answers that are signed: to requests that were, at endpoints that say so, and over all that a client looks at.

use super::signed::{direct, signature, signed, token};
use super::*;
use crate::config::worker::Replies;
use crate::wire::order::{Release, TokenType};
use crate::wire::reply::{ReplyPart, SIGNED_IDS, SignedReply};
use crate::wire::{Correlation, Millis, Octets, Text};
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
        let reply = unsigned.finished(&signed).unwrap();
        let text = String::from_utf8(reply.body).unwrap();
        let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
        let ids = Ids::of(&tree).unwrap();
        for covered in question.parts.iter() {
            let element = ids.element(covered.part.signed_id()).unwrap();
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
