//! Opening and sealing encrypted parts of messages: AES in Galois/Counter Mode as XML Encryption 1.1 lays it out, 96 bits of
//! nonce, the ciphertext, 128 bits of tag. Nothing is given of a part whose tag is wrong.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey,
};
use zeroize::Zeroizing;

use crate::wire::unwrap::PartCipher;

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
}
