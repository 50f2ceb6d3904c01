//! What he tells auth: nobody's passwords, other people's names, and wishes beyond what policy allows.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use chancery::audit::format::Public;
use chancery::wire::evidence::{ClaimWish, KeyType, Lifetime, Refusal, Submission, Timestamp, Wish};
use chancery::wire::links::{AuthToWorker, WorkerToAuth};
use chancery::wire::order::{Redemption, TokenType};
use chancery::wire::{List, Millis, Text};

use super::stack::{Stack, Verdict, must, submission as submission_of};
use super::vouchers::{above_ceiling, redeemed};
use super::{FORBIDDEN, GUARDED, NARROW, PARTY, PATIENCE, SCARCE};

/// auth says no, for that reason.
pub(super) fn refused(stack: &Stack, submission: Submission, why: Refusal) -> Verdict {
    let mut auth = stack.auth();
    auth.send(WorkerToAuth::Submit(submission))?;
    match auth.answer()? {
        AuthToWorker::Refused(refused) if refused.refusal == why => Ok(()),
        other => Err(format!("not {why:?} but {other:?}")),
    }
}

pub(super) fn wishing(stack: &Stack, change: impl FnOnce(&mut Wish), why: Refusal) -> Verdict {
    let mut submission = stack.submission();
    change(&mut submission.wish);
    refused(stack, submission, why)
}

pub(super) fn an_honest_flow_is_served(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let redemption = stack.voucher(&mut auth)?;
    let release = redeemed(&mut issuer, redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("alice@example.com") && token.contains(PARTY), token)
}

/// What he can: alice proved herself, and he chooses for whom her token is.
pub(super) fn any_party_that_policy_allows(stack: &Stack) -> Verdict {
    for party in [PARTY, "urn:federation:MicrosoftOnline"] {
        let (_auth, redemption) = stack.voucher_for(party, |_| ())?;
        let release = redeemed(&mut stack.issuer(), redemption)?;
        let token = String::from_utf8_lossy(&release.token).into_owned();
        // What the endpoint means by no type, whoever it is for.
        let kind = release.token_type == TokenType::Saml11;
        must(kind && token.contains(party) && token.contains("alice@example.com"), token)?;
    }
    Ok(())
}

pub(super) fn a_quota_holds(stack: &Stack) -> Verdict {
    for _ in 0..2 {
        let (_auth, redemption) = stack.voucher_for(SCARCE, |_| ())?;
        let release = redeemed(&mut stack.issuer(), redemption)?;
        let minutes = (release.expires.0 - Millis::now().0) / 60_000;
        must(minutes <= 5, format!("good for {minutes} minutes"))?;
    }
    let (_auth, redemption) = stack.voucher_for(SCARCE, |_| ())?;
    above_ceiling(&mut stack.issuer(), redemption)
}

pub(super) fn a_token_type_above_the_ceiling(stack: &Stack) -> Verdict {
    let (_auth, redemption) = stack.voucher_for(NARROW, |wish| {
        wish.token_type = Some(TokenType::Saml11);
    })?;
    above_ceiling(&mut stack.issuer(), redemption)
}

pub(super) fn a_protected_subject(stack: &Stack) -> Verdict {
    let (_auth, redemption) = stack.voucher_for(GUARDED, |_| ())?;
    above_ceiling(&mut stack.issuer(), redemption)
}

pub(super) fn a_lifetime_above_the_ceiling_is_cut_to_it(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let mut submission = stack.submission();
    let correlation = submission.correlation;
    let years = Millis::now().plus(10 * 365 * 86_400_000);
    submission.wish.lifetime = Some(Lifetime { created: None, expires: Some(years) });
    auth.send(WorkerToAuth::Submit(submission))?;
    let AuthToWorker::Vouched(vouched) = auth.answer()? else { return Err("no voucher".to_owned()) };
    let release = redeemed(&mut issuer, Redemption { voucher: vouched.voucher, correlation })?;
    let minutes = (release.expires.0 - Millis::now().0) / 60_000;
    must(minutes <= 60, format!("good for {minutes} minutes"))
}

pub(super) fn a_claim_he_may_do_without_is_not_invented(stack: &Stack) -> Verdict {
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let mut submission = stack.submission();
    let correlation = submission.correlation;
    let claim = ClaimWish { uri: Text::new("urn:invented").unwrap(), optional: true };
    submission.wish.claims = List::new(vec![claim]).unwrap();
    auth.send(WorkerToAuth::Submit(submission))?;
    let AuthToWorker::Vouched(vouched) = auth.answer()? else { return Err("no voucher".to_owned()) };
    let release = redeemed(&mut issuer, Redemption { voucher: vouched.voucher, correlation })?;
    must(!String::from_utf8_lossy(&release.token).contains("urn:invented"), "invented")
}

pub(super) fn wrong_password(stack: &Stack) -> Verdict {
    refused(stack, submission_of("alice", "not her password"), Refusal::FailedAuthentication)
}

/// Hanging up on the question hides nothing.
pub(super) fn wrong_password_and_gone(stack: &Stack) -> Verdict {
    let mut submission = submission_of("alice", "a guess nobody waits for");
    let correlation = submission.correlation;
    submission.source = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
    let mut auth = stack.auth();
    auth.send(WorkerToAuth::Submit(submission))?;
    drop(auth);
    let begun = Instant::now();
    while !stack.recorded(|entry| matches!(entry, Public::Refusals { correlation: of, .. } if *of == correlation)) {
        must(begun.elapsed() < PATIENCE, "the guess is not in the record")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub(super) fn no_such_user(stack: &Stack) -> Verdict {
    refused(stack, submission_of("mallory", &stack.password), Refusal::FailedAuthentication)
}

pub(super) fn no_such_endpoint(stack: &Stack) -> Verdict {
    let mut submission = stack.submission();
    submission.endpoint = Text::new("/nowhere").unwrap();
    refused(stack, submission, Refusal::RequestFailed)
}

pub(super) fn stale_message(stack: &Stack) -> Verdict {
    let mut submission = stack.submission();
    let created = Millis::now().plus(-86_400_000);
    submission.timestamp = Some(Timestamp { created, expires: None });
    refused(stack, submission, Refusal::MessageExpired)
}

pub(super) fn no_such_party(stack: &Stack) -> Verdict {
    wishing(stack, |wish| wish.applies_to = Some(Text::new("urn:nobody").unwrap()), Refusal::InvalidScope)
}

pub(super) fn forbidden_party(stack: &Stack) -> Verdict {
    wishing(stack, |wish| wish.applies_to = Some(Text::new(FORBIDDEN).unwrap()), Refusal::RequestFailed)
}

pub(super) fn invented_claim(stack: &Stack) -> Verdict {
    let claim = ClaimWish { uri: Text::new("urn:invented").unwrap(), optional: false };
    wishing(stack, |wish| wish.claims = List::new(vec![claim]).unwrap(), Refusal::RequestFailed)
}

pub(super) fn unproven_keys(stack: &Stack) -> Verdict {
    wishing(stack, |wish| wish.key_type = Some(KeyType::Public), Refusal::RequestFailed)?;
    wishing(stack, |wish| wish.key_type = Some(KeyType::Symmetric), Refusal::RequestFailed)
}

pub(super) fn lifetime_over(stack: &Stack) -> Verdict {
    let over = Lifetime { created: None, expires: Some(Millis::now().plus(-1)) };
    wishing(stack, |wish| wish.lifetime = Some(over), Refusal::InvalidTimeRange)
}

pub(super) fn one_correlation_twice(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let first = stack.submission();
    let mut second = stack.submission();
    second.correlation = first.correlation;
    auth.send(WorkerToAuth::Submit(first))?;
    auth.send(WorkerToAuth::Submit(second))?;
    auth.hung_up_on()
}
