//! Keys that are derived from a session key: `P_SHA1` of WS-SecureConversation, which is the `P_hash` of RFC 2246 5.

use aws_lc_rs::hmac::{self, Context, HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};
use zeroize::Zeroizing;

use crate::wire::derivation::Derivation;

/// The key. SHA-1 is what the standard has, and HMAC does not need it to be free of collisions.
#[must_use]
pub fn derived(secret: &[u8], by: &Derivation) -> Zeroizing<Vec<u8>> {
    let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let seed = by.seed();
    let end = by.offset() + by.length();
    let mut stream = Zeroizing::new(Vec::with_capacity(end + 20));
    let mut a = hmac::sign(&key, &seed);
    while stream.len() < end {
        let mut block = Context::with_key(&key);
        block.update(a.as_ref());
        block.update(&seed);
        stream.extend_from_slice(block.sign().as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    Zeroizing::new(stream[by.offset()..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_secure_conversation_6_3_comes_out_wherever_it_is_cut() {
        let secret: Vec<u8> = (0..32).collect();
        let nonce: Vec<u8> = (100..116).collect();
        let cut = |offset, length| {
            let key = derived(&secret, &Derivation::new(None, nonce.clone(), offset, length).unwrap());
            key.iter().map(|octet| format!("{octet:02x}")).collect::<String>()
        };
        assert_eq!(cut(0, 32), "adc62b25770d1745a081ac416f9ee703d22a19efd7505da7622ddb151ceaf740");
        assert_eq!(cut(32, 16), "50069ec9691df03e3d4702c5dbb53880");
        // Generation 1 of 16 octets.
        assert_eq!(cut(16, 16), "d22a19efd7505da7622ddb151ceaf740");
        assert_eq!(cut(0, 1), "ad");
        let labelled = |label: &str| {
            let label = Some(crate::wire::Text::new(label).unwrap());
            derived(&secret, &Derivation::new(label, nonce.clone(), 0, 32).unwrap())
        };
        let usual = derived(&secret, &Derivation::new(None, nonce.clone(), 0, 32).unwrap());
        assert_eq!(labelled("WS-SecureConversationWS-SecureConversation"), usual);
        assert_ne!(labelled("WS-SecureConversation"), usual);
    }

    #[test]
    fn the_last_octets_that_may_be_asked_for_are_there() {
        let last = derived(&[7; 16], &Derivation::new(None, [7; 8], 4032, 64).unwrap());
        let longer = derived(&[7; 16], &Derivation::new(None, [7; 8], 4064, 32).unwrap());
        assert_eq!((last.len(), &last[32..]), (64, &longer[..]));
    }
}
