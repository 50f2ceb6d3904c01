//! A worker that was taken over, against the real auth, issuer, audit, signers and token. This program has
//! what the hijacker has, the worker's two sockets, and tries what he would: one case for each clause of what
//! he can and cannot do. A case passes when nothing was signed, nothing was recorded as issued, every breach of
//! the protocol was counted and answered with silence, and an honest worker is served afterwards. `neighbours`
//! goes on where he cannot get to.
//!
//! What a process cannot do at all is shown where it is locked down, in `tests/sandbox.rs`: no file is opened,
//! nothing is dialed, nothing is forked or handed a descriptor that could keep a channel beyond its process, and
//! the dialer connects to two places.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::process::Command;
use std::time::{Duration, Instant};

mod answers;
#[path = "../support/asserted.rs"]
#[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
mod asserted;
mod assertions;
mod connections;
#[path = "../demo/service.rs"]
mod demo;
#[path = "../support/digested.rs"]
mod digested;
mod digests;
mod evidence;
#[path = "../support/faulty.rs"]
mod faulty;
mod floods;
mod handshakes;
#[path = "../support/jwt.rs"]
#[expect(dead_code, reason = "shared with tests/jwt, which uses all of it")]
mod jwt_words;
mod jwts;
#[path = "../support/keyed.rs"]
#[expect(dead_code, reason = "shared with tests/keyed_requests.rs, which uses all of it")]
mod keyed;
#[path = "../support/handshakes.rs"]
mod made;
mod neighbours;
mod octets;
mod peer;
#[path = "../support/shared.rs"]
mod shared;
mod signatures;
#[path = "../support/signed.rs"]
#[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
mod signed;
mod stack;
mod vouchers;

use chancery::sys::places::Place;
use stack::{Counter, Leaves, Stack, Verdict};

/// How long an answer may take, or a hang-up.
const PATIENCE: Duration = Duration::from_secs(20);
const ENDPOINT: &str = "/adfs/services/trust/13/usernamemixed";
const PARTY: &str = "https://rp.example.com/";
/// A relying party that policy gives nobody tokens for.
const FORBIDDEN: &str = "https://forbidden.example.com/";
/// What one worker may ask for in a second, here.
const HANDSHAKES: u32 = 50;
/// Relying parties for which issuer's ceilings are below what auth allows: two tokens a minute, for five
/// minutes; SAML 2.0 alone; none for alice.
const SCARCE: &str = "https://scarce.example.com/";
const NARROW: &str = "https://narrow.example.com/";
const GUARDED: &str = "https://guarded.example.com/";
const TO_AUTH: Counter = ("auth", "worker-to-auth");
const TO_ISSUER: Counter = ("issuer", "worker-to-issuer");
const AUTH_TO_ISSUER: Counter = ("issuer", "auth-to-issuer");
const SIGNER_TO_ISSUER: Counter = ("issuer", "signer-to-issuer");
const ISSUER_TO_AUDIT: Counter = ("audit", "issuer-to-audit");
const AUTH_TO_AUDIT: Counter = ("audit", "auth-to-audit");
/// Everywhere a breach is counted that comes in at a socket.
const COUNTERS: [Counter; 6] = [TO_AUTH, TO_ISSUER, AUTH_TO_ISSUER, SIGNER_TO_ISSUER, ISSUER_TO_AUDIT, AUTH_TO_AUDIT];

/// What he cannot do, what trying it leaves behind, and the attempt.
type Case = (&'static str, Leaves, fn(&Stack) -> Verdict);

const CASES: &[Case] = &[
    ("an honest flow is served: the cases below can fail", Leaves::Tokens(1), evidence::an_honest_flow_is_served),
    ("an honest handshake is signed: likewise", Leaves::Handshakes(1), handshakes::an_honest_handshake_is_signed),
    (
        "whoever policy allows it for gets a token of her who proved herself",
        Leaves::Tokens(2),
        evidence::any_party_that_policy_allows,
    ),
    ("a quota of issuer's holds", Leaves::Tokens(2), evidence::a_quota_holds),
    ("a token type above issuer's ceiling is not to be had", Leaves::Nothing, evidence::a_token_type_above_the_ceiling),
    ("a subject that issuer protects gets nothing", Leaves::Nothing, evidence::a_protected_subject),
    ("no token leaves while the record sleeps", Leaves::Tokens(1), vouchers::a_token_while_the_record_sleeps),
    (
        "a lifetime above the ceiling is cut to it",
        Leaves::Tokens(1),
        evidence::a_lifetime_above_the_ceiling_is_cut_to_it,
    ),
    (
        "a claim nobody configured is not in the token",
        Leaves::Tokens(1),
        evidence::a_claim_he_may_do_without_is_not_invented,
    ),
    ("a wrong password gets nothing", Leaves::Nothing, evidence::wrong_password),
    ("a wrong password is recorded when he hangs up at once", Leaves::Nothing, evidence::wrong_password_and_gone),
    ("a user there is not gets nothing", Leaves::Nothing, evidence::no_such_user),
    ("an endpoint that does not exist gets nothing", Leaves::Nothing, evidence::no_such_endpoint),
    ("a message of yesterday gets nothing", Leaves::Nothing, evidence::stale_message),
    ("a relying party that does not exist gets nothing", Leaves::Nothing, evidence::no_such_party),
    ("a relying party that policy forbids gets nothing", Leaves::Nothing, evidence::forbidden_party),
    ("a claim nobody configured cannot be insisted on", Leaves::Nothing, evidence::invented_claim),
    ("a key that was not proven binds no token", Leaves::Nothing, evidence::unproven_keys),
    ("a lifetime that is over gets nothing", Leaves::Nothing, evidence::lifetime_over),
    (
        "an honest signature is served: the cases below can fail",
        Leaves::Tokens(1),
        signatures::an_honest_signature_is_served,
    ),
    ("a certificate without its key proves nobody", Leaves::Nothing, signatures::a_certificate_without_its_key),
    (
        "what a client signed and the worker says otherwise is a breach",
        Leaves::Violations(TO_AUTH, 3),
        signatures::another_wish_than_was_signed,
    ),
    ("a signed message buys one token", Leaves::Tokens(1), signatures::a_message_twice),
    (
        "a token for a signed message buys one signature of its answer",
        Leaves::Connections { handshakes: 1, tokens: 1 },
        answers::an_answer_is_signed_once,
    ),
    ("no answer is signed that has no such token", Leaves::Tokens(1), answers::an_answer_to_nothing),
    (
        "what is no answer is not signed as one",
        Leaves::Violations(TO_ISSUER, answers::BREACHES),
        answers::answers_that_are_none,
    ),
    ("a signed message for somebody else gets nothing", Leaves::Nothing, signatures::a_message_for_somebody_else),
    ("a signed message of yesterday gets nothing", Leaves::Nothing, signatures::a_message_of_yesterday),
    ("a credential at another endpoint gets nothing", Leaves::Nothing, signatures::a_credential_at_another_endpoint),
    (
        "an honest assertion is served: the cases below can fail",
        Leaves::Tokens(1),
        assertions::an_honest_assertion_is_served,
    ),
    (
        "an assertion that no partner signed proves nobody",
        Leaves::Nothing,
        assertions::an_assertion_that_no_partner_signed,
    ),
    ("a holder's assertion without his key proves nobody", Leaves::Nothing, assertions::an_assertion_of_a_holder),
    (
        "an honest MAC by the key that an assertion has is served: the cases below can fail",
        Leaves::Tokens(1),
        assertions::an_honest_mac_is_served,
    ),
    (
        "an assertion with a key that is sealed beside a MAC by another proves nobody",
        Leaves::Nothing,
        assertions::an_assertion_beside_a_mac_of_anothers,
    ),
    (
        "what a holder put under a MAC and the worker says otherwise is a breach",
        Leaves::Violations(TO_AUTH, 2),
        assertions::another_wish_than_is_under_the_mac,
    ),
    (
        "what an intermediary vouched for is served, and nothing that is laid beside it",
        Leaves::Tokens(1),
        assertions::an_assertion_beside_what_somebody_vouched_for,
    ),
    (
        "an assertion that is good once buys one token",
        Leaves::Tokens(1),
        assertions::an_assertion_that_is_good_once_twice,
    ),
    ("an honest JWT is served: the cases below can fail", Leaves::Tokens(1), jwts::an_honest_jwt_is_served),
    ("a JWT that no issuer signed proves nobody", Leaves::Nothing, jwts::a_jwt_that_no_issuer_signed),
    ("a holder's JWT without his key proves nobody", Leaves::Nothing, jwts::a_jwt_of_a_holder),
    ("a JWT with an id buys one token", Leaves::Tokens(1), jwts::a_jwt_with_an_id_twice),
    ("an honest digest is served: the cases below can fail", Leaves::Tokens(1), digests::an_honest_digest_is_served),
    ("a digest without the secret proves nobody", Leaves::Nothing, digests::a_digest_without_the_secret),
    ("a digest buys one token, however it is parted", Leaves::Tokens(1), digests::a_digest_twice),
    ("a digest of yesterday gets nothing", Leaves::Nothing, digests::a_digest_of_yesterday),
    ("a secret for digests is no password", Leaves::Nothing, digests::a_secret_as_a_password),
    (
        "a nonce that is none is a breach",
        Leaves::Violations(TO_AUTH, digests::BAD_NONCES),
        digests::nonces_that_are_none,
    ),
    (
        "an honest TLS handshake is served: the cases below can fail",
        // The first time issuer tries the key twice.
        Leaves::Connections { handshakes: 3, tokens: 2 },
        connections::an_honest_handshake_is_served,
    ),
    (
        "a TLS certificate without its key proves nobody",
        Leaves::Connections { handshakes: 4, tokens: 0 },
        connections::a_certificate_without_its_key,
    ),
    ("a handshake with another server proves nobody", Leaves::Nothing, connections::a_handshake_with_another_server),
    (
        "a handshake that was altered proves nobody",
        Leaves::Connections { handshakes: 2, tokens: 0 },
        connections::a_handshake_altered,
    ),
    (
        "a handshake of TLS 1.2 is none of 1.3, nor the other way round",
        Leaves::Connections { handshakes: 2, tokens: 0 },
        connections::a_handshake_of_the_other_version,
    ),
    (
        "an old handshake that is signed once more stays an old one",
        Leaves::Connections { handshakes: 4, tokens: 0 },
        connections::an_old_handshake_signed_again,
    ),
    (
        "a handshake of another process proves nobody, also when that has ended",
        Leaves::Connections { handshakes: 1, tokens: 0 },
        connections::a_handshake_of_another_process,
    ),
    (
        "a handshake does not outlive the channels of its worker",
        Leaves::Connections { handshakes: 1, tokens: 1 },
        connections::a_handshake_after_its_channels,
    ),
    (
        "a handshake at another endpoint gets nothing",
        Leaves::Connections { handshakes: 1, tokens: 0 },
        connections::a_handshake_at_another_endpoint,
    ),
    (
        "an assertion beside the handshake of somebody else than its holder proves nobody",
        Leaves::Connections { handshakes: 3, tokens: 1 },
        connections::an_assertion_beside_a_handshake,
    ),
    ("two requests of one name are a breach", Leaves::Violations(TO_AUTH, 1), evidence::one_correlation_twice),
    ("a random voucher buys nothing", Leaves::Nothing, vouchers::random_voucher),
    ("a voucher redeemed twice is a breach, and buys one token", Leaves::TokenThenBreach, vouchers::voucher_twice),
    ("a voucher put in over one line after another buys one token", Leaves::Tokens(1), vouchers::voucher_over_lines),
    (
        "a voucher of another request is a breach, and burnt",
        Leaves::Violations(TO_ISSUER, 2),
        vouchers::voucher_of_another_request,
    ),
    (
        "a voucher of another process is a breach, and burnt",
        Leaves::Violations(TO_ISSUER, 1),
        vouchers::voucher_of_another_worker,
    ),
    ("a voucher that ran out buys nothing", Leaves::Nothing, vouchers::voucher_run_out),
    ("a voucher goes with the channel it was proven on", Leaves::Nothing, vouchers::voucher_after_its_channel),
    ("a voucher does not outlive its process", Leaves::Violations(TO_ISSUER, 1), vouchers::voucher_after_its_process),
    ("no other key completes a handshake", Leaves::Violations(TO_ISSUER, 9), handshakes::handshake_with_other_keys),
    (
        "a handshake for a certificate there is not is not signed",
        Leaves::Nothing,
        handshakes::handshake_for_a_certificate_there_is_not,
    ),
    ("no other octets pass as a handshake", Leaves::Violations(TO_ISSUER, 11), handshakes::handshake_of_no_kind),
    (
        "messages of other links are breaches towards auth",
        Leaves::Violations(TO_AUTH, octets::FOREIGN_TO_AUTH),
        octets::foreign_to_auth,
    ),
    (
        "messages of other links are breaches towards issuer",
        Leaves::Violations(TO_ISSUER, octets::FOREIGN_TO_ISSUER),
        octets::foreign_to_issuer,
    ),
    (
        "octets that are no message are breaches towards auth",
        Leaves::Violations(TO_AUTH, octets::MALFORMED),
        octets::malformed_to_auth,
    ),
    (
        "octets that are no message are breaches towards issuer",
        Leaves::Violations(TO_ISSUER, octets::MALFORMED),
        octets::malformed_to_issuer,
    ),
    ("no message to auth is above its cap", Leaves::Violations(TO_AUTH, 5), |stack| {
        octets::above_caps(stack, Place::AuthWorker)
    }),
    ("no message to issuer is above its cap", Leaves::Violations(TO_ISSUER, 4), |stack| {
        octets::above_caps(stack, Place::IssuerWorker)
    }),
    ("text that XML has no room for is a breach", Leaves::Violations(TO_AUTH, octets::BAD_TEXTS), octets::bad_texts),
    ("a message without end is cut off at its cap", Leaves::Violations(TO_AUTH, 1), octets::endless),
    ("a quota of handshakes is no other after coming back", Leaves::Signed, handshakes::a_quota_outlives_its_channel),
    ("ten thousand random vouchers buy nothing", Leaves::Client, floods::redemption_flood),
    ("guesses in the name of an address lock nobody there out", Leaves::Client, floods::address_of_another),
    ("a flood of guesses is bounded", Leaves::Client, floods::submission_flood),
];

#[test]
fn a_hijacked_worker_can_do_nothing_but_what_it_may() {
    if !demo::possible("hostile-worker") {
        return;
    }
    attacked(CASES);
}

#[test]
fn whoever_comes_to_a_socket_that_is_no_workers_gets_no_further_than_its_role() {
    if demo::possible("hostile-neighbour") {
        attacked(neighbours::CASES);
    }
}

fn attacked(cases: &[Case]) {
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start(directory.path());
    let mut wrong = Vec::new();
    for (name, leaves, attack) in cases {
        let begun = Instant::now();
        let verdict = stack.tried(*leaves, *attack);
        println!("{} {name} ({:.1?})", if verdict.is_ok() { "ok    " } else { "FAILED" }, begun.elapsed());
        if let Err(why) = verdict {
            println!("    {why}");
            wrong.push((*name, why));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let verified = Command::new(demo::CHANCERY)
        .args(["audit", "--json", "--directory", stack.demo.fact("record"), "verify"])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(stack.demo.stop().code(), Some(0));
}
