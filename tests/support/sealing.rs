//! A body that is sealed before it is signed. As in `signed.rs`, what is signed is written in canonical form by hand.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64ct::{Base64, Encoding};

use super::signed::{DS, Part, SOAP, WSSE, WSU};

pub(crate) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";

/// How a body is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Gcm(usize),
    Cbc(usize),
}

impl By {
    pub(crate) const ALL: [Self; 5] = [Self::Gcm(16), Self::Gcm(24), Self::Gcm(32), Self::Cbc(16), Self::Cbc(32)];

    /// Octets of its key.
    pub(crate) fn length(self) -> usize {
        match self {
            Self::Gcm(length) | Self::Cbc(length) => length,
        }
    }

    pub(crate) fn algorithm(self) -> String {
        match self {
            Self::Gcm(length) => format!("{XENC11}aes{}-gcm", length * 8),
            Self::Cbc(length) => format!("{XENC}aes{}-cbc", length * 8),
        }
    }

    /// What is sealed, as it stands in a `CipherValue`.
    pub(crate) fn seal(self, key: &[u8], plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Gcm(length) => {
                let algorithm = match length {
                    16 => &AES_128_GCM,
                    24 => &AES_192_GCM,
                    _ => &AES_256_GCM,
                };
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).expect("a key"));
                let mut octets = plain.to_vec();
                let nonce = Nonce::assume_unique_for_key([7; 12]);
                key.seal_in_place_append_tag(nonce, Aad::empty(), &mut octets).expect("seals");
                [&[7; 12][..], &octets].concat()
            }
            Self::Cbc(_) => {
                let padding = 16 - plain.len() % 16;
                let mut blocks = plain.to_vec();
                // What the padding is made of says nothing.
                blocks.resize(plain.len() + padding - 1, 0xA5);
                blocks.push(u8::try_from(padding).expect("at most 16"));
                chained(key, &blocks)
            }
        }
    }
}

/// Whole blocks by CBC, whatever they are padded with.
pub(crate) fn chained(key: &[u8], blocks: &[u8]) -> Vec<u8> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = EncryptingKey::cbc(UnboundCipherKey::new(algorithm, key).expect("a key")).expect("a key");
    let mut octets = blocks.to_vec();
    let vector = EncryptionContext::Iv128(FixedLength::from([7; 16]));
    key.less_safe_encrypt(&mut octets, vector).expect("whole blocks");
    [&[7; 16][..], &octets].concat()
}

/// `xenc:EncryptedData` of a body's content, by the key with the id `ek`.
pub(crate) fn data(algorithm: &str, octets: &[u8]) -> String {
    format!(
        "<x:EncryptedData xmlns:x=\"{XENC}\" Id=\"ed\" Type=\"{XENC}Content\"><x:EncryptionMethod Algorithm=\"{algorithm}\">\
         </x:EncryptionMethod><ds:KeyInfo xmlns:ds=\"{DS}\"><o:SecurityTokenReference xmlns:o=\"{WSSE}\"><o:Reference \
         URI=\"#ek\"></o:Reference></o:SecurityTokenReference></ds:KeyInfo><x:CipherData><x:CipherValue>{}</x:CipherValue>\
         </x:CipherData></x:EncryptedData>",
        Base64::encode_string(octets)
    )
}

/// A body that holds this.
pub(crate) fn body(inside: &str) -> Part {
    let octets = format!("<s:Body xmlns:s=\"{SOAP}\" xmlns:u=\"{WSU}\" u:Id=\"b\">{inside}</s:Body>");
    Part { id: "b", octets }
}

/// What a body holds.
pub(crate) fn inside(body: &Part) -> &str {
    let (start, end) = (body.octets.find('>').expect("a tag") + 1, body.octets.len() - "</s:Body>".len());
    &body.octets[start..end]
}

// One test needs each, and each test is a crate of its own.
const _: [By; 5] = By::ALL;
const _: fn(By) -> usize = By::length;
