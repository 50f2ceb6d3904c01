//! The signature of an answer, by the key that is for answers. What is signed is written here: references to ids that
//! no assertion, no metadata and no request that auth takes has, exclusive canonical form, nothing enveloped. A worker
//! has a say in digests alone, so what it has signed is an answer, whatever it says.

use aws_lc_rs::digest;

use super::Algorithm;
use crate::wire::reply::{CERTIFICATE_ID, Covered};
use crate::xml::{Writer, detached, names};

const X509V3: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// A signature of an answer that waits for its value.
#[derive(Debug)]
pub struct Unsigned {
    signed_info: String,
    algorithm: Algorithm,
}

impl Unsigned {
    /// Over these parts.
    #[must_use]
    pub fn of(parts: &[Covered], algorithm: Algorithm) -> Self {
        let parts = parts.iter().map(|covered| (covered.part.id(), &covered.digest));
        Self { signed_info: detached::signed_info(algorithm.uri(), parts), algorithm }
    }

    /// The octets the signature covers.
    #[must_use]
    pub fn signed_octets(&self) -> &[u8] {
        self.signed_info.as_bytes()
    }

    /// Their digest, as the token takes it.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        digest::digest(self.algorithm.digest().0, self.signed_octets()).as_ref().to_vec()
    }

    /// How they are to be signed.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `ds:Signature`, which names the certificate beside it.
    #[must_use]
    pub fn seal(&self, value: &[u8]) -> String {
        detached::signature(&self.signed_info, value, |writer| {
            writer.open("wsse:Reference").attribute("URI", &format!("#{CERTIFICATE_ID}"));
            writer.attribute("ValueType", X509V3).close();
        })
    }
}

/// `wsse:BinarySecurityToken` with this certificate, DER in base64.
#[must_use]
pub fn certificate(base64: &str) -> String {
    let mut writer = Writer::for_envelope();
    writer.open("wsse:BinarySecurityToken").namespace("wsse", names::WSSE).namespace("wsu", names::WSU);
    writer.attribute("wsu:Id", CERTIFICATE_ID).attribute("EncodingType", BASE64).attribute("ValueType", X509V3);
    writer.text(base64).close();
    writer.finish()
}

#[cfg(test)]
#[cfg(feature = "worker")]
mod tests {
    use super::*;
    use crate::wire::reply::{ReplyPart, SIGNED_IDS};
    use crate::xml::signature::{Signature, SignedInfo};
    use crate::xml::{Limits, Method, Tree};

    #[test]
    fn what_is_signed_is_canonical_as_it_stands_and_can_be_no_assertion() {
        let all = ReplyPart::ALL.into_iter().enumerate();
        let parts: Vec<Covered> = all.map(|(n, part)| Covered { part, digest: [n as u8; 32] }).collect();
        for algorithm in Algorithm::ALL {
            let unsigned = Unsigned::of(&parts, algorithm);
            let tree = Tree::parse(unsigned.signed_octets(), &Limits::default()).unwrap();
            let canonical = tree.root().canonical(&Method::exclusive(), None, 65536).unwrap();
            assert_eq!(canonical.as_bytes(), unsigned.signed_octets());
            let read = SignedInfo::read(tree.root()).unwrap();
            assert_eq!(read.references.len(), parts.len());
            for (reference, covered) in read.references.iter().zip(&parts) {
                assert_eq!(reference.id, covered.part.id());
                assert!(reference.id.starts_with(SIGNED_IDS) && reference.digest == covered.digest);
                // Without it no signature of an assertion can hold (R-S013).
                assert!(!reference.transform.enveloped && !reference.transform.dereferenced);
            }
            let text = unsigned.seal(&[9; 256]);
            let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
            let signature = Signature::read(tree.root()).unwrap();
            assert_eq!(signature.signed_octets(65536).unwrap().as_bytes(), unsigned.signed_octets());
            assert!(signature.key_info.is_some() && signature.value == [9; 256]);
        }
        let text = certificate("Q0VSVA==");
        let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(tree.root().attribute(names::WSU, "Id"), Some(CERTIFICATE_ID));
    }
}
