//! Opening and sealing encrypted parts of messages: AES in Galois/Counter Mode as XML Encryption 1.1 lays it out, 96
//! bits of nonce, the ciphertext, 128 bits of tag. Nothing is given of a part whose tag is wrong. AES in Cipher Block
//! Chaining opens what a verified signature covers and seals nothing.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::cipher::{self, AES_128, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::{FixedLength, IV_LEN_128_BIT};
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap};
use zeroize::Zeroizing;

use crate::trust::parts;
use crate::wire::unwrap::PartCipher;
use crate::xml::encryption::SignedCipher;

/// Seals a part under a nonce of our generator's; none when the key is not as long as the cipher's.
#[must_use]
pub fn seal(cipher: PartCipher, key: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).ok()?;
    let key = LessSafeKey::new(UnboundKey::new(algorithm(cipher), key).ok()?);
    // Room for all of it at once: growing would leave copies behind.
    let mut octets = Vec::with_capacity(NONCE_LEN + plain.len() + MAX_TAG_LEN);
    octets.extend_from_slice(&nonce);
    octets.extend_from_slice(plain);
    let within = octets.get_mut(NONCE_LEN..)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), within).ok()?;
    octets.extend_from_slice(tag.as_ref());
    Some(octets)
}

/// Opens a part; none when the key is not as long as the cipher's, or it was not sealed by this key and as it is.
#[must_use]
pub fn open(cipher: PartCipher, key: &[u8], octets: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = octets.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let key = LessSafeKey::new(UnboundKey::new(algorithm(cipher), key).ok()?);
    let mut within = Zeroizing::new(rest.to_vec());
    let length = key.open_in_place(nonce, Aad::empty(), &mut within).ok()?.len();
    within.truncate(length);
    Some(within)
}

/// Unwraps a key by AES key wrap (RFC 3394); none when this is no key that wraps, or it was not wrapped by it.
#[must_use]
pub fn unwrap(key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let algorithm = match key.len() {
        16 => &key_wrap::AES_128,
        32 => &key_wrap::AES_256,
        _ => return None,
    };
    let mut within = Zeroizing::new(vec![0; wrapped.len().checked_sub(8)?]);
    AesKek::new(algorithm, key).ok()?.unwrap(wrapped, &mut within).ok()?;
    Some(within)
}

/// What became of a part that a verified signature covers.
pub struct Tried {
    /// What was in it. Where it did not open, octets that mean nothing and are of the same use to whoever takes as long
    /// over them.
    pub octets: Zeroizing<Vec<u8>>,
    /// Did it open?
    pub opened: bool,
}

/// Octets of a key of this cipher.
#[must_use]
pub fn key_length(cipher: SignedCipher) -> usize {
    match cipher {
        SignedCipher::Gcm(cipher) => parts::cipher(cipher).key_length(),
        SignedCipher::Aes128Cbc => 16,
        SignedCipher::Aes256Cbc => 32,
    }
}

/// Opens a part that a verified signature covers.
#[must_use]
pub fn open_signed(cipher: SignedCipher, key: &[u8], octets: &[u8]) -> Tried {
    let opened = match cipher {
        SignedCipher::Gcm(cipher) => open(parts::cipher(cipher), key, octets).map(|plain| (plain, true)),
        SignedCipher::Aes128Cbc => chained(&AES_128, key, octets),
        SignedCipher::Aes256Cbc => chained(&AES_256, key, octets),
    };
    let (octets, opened) = opened.unwrap_or_else(|| (Zeroizing::new(octets.to_vec()), false));
    Tried { octets, opened }
}

const BLOCK: usize = IV_LEN_128_BIT;

/// What the blocks behind the vector hold, and whether it is padded as it should be: the last octet says how many the
/// padding has, one block of them at most, and the others are anything (XML Encryption 5.2.1). None where there are no
/// such blocks.
fn chained(algorithm: &'static cipher::Algorithm, key: &[u8], octets: &[u8]) -> Option<(Zeroizing<Vec<u8>>, bool)> {
    let (vector, blocks) = octets.split_at_checked(BLOCK)?;
    let vector: [u8; BLOCK] = vector.try_into().ok()?;
    let key = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
    let mut within = Zeroizing::new(blocks.to_vec());
    key.decrypt(&mut within, DecryptionContext::Iv128(FixedLength::from(vector))).ok()?;
    let padding = usize::from(*within.last()?);
    let padded = (1..=BLOCK).contains(&padding);
    // As long as they are where it is not: whoever reads them has as much to read.
    let kept = within.len() - if padded { padding } else { 0 };
    within.truncate(kept);
    Some((within, padded))
}

fn algorithm(cipher: PartCipher) -> &'static Algorithm {
    match cipher {
        PartCipher::Aes128Gcm => &AES_128_GCM,
        PartCipher::Aes192Gcm => &AES_192_GCM,
        PartCipher::Aes256Gcm => &AES_256_GCM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_by_its_key_and_is_never_sealed_twice_alike() {
        for cipher in [PartCipher::Aes128Gcm, PartCipher::Aes192Gcm, PartCipher::Aes256Gcm] {
            let key = vec![5; cipher.key_length()];
            let (one, other) = (seal(cipher, &key, b"plain").unwrap(), seal(cipher, &key, b"plain").unwrap());
            assert_ne!(one, other);
            assert_eq!(one.len(), 12 + 5 + 16);
            assert_eq!(open(cipher, &key, &one).unwrap().as_slice(), b"plain");
            assert!(open(cipher, &vec![6; cipher.key_length()], &one).is_none());
            assert!(seal(cipher, &key[1..], b"plain").is_none());
        }
    }

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_vectors_of_rfc_3394_unwrap_and_nothing_else_does() {
        let kek: Vec<u8> = (0..32).collect();
        let key = octets("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F");
        // 4.1 and 4.6.
        let short = octets("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5");
        let long = octets("28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21");
        assert_eq!(unwrap(&kek[..16], &short).unwrap().as_slice(), &key[..16]);
        assert_eq!(unwrap(&kek, &long).unwrap().as_slice(), key);
        for at in 0..long.len() {
            let mut spoilt = long.clone();
            spoilt[at] ^= 1;
            assert!(unwrap(&kek, &spoilt).is_none(), "{at}");
        }
        for (kek, wrapped) in [
            (&kek[..], &short[..]),
            (&kek[..16], &long),
            (&kek[..24], &long),
            (&kek[..0], &long),
            (&kek, &long[..32]),
            (&kek, &long[..39]),
            (&kek, &long[..16]),
            (&kek, &long[..7]),
            (&kek, &[]),
        ] {
            assert!(unwrap(kek, wrapped).is_none(), "{} {}", kek.len(), wrapped.len());
        }
    }

    /// Blocks sealed by CBC under a vector of sevens.
    fn chain(key: &[u8], blocks: &[u8]) -> Vec<u8> {
        use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
        let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
        let key = EncryptingKey::cbc(UnboundCipherKey::new(algorithm, key).unwrap()).unwrap();
        let mut octets = blocks.to_vec();
        key.less_safe_encrypt(&mut octets, EncryptionContext::Iv128(FixedLength::from([7; BLOCK]))).unwrap();
        [&[7; BLOCK][..], &octets].concat()
    }

    #[test]
    fn cbc_opens_to_what_stands_before_its_padding_whatever_that_is_made_of_a_21() {
        for (cipher, key) in [(SignedCipher::Aes128Cbc, vec![5; 16]), (SignedCipher::Aes256Cbc, vec![5; 32])] {
            for padding in 1..=16_u8 {
                for filler in [0, padding, 0xEE] {
                    let mut blocks = vec![b'p'; 64 - usize::from(padding)];
                    blocks.resize(63, filler);
                    blocks.push(padding);
                    let tried = open_signed(cipher, &key, &chain(&key, &blocks));
                    assert!(tried.opened && tried.octets.len() == 64 - usize::from(padding), "{padding}");
                    assert!(tried.octets.iter().all(|octet| *octet == b'p'), "{padding}");
                }
            }
            // All of them are padding.
            let tried = open_signed(cipher, &key, &chain(&key, &[16; 16]));
            assert!(tried.opened && tried.octets.is_empty());
        }
    }

    #[test]
    fn cbc_that_is_not_padded_or_no_blocks_does_not_open_and_is_as_long() {
        let key = [5; 32];
        for padding in [0, 17, 32, 255] {
            let mut blocks = vec![b'p'; 48];
            blocks[47] = padding;
            let tried = open_signed(SignedCipher::Aes256Cbc, &key, &chain(&key, &blocks));
            assert!(!tried.opened && tried.octets.len() == 48, "{padding}");
        }
        let good = chain(&key, &[1; 32]);
        assert!(open_signed(SignedCipher::Aes256Cbc, &key, &good).opened);
        for (what, key, octets) in [
            ("no octets", &key[..], &good[..0]),
            ("a vector", &key, &good[..16]),
            ("part of a block", &key, &good[..33]),
            ("a shorter key", &key[..16], &good),
            ("a key of no cipher", &key[..24], &good),
        ] {
            assert!(!open_signed(SignedCipher::Aes256Cbc, key, octets).opened, "{what}");
        }
        assert!(!open_signed(SignedCipher::Aes128Cbc, &key, &good).opened);
    }
}
