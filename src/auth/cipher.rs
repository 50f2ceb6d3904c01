//! Opening encrypted parts of messages: AES in Galois/Counter Mode as XML Encryption 1.1 lays it out, 96 bits of
//! nonce, the ciphertext, 128 bits of tag. Nothing is given of a part whose tag is wrong.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::wire::unwrap::PartCipher;

/// Opens a part; none when the key is not as long as the cipher's, or it was not sealed by this key and as it is.
#[must_use]
pub fn open(cipher: PartCipher, key: &[u8], octets: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let algorithm = match cipher {
        PartCipher::Aes128Gcm => &AES_128_GCM,
        PartCipher::Aes192Gcm => &AES_192_GCM,
        PartCipher::Aes256Gcm => &AES_256_GCM,
    };
    let (nonce, rest) = octets.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
    let mut within = Zeroizing::new(rest.to_vec());
    let length = key.open_in_place(nonce, Aad::empty(), &mut within).ok()?.len();
    within.truncate(length);
    Some(within)
}
