//! A worker that was taken over, against the real auth, issuer, audit, signers and token. This program has
//! what the hijacker has, the worker's two sockets, and tries what he would: one case for each clause of what
//! he cannot do. A case passes when nothing was signed, nothing was recorded as issued, every breach of the
//! protocol was counted and answered with silence, and an honest worker is served afterwards.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::process::Command;
use std::time::{Duration, Instant};

#[path = "../demo/service.rs"]
mod demo;
mod evidence;
#[path = "../support/faulty.rs"]
mod faulty;
mod floods;
mod handshakes;
mod octets;
mod peer;
mod stack;
mod vouchers;

use stack::{Leaves, Stack, Verdict};

/// How long an answer may take, or a hang-up.
const PATIENCE: Duration = Duration::from_secs(20);
const ENDPOINT: &str = "/adfs/services/trust/13/usernamemixed";
const PARTY: &str = "https://rp.example.com/";
/// A relying party that policy gives nobody tokens for.
const FORBIDDEN: &str = "https://forbidden.example.com/";
/// What one worker may ask for in a second, here.
const HANDSHAKES: u32 = 50;
const TO_AUTH: (&str, &str) = ("auth", "worker-to-auth");
const TO_ISSUER: (&str, &str) = ("issuer", "worker-to-issuer");

/// What he cannot do, what trying it leaves behind, and the attempt.
type Case = (&'static str, Leaves, fn(&Stack) -> Verdict);

const CASES: &[Case] = &[
    ("an honest flow is served: the cases below can fail", Leaves::Tokens(1), evidence::an_honest_flow_is_served),
    ("an honest handshake is signed: likewise", Leaves::Handshakes(1), handshakes::an_honest_handshake_is_signed),
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
    ("a user there is not gets nothing", Leaves::Nothing, evidence::no_such_user),
    ("an endpoint that does not exist gets nothing", Leaves::Nothing, evidence::no_such_endpoint),
    ("a message of yesterday gets nothing", Leaves::Nothing, evidence::stale_message),
    ("a relying party that does not exist gets nothing", Leaves::Nothing, evidence::no_such_party),
    ("a relying party that policy forbids gets nothing", Leaves::Nothing, evidence::forbidden_party),
    ("a claim nobody configured cannot be insisted on", Leaves::Nothing, evidence::invented_claim),
    ("a key that was not proven binds no token", Leaves::Nothing, evidence::unproven_keys),
    ("a lifetime that is over gets nothing", Leaves::Nothing, evidence::lifetime_over),
    ("two requests of one name are a breach", Leaves::Violations(TO_AUTH, 1), evidence::one_correlation_twice),
    ("a random voucher buys nothing", Leaves::Nothing, vouchers::random_voucher),
    ("a voucher redeemed twice is a breach, and buys one token", Leaves::TokenThenBreach, vouchers::voucher_twice),
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
    ("no other key completes a handshake", Leaves::Violations(TO_ISSUER, 10), handshakes::handshake_with_other_keys),
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
    ("text that XML has no room for is a breach", Leaves::Violations(TO_AUTH, octets::BAD_TEXTS), octets::bad_texts),
    ("a message without end is cut off at its cap", Leaves::Violations(TO_AUTH, 1), octets::endless),
    ("a quota of handshakes is no other after coming back", Leaves::Signed, handshakes::a_quota_outlives_its_channel),
    ("ten thousand random vouchers buy nothing", Leaves::Client, floods::redemption_flood),
    ("a flood of guesses is bounded", Leaves::Client, floods::submission_flood),
];

#[test]
fn a_hijacked_worker_can_do_nothing_but_what_it_may() {
    if !demo::possible("hostile-worker") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start(directory.path());
    let mut wrong = Vec::new();
    for (name, leaves, attack) in CASES {
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
