//! XML signatures of ours: enveloped, one reference to the assertion's id, exclusive canonicalisation and
//! nothing else (R-S013). The octets to be signed are written here and nowhere taken from anybody; there is
//! no way to sign an assertion this folder has not written.

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding};

use super::Written;
use crate::wire::links::Mechanism;
use crate::xml::{Writer, names};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Signature algorithms, each with the digest of the same strength (namespaces.md 1.9, grade R).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `rsa-sha256`.
    RsaSha256,
    /// `rsa-sha384`.
    RsaSha384,
    /// `rsa-sha512`.
    RsaSha512,
    /// `ecdsa-sha256`, with P-256.
    EcdsaSha256,
    /// `ecdsa-sha384`, with P-384.
    EcdsaSha384,
}

impl Algorithm {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::RsaSha256, Self::RsaSha384, Self::RsaSha512, Self::EcdsaSha256, Self::EcdsaSha384];

    /// The name in configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::RsaSha384 => "rsa-sha384",
            Self::RsaSha512 => "rsa-sha512",
            Self::EcdsaSha256 => "ecdsa-sha256",
            Self::EcdsaSha384 => "ecdsa-sha384",
        }
    }

    /// `SignatureMethod/@Algorithm`.
    #[must_use]
    pub fn uri(self) -> &'static str {
        match self {
            Self::RsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Self::RsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            Self::RsaSha512 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            Self::EcdsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Self::EcdsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        }
    }

    /// What the token is asked to do.
    #[must_use]
    pub fn mechanism(self) -> Mechanism {
        match self {
            Self::RsaSha256 => Mechanism::RsaPkcs1Sha256,
            Self::RsaSha384 => Mechanism::RsaPkcs1Sha384,
            Self::RsaSha512 => Mechanism::RsaPkcs1Sha512,
            Self::EcdsaSha256 => Mechanism::EcdsaP256Sha256,
            Self::EcdsaSha384 => Mechanism::EcdsaP384Sha384,
        }
    }

    pub(super) fn digest(self) -> (&'static digest::Algorithm, &'static str) {
        match self {
            Self::RsaSha256 | Self::EcdsaSha256 => (&digest::SHA256, "http://www.w3.org/2001/04/xmlenc#sha256"),
            Self::RsaSha384 | Self::EcdsaSha384 => (&digest::SHA384, "http://www.w3.org/2001/04/xmldsig-more#sha384"),
            Self::RsaSha512 => (&digest::SHA512, "http://www.w3.org/2001/04/xmlenc#sha512"),
        }
    }
}

/// An assertion and the `SignedInfo` that refers to it, waiting for a signature value.
#[derive(Debug)]
pub struct Enveloped {
    written: Written,
    algorithm: Algorithm,
    /// `ds:SignedInfo` in canonical form, standing alone: with its own declaration.
    signed_info: String,
}

const STANDING_ALONE: &str = "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">";
const INSIDE: &str = "<ds:SignedInfo>";

impl Written {
    /// Writes the `SignedInfo` for this assertion.
    #[must_use]
    pub fn envelop(self, algorithm: Algorithm) -> Enveloped {
        let (hash, hash_uri) = algorithm.digest();
        let value = Base64::encode_string(digest::digest(hash, self.canonical.as_bytes()).as_ref());
        let mut xml = Writer::new();
        let empty = |xml: &mut Writer, name, uri: &str| {
            xml.open(name).attribute("Algorithm", uri).close();
        };
        xml.open("ds:SignedInfo").namespace("ds", names::DS);
        empty(&mut xml, "ds:CanonicalizationMethod", EXCLUSIVE);
        empty(&mut xml, "ds:SignatureMethod", algorithm.uri());
        xml.open("ds:Reference").attribute("URI", &format!("#{}", self.id)).open("ds:Transforms");
        empty(&mut xml, "ds:Transform", ENVELOPED);
        empty(&mut xml, "ds:Transform", EXCLUSIVE);
        xml.close();
        empty(&mut xml, "ds:DigestMethod", hash_uri);
        xml.leaf("ds:DigestValue", &value).close().close();
        Enveloped { signed_info: xml.finish(), algorithm, written: self }
    }
}

impl Enveloped {
    /// The octets the signature covers: the canonical `SignedInfo`.
    #[must_use]
    pub fn signed_octets(&self) -> &[u8] {
        self.signed_info.as_bytes()
    }

    /// Their digest, as the token takes it.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        digest::digest(self.algorithm.digest().0, self.signed_octets()).as_ref().to_vec()
    }

    /// How it is to be signed.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The assertion without its signature.
    #[must_use]
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// The token: the assertion with its signature in place. `signature` is the signature value (ECDSA as
    /// r‖s), `certificate` the signing certificate, DER in base64.
    #[must_use]
    pub fn seal(&self, signature: &[u8], certificate: &str) -> String {
        let canonical = &self.written.canonical;
        let (declare_at, declaration) = self.written.unused_declaration.unwrap_or_default();
        let inside = self.signed_info.strip_prefix(STANDING_ALONE);
        debug_assert!(inside.is_some(), "the signed info begins with its declaration");
        let mut xml = Writer::new();
        xml.open("ds:Signature").namespace("ds", names::DS).verbatim(INSIDE).verbatim(inside.unwrap_or_default());
        xml.leaf("ds:SignatureValue", &Base64::encode_string(signature));
        xml.open("ds:KeyInfo").open("ds:X509Data").leaf("ds:X509Certificate", certificate).close().close().close();
        [
            &canonical[..declare_at],
            declaration,
            &canonical[declare_at..self.written.signature_at],
            &xml.finish(),
            &canonical[self.written.signature_at..],
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::examples::Example;
    use crate::token::{saml11, saml20};

    fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
        let start = text.find(from).unwrap() + from.len();
        &text[start..start + text[start..].find(to).unwrap()]
    }

    #[test]
    fn the_signature_is_written_to_the_byte_r_s013() {
        let example = Example::new();
        let enveloped = saml20::write(&example.assertion()).envelop(Algorithm::RsaSha256);
        let digest =
            Base64::encode_string(digest::digest(&digest::SHA256, enveloped.written().canonical().as_bytes()).as_ref());
        let token = enveloped.seal(&[1, 2, 3], "Q0VSVA==");
        let signature = between(&token, "</Issuer>", "<Subject>");
        let expected = [
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo>",
            "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">",
            "</ds:CanonicalizationMethod>",
            "<ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\">",
            "</ds:SignatureMethod><ds:Reference URI=\"#_abababababababababababababababab\"><ds:Transforms>",
            "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>",
            "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>",
            "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>",
            "<ds:DigestValue>",
            &digest,
            "</ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue>AQID</ds:SignatureValue>",
            "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>Q0VSVA==</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
            "</ds:Signature>",
        ]
        .concat();
        assert_eq!(signature, expected);
    }

    #[test]
    fn the_digest_covers_exactly_the_token_without_its_signature_and_its_unused_declaration() {
        let example = Example::new();
        for algorithm in Algorithm::ALL {
            for written in [saml20::write(&example.assertion()), saml11::write(&example.assertion()).unwrap()] {
                let canonical = written.canonical().to_owned();
                let enveloped = written.envelop(algorithm);
                let token = enveloped.seal(&[7; 64], "Q0VSVA==");
                let start = token.find("<ds:Signature ").unwrap();
                let end = token.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
                let bare = [&token[..start], &token[end..]].concat();
                let saml20 = " xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
                assert_eq!(bare.replacen(saml20, "", 1), canonical);
                let value = between(&token, "<ds:DigestValue>", "</ds:DigestValue>");
                let hash = digest::digest(algorithm.digest().0, canonical.as_bytes());
                assert_eq!(value, Base64::encode_string(hash.as_ref()));
                let inside = between(&token, "<ds:SignedInfo>", "<ds:SignatureValue>");
                assert_eq!([STANDING_ALONE, inside].concat().as_bytes(), enveloped.signed_octets());
                assert_eq!(enveloped.digest().len(), algorithm.mechanism().digest_length());
            }
        }
    }

    /// What the issuer wrote without a parser, read back by the parser it does not have.
    #[cfg(feature = "worker")]
    #[test]
    fn canonicalisation_finds_the_octets_that_were_digested_and_signed_wherever_the_token_stands_r_s014() {
        use crate::xml::{Element, Limits, Method, Tree};

        let (bearer, mut bound) = (Example::new(), Example::new());
        let certificate = crate::wire::Octets::new([7; 700]).unwrap();
        bound.confirmation = crate::wire::order::Confirmation::HolderOfKey { certificate };
        let both = [&bearer, &bound].map(|example| example.assertion());
        for written in both.iter().flat_map(|one| [saml20::write(one), saml11::write(one).unwrap()]) {
            let enveloped = written.envelop(Algorithm::RsaSha256);
            let token = enveloped.seal(&[7; 256], "Q0VSVA==");
            for message in [
                token.clone(),
                format!("<e xmlns='urn:e' xmlns:ds='urn:f' xmlns:saml='urn:g' xml:lang='en'> {token}</e>"),
            ] {
                let tree = Tree::parse(message.as_bytes(), &Limits::default()).unwrap();
                let find = |local: &str| tree.elements().find(|element| element.local() == local).unwrap();
                let canonical = |element: Element<'_>, without| {
                    element.canonical(&Method::exclusive(), without, 65_536).unwrap().as_str().to_owned()
                };
                let signature = find("Signature").id();
                assert_eq!(canonical(find("Assertion"), Some(signature)), enveloped.written().canonical());
                assert_eq!(canonical(find("SignedInfo"), None).as_bytes(), enveloped.signed_octets());
            }
        }
    }

    #[test]
    fn a_client_that_looks_for_the_prefix_saml_finds_it_once_at_the_root() {
        let example = Example::new();
        let token = saml20::write(&example.assertion()).envelop(Algorithm::EcdsaSha256).seal(&[0; 64], "");
        assert!(token.starts_with(concat!(
            "<Assertion xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
            " xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID="
        )));
        assert_eq!(token.matches("xmlns:saml").count(), 1);
    }
}
