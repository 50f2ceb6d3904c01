//! What he makes of messages that a client signed: he has them, and the certificate, and not the key.

use chancery::wire::evidence::{Evidence, Refusal, SignedMessage, Submission, Timestamp};
use chancery::wire::links::WorkerToAuth;
use chancery::wire::order::TokenType;
use chancery::wire::{Millis, Octets, Text};

use super::evidence::refused;
use super::signed::{Client, Part};
use super::stack::{Stack, Verdict, must, vouched};
use super::vouchers::redeemed;
use super::{FORBIDDEN, PARTY};

/// The endpoint that takes signatures, and what clients call it.
pub(super) const SIGNED: &str = "/signed";
pub(super) const ADDRESS: &str = "https://sts.example.com/signed";

pub(super) fn parts(created: Millis, address: &str) -> [Part; 3] {
    [Part::timestamp(created, None), Part::to(address), Part::body(PARTY, "")]
}

fn submission(stack: &Stack, message: SignedMessage, created: Millis) -> Submission {
    Submission {
        endpoint: Text::new(SIGNED).unwrap(),
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::Signature(message),
        ..stack.submission()
    }
}

/// What the client sent, handed on as it is.
pub(super) fn honest(stack: &Stack) -> Submission {
    let now = Millis::now();
    let [timestamp, to, body] = parts(now, ADDRESS);
    submission(stack, stack.client.message(&[timestamp, to, body, Part::message_id()]), now)
}

pub(super) fn an_honest_signature_is_served(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, honest(stack))?;
    let release = redeemed(&mut stack.issuer(), redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("machine@example.com") && token.contains("ac:classes:X509"), token)
}

pub(super) fn a_certificate_without_its_key(stack: &Stack) -> Verdict {
    let now = Millis::now();
    let own = Client::new();
    let forged = SignedMessage { key: stack.client.reference(), ..own.message(&parts(now, ADDRESS)) };
    refused(stack, submission(stack, forged, now), Refusal::FailedAuthentication)?;
    let garbage = SignedMessage { value: Octets::new([7; 64]).unwrap(), ..stack.client.message(&parts(now, ADDRESS)) };
    refused(stack, submission(stack, garbage, now), Refusal::FailedAuthentication)?;
    refused(stack, submission(stack, own.message(&parts(now, ADDRESS)), now), Refusal::FailedAuthentication)
}

/// Auth hangs up.
pub(super) fn breach(stack: &Stack, submission: Submission) -> Verdict {
    let mut auth = stack.auth();
    auth.send(WorkerToAuth::Submit(submission))?;
    auth.hung_up_on()
}

pub(super) fn another_wish_than_was_signed(stack: &Stack) -> Verdict {
    let mut elsewhere = honest(stack);
    elsewhere.wish.applies_to = Some(Text::new(FORBIDDEN).unwrap());
    breach(stack, elsewhere)?;
    let mut otherwise = honest(stack);
    otherwise.wish.token_type = Some(TokenType::Saml11);
    breach(stack, otherwise)?;
    let mut later = honest(stack);
    later.timestamp = Some(Timestamp { created: Millis::now().plus(1000), expires: None });
    breach(stack, later)
}

pub(super) fn a_message_twice(stack: &Stack) -> Verdict {
    let now = Millis::now();
    let parts = parts(now, ADDRESS);
    let again = || submission(stack, stack.client.message(&parts), now);
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, again())?;
    refused(stack, again(), Refusal::InvalidSecurity)?;
    redeemed(&mut stack.issuer(), redemption)?;
    refused(stack, again(), Refusal::InvalidSecurity)
}

pub(super) fn a_message_for_somebody_else(stack: &Stack) -> Verdict {
    let now = Millis::now();
    let message = stack.client.message(&parts(now, "https://sts.example.org/signed"));
    refused(stack, submission(stack, message, now), Refusal::InvalidSecurity)
}

pub(super) fn a_message_of_yesterday(stack: &Stack) -> Verdict {
    let (now, yesterday) = (Millis::now(), Millis::now().plus(-86_400_000));
    let message = || stack.client.message(&parts(yesterday, ADDRESS));
    refused(stack, submission(stack, message(), yesterday), Refusal::MessageExpired)?;
    refused(stack, submission(stack, message(), now), Refusal::MessageExpired)
}

/// A password where only a signature proves, and a signature where only a password does.
pub(super) fn a_credential_at_another_endpoint(stack: &Stack) -> Verdict {
    let password = Submission { endpoint: Text::new(SIGNED).unwrap(), ..stack.submission() };
    refused(stack, password, Refusal::UnsupportedSecurityToken)?;
    let signature = Submission { endpoint: stack.submission().endpoint, ..honest(stack) };
    refused(stack, signature, Refusal::UnsupportedSecurityToken)
}
