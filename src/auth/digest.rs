//! Is this the digest of the account's secret (R-W021), made lately, and for the first time? Unknown, without a
//! secret, wrong and disabled cost the same work and get the same answer. Nothing is remembered of a
//! digest that is wrong, so that nobody can fill the store with nonces.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::reason::Reason;
use crate::config::auth::users::{Account, Users};
use crate::trust::instant;
use crate::wire::evidence::{PasswordDigest, Timestamp};
use crate::xml::chars::trim;

/// When the digest says that it was made. Believed once the digest is known to be right.
///
/// # Errors
/// [`Reason::MalformedTimestamp`]: not an instant.
pub(super) fn made(digest: &PasswordDigest) -> Result<Timestamp, Reason> {
    let text = trim(&digest.created);
    // zeep writes UTC as an offset of nothing, which the profile does not forbid here.
    let created = match text.strip_suffix("+00:00") {
        Some(local) => instant::parse(&format!("{local}Z")),
        None => instant::parse(text),
    };
    Ok(Timestamp { created: created.ok_or(Reason::MalformedTimestamp)?, expires: None })
}

/// Whose secret it is made of.
///
/// # Errors
/// [`Reason::UnknownUser`], [`Reason::WrongPasswordDigest`] and [`Reason::Disabled`], which a client cannot tell
/// apart.
pub(super) fn verify<'a>(users: &'a Users, digest: &PasswordDigest) -> Result<&'a Account, Reason> {
    let account = users.find(&digest.username);
    let own = account.and_then(|account| account.digest_secret.as_ref());
    let right = fits(digest, own.unwrap_or(&users.dummy_secret).expose()) & own.is_some();
    match account {
        None => Err(Reason::UnknownUser),
        Some(account) if account.disabled => Err(Reason::Disabled),
        Some(account) if right => Ok(account),
        Some(_) => Err(Reason::WrongPasswordDigest),
    }
}

/// What of a digest may be used once: the account and what was hashed before the secret. Nonce and instant are
/// hashed as one, as in the digest: where a nonce ends in white space, the same digest holds for a shorter nonce and
/// an instant with that space before it.
pub(super) fn once(account: &Account, digest: &PasswordDigest) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&(account.name.len() as u64).to_be_bytes());
    context.update(account.name.as_bytes());
    context.update(digest.nonce.octets());
    context.update(digest.created.as_bytes());
    let mut name = [0; 32];
    name.copy_from_slice(context.finish().as_ref());
    name
}

/// SHA-1 is what the profile has; a collision gains nothing here without the secret.
fn fits(digest: &PasswordDigest, secret: &[u8]) -> bool {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(digest.nonce.octets());
    context.update(digest.created.as_bytes());
    context.update(secret);
    verify_slices_are_equal(context.finish().as_ref(), &digest.digest).is_ok()
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};

    use super::*;
    use crate::wire::Text;
    use crate::wire::evidence::Nonce;

    const SECRET: &str = "s3cr3t-P\u{E4}ssword";

    fn vector() -> PasswordDigest {
        PasswordDigest {
            username: Text::new("alice").unwrap(),
            nonce: Nonce::new(Base64::decode_vec("AAECAwQFBgcICQoLDA0ODw==").unwrap()).unwrap(),
            created: Text::new("2026-01-02T03:04:05Z").unwrap(),
            digest: Base64::decode_vec("qdX2HuWZ9A5NzaJNVYu9pDpaaBw=").unwrap().try_into().unwrap(),
        }
    }

    #[test]
    fn the_vector_of_r_w021_fits_its_secret_and_no_other() {
        assert!(fits(&vector(), SECRET.as_bytes()));
        // The same letters decomposed, in another encoding, and cut.
        for other in ["s3cr3t-Pa\u{308}ssword".as_bytes(), b"s3cr3t-P\xE4ssword", b"s3cr3t-P", b""] {
            assert!(!fits(&vector(), other));
        }
    }

    #[test]
    fn the_instant_is_hashed_as_it_was_written() {
        for created in ["2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z ", "2026-01-02T03:04:06Z"] {
            assert!(!fits(&PasswordDigest { created: Text::new(created).unwrap(), ..vector() }, SECRET.as_bytes()));
        }
        let made = |created: &str| made(&PasswordDigest { created: Text::new(created).unwrap(), ..vector() });
        for same in ["2026-01-02T03:04:05Z", " 2026-01-02T03:04:05.000Z\n", "2026-01-02T03:04:05+00:00"] {
            assert_eq!(made(same).unwrap().created.0, 1_767_323_045_000, "{same}");
        }
        for none in [
            "",
            "now",
            "2026-01-02",
            "+00:00",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05+01:00",
            "2026-01-02T03:04:05-00:00",
            "2026-01-02T03:04:05Z+00:00",
            "2026-01-02T03:04:05+00:00Z",
        ] {
            assert_eq!(made(none), Err(Reason::MalformedTimestamp), "{none}");
        }
    }
}
