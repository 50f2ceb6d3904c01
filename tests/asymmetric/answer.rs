//! What a client makes of an answer that is signed: it holds the signature against the certificate that it knows, and
//! every digest against what stands there.

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64ct::{Base64, Encoding};
use chancery::auth::cipher;
use chancery::wire::unwrap::PartCipher;
use chancery::xml::signature::Signature;
use chancery::xml::{Element, Limits, Tree, names};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::support::references;
use crate::support::signed::Client;

fn parsed(text: &str) -> Tree {
    Tree::parse(text.as_bytes(), &Limits { value: 1 << 20, ..Limits::default() }).unwrap()
}

fn child<'t>(element: Element<'t>, local: &str) -> Element<'t> {
    element.children().find(|child| child.local() == local).unwrap_or_else(|| panic!("no {local}"))
}

fn binary(element: Element<'_>) -> Vec<u8> {
    Base64::decode_vec(element.text().unwrap()).unwrap()
}

/// Does every digest hold?
pub(crate) fn is_whole(text: &str) -> bool {
    let tree = parsed(text);
    let signature = child(child(child(tree.root(), "Header"), "Security"), "Signature");
    let references = child(signature, "SignedInfo").children().filter(|element| element.is(names::DS, "Reference"));
    references.map(|reference| references::holds(&tree, reference)).all(|holds| holds == Some(true))
}

/// Is it signed by the key of this certificate, and does that cover what a client looks at?
pub(crate) fn holds(certificate: &[u8], text: &str) {
    let tree = parsed(text);
    let header = child(tree.root(), "Header");
    let security = child(header, "Security");
    assert_eq!(binary(child(security, "BinarySecurityToken")), certificate);
    let read = Signature::read(child(security, "Signature")).unwrap();
    let octets = read.signed_octets(1 << 20).unwrap();
    let (_, certificate) = X509Certificate::from_der(certificate).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &*certificate.public_key().subject_public_key.data);
    key.verify(octets.as_bytes(), &read.value).unwrap();
    assert!(is_whole(text), "{text}");
    let covered = |element: Element<'_>| {
        let id = element.attribute(names::WSU, "Id").unwrap();
        assert!(read.info.references.iter().any(|reference| reference.id == id), "{} is not covered", element.local());
    };
    for local in ["Action", "MessageID", "RelatesTo", "To"] {
        covered(child(header, local));
    }
    covered(child(security, "Timestamp"));
    covered(child(tree.root(), "Body"));
    for confirmation in security.children().filter(|child| child.local() == "SignatureConfirmation") {
        covered(confirmation);
    }
}

/// The answer with all opened that is sealed.
pub(crate) fn opened(client: &Client, answer: &str) -> String {
    let tree = parsed(answer);
    let key = child(child(child(tree.root(), "Header"), "Security"), "EncryptedKey");
    let secret = PrivateDecryptingKey::from_pkcs8(client.secret()).unwrap();
    let secret = OaepPrivateDecryptingKey::new(secret).unwrap();
    let mut session = vec![0; secret.min_output_size()];
    let sealed = binary(child(child(key, "CipherData"), "CipherValue"));
    let session = secret.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut session, None).unwrap();
    let by = match session.len() {
        16 => PartCipher::Aes128Gcm,
        24 => PartCipher::Aes192Gcm,
        _ => PartCipher::Aes256Gcm,
    };
    let mut opened = answer.to_owned();
    for data in tree.elements().filter(|element| element.is(names::XENC, "EncryptedData")) {
        let octets = binary(child(child(data, "CipherData"), "CipherValue"));
        let plain = cipher::open(by, session, &octets).unwrap();
        opened = opened.replace(&answer[data.span()], std::str::from_utf8(&plain).unwrap());
    }
    opened
}
