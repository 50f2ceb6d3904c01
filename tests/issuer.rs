//! The real issuer, with the test as its auth, workers, signers and audit over the real sockets. Whatever a
//! hostile peer does, no digest reaches a signer and no intent the record.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

#[path = "issuer/answers.rs"]
mod answers;
#[path = "issuer/crowds.rs"]
mod crowds;
#[path = "issuer/house.rs"]
mod house;
#[path = "issuer/lines.rs"]
mod lines;
#[path = "issuer/remembered.rs"]
mod remembered;
#[path = "issuer/unwraps.rs"]
mod unwraps;

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use chancery::sys::channel::Channel;
use chancery::sys::places::Place;
use chancery::wire::links::*;
use chancery::wire::order::*;
use chancery::wire::permit::Link;
use chancery::wire::record::{IssuerEntry, OutcomeResult};
use chancery::wire::{Correlation, List, Millis, Octets, Peer, Text, VoucherId};
use house::*;
use nix::sys::signal::Signal;

const UNAVAILABLE: fn(Failure) -> bool = |failure| matches!(failure, Failure::Unavailable { retry_after_s: 1.. });

/// Everything up and connected.
struct Scene {
    issuer: support::processes::Daemon,
    audit: Audit,
    auth: Auth,
    worker: Worker,
    signer: Signer,
}

fn scene(house: &House) -> Scene {
    scene_with(house, house.start())
}

fn scene_with(house: &House, issuer: support::processes::Daemon) -> Scene {
    let mut scene =
        Scene { audit: house.audit(), auth: house.auth(), worker: house.worker(), signer: house.signer(), issuer };
    // One token through, so that everybody is known to be connected.
    scene.issue(house, order("office", TokenType::Saml20));
    scene
}

impl Scene {
    fn redeem(&mut self, order: Order) {
        let redemption = lodge(&mut self.auth, order, me());
        self.worker.say(&WorkerToIssuer::Redeem(redemption));
    }

    fn issue(&mut self, house: &House, order: Order) -> Release {
        self.redeem(order);
        assert!(matches!(record(&mut self.audit), IssuerEntry::Intent(..)));
        house.sign(&mut self.signer);
        assert!(matches!(record(&mut self.audit), IssuerEntry::Outcome(_)));
        released(&mut self.worker)
    }

    /// Nothing was recorded, nothing is to be signed, and an honest worker is still served.
    fn nothing_happened(&mut self, house: &House) {
        assert!(self.signer.hears_nothing(), "a digest reached the signer");
        assert!(self.audit.hears_nothing(), "an intent reached the record");
        self.worker = house.worker();
        self.issue(house, order("office", TokenType::Saml20));
    }
}

#[test]
fn no_digest_leaves_before_the_intent_is_durable_and_no_token_before_its_outcome_is_sent() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.redeem(order("office", TokenType::Saml20));
    let (sequence, entry) = entry(&mut scene.audit);
    let IssuerEntry::Intent(intent, private) = entry else { panic!("an intent") };
    assert_eq!(private.subject.account.as_str(), "alice");
    assert!(scene.signer.hears_nothing());
    scene.audit.say(&FromAudit::Durable { sequence });
    let IssuerToSigner::Sign { id, key, digest, .. } = scene.signer.hear() else { panic!("a digest") };
    assert_eq!((&key, digest.len()), (&intent.key, 32));
    assert!(scene.audit.hears_nothing() && scene.worker.hears_nothing());
    scene.signer.say(&SignerToIssuer::SignFailed { id, class: FailureClass::Request, rv: 5 });
    let IssuerEntry::Outcome(outcome) = record(&mut scene.audit) else { panic!("an outcome") };
    assert_eq!((outcome.result, outcome.token_id), (OutcomeResult::NotSigned, intent.token_id));
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
}

#[test]
fn independent_eyes_find_every_token_good_r_s013() {
    let house = House::new();
    let mut scene = scene(&house);
    for (party, kind, key) in [
        ("office", TokenType::Saml20, "rsa"),
        ("office", TokenType::Saml11, "rsa"),
        ("curved", TokenType::Saml20, "p384"),
    ] {
        let release = scene.issue(&house, order(party, kind));
        assert_eq!(release.token_type, kind);
        // Cut out of a foreign envelope as clients do (R-T062), then looked at.
        let token = String::from_utf8(release.token.to_vec()).unwrap();
        let name = format!("{party}-{}", kind.name());
        let file = house.root.path().join(format!("{name}.xml"));
        std::fs::write(&file, &token).unwrap();
        xmlsec(&house, &file, key, true);
        let changed = token.replacen("example.com", "example.org", 1);
        std::fs::write(&file, changed).unwrap();
        xmlsec(&house, &file, key, false);
    }
}

/// Verifies a token with xmlsec1, where there is one.
fn xmlsec(house: &House, file: &std::path::Path, key: &str, good: bool) {
    let Ok(output) = Command::new("xmlsec1")
        .args(["--verify", "--enabled-reference-uris", "same-doc", "--pubkey-cert-pem"])
        .arg(house.root.path().join(format!("issuer.d/{key}.pem")))
        .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"])
        .args(["--id-attr:AssertionID", "urn:oasis:names:tc:SAML:1.0:assertion:Assertion"])
        .arg(file)
        .output()
    else {
        println!("SKIPPED issuer-xmlsec1: xmlsec1 is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), good, "{said}");
    assert_eq!(said.contains("SignedInfo References (ok/all): 1/1"), good, "{said}");
}

#[test]
fn a_voucher_of_another_worker_is_a_violation() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), Peer(me().0 + 1));
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    assert!(scene.worker.is_hung_up());
    scene.nothing_happened(&house);
}

#[test]
fn another_worker_cannot_redeem_ours_and_burns_it() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    let told = format!(
        "{}|{}|{}",
        house.root.path().join(Place::IssuerWorker.file()).display(),
        redemption.voucher,
        redemption.correlation
    );
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_other_worker", "--ignored"])
        .env("CHANCERY_TEST_REDEEM", told)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(other.status.success() && said.contains("1 passed"), "{said}");
    // The violation was the other's; this worker only comes too late.
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    assert_eq!(failure(&mut scene.worker), Failure::NoSuchVoucher);
    scene.nothing_happened(&house);
}

#[test]
#[ignore = "not a test: a part of another_worker_cannot_redeem_ours_and_burns_it, in a process of its own"]
fn the_other_worker() {
    let told = std::env::var("CHANCERY_TEST_REDEEM").unwrap();
    let [path, voucher, correlation] = told.split('|').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let channel = Channel::connect(path.as_ref()).unwrap();
    let mut worker: Worker = Line::new(channel, Link::IssuerToWorker);
    let (voucher, correlation) = (VoucherId::parse(voucher).unwrap(), Correlation::parse(correlation).unwrap());
    worker.say(&WorkerToIssuer::Redeem(Redemption { voucher, correlation }));
    assert!(worker.is_hung_up());
}

#[test]
fn a_voucher_of_another_request_is_a_violation() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    let wrong = Redemption { correlation: Correlation::random(), ..redemption };
    scene.worker.say(&WorkerToIssuer::Redeem(wrong));
    assert!(scene.worker.is_hung_up());
    scene.nothing_happened(&house);
}

#[test]
fn a_voucher_is_redeemed_once() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    let again = Redemption { ..redemption };
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    record(&mut scene.audit);
    house.sign(&mut scene.signer);
    record(&mut scene.audit);
    released(&mut scene.worker);
    scene.worker.say(&WorkerToIssuer::Redeem(again));
    assert!(scene.worker.is_hung_up());
    scene.nothing_happened(&house);
}

#[test]
fn auth_is_told_that_a_voucher_is_spent_before_anything_is_done_with_it() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    let voucher = redemption.voucher;
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    // The intent was sent: what was said to auth is there already, whatever becomes of issuer now.
    entry(&mut scene.audit);
    assert!(matches!(scene.auth.heard(), Some(IssuerToAuth::Redeemed(id)) if id == voucher));
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    let (voucher, wrong) = (redemption.voucher, Redemption { correlation: Correlation::random(), ..redemption });
    scene.worker.say(&WorkerToIssuer::Redeem(wrong));
    assert!(scene.worker.is_hung_up());
    assert!(matches!(scene.auth.heard(), Some(IssuerToAuth::Redeemed(id)) if id == voucher));
}

#[test]
fn a_voucher_that_has_run_out_or_never_was_buys_nothing() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    std::thread::sleep(Duration::from_millis(1100));
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    assert_eq!(failure(&mut scene.worker), Failure::NoSuchVoucher);
    let guess = Redemption { voucher: VoucherId::random(), correlation: Correlation::random() };
    scene.worker.say(&WorkerToIssuer::Redeem(guess));
    assert_eq!(failure(&mut scene.worker), Failure::NoSuchVoucher);
    scene.nothing_happened(&house);
}

#[test]
fn vouchers_outlive_auths_channel_and_die_with_the_workers() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    scene.auth = house.auth();
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    record(&mut scene.audit);
    house.sign(&mut scene.signer);
    record(&mut scene.audit);
    released(&mut scene.worker);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    scene.worker = nowhere(Link::IssuerToWorker);
    std::thread::sleep(SILENCE);
    scene.worker = house.worker();
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    assert_eq!(failure(&mut scene.worker), Failure::NoSuchVoucher);
    scene.nothing_happened(&house);
}

#[test]
fn a_voucher_withdrawn_by_auth_is_burnt_and_its_worker_no_breaker_of_rules() {
    let house = House::new();
    let mut scene = scene(&house);
    let redemption = lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    scene.auth.say(&AuthToIssuer::Withdraw(redemption.voucher));
    lodge(&mut scene.auth, order("office", TokenType::Saml20), me());
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    assert_eq!(failure(&mut scene.worker), Failure::NoSuchVoucher);
    scene.nothing_happened(&house);
}

#[test]
fn an_order_above_a_ceiling_is_neither_recorded_nor_signed() {
    let house = House::new();
    let mut scene = scene(&house);
    let claim =
        |uri: &str| Claim { uri: Text::new(uri).unwrap(), values: List::new(vec![Text::new("x").unwrap()]).unwrap() };
    let office = || order("office", TokenType::Saml20);
    let above = [
        order("nobody", TokenType::Saml20),
        order("curved", TokenType::Saml11),
        Order { claims: List::new(vec![claim("http://schemas.example.com/role")]).unwrap(), ..office() },
        Order { subject: Subject { account: Text::new("ADMINISTRATOR").unwrap(), ..office().subject }, ..office() },
        Order { subject: Subject { name: Text::new("administrator").unwrap(), ..office().subject }, ..office() },
        // Also where a relying party goes by a claim.
        Order {
            claims: List::new(vec![Claim {
                uri: Text::new("http://schemas.xmlsoap.org/claims/UPN").unwrap(),
                values: List::new(vec![Text::new("x").unwrap(), Text::new("administrator ").unwrap()]).unwrap(),
            }])
            .unwrap(),
            ..office()
        },
        Order { latest_expiry: Millis::now().plus(-1), ..office() },
        Order { not_before: Some(Millis::now().plus(86_400_000)), ..office() },
        Order {
            authentication: Authentication { instant: Millis::now().plus(60_000), method: Method::Password },
            ..office()
        },
    ];
    for order in above {
        scene.redeem(order);
        assert_eq!(failure(&mut scene.worker), Failure::AboveCeiling);
    }
    scene.nothing_happened(&house);
}

#[test]
fn the_lifetime_is_cut_to_the_ceiling_and_the_quota_holds() {
    let house = House::new();
    let mut scene = scene(&house);
    for _ in 0..2 {
        let before = Millis::now();
        let long = Order { latest_expiry: Millis(i64::MAX), ..order("curved", TokenType::Saml20) };
        let release = scene.issue(&house, long);
        let lifetime = release.expires.0 - before.0;
        assert!((300_000..310_000).contains(&lifetime), "{lifetime}");
        assert!(release.created <= before);
    }
    scene.redeem(order("curved", TokenType::Saml20));
    assert_eq!(failure(&mut scene.worker), Failure::AboveCeiling);
    scene.nothing_happened(&house);
}

#[test]
fn nothing_leaves_while_the_record_is_away() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.audit = nowhere(Link::IssuerToAudit);
    scene.redeem(order("office", TokenType::Saml20));
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    assert!(scene.signer.hears_nothing());
    // Connected again, but not heard from: still nothing.
    scene.audit = house.silent_audit();
    scene.redeem(order("office", TokenType::Saml20));
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    scene.audit.say(&FromAudit::Head { entries: 0, last: None });
    scene.nothing_happened(&house);
}

#[test]
fn an_intent_the_record_does_not_take_is_not_signed() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.redeem(order("office", TokenType::Saml20));
    let (sequence, _) = entry(&mut scene.audit);
    scene.audit.say(&FromAudit::NotDurable { sequence });
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    scene.nothing_happened(&house);
}

#[test]
fn an_intent_that_waits_for_a_restart_of_audit_is_recorded_by_the_successor() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.redeem(order("office", TokenType::Saml20));
    let (_, first) = entry(&mut scene.audit);
    scene.audit = nowhere(Link::IssuerToAudit);
    scene.audit = house.audit();
    assert!(scene.signer.hears_nothing());
    assert_eq!(record(&mut scene.audit), first);
    house.sign(&mut scene.signer);
    record(&mut scene.audit);
    released(&mut scene.worker);
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_a_violation_and_signs_nothing() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.audit.say(&FromAudit::Durable { sequence: 99 });
    assert!(scene.audit.is_hung_up());
    scene.audit = house.audit();
    scene.nothing_happened(&house);
}

#[test]
fn audit_acknowledges_nothing_before_its_head_and_has_one_head() {
    let house = House::new();
    let mut scene = scene(&house);
    let head = || FromAudit::Head { entries: 0, last: None };
    let before_it =
        [FromAudit::Durable { sequence: 0 }, FromAudit::NotDurable { sequence: 0 }].map(|early| vec![early]);
    for liar in before_it.into_iter().chain([vec![head(), head()]]) {
        scene.audit = nowhere(Link::IssuerToAudit);
        let mut audit = house.silent_audit();
        liar.iter().for_each(|message| audit.say(message));
        assert!(audit.is_hung_up(), "{liar:?}");
    }
    scene.audit = house.audit();
    scene.nothing_happened(&house);
}

#[test]
fn a_signature_that_does_not_verify_never_leaves() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.redeem(order("office", TokenType::Saml20));
    record(&mut scene.audit);
    let IssuerToSigner::Sign { id, .. } = scene.signer.hear() else { panic!("a digest") };
    scene.signer.say(&SignerToIssuer::Signed { id, signature: Octets::new(vec![1; 256]).unwrap() });
    let IssuerEntry::Outcome(outcome) = record(&mut scene.audit) else { panic!("an outcome") };
    assert_eq!(outcome.result, OutcomeResult::WrongSignature);
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    assert!(scene.signer.is_hung_up());
    scene.signer = house.signer();
    scene.nothing_happened(&house);
}

#[test]
fn a_signer_that_dies_or_fails_is_followed_by_another_once() {
    let house = House::new();
    let mut scene = scene(&house);
    let mut signers = vec![std::mem::replace(&mut scene.signer, nowhere(Link::IssuerToSigner)), house.signer()];
    for dies in [false, true] {
        scene.redeem(order("office", TokenType::Saml20));
        record(&mut scene.audit);
        let (asked, id) = asked(&mut signers);
        if dies {
            signers.remove(asked);
        } else {
            signers[asked].say(&SignerToIssuer::SignFailed { id, class: FailureClass::Token, rv: 0x30 });
            signers.swap(0, 1 - asked);
        }
        house.sign(&mut signers[0]);
        record(&mut scene.audit);
        released(&mut scene.worker);
    }
    scene.redeem(order("office", TokenType::Saml20));
    record(&mut scene.audit);
    for _ in 0..2 {
        let (asked, id) = asked(&mut signers);
        signers[asked].say(&SignerToIssuer::SignFailed { id, class: FailureClass::Token, rv: 0x30 });
    }
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
}

/// Which of the signers has been given a digest, and its id.
fn asked(signers: &mut [Signer]) -> (usize, u64) {
    support::processes::eventually("a digest", || {
        signers.iter_mut().enumerate().find_map(|(at, signer)| match signer.heard() {
            Some(IssuerToSigner::Sign { id, .. }) => Some((at, id)),
            _ => None,
        })
    })
}

#[test]
fn the_only_signer_may_be_restarted_between_digest_and_signature() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.redeem(order("office", TokenType::Saml20));
    record(&mut scene.audit);
    let IssuerToSigner::Sign { .. } = scene.signer.hear() else { panic!("a digest") };
    scene.signer = house.signer();
    house.sign(&mut scene.signer);
    record(&mut scene.audit);
    released(&mut scene.worker);
}

#[test]
fn a_signature_that_comes_too_late_is_nobodys_and_no_violation() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.redeem(order("office", TokenType::Saml20));
    record(&mut scene.audit);
    let IssuerToSigner::Sign { id, .. } = scene.signer.hear() else { panic!("a digest") };
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    assert!(matches!(record(&mut scene.audit), IssuerEntry::Outcome(_)));
    scene.signer.say(&SignerToIssuer::Signed { id, signature: Octets::new(vec![1; 256]).unwrap() });
    scene.nothing_happened(&house);
}

#[test]
fn without_a_usable_signer_nothing_is_recorded_either() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.signer.say(&SignerToIssuer::Health { usable: false });
    std::thread::sleep(Duration::from_millis(900));
    scene.redeem(order("office", TokenType::Saml20));
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    scene.signer.say(&SignerToIssuer::Health { usable: true });
    scene.nothing_happened(&house);
}

#[test]
fn a_signer_whose_key_is_not_the_certificates_is_not_given_a_digest() {
    let house = House::new();
    let mut scene = scene(&house);
    let wrong = house.keys.values().map(|key| (key.id.clone(), house.keys["reply"].public_key.clone())).collect();
    scene.signer = nowhere(Link::IssuerToSigner);
    let mut liar = house.signer_with(wrong);
    scene.redeem(order("office", TokenType::Saml20));
    record(&mut scene.audit);
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    assert!(liar.hears_nothing());
}

#[test]
fn a_signer_that_answers_what_it_was_not_asked_is_hung_up_on() {
    let house = House::new();
    let mut scene = scene(&house);
    let signature = || Octets::new(vec![1; 256]).unwrap();
    for lie in [
        SignerToIssuer::Signed { id: 999, signature: signature() },
        SignerToIssuer::Drawn { id: 1, octets: Octets::default() },
    ] {
        let mut liar = house.signer();
        liar.say(&lie);
        assert!(liar.is_hung_up());
    }
    scene.nothing_happened(&house);
}

#[test]
fn a_clock_behind_the_record_stops_issuing_until_it_has_caught_up() {
    let house = House::new();
    let issuer = house.start();
    let audit = house.audit_at(Some(Millis::now().plus(3_500)));
    let (auth, worker, signer) = (house.auth(), house.worker(), house.signer());
    let mut scene = Scene { issuer, audit, auth, worker, signer };
    // The head may still be on its way when the first order comes.
    std::thread::sleep(SILENCE);
    scene.redeem(order("office", TokenType::Saml20));
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    assert!(scene.audit.hears_nothing() && scene.signer.hears_nothing());
    std::thread::sleep(Duration::from_millis(3_500));
    scene.issue(&house, order("office", TokenType::Saml20));
}

#[test]
fn an_order_that_came_before_audits_head_is_not_signed_when_the_head_is_ahead_of_the_clock() {
    let house = House::new();
    let issuer = house.start();
    let audit = house.silent_audit();
    let (auth, worker, signer) = (house.auth(), house.worker(), house.signer());
    let mut scene = Scene { issuer, audit, auth, worker, signer };
    scene.redeem(order("office", TokenType::Saml20));
    assert!(scene.audit.hears_nothing());
    scene.audit.say(&FromAudit::Head { entries: 0, last: Some(Millis::now().plus(3_500)) });
    assert!(matches!(record(&mut scene.audit), IssuerEntry::Intent(..)));
    let IssuerEntry::Outcome(outcome) = record(&mut scene.audit) else { panic!("an outcome") };
    assert_eq!(outcome.result, OutcomeResult::NotSigned);
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    assert!(scene.signer.hears_nothing());
}

fn handshake(house: &House, serial: u64, length: usize) -> Handshake {
    Handshake {
        serial,
        certificate: house.keys["tls"].certificate_sha256,
        scheme: Scheme::EcdsaP256Sha256,
        transcript: Transcript::Tls13 { hash: Octets::new(vec![7; length]).unwrap() },
    }
}

#[test]
fn a_handshake_is_signed_in_the_encoding_of_tls() {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    let house = House::new();
    let mut scene = scene(&house);
    scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, 7, 32)));
    house.sign(&mut scene.signer);
    let IssuerToWorker::HandshakeSigned { serial: 7, signature } = scene.worker.hear() else { panic!("signed") };
    let octets = [&[0x20; 64][..], b"TLS 1.3, server CertificateVerify\0", &[7; 32]].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &house.keys["tls"].public_key).verify(&octets, &signature).unwrap();

    scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, 8, 48)));
    let IssuerToSigner::Sign { id, .. } = scene.signer.hear() else { panic!("a digest") };
    scene.signer.say(&SignerToIssuer::Signed { id, signature: Octets::new(vec![1; 64]).unwrap() });
    assert!(matches!(scene.worker.hear(), IssuerToWorker::HandshakeFailed { serial: 8 }));
    assert!(scene.signer.is_hung_up());
    scene.signer = house.signer();
    scene.nothing_happened(&house);
}

#[test]
fn a_handshake_with_another_key_scheme_hash_or_curve_is_a_violation() {
    let house = House::new();
    let mut scene = scene(&house);
    let certificate = |name: &str| house.keys[name].certificate_sha256;
    let tls12 = |curve, point: Vec<u8>| Transcript::Tls12 {
        client_random: [1; 32],
        server_random: [2; 32],
        curve,
        point: Octets::new(point).unwrap(),
    };
    let good = || handshake(&house, 1, 32);
    let bad = [
        Handshake { certificate: certificate("rsa"), scheme: Scheme::RsaPssSha256, ..good() },
        Handshake { certificate: certificate("p384"), scheme: Scheme::EcdsaP384Sha384, ..good() },
        Handshake { certificate: certificate("reply"), ..good() },
        Handshake { scheme: Scheme::EcdsaP384Sha384, ..good() },
        Handshake { scheme: Scheme::RsaPssSha256, ..good() },
        handshake(&house, 1, 20),
        Handshake { transcript: tls12(22, vec![4; 65]), ..good() },
        Handshake { transcript: tls12(23, vec![4; 64]), ..good() },
        Handshake { transcript: tls12(29, vec![]), ..good() },
    ];
    for handshake in bad {
        let mut worker = house.worker();
        worker.say(&WorkerToIssuer::Handshake(handshake));
        assert!(worker.is_hung_up());
    }
    scene.nothing_happened(&house);
}

/// From the restart of one to that of the other, while a certificate is renewed: each client that connects asks so.
#[test]
fn a_handshake_for_a_certificate_that_issuer_has_not_is_refused_and_breaks_no_rule() {
    let house = House::new();
    let path = house.root.path().join("log");
    let mut scene = scene_with(&house, house.start_saying(File::create(&path).unwrap()));
    let renewed = |serial| Handshake { certificate: [0; 32], ..handshake(&house, serial, 32) };
    for asked in 0..30 {
        let said = if asked % 2 == 0 { WorkerToIssuer::Handshake } else { WorkerToIssuer::RememberedHandshake };
        scene.worker.say(&said(renewed(asked)));
        assert!(matches!(scene.worker.hear(), IssuerToWorker::HandshakeFailed { serial } if serial == asked));
    }
    assert!(scene.signer.hears_nothing());
    // Over the same line.
    scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, 99, 32)));
    house.sign(&mut scene.signer);
    assert!(matches!(scene.worker.hear(), IssuerToWorker::HandshakeSigned { serial: 99, .. }));
    let log = std::fs::read_to_string(&path).unwrap();
    let said = log.matches("handshake-refused\" reason=\"certificate\"").count();
    assert!((1..=20).contains(&said) && !log.contains("violation"), "{log}");
}

#[test]
fn a_worker_has_so_many_handshakes_signed_in_a_second() {
    let house = House::new();
    let mut scene = scene(&house);
    for serial in 0..60 {
        scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, serial, 32)));
    }
    let (mut signed, mut refused) = (0, 0);
    while signed + refused < 60 {
        if house.signs(&mut scene.signer) {
            continue;
        }
        match scene.worker.hear() {
            IssuerToWorker::HandshakeSigned { .. } => signed += 1,
            IssuerToWorker::HandshakeFailed { .. } => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!((20..40).contains(&signed), "{signed}");
    scene.nothing_happened(&house);
}

#[test]
fn a_worker_that_floods_is_refused_beyond_its_bounds_and_its_neighbours_are_served() {
    let house = House::new();
    let mut scene = scene(&house);
    let (mut neighbour, peer) = crowds::another_worker(&house);
    for _ in 0..300 {
        scene.redeem(order("office", TokenType::Saml20));
    }
    for _ in 0..44 {
        assert!(UNAVAILABLE(failure(&mut scene.worker)));
    }
    let honest = lodge(&mut scene.auth, order("office", TokenType::Saml20), peer);
    let correlation = honest.correlation;
    neighbour.say(&WorkerToIssuer::Redeem(honest));
    for _ in 0..256 {
        assert!(matches!(entry(&mut scene.audit).1, IssuerEntry::Intent(..)));
    }
    let IssuerEntry::Intent(intent, _) = entry(&mut scene.audit).1 else { panic!("an intent") };
    assert_eq!(intent.correlation, correlation);
    for _ in 0..256 {
        assert!(UNAVAILABLE(failure(&mut scene.worker)));
    }
    assert!(UNAVAILABLE(failure(&mut neighbour)));
    scene.nothing_happened(&house);
}

#[test]
fn redemptions_that_come_together_are_each_spent_before_anything_is_recorded() {
    let house = House::new();
    let mut scene = scene(&house);
    let unknown =
        || WorkerToIssuer::Redeem(Redemption { voucher: VoucherId::random(), correlation: Correlation::random() });
    let good: Vec<_> = (0..3).map(|_| lodge(&mut scene.auth, order("office", TokenType::Saml20), me())).collect();
    let (vouchers, correlations): (Vec<_>, Vec<_>) = good.iter().map(|one| (one.voucher, one.correlation)).unzip();
    // More than a turn, and the good ones last.
    scene.worker.say(&unknown());
    scene.worker.say_together((0..61).map(|_| unknown()).chain(good.into_iter().map(WorkerToIssuer::Redeem)));
    for correlation in correlations {
        let (_, IssuerEntry::Intent(intent, _)) = entry(&mut scene.audit) else { panic!("an intent") };
        assert_eq!(intent.correlation, correlation);
    }
    // With the first of them in the record all are said to be spent.
    for voucher in vouchers {
        assert!(matches!(scene.auth.heard(), Some(IssuerToAuth::Redeemed(spent)) if spent == voucher));
    }
    for _ in 0..62 {
        assert!(matches!(failure(&mut scene.worker), Failure::NoSuchVoucher));
    }
}

#[test]
fn whoever_asks_and_does_not_read_is_not_read_either() {
    let house = House::new();
    let mut scene = scene(&house);
    let unknown =
        || WorkerToIssuer::Redeem(Redemption { voucher: VoucherId::random(), correlation: Correlation::random() });
    let asked = scene.worker.press(20_000, unknown);
    // As many as the octets of a socket hold: what is gathered takes less room.
    assert!((16..12_000).contains(&asked), "{asked}");
    let mut auth = house.auth();
    let asked_as_auth = auth.press(20_000, || {
        let order = order("office", TokenType::Saml20);
        AuthToIssuer::Lodge(Voucher { id: VoucherId::random(), worker: Peer(1), order, signed_reply: false })
    });
    assert!((16..12_000).contains(&asked_as_auth), "{asked_as_auth}");
    // Nothing of it is lost when they do read, and others are served meanwhile.
    let answered = (0..=asked_as_auth).filter(|_| !matches!(auth.hear(), IssuerToAuth::Redeemed(_))).count();
    assert_eq!(answered, asked_as_auth + 1);
    let mut other = house.worker();
    std::mem::swap(&mut scene.worker, &mut other);
    scene.issue(&house, order("office", TokenType::Saml20));
    for _ in 0..=asked {
        assert!(matches!(failure(&mut other), Failure::NoSuchVoucher));
    }
}

#[test]
fn without_a_free_descriptor_those_who_are_connected_are_served_and_others_when_there_is_one() {
    let house = House::new();
    let mut scene = scene(&house);
    let pid = scene.issuer.pid().to_string();
    let limit = |most: usize| {
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={most}:4096")]).status().unwrap();
        assert!(status.success());
    };
    limit(std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count());
    let mut late = house.worker();
    for _ in 0..20 {
        scene.issue(&house, order("office", TokenType::Saml20));
    }
    late.say(&WorkerToIssuer::Redeem(Redemption { voucher: VoucherId::random(), correlation: Correlation::random() }));
    assert!(late.hears_nothing());
    limit(4096);
    assert!(matches!(failure(&mut late), Failure::NoSuchVoucher));
}

#[test]
fn a_worker_that_comes_back_finds_its_quota_as_it_left_it() {
    let house = House::new();
    let mut scene = scene(&house);
    let begun = Instant::now();
    let mut signed = 0;
    for _ in 0..5 {
        scene.worker = nowhere(Link::IssuerToWorker);
        // issuer sees that channel end before the next one comes.
        std::thread::sleep(SILENCE);
        scene.worker = house.worker();
        for serial in 0..20 {
            scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, serial, 32)));
        }
        let mut answers = 0;
        while answers < 20 {
            if house.signs(&mut scene.signer) {
                continue;
            }
            match scene.worker.hear() {
                IssuerToWorker::HandshakeSigned { .. } => signed += 1,
                IssuerToWorker::HandshakeFailed { .. } => {}
                other => panic!("{other:?}"),
            }
            answers += 1;
        }
    }
    let bound = 20.0 * (1.0 + begun.elapsed().as_secs_f64());
    assert!(f64::from(signed) <= bound, "{signed} of {bound}");
}

#[test]
fn a_worker_has_one_bound_for_all_its_channels_closed_ones_too() {
    let house = House::new();
    let file = house.root.path().join("issuer.d/issuer.toml");
    let patient =
        std::fs::read_to_string(&file).unwrap().replace("record_deadline_ms = 700", "record_deadline_ms = 9000");
    std::fs::write(&file, patient).unwrap();
    let mut scene = scene(&house);
    let mut first = house.worker();
    for _ in 0..200 {
        first.say(&WorkerToIssuer::Redeem(lodge(&mut scene.auth, order("office", TokenType::Saml20), me())));
        assert!(matches!(entry(&mut scene.audit).1, IssuerEntry::Intent(..)));
    }
    let mut second = house.worker();
    for _ in 0..56 {
        second.say(&WorkerToIssuer::Redeem(lodge(&mut scene.auth, order("office", TokenType::Saml20), me())));
        assert!(matches!(entry(&mut scene.audit).1, IssuerEntry::Intent(..)));
    }
    drop(first);
    std::thread::sleep(SILENCE);
    scene.redeem(order("office", TokenType::Saml20));
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    assert!(scene.audit.hears_nothing());
}

#[test]
fn a_worker_that_floods_the_log_keeps_nothing_else_out_of_it() {
    let house = House::new();
    let path = house.root.path().join("log");
    let mut scene = scene_with(&house, house.start_saying(File::create(&path).unwrap()));
    let log = |part: &str| std::fs::read_to_string(&path).unwrap().matches(part).count();
    for serial in 0..60 {
        let (voucher, correlation) = (VoucherId::random(), Correlation::random());
        scene.worker.say(&WorkerToIssuer::Redeem(Redemption { voucher, correlation }));
        assert!(matches!(failure(&mut scene.worker), Failure::NoSuchVoucher));
        let shake = handshake(&house, serial, 32);
        scene.worker.say(&WorkerToIssuer::Handshake(shake));
        let _ = house.signs(&mut scene.signer);
        scene.worker.hear();
    }
    for _ in 0..30 {
        let mut breaker = house.worker();
        breaker.say(&WorkerToIssuer::Handshake(handshake(&house, 1, 20)));
        assert!(breaker.is_hung_up());
    }
    scene.redeem(order("nobody", TokenType::Saml20));
    assert_eq!(failure(&mut scene.worker), Failure::AboveCeiling);
    scene.signer.say(&SignerToIssuer::Drawn { id: 1, octets: Octets::default() });
    assert!(scene.signer.is_hung_up());
    let is_said = || (log("violation\" link=\"signer") == 1).then_some(());
    support::processes::eventually("the signer's violation is in the log", is_said);
    let counts = ["refused", "violation\" link=\"worker", "above-ceiling"].map(log);
    assert!(counts[0] >= 10 && counts[1] >= 10 && counts[2] == 1, "{counts:?}");
}

#[test]
fn octets_that_are_no_message_are_a_violation() {
    use std::os::fd::AsRawFd;
    let house = House::new();
    let mut scene = scene(&house);
    let cases: [&[u8]; 6] =
        [&[], &[0], &[2, 0, 1, 0, 0, 0, 200], &[2, 0, 4, 0, 0, 0, 0, 1, 2, 3], &[9, 9, 9], &[2, 1, 0]];
    for octets in cases {
        for place in [Place::IssuerWorker, Place::IssuerAuth, Place::IssuerSigner] {
            let channel = Channel::connect(&house.root.path().join(place.file())).unwrap();
            nix::sys::socket::send(channel.as_raw_fd(), octets, nix::sys::socket::MsgFlags::empty()).unwrap();
            let mut line: Worker = Line::new(channel, Link::IssuerToWorker);
            assert!(line.is_hung_up(), "{octets:?} to {place:?}");
        }
    }
    scene.nothing_happened(&house);
}

#[test]
fn a_planned_end_finishes_what_was_begun() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.redeem(order("office", TokenType::Saml20));
    let (sequence, _) = entry(&mut scene.audit);
    nix::sys::signal::kill(scene.issuer.pid(), Signal::SIGTERM).unwrap();
    std::thread::sleep(SILENCE);
    scene.audit.say(&FromAudit::Durable { sequence });
    house.sign(&mut scene.signer);
    record(&mut scene.audit);
    released(&mut scene.worker);
    let status = support::processes::eventually("issuer ends", || scene.issuer.ended().unwrap());
    assert!(status.success());
}
