//! A key that a partner makes for the holder of an assertion and seals for us in it, as WS-Trust 1.4 (`SymmetricKey`)
//! has it. As in `signed`, the octets are canonical by hand.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64ct::{Base64, Encoding};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::asserted::{BEARER, Words};
use super::signed::{DS, WSSE};

const HOLDER: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";
const THUMBPRINT: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";

/// `ds:KeyInfo` with this key, sealed for that certificate, DER.
pub(crate) fn sealed_for(certificate: &[u8], key: &[u8]) -> String {
    let (_, read) = X509Certificate::from_der(certificate).expect("a certificate");
    let public = PublicEncryptingKey::from_der(read.public_key().raw).expect("of an RSA key");
    let public = OaepPublicEncryptingKey::new(public).expect("a key");
    let mut octets = vec![0; public.ciphertext_size()];
    let sealed = public.encrypt(&OAEP_SHA1_MGF1SHA1, key, &mut octets, None).expect("it fits");
    let (sealed, thumbprint) = (Base64::encode_string(sealed), digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate));
    let thumbprint = Base64::encode_string(thumbprint.as_ref());
    format!(
        "<ds:KeyInfo xmlns:ds=\"{DS}\"><x:EncryptedKey xmlns:x=\"http://www.w3.org/2001/04/xmlenc#\"><x:EncryptionMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"></x:EncryptionMethod><ds:KeyInfo>\
         <o:SecurityTokenReference xmlns:o=\"{WSSE}\"><o:KeyIdentifier ValueType=\"{THUMBPRINT}\">{thumbprint}\
         </o:KeyIdentifier></o:SecurityTokenReference></ds:KeyInfo><x:CipherData><x:CipherValue>{sealed}</x:CipherValue>\
         </x:CipherData></x:EncryptedKey></ds:KeyInfo>"
    )
}

/// A SAML 2.0 assertion for the holder of the key in this.
pub(crate) fn held(words: Words, key_info: &str) -> Words {
    let data = "</saml:SubjectConfirmationData>";
    words.but(BEARER, HOLDER).but(data, &format!("{key_info}{data}"))
}
