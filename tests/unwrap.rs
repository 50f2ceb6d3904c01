//! Session keys, against a real SoftHSM with the fault module in front of it: what was sealed on the host opens,
//! whatever else a stranger sends has one answer, and none of it moves a signer from where it stands.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/softhsm.rs"]
mod softhsm;

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PublicEncryptingKey,
};
use chancery::config::signer::key_id;
use chancery::wire::Octets;
use chancery::wire::links::{FailureClass, IssuerToSigner, Mechanism, SignerReady, SignerToIssuer};
use chancery::wire::unwrap::KeyTransport;
use softhsm::{Signer, SoftHsm, next, within};

/// A signer that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scene {
    hsm: SoftHsm,
    issuer: softhsm::Issuer,
    running: Running,
    signer: Signer,
    ready: SignerReady,
}

/// A signer with these keys, ready.
fn serving(more: &str, keys: &[(&str, &str, &str)]) -> Scene {
    let hsm = SoftHsm::new();
    let keys: Vec<String> = keys.iter().map(|(id, purpose, algorithm)| hsm.key(id, purpose, algorithm)).collect();
    hsm.configure(more, &keys.concat());
    let issuer = hsm.issuer();
    let running = start(&hsm);
    let mut signer = issuer.accept();
    let ready = ready(&mut signer);
    Scene { hsm, issuer, running, signer, ready }
}

fn start(hsm: &SoftHsm) -> Running {
    Running(hsm.signer(1).stderr(Stdio::inherit()).spawn().unwrap())
}

fn ready(signer: &mut Signer) -> SignerReady {
    match next(signer) {
        SignerToIssuer::Ready(ready) => ready,
        other => panic!("{other:?}"),
    }
}

const PLAIN: [u8; 32] = [0x5A; 32];
const SHA1: &OaepAlgorithm = &OAEP_SHA1_MGF1SHA1;

impl Scene {
    fn public_key(&self, key: &str) -> PublicEncryptingKey {
        let id = key_id(key).unwrap();
        let report = self.ready.keys.iter().find(|report| report.id == id).unwrap();
        PublicEncryptingKey::from_der(&report.public_key).unwrap()
    }

    fn sealed(&self, key: &str, algorithm: &'static OaepAlgorithm, plain: &[u8], label: Option<&[u8]>) -> Vec<u8> {
        let key = OaepPublicEncryptingKey::new(self.public_key(key)).unwrap();
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(algorithm, plain, &mut sealed, label).unwrap();
        sealed
    }

    fn ask(&mut self, key: &str, transport: KeyTransport, sealed: &[u8]) -> SignerToIssuer {
        let (key, sealed) = (key_id(key).unwrap(), Octets::new(sealed).unwrap());
        self.signer.send(&IssuerToSigner::Unwrap { id: 7, key, transport, sealed }).unwrap();
        next(&mut self.signer)
    }

    /// What is sealed well opens.
    fn opens(&mut self, key: &str) {
        let sealed = self.sealed(key, SHA1, &PLAIN, None);
        match self.ask(key, KeyTransport::OaepSha1, &sealed) {
            SignerToIssuer::Unwrapped { id: 7, session } => assert_eq!(session.expose(), PLAIN),
            other => panic!("{other:?}"),
        }
    }
}

fn is_unopened(answer: &SignerToIssuer) -> bool {
    matches!(answer, SignerToIssuer::UnwrapFailed { id: 7, class: FailureClass::Request })
}

const KEY: (&str, &str, &str) = ("a1", "unwrap", "rsa-2048");

#[test]
fn a_session_key_sealed_on_the_host_is_opened_by_its_key_and_by_no_other() {
    let keys = [
        KEY,
        ("a2", "unwrap", "rsa-3072"),
        ("a3", "unwrap", "rsa-4096"),
        ("b1", "assertion", "rsa-2048"),
        ("b2", "state", "rsa-2048"),
        ("b3", "handshake", "p-256"),
    ];
    let mut scene = serving("", &keys);
    for (key, ..) in &keys[..3] {
        scene.opens(key);
        for length in [16, 24, 32] {
            let sealed = scene.sealed(key, SHA1, &PLAIN[..length], None);
            let answer = scene.ask(key, KeyTransport::OaepSha1, &sealed);
            assert!(matches!(&answer, SignerToIssuer::Unwrapped { session, .. } if session.expose().len() == length));
        }
    }
    // Keys that sign or open something else, and one that is not there, are not asked.
    let sealed = scene.sealed("b1", SHA1, &PLAIN, None);
    let before = scene.hsm.calls("C_DecryptInit");
    for key in ["b1", "b2", "b3", "ff"] {
        assert!(is_unopened(&scene.ask(key, KeyTransport::OaepSha1, &sealed)), "{key}");
    }
    assert_eq!(scene.hsm.calls("C_DecryptInit"), before, "the module was asked");
    // And one that opens signs nothing.
    let digest = Octets::new([7; 32]).unwrap();
    let mechanism = Mechanism::RsaPkcs1Sha256;
    scene.signer.send(&IssuerToSigner::Sign { id: 1, key: key_id("a1").unwrap(), mechanism, digest }).unwrap();
    let answer = next(&mut scene.signer);
    assert!(matches!(answer, SignerToIssuer::SignFailed { class: FailureClass::Request, .. }), "{answer:?}");
}

#[test]
fn whatever_is_wrong_with_what_was_sealed_has_one_answer_and_climbs_no_ladder_a_20() {
    let mut scene = serving("", &[KEY]);
    let good = scene.sealed("a1", SHA1, &PLAIN, None);
    let pkcs1 = {
        let key = Pkcs1PublicEncryptingKey::new(scene.public_key("a1")).unwrap();
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(&PLAIN, &mut sealed).unwrap();
        sealed
    };
    let flipped = |at: usize| {
        let mut octets = good.clone();
        octets[at] ^= 1;
        octets
    };
    let mut bad = vec![
        ("PKCS#1 v1.5", pkcs1),
        ("a label", scene.sealed("a1", SHA1, &PLAIN, Some(b"label"))),
        ("another hash", scene.sealed("a1", &OAEP_SHA256_MGF1SHA256, &PLAIN, None)),
        ("first octet", flipped(0)),
        ("last octet", flipped(255)),
        ("zeros", vec![0; 256]),
        ("one", [vec![0; 255], vec![1]].concat()),
        ("above the modulus", vec![0xFF; 256]),
        ("nothing", Vec::new()),
        ("too short", good[1..].to_vec()),
        ("too long", [&good[..], &[0]].concat()),
        ("much too long", vec![1; 512]),
    ];
    for length in [0, 1, 15, 17, 31, 33, 64, 214] {
        bad.push(("no length of a key", scene.sealed("a1", SHA1, &vec![7; length], None)));
    }
    let watched = ["C_Login", "C_Finalize", "C_Initialize"];
    let before = watched.map(|function| scene.hsm.calls(function));
    let mut answers = BTreeSet::new();
    for (what, sealed) in &bad {
        let answer = scene.ask("a1", KeyTransport::OaepSha1, sealed);
        assert!(is_unopened(&answer), "{what}: {answer:?}");
        answers.insert(format!("{answer:?}"));
    }
    assert_eq!(answers.len(), 1);
    // The healer has doubted the token meanwhile, and found it good.
    std::thread::sleep(Duration::from_millis(1200));
    scene.opens("a1");
    assert_eq!(watched.map(|function| scene.hsm.calls(function)), before, "the ladder was climbed");
}

#[test]
fn what_the_token_does_not_do_is_not_asked_of_it() {
    let mut scene = serving("", &[KEY]);
    let sealed = scene.sealed("a1", &OAEP_SHA256_MGF1SHA256, &PLAIN, None);
    let before = scene.hsm.calls("C_DecryptInit");
    assert!(is_unopened(&scene.ask("a1", KeyTransport::OaepSha256, &sealed)));
    assert_eq!(scene.hsm.calls("C_DecryptInit"), before);
}

#[test]
fn what_a_profile_promises_and_the_token_does_not_do_is_found_out_at_start() {
    let hsm = SoftHsm::new();
    let key = hsm.key("a1", "unwrap", "rsa-2048");
    let profile = "schema = 1\nevidence = \"measured\"\n[auth]\npin_min_octets = 4\n";
    std::fs::create_dir(hsm.path("profiles")).unwrap();
    std::fs::write(hsm.path("profiles/softhsm2.toml"), profile).unwrap();
    hsm.configure("", &key);
    let issuer = hsm.issuer();
    let mut command = hsm.signer(1);
    command.env("CHANCERY_PROFILES", hsm.path("profiles")).stderr(std::fs::File::create(hsm.path("log")).unwrap());
    let running = Running(command.spawn().unwrap());
    let mut signer = issuer.accept();
    let ready = ready(&mut signer);
    let log = std::fs::read_to_string(hsm.path("log")).unwrap();
    assert!(log.contains("does-not-open") && log.contains("oaep-sha256"), "{log}");
    let mut scene = Scene { hsm, issuer, running, signer, ready };
    let sealed = scene.sealed("a1", &OAEP_SHA256_MGF1SHA256, &PLAIN, None);
    assert!(is_unopened(&scene.ask("a1", KeyTransport::OaepSha256, &sealed)));
    scene.opens("a1");
}

#[test]
fn a_failure_before_the_octets_were_looked_at_is_recovered_from_within_the_request() {
    let mut scene = serving("", &[KEY]);
    for rv in [0x05, 0x82, 0x60, 0x90, 0xb3, 0x101, 0x30, 0x190] {
        scene.hsm.fail("C_DecryptInit", rv, 1);
        scene.opens("a1");
    }
}

#[test]
fn a_token_that_opens_nothing_any_more_is_found_out_and_comes_back() {
    let mut scene = serving("", &[KEY]);
    let sealed = scene.sealed("a1", SHA1, &PLAIN, None);
    scene.hsm.instruct("fail C_Decrypt 0x5 1000000\n");
    assert!(is_unopened(&scene.ask("a1", KeyTransport::OaepSha1, &sealed)));
    let began = Instant::now();
    assert!(matches!(next(&mut scene.signer), SignerToIssuer::Health { usable: false }));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let answer = scene.ask("a1", KeyTransport::OaepSha1, &sealed);
    assert!(matches!(answer, SignerToIssuer::UnwrapFailed { class: FailureClass::Token, .. }), "{answer:?}");
    scene.hsm.instruct("");
    assert!(matches!(next(&mut scene.signer), SignerToIssuer::Health { usable: true }));
    scene.opens("a1");
}

#[test]
fn a_token_that_is_busy_when_it_is_doubted_is_not_lost_and_doubted_until_it_has_shown_what_it_opens() {
    let mut scene = serving("", &[KEY]);
    let sealed = scene.sealed("a1", SHA1, &PLAIN, None);
    // What a stranger sends does not open, and then the token has no room for whoever looks after it.
    scene.hsm.instruct("fail C_Decrypt 0x5 1\n");
    assert!(is_unopened(&scene.ask("a1", KeyTransport::OaepSha1, &sealed)));
    scene.hsm.instruct("fail C_DecryptInit 0x31 1000000\n");
    let before = scene.hsm.calls("C_DecryptInit");
    within(Duration::from_secs(5), || (scene.hsm.calls("C_DecryptInit") >= before + 2).then_some(()));
    // Had it been given up, that would have been said before this answer.
    assert!(matches!(scene.ask("ff", KeyTransport::OaepSha1, &sealed), SignerToIssuer::UnwrapFailed { .. }));
    // The doubt is still there: a token that opens nothing is found out though nobody asks it again.
    scene.hsm.instruct("fail C_Decrypt 0x5 1000000\n");
    assert!(matches!(next(&mut scene.signer), SignerToIssuer::Health { usable: false }));
    scene.hsm.instruct("");
    assert!(matches!(next(&mut scene.signer), SignerToIssuer::Health { usable: true }));
    scene.opens("a1");
}

#[test]
fn a_call_that_hangs_ends_the_signer_within_its_deadline() {
    let mut scene = serving("call_deadline_ms = 400", &[KEY]);
    let sealed = scene.sealed("a1", SHA1, &PLAIN, None);
    scene.hsm.instruct("hang C_Decrypt\n");
    let (key, transport) = (key_id("a1").unwrap(), KeyTransport::OaepSha1);
    let sealed = Octets::new(sealed).unwrap();
    scene.signer.send(&IssuerToSigner::Unwrap { id: 7, key, transport, sealed }).unwrap();
    let status = within(Duration::from_secs(5), || scene.running.0.try_wait().unwrap());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{status}");
    scene.hsm.instruct("");
    let _successor = start(&scene.hsm);
    scene.signer = scene.issuer.accept();
    ready(&mut scene.signer);
    scene.opens("a1");
}

#[test]
fn a_key_that_opens_is_made_certified_and_listed() {
    let hsm = SoftHsm::new();
    hsm.key("a1", "unwrap", "rsa-2048");
    let listed = hsm.chancery(&["key", "list"]);
    let words: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(words, ["a1", "unwrap", "rsa-2048", "sensitive", "decrypt", "local", "never-extractable"]);
    let refused = hsm.try_chancery(&["key", "generate", "--purpose", "unwrap", "--algorithm", "p-256"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("a key for unwrap is RSA"), "{said}");
    if Command::new("openssl").arg("version").output().is_err() {
        println!("SKIPPED unwrap-certificates: openssl is not installed");
        return;
    }
    let csr = hsm.path("a1.csr");
    hsm.chancery(&["key", "certify", "--csr", "--id", "a1", "--subject", "CN=sts", "--out", csr.to_str().unwrap()]);
    let openssl = |words: &[&str]| {
        let output = Command::new("openssl").args(words).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = openssl(&["req", "-verify", "-noout", "-text", "-in", csr.to_str().unwrap()]);
    assert!(said.contains("verify OK") && said.contains("Key Encipherment"), "{said}");
    let pem = hsm.path("config/signer.d/a1.pem");
    let pem = pem.to_str().unwrap();
    let said = openssl(&["verify", "-CAfile", pem, "-check_ss_sig", pem]);
    assert!(said.contains(": OK"), "{said}");
    let said = openssl(&["x509", "-noout", "-text", "-in", pem]);
    assert!(said.contains("Key Encipherment") && !said.contains("Digital Signature"), "{said}");
}

#[test]
fn a_key_has_one_purpose_in_the_token_too() {
    let hsm = SoftHsm::new();
    let opens = hsm.key("a1", "unwrap", "rsa-2048");
    let signs = hsm.key("a2", "message", "rsa-2048");
    for keys in [opens.replace("\"unwrap\"", "\"message\""), signs.replace("\"message\"", "\"unwrap\"")] {
        hsm.configure("", &keys);
        let _issuer = hsm.issuer();
        let mut running = start(&hsm);
        let status = within(Duration::from_secs(5), || running.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(78), "{keys}");
    }
}
