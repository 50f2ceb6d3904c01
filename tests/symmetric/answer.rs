//! What a client makes of an answer under a MAC: it opens what is sealed, and holds the MAC and every digest against
//! what then stands there.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use chancery::auth::cipher;
use chancery::auth::derive::derived;
use chancery::wire::derivation::Derivation;
use chancery::wire::unwrap::PartCipher;
use chancery::xml::signature::Signature;
use chancery::xml::{Element, Limits, Tree, names};

use crate::message::Client;
use crate::support::keyed;
use crate::support::references;

fn parsed(text: &str) -> Tree {
    Tree::parse(text.as_bytes(), &Limits { value: 1 << 20, ..Limits::default() }).unwrap()
}

fn child<'t>(element: Element<'t>, local: &str) -> Element<'t> {
    element.children().find(|child| child.local() == local).unwrap_or_else(|| panic!("no {local}"))
}

/// The key that a `ds:KeyInfo` names.
fn key(client: &Client, tree: &Tree, info: Element<'_>) -> Vec<u8> {
    let named = child(info, "SecurityTokenReference").children().next().unwrap();
    if named.local() == "KeyIdentifier" {
        assert!(client.derives.is_none());
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &client.sealed);
        assert_eq!(named.text().unwrap(), Base64::encode_string(sha1.as_ref()));
        return client.session.clone();
    }
    let id = named.attribute("", "URI").unwrap().strip_prefix('#').unwrap();
    if id == "ek" {
        return client.session.clone();
    }
    let token = tree.elements().find(|element| element.attribute(names::WSU, "Id") == Some(id)).unwrap();
    assert!(token.is(client.derives.unwrap(), "DerivedKeyToken"));
    let text = |local| child(token, local).text().unwrap().to_owned();
    let nonce = Base64::decode_vec(&text("Nonce")).unwrap();
    let by = Derivation::new(None, nonce, text("Offset").parse().unwrap(), text("Length").parse().unwrap()).unwrap();
    derived(&client.session, &by).to_vec()
}

/// The answer with what is sealed opened, and the names of the elements around what was.
pub(crate) fn opened(client: &Client, answer: &str) -> (String, Vec<String>) {
    let (mut text, mut around) = (answer.to_owned(), Vec::new());
    loop {
        let tree = parsed(&text);
        let Some(data) = tree.elements().find(|element| element.is(names::XENC, "EncryptedData")) else { break };
        let value = child(child(data, "CipherData"), "CipherValue").text().unwrap();
        let algorithm = child(data, "EncryptionMethod").attribute("", "Algorithm").unwrap();
        let cipher = match algorithm.rsplit_once('#').unwrap().1 {
            "aes128-gcm" => PartCipher::Aes128Gcm,
            "aes192-gcm" => PartCipher::Aes192Gcm,
            _ => PartCipher::Aes256Gcm,
        };
        let key = key(client, &tree, child(data, "KeyInfo"));
        let plain = cipher::open(cipher, &key, &Base64::decode_vec(value).unwrap()).unwrap();
        around.push(data.parent().unwrap().local().to_owned());
        let span = data.span();
        text.replace_range(span, std::str::from_utf8(&plain).unwrap());
    }
    (text, around)
}

/// The MAC of a message, as it is written there.
pub(crate) fn mac(text: &str) -> String {
    let tree = parsed(text);
    let signature = child(child(child(tree.root(), "Header"), "Security"), "Signature");
    child(signature, "SignatureValue").text().unwrap().to_owned()
}

/// Does the MAC hold, and does it cover what a client looks at?
pub(crate) fn holds(client: &Client, text: &str) {
    let tree = parsed(text);
    let header = child(tree.root(), "Header");
    let signature = child(child(header, "Security"), "Signature");
    let read = Signature::read(signature).unwrap();
    let key = key(client, &tree, read.key_info.unwrap());
    let octets = read.signed_octets(1 << 20).unwrap();
    hmac::verify(&hmac::Key::new(keyed::algorithm(client.algorithm).1, &key), octets.as_bytes(), &read.value).unwrap();
    let references = child(signature, "SignedInfo").children().filter(|element| element.is(names::DS, "Reference"));
    assert!(references.map(|reference| references::holds(&tree, reference)).all(|holds| holds == Some(true)), "{text}");
    let covered = |element: Element<'_>| {
        let id = element.attribute(names::WSU, "Id").unwrap();
        assert!(read.info.references.iter().any(|reference| reference.id == id), "{} is not covered", element.local());
    };
    for local in ["Action", "MessageID", "RelatesTo", "To"] {
        covered(child(header, local));
    }
    covered(child(child(header, "Security"), "Timestamp"));
    covered(child(tree.root(), "Body"));
    for confirmation in child(header, "Security").children().filter(|child| child.local() == "SignatureConfirmation") {
        covered(confirmation);
    }
}
