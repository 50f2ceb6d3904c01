//! The signature of an answer, written here and nowhere else: fixed ids, exclusive canonical form the only transform,
//! and the one key there is, named as WS-Security has it. A worker has a say in digests alone.

use base64ct::{Base64, Encoding};

use crate::trust::identifiers::{ENCRYPTED_KEY, ENCRYPTED_KEY_SHA1};
use crate::trust::username::BASE64;
use crate::wire::evidence::MacAlgorithm;
use crate::wire::reply::{Conversation, Covered, DERIVED_IDS};
use crate::xml::{detached, names};

/// How a signature names its key.
pub(super) enum Named<'a> {
    /// By the SHA-1 of what was sealed in the request (R-W045).
    Session(&'a [u8; 20]),
    /// By the id of its token.
    Derived(Conversation),
}

/// `ds:SignedInfo` over these parts, canonical.
pub(super) fn signed_info(algorithm: MacAlgorithm, parts: &[Covered]) -> String {
    detached::signed_info(identifier(algorithm), parts.iter().map(|covered| (covered.part.id(), &covered.digest)))
}

/// `ds:Signature` with that inside.
pub(super) fn signature(signed_info: &str, value: &[u8], named: &Named<'_>) -> String {
    detached::signature(signed_info, value, |writer| match named {
        Named::Session(sha1) => {
            writer.namespace("wsse11", names::WSSE11).attribute("wsse11:TokenType", ENCRYPTED_KEY);
            writer.open("wsse:KeyIdentifier").attribute("EncodingType", BASE64);
            writer.attribute("ValueType", ENCRYPTED_KEY_SHA1).text(&Base64::encode_string(*sha1)).close();
        }
        Named::Derived(conversation) => {
            let namespace = match conversation {
                Conversation::V13 => names::WSC13,
                Conversation::V2005 => names::WSC05,
            };
            writer.open("wsse:Reference").attribute("URI", &format!("#{}", DERIVED_IDS[0]));
            writer.attribute("ValueType", &format!("{namespace}/dk")).close();
        }
    })
}

fn identifier(algorithm: MacAlgorithm) -> &'static str {
    match algorithm {
        MacAlgorithm::HmacSha1 => "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        MacAlgorithm::HmacSha256 => "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        MacAlgorithm::HmacSha384 => "http://www.w3.org/2001/04/xmldsig-more#hmac-sha384",
        MacAlgorithm::HmacSha512 => "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::reply::{ReplyPart, SIGNED_IDS};
    use crate::xml::signature::{Signature, SignedInfo};
    use crate::xml::{Limits, Method, Tree};

    #[test]
    fn what_is_signed_is_canonical_as_it_stands_and_says_the_parts_and_nothing_else() {
        let parts: Vec<Covered> =
            ReplyPart::ALL.into_iter().enumerate().map(|(n, part)| Covered { part, digest: [n as u8; 32] }).collect();
        let all =
            [MacAlgorithm::HmacSha1, MacAlgorithm::HmacSha256, MacAlgorithm::HmacSha384, MacAlgorithm::HmacSha512];
        for algorithm in all {
            let info = signed_info(algorithm, &parts);
            let tree = Tree::parse(info.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(*tree.root().canonical(&Method::exclusive(), None, 65536).unwrap(), info);
            let read = SignedInfo::read(tree.root()).unwrap();
            assert_eq!(crate::trust::parts::mac(read.method), Some(algorithm));
            let ids: Vec<&str> = read.references.iter().map(|reference| reference.id.as_str()).collect();
            assert_eq!(ids, ReplyPart::ALL.map(ReplyPart::id));
            assert!(ids.iter().all(|id| id.starts_with(SIGNED_IDS)));
            assert!(read.references.iter().all(|reference| !reference.transform.enveloped));
            for named in
                [Named::Session(&[7; 20]), Named::Derived(Conversation::V13), Named::Derived(Conversation::V2005)]
            {
                let text = signature(&info, &[9; 32], &named);
                let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
                let signature = Signature::read(tree.root()).unwrap();
                assert_eq!((*signature.signed_octets(65536).unwrap()).as_str(), info);
                assert!(signature.key_info.is_some() && signature.value == [9; 32]);
            }
        }
    }
}
