//! What he makes of digests that a client sent: he has seen them, and not the secret.

use chancery::sys::places::Place;
use chancery::wire::evidence::{Evidence, PasswordDigest, Refusal, Submission};
use chancery::wire::frame::encode;
use chancery::wire::links::WorkerToAuth;
use chancery::wire::{Millis, Text};

use super::digested::{made, over};
use super::evidence::refused;
use super::octets::{lengthen, thrown};
use super::stack::{Stack, Verdict, must, submission as submission_of, vouched};
use super::vouchers::redeemed;

/// The endpoint that takes digests and passwords, and an account for it.
pub(super) const BOTH: &str = "/both";
pub(super) const USER: &str = "robot";
pub(super) const SECRET: &str = "a secret of the robot";
/// What [`nonces_that_are_none`] sends.
pub(super) const BAD_NONCES: u64 = 4;

fn submission(stack: &Stack, digest: PasswordDigest) -> Submission {
    let endpoint = Text::new(BOTH).unwrap();
    Submission { endpoint, evidence: Evidence::Digest(digest), ..stack.submission() }
}

pub(super) fn an_honest_digest_is_served(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, submission(stack, made(USER, SECRET, Millis::now())))?;
    let release = redeemed(&mut stack.issuer(), redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("robot@example.com") && token.contains("ac:classes:PasswordProtectedTransport"), token)
}

pub(super) fn a_digest_without_the_secret(stack: &Stack) -> Verdict {
    let seen = || made(USER, SECRET, Millis::now());
    let fresh = made(USER, "", Millis::now());
    let later = chancery::trust::instant::format(Millis::now().plus(1000));
    for digest in [
        PasswordDigest { nonce: fresh.nonce, ..seen() },
        PasswordDigest { created: Text::new(later).unwrap(), ..seen() },
        PasswordDigest { username: Text::new("alice").unwrap(), ..seen() },
        PasswordDigest { username: Text::new("nobody").unwrap(), ..seen() },
        made("alice", &stack.password, Millis::now()),
    ] {
        refused(stack, submission(stack, digest), Refusal::FailedAuthentication)?;
    }
    Ok(())
}

pub(super) fn a_digest_twice(stack: &Stack) -> Verdict {
    let created = chancery::trust::instant::format(Millis::now());
    let again = || submission(stack, over(USER, SECRET, b"nonce with spaces  ", &created));
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, again())?;
    refused(stack, again(), Refusal::InvalidSecurity)?;
    let parted = over(USER, SECRET, b"nonce with spaces", &format!("  {created}"));
    refused(stack, submission(stack, parted), Refusal::InvalidSecurity)?;
    redeemed(&mut stack.issuer(), redemption)?;
    refused(stack, again(), Refusal::InvalidSecurity)
}

/// He cannot say that it is of today, for that is in the digest.
pub(super) fn a_digest_of_yesterday(stack: &Stack) -> Verdict {
    let yesterday = || made(USER, SECRET, Millis::now().plus(-86_400_000));
    refused(stack, submission(stack, yesterday()), Refusal::MessageExpired)?;
    let created = Text::new(chancery::trust::instant::format(Millis::now())).unwrap();
    let renamed = PasswordDigest { created, ..yesterday() };
    refused(stack, submission(stack, renamed), Refusal::FailedAuthentication)
}

pub(super) fn a_secret_as_a_password(stack: &Stack) -> Verdict {
    let password = Submission { endpoint: Text::new(BOTH).unwrap(), ..submission_of(USER, SECRET) };
    refused(stack, password, Refusal::FailedAuthentication)
}

/// Shorter or longer than the type says, by a worker that writes the octets itself.
pub(super) fn nonces_that_are_none(stack: &Stack) -> Verdict {
    const NONCE: [u8; 16] = [0xAB; 16];
    let created = chancery::trust::instant::format(Millis::now());
    let good = encode(&WorkerToAuth::Submit(submission(stack, over(USER, SECRET, &NONCE, &created)))).remove(0);
    let at = good.windows(16).position(|window| window == NONCE).ok_or("no nonce")?;
    for length in [0, 1, 15, 129_u32] {
        let nonce = vec![0xAB; length as usize];
        let mut datagram = [&good[..at - 4], &length.to_le_bytes(), &nonce, &good[at + 16..]].concat();
        lengthen(&mut datagram, &[]);
        thrown(stack, Place::AuthWorker, &[datagram]).map_err(|why| format!("{length}: {why}"))?;
    }
    Ok(())
}
