//! A reader that was taken over, and what it gets believed: nothing that the holder of the certificate did not sign.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64ct::{Base64, Encoding};
use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::wire::Octets;
use crate::wire::evidence::SignatureAlgorithm;
use crate::xml::names::DS;

const DOCUMENT: &str =
    "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"m\"></md:EntityDescriptor>";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

struct Signer {
    key: EcdsaKeyPair,
    certificate: Certificate,
}

impl Signer {
    fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&pair).unwrap();
        Self {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der()).unwrap(),
            certificate: Certificate::from_der(certificate.der().to_vec()).unwrap(),
        }
    }

    fn found(&self, signed_info: &str) -> Found {
        let value = self.key.sign(&SystemRandom::new(), signed_info.as_bytes()).unwrap();
        Found {
            algorithm: SignatureAlgorithm::EcdsaSha256,
            signed_info: Octets::new(signed_info).unwrap(),
            value: Octets::new(value.as_ref()).unwrap(),
            document: Octets::new(DOCUMENT).unwrap(),
        }
    }
}

fn reference(id: &str) -> String {
    let value = Base64::encode_string(&fingerprint(DOCUMENT.as_bytes()));
    format!(
        "<ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{DS}enveloped-signature\"></ds:Transform>\
         <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms><ds:DigestMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod><ds:DigestValue>{value}\
         </ds:DigestValue></ds:Reference>"
    )
}

fn signed_info(references: &str) -> String {
    format!(
        "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
         </ds:CanonicalizationMethod><ds:SignatureMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"></ds:SignatureMethod>{references}\
         </ds:SignedInfo>"
    )
}

#[test]
fn a_reader_that_lies_is_not_believed() {
    let (signer, stranger, now) = (Signer::new(), Signer::new(), Millis::now());
    let verify = |found: Found| by_signature(found, &signer.certificate, now).map_err(|why| why.to_string());
    let good = signed_info(&reference("m"));
    let verified = verify(signer.found(&good)).unwrap();
    assert_eq!((verified.document.as_slice(), verified.id.as_deref()), (DOCUMENT.as_bytes(), Some("m")));

    let changed = Octets::new(DOCUMENT.replace("\"m\"", "\"n\"")).unwrap();
    let other_info = Octets::new(signed_info(&reference("n"))).unwrap();
    for (found, word) in [
        (Found { document: changed, ..signer.found(&good) }, "not what was signed"),
        (Found { signed_info: other_info, ..signer.found(&good) }, "not signed by"),
        (stranger.found(&good), "not signed by"),
        (Found { value: Octets::default(), ..signer.found(&good) }, "not signed by"),
        (Found { algorithm: SignatureAlgorithm::RsaSha256, ..signer.found(&good) }, "signs in another way"),
        // What its holder signed elsewhere: other things, in another manner, a message of many parts.
        (signer.found("an order"), "what was signed"),
        (signer.found(DOCUMENT), "what was signed"),
        (signer.found(&good.replace("ecdsa-sha256", "rsa-sha256")), "another algorithm"),
        (signer.found(&signed_info(&format!("{}{}", reference("m"), reference("n")))), "not one document"),
        (
            signer.found(
                &good.replace(&format!("<ds:Transform Algorithm=\"{DS}enveloped-signature\"></ds:Transform>"), ""),
            ),
            "not the document itself",
        ),
    ] {
        let why = verify(found).unwrap_err();
        assert!(why.contains(word), "{why}");
    }
    let over = signer.certificate.not_after.plus(1);
    assert!(
        by_signature(signer.found(&good), &signer.certificate, over).is_err_and(|why| why.contains("not valid now"))
    );
}
