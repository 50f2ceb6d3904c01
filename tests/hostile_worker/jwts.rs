//! What he makes of JWTs that an issuer made: he has seen them, and not the issuer's key, nor that of a holder. The
//! issuer signs assertions with the same key, as AD FS does.

use chancery::wire::evidence::{Evidence, Presenter, Refusal, SignatureAlgorithm, SignedJwt, Submission, Timestamp};
use chancery::wire::{Millis, Secret, Text};

use super::assertions;
use super::evidence::refused;
use super::jwt_words::{Words, compact, encoded, handed_on, text};
use super::signed::{Client, Part};
use super::stack::{Stack, Verdict, must, vouched};
use super::vouchers::redeemed;

/// The endpoint that takes JWTs.
pub(super) const PRESENTED: &str = "/presented";
/// An account of the issuer.
pub(super) const USER: &str = "reporter";

fn submission(stack: &Stack, signed: SignedJwt) -> Submission {
    with(stack, signed, Presenter::Anybody)
}

fn with(stack: &Stack, signed: SignedJwt, presenter: Presenter) -> Submission {
    let endpoint = Text::new(PRESENTED).unwrap();
    Submission { endpoint, evidence: Evidence::Jwt(signed, presenter), ..stack.submission() }
}

fn words() -> Words {
    Words::new(USER)
}

fn of(stack: &Stack, words: &Words) -> SignedJwt {
    handed_on(&words.signed(&stack.agency), &stack.agency)
}

pub(super) fn an_honest_jwt_is_served(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, submission(stack, of(stack, &words())))?;
    let release = redeemed(&mut stack.issuer(), redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("reporter@example.com") && token.contains("ac:classes:unspecified"), token)
}

pub(super) fn a_jwt_that_no_issuer_signed(stack: &Stack) -> Verdict {
    let failed = |signed| refused(stack, submission(stack, signed), Refusal::FailedAuthentication);
    for key in [&Client::new(), &stack.client] {
        failed(handed_on(&words().signed(key), key))?;
    }
    // The claims of another, a header that says it is signed by nobody, and a secret that everybody has.
    let good = words().signed(&stack.agency);
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { return Err(good.clone()) };
    let alice = encoded(words().but("sub", text("alice")).claims());
    let none = encoded("{\"alg\":\"none\"}");
    for jwt in [
        format!("{head}.{alice}.{signature}"),
        format!("{none}.{claims}.{signature}"),
        format!("{none}.{claims}."),
        format!("{head}.{claims}.{}", encoded([0; 64])),
    ] {
        failed(handed_on(&jwt, &stack.agency))?;
    }
    failed(SignedJwt { algorithm: SignatureAlgorithm::RsaSha256, ..of(stack, &words()) })?;
    failed(SignedJwt { octets: Secret::new([0xFF; 99]).unwrap(), ..of(stack, &words()) })?;
    // What was signed, but for no account of the issuer's or so that it can be read in two ways.
    failed(of(stack, &words().but("sub", text("alice"))))?;
    failed(of(stack, &words().but("sub", text(assertions::USER))))?;
    let twice = compact("{\"alg\":\"ES256\"}", &words().and("\\u0073ub", text("alice")).claims(), &stack.agency);
    failed(handed_on(&twice, &stack.agency))
}

/// Without the key of its holder it is no bearer's, and his own key makes him no holder.
pub(super) fn a_jwt_of_a_holder(stack: &Stack) -> Verdict {
    let held = words().but("cnf", format!("{{\"x5t#S256\":\"{}\"}}", encoded([7; 32])));
    refused(stack, submission(stack, of(stack, &held)), Refusal::FailedAuthentication)?;
    let now = Millis::now();
    for words in [held, words(), words().but("cnf", "{\"kid\":\"x\"}")] {
        let parts = [Part::timestamp(now, None), Part::message_id()];
        let sent = with(stack, of(stack, &words), Presenter::Signed(Client::new().message(&parts)));
        let timestamp = Some(Timestamp { created: now, expires: None });
        refused(stack, Submission { timestamp, ..sent }, Refusal::FailedAuthentication)?;
    }
    Ok(())
}

pub(super) fn a_jwt_with_an_id_twice(stack: &Stack) -> Verdict {
    let words = words().but("jti", text("one"));
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, submission(stack, of(stack, &words)))?;
    refused(stack, submission(stack, of(stack, &words)), Refusal::InvalidSecurity)?;
    redeemed(&mut stack.issuer(), redemption)?;
    refused(stack, submission(stack, of(stack, &words)), Refusal::InvalidSecurity)
}
