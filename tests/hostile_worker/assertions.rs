//! What he makes of assertions that a partner issued: he has seen them, and not the partner's key, nor that of a
//! holder.

use chancery::wire::Text;
use chancery::wire::evidence::{
    Evidence, KeyReference, KeyedMessage, MacAlgorithm, Refusal, SignedAssertion, SignedMessage, Submission, Timestamp,
};
use chancery::wire::{Millis, Octets, Secret};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::asserted::{BEARER, Words};
use super::evidence::refused;
use super::signatures::{ADDRESS, breach, parts};
use super::signed::{Client, Part, dereferenced};
use super::stack::{Stack, Verdict, must, vouched};
use super::vouchers::redeemed;
use super::{FORBIDDEN, keyed, shared};

/// The endpoint that takes assertions.
pub(super) const ASSERTED: &str = "/asserted";
/// An account of the partner.
pub(super) const USER: &str = "inspector";

fn submission(stack: &Stack, signed: SignedAssertion) -> Submission {
    let endpoint = Text::new(ASSERTED).unwrap();
    Submission { endpoint, evidence: Evidence::Assertion(signed), ..stack.submission() }
}

fn words() -> Words {
    Words::saml20(USER)
}

fn held() -> Words {
    words().but(BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")
}

pub(super) fn an_honest_assertion_is_served(stack: &Stack) -> Verdict {
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, submission(stack, words().signed(&stack.agency)))?;
    let release = redeemed(&mut stack.issuer(), redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("inspector@example.com") && token.contains("ac:classes:unspecified"), token)
}

pub(super) fn an_assertion_that_no_partner_signed(stack: &Stack) -> Verdict {
    let failed = |signed| refused(stack, submission(stack, signed), Refusal::FailedAuthentication);
    failed(words().signed(&Client::new()))?;
    failed(words().signed(&stack.client))?;
    // Somebody else's name in what was signed, and a signature of the partner's over another assertion.
    let good = words().signed(&stack.agency);
    let other = words().but(USER, "alice");
    failed(SignedAssertion { octets: Secret::new(other.octets.as_bytes()).unwrap(), ..good })?;
    failed(SignedAssertion { value: words().signed(&stack.agency).value, ..words().signed(&stack.agency) })?;
    failed(other.signed(&stack.agency))
}

/// Without the key of its holder it is no bearer's, and his own key makes him no holder.
pub(super) fn an_assertion_of_a_holder(stack: &Stack) -> Verdict {
    refused(stack, submission(stack, held().signed(&stack.agency)), Refusal::FailedAuthentication)?;
    let now = Millis::now();
    let parts = [Part::timestamp(now, None), Part::message_id()];
    let message = SignedMessage { key: KeyReference::Assertion, ..Client::new().message(&parts) };
    for words in [held(), words()] {
        let (signed, message) = (words.signed(&stack.agency), copy(&message));
        let sent = Submission {
            timestamp: Some(Timestamp { created: now, expires: None }),
            evidence: Evidence::Attested(signed, message),
            ..submission(stack, words.signed(&stack.agency))
        };
        refused(stack, sent, Refusal::FailedAuthentication)?;
    }
    Ok(())
}

fn copy(message: &SignedMessage) -> SignedMessage {
    borsh::from_slice(&borsh::to_vec(message).unwrap()).unwrap()
}

/// For the holder of this key, which its partner has sealed for us.
fn with_key(stack: &Stack, key: &[u8]) -> Words {
    let certificate = stack.directory.join("demo/etc/issuer.d/unwrap-1.pem");
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    shared::held(words(), &shared::sealed_for(&certificate, key))
}

/// What whoever has that key put under a MAC, beside an assertion.
fn under_mac(stack: &Stack, words: &Words, key: &[u8], change: impl FnOnce(&mut KeyedMessage)) -> Submission {
    let now = Millis::now();
    let parts: Vec<Part> = parts(now, ADDRESS).into_iter().chain([Part::message_id()]).collect();
    let mut message = keyed::message(key, MacAlgorithm::HmacSha256, &parts);
    change(&mut message);
    Submission {
        timestamp: Some(Timestamp { created: now, expires: None }),
        evidence: Evidence::EndorsedAssertion(words.signed(&stack.agency), message),
        ..submission(stack, words.signed(&stack.agency))
    }
}

pub(super) fn an_honest_mac_is_served(stack: &Stack) -> Verdict {
    // Issuer has nothing opened for a worker that it does not know.
    let (mut auth, mut issuer) = (stack.auth(), stack.issuer());
    let sent = under_mac(stack, &with_key(stack, &[1; 32]), &[1; 32], |_| ());
    let redemption = vouched(&mut auth, sent)?;
    let release = redeemed(&mut issuer, redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("inspector@example.com"), token)
}

/// He has messages and assertions of two holders, and a key of his own that is sealed for us as well as theirs are.
pub(super) fn an_assertion_beside_a_mac_of_anothers(stack: &Stack) -> Verdict {
    let _known = stack.issuer();
    let (bobs, alices, own) = (with_key(stack, &[1; 32]), [2; 32], [3; 32]);
    let failed = |sent| refused(stack, sent, Refusal::FailedAuthentication);
    failed(under_mac(stack, &bobs, &alices, |_| ()))?;
    failed(under_mac(stack, &bobs, &own, |_| ()))?;
    // With his key in the place of the one that was signed.
    let mine = with_key(stack, &own);
    let changed = Words { octets: mine.octets.replace(&mine.id, &bobs.id), id: bobs.id.clone() };
    let octets = Secret::new(changed.octets.as_bytes()).unwrap();
    let mut sent = under_mac(stack, &bobs, &own, |_| ());
    sent.evidence = match sent.evidence {
        Evidence::EndorsedAssertion(signed, message) => {
            Evidence::EndorsedAssertion(SignedAssertion { octets, ..signed }, message)
        }
        other => other,
    };
    failed(sent)?;
    // Without a MAC, or with what he can make of it.
    failed(submission(stack, bobs.signed(&stack.agency)))?;
    failed(under_mac(stack, &bobs, &[1; 32], |message| message.value = Octets::new([7; 32]).unwrap()))?;
    failed(under_mac(stack, &bobs, &[1; 32], |message| message.value = Octets::default()))
}

pub(super) fn another_wish_than_is_under_the_mac(stack: &Stack) -> Verdict {
    let _known = stack.issuer();
    let words = with_key(stack, &[1; 32]);
    let honest = || under_mac(stack, &words, &[1; 32], |_| ());
    let mut elsewhere = honest();
    elsewhere.wish.applies_to = Some(Text::new(FORBIDDEN).unwrap());
    breach(stack, elsewhere)?;
    let mut later = honest();
    later.timestamp = Some(Timestamp { created: Millis::now().plus(1000), expires: None });
    breach(stack, later)
}

pub(super) fn an_assertion_that_is_good_once_twice(stack: &Stack) -> Verdict {
    let words = words().but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>");
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, submission(stack, words.signed(&stack.agency)))?;
    refused(stack, submission(stack, words.signed(&stack.agency)), Refusal::InvalidSecurity)?;
    redeemed(&mut stack.issuer(), redemption)?;
    refused(stack, submission(stack, words.signed(&stack.agency)), Refusal::InvalidSecurity)
}

fn vouched_for() -> Words {
    words().but(BEARER, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")
}

/// A message of the intermediary that covers this assertion, or none.
fn vouching(stack: &Stack, covered: Option<&Words>, presented: &Words) -> Submission {
    let now = Millis::now();
    let token = covered.map(|words| {
        let octets = words.xml(&stack.agency).replacen("<saml:Assertion ", "<saml:Assertion xmlns=\"\" ", 1);
        Part { id: "str", octets }
    });
    let parts: Vec<Part> = parts(now, ADDRESS).into_iter().chain([Part::message_id()]).chain(token).collect();
    let info = stack.client.signed_info(&parts);
    let info = if covered.is_some() { dereferenced(&info, "str") } else { info };
    Submission {
        timestamp: Some(Timestamp { created: now, expires: None }),
        evidence: Evidence::Attested(presented.signed(&stack.agency), stack.client.over(&info, &parts)),
        ..submission(stack, presented.signed(&stack.agency))
    }
}

/// He has seen what an intermediary may vouch for and signed messages of his, and lays one beside the other.
pub(super) fn an_assertion_beside_what_somebody_vouched_for(stack: &Stack) -> Verdict {
    let (one, other) = (vouched_for(), vouched_for());
    refused(stack, vouching(stack, None, &one), Refusal::InvalidSecurity)?;
    refused(stack, vouching(stack, Some(&other), &one), Refusal::InvalidSecurity)?;
    // What is for whoever holds it is not vouched for, and the other way round.
    refused(stack, vouching(stack, Some(&words()), &words()), Refusal::FailedAuthentication)?;
    refused(stack, submission(stack, one.signed(&stack.agency)), Refusal::FailedAuthentication)?;
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, vouching(stack, Some(&one), &one))?;
    redeemed(&mut stack.issuer(), redemption).map(drop)
}
