//! A client that proves a secret by its digest.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use chancery::wire::evidence::{Nonce, PasswordDigest};
use chancery::wire::{Millis, Text};

/// The digest of this secret over these octets and this instant.
pub(crate) fn over(username: &str, secret: &str, nonce: &[u8], created: &str) -> PasswordDigest {
    let hashed = [nonce, created.as_bytes(), secret.as_bytes()].concat();
    PasswordDigest {
        username: Text::new(username).expect("fits"),
        nonce: Nonce::new(nonce).expect("a nonce"),
        created: Text::new(created).expect("fits"),
        digest: digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed).as_ref().try_into().expect("20 octets"),
    }
}

/// A digest made at that instant, with a nonce of its own.
pub(crate) fn made(username: &str, secret: &str, at: Millis) -> PasswordDigest {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).expect("random octets");
    over(username, secret, &nonce, &chancery::trust::instant::format(at))
}
