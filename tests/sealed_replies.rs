//! auth as it is shipped, sealing answers for whoever signed the request. The test plays the worker: the honest one,
//! and one that asks for what it has no right to.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
    #[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses more of it")]
    pub(crate) mod signed;
}

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use chancery::auth::cipher;
use chancery::wire::evidence::{Evidence, KeyReference, Refusal, Submission, Timestamp};
use chancery::wire::links::{AuthToWorker, WorkerToAuth};
use chancery::wire::reply::{SealFor, SealedFor};
use chancery::wire::unwrap::{KeyTransport, PartCipher};
use chancery::wire::{Correlation, List, Millis, Secret, Text};

use support::office::{Office, Worker, hash, request};
use support::processes::eventually;
use support::signed::{Client, Part};

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml11", "saml20"]
policy = '''permit(principal, action, resource);'''
"#;
const ENDPOINT: &str = "/sealed";
const ADDRESS: &str = "https://sts.example.com/sealed";

/// auth with these clients registered for sam and max, and alice with a password.
fn office(sam: &Client, max: &Client, replies: &str) -> Office {
    let auth = format!(
        "[store]\ndirectory = \"../../state\"\n[[endpoint]]\npath = \"{ENDPOINT}\"\n\
         credentials = [\"signature\", \"password\"]\naddresses = [\"{ADDRESS}\"]\nreplies = \"{replies}\"\n"
    );
    let users = format!(
        "[users.sam]\ncertificates = [\"sam.pem\"]\n[users.max]\ncertificates = [\"max.pem\"]\n\
         [users.alice]\npassword = '{}'\n",
        hash("wonderland")
    );
    Office::with(&auth, &users, PARTY, &[("sam.pem", &sam.certificate), ("max.pem", &max.certificate)])
}

fn signed(client: &Client) -> Submission {
    let now = Millis::now();
    let parts = [Part::timestamp(now, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
    let plain = request("alice", "wonderland");
    Submission {
        endpoint: Text::new(ENDPOINT).unwrap(),
        timestamp: Some(Timestamp { created: now, expires: None }),
        evidence: Evidence::Signature(client.message(&parts)),
        ..plain
    }
}

fn asked(correlation: Correlation, contents: &[&str]) -> SealFor {
    let contents: Vec<_> = contents.iter().map(|content| Secret::new(content.as_bytes()).unwrap()).collect();
    let (transport, cipher) = (KeyTransport::OaepSha1, PartCipher::Aes256Gcm);
    SealFor { correlation, transport, cipher, contents: List::new(contents).unwrap() }
}

fn sealed(worker: &mut Worker, asked: SealFor) -> Result<SealedFor, Refusal> {
    let correlation = asked.correlation;
    worker.duplex.send(&WorkerToAuth::SealFor(asked)).unwrap();
    match worker.answer(correlation) {
        AuthToWorker::SealedFor(sealed) => Ok(sealed),
        AuthToWorker::Refused(refused) => Err(refused.refusal),
        other => panic!("{other:?}"),
    }
}

fn vouched(worker: &mut Worker, client: &Client) -> Correlation {
    let submission = signed(client);
    let correlation = submission.correlation;
    worker.vouched(submission);
    correlation
}

const BUSY: fn(Result<SealedFor, Refusal>) -> bool = |sealed| matches!(sealed, Err(Refusal::Busy { .. }));

#[test]
fn an_answer_is_sealed_once_for_the_certificate_that_signed_and_for_nobody_else() {
    let (sam, max) = (Client::rsa(false), Client::rsa(false));
    let office = office(&sam, &max, "sealed");
    let mut worker = office.worker();
    for (transport, padding) in
        [(KeyTransport::OaepSha1, &OAEP_SHA1_MGF1SHA1), (KeyTransport::OaepSha256, &OAEP_SHA256_MGF1SHA256)]
    {
        for cipher in [PartCipher::Aes128Gcm, PartCipher::Aes192Gcm, PartCipher::Aes256Gcm] {
            let correlation = vouched(&mut worker, &sam);
            assert!(office.lodged().signed_reply);
            let asked = SealFor { transport, cipher, ..asked(correlation, &["<token/>", "<signature/>"]) };
            let answer = sealed(&mut worker, asked).unwrap();
            let KeyReference::Certificate(der) = sam.reference() else { panic!("a certificate") };
            assert_eq!(answer.thumbprint, digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref());
            let opened = |client: &Client| {
                let key = PrivateDecryptingKey::from_pkcs8(client.secret()).unwrap();
                let key = OaepPrivateDecryptingKey::new(key).unwrap();
                let mut octets = vec![0; key.min_output_size()];
                key.decrypt(padding, &answer.key, &mut octets, None).map(|session| session.to_vec()).ok()
            };
            assert_eq!(opened(&max), None);
            let session = opened(&sam).unwrap();
            assert_eq!(session.len(), cipher.key_length());
            let contents =
                answer.contents.iter().map(|octets| cipher::open(cipher, &session, octets).unwrap().to_vec());
            assert_eq!(contents.collect::<Vec<_>>(), [&b"<token/>"[..], b"<signature/>"]);
        }
    }
    // Once, also of two requests with one name.
    let correlation = vouched(&mut worker, &sam);
    assert!(sealed(&mut worker, asked(correlation, &["<token/>"])).is_ok());
    assert!(BUSY(sealed(&mut worker, asked(correlation, &["<token/>"]))));
}

#[test]
fn no_answer_is_sealed_but_to_a_request_of_that_channel_that_was_signed_where_answers_are() {
    let (sam, max) = (Client::rsa(false), Client::rsa(false));
    let office = office(&sam, &max, "sealed");
    let mut worker = office.worker();
    assert!(BUSY(sealed(&mut worker, asked(Correlation::random(), &["<token/>"]))));
    let password = Submission { endpoint: Text::new(ENDPOINT).unwrap(), ..request("alice", "wonderland") };
    let correlation = password.correlation;
    worker.vouched(password);
    assert!(BUSY(sealed(&mut worker, asked(correlation, &["<token/>"]))));
    let replayed = signed(&sam);
    let correlation = vouched(&mut worker, &sam);
    let mut other = office.worker();
    assert!(BUSY(sealed(&mut other, asked(correlation, &["<token/>"]))));
    assert!(sealed(&mut worker, asked(correlation, &["<token/>"])).is_ok());
    // Refused, and so without an answer.
    let stale = Submission { timestamp: None, ..replayed };
    let correlation = stale.correlation;
    worker.duplex.send(&WorkerToAuth::Submit(stale)).unwrap();
    eventually("auth hangs up on a timestamp that was not signed", || worker.duplex.receive().is_err().then_some(()));
    let mut worker = office.worker();
    assert!(BUSY(sealed(&mut worker, asked(correlation, &["<token/>"]))));
    // Nothing to be sealed is a breach.
    let correlation = vouched(&mut worker, &sam);
    worker.duplex.send(&WorkerToAuth::SealFor(asked(correlation, &[]))).unwrap();
    eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
}

#[test]
fn where_answers_are_signed_alone_none_is_sealed() {
    let (sam, max) = (Client::rsa(false), Client::new());
    let office = office(&sam, &max, "signed");
    let mut worker = office.worker();
    for client in [&sam, &max] {
        let correlation = vouched(&mut worker, client);
        assert!(BUSY(sealed(&mut worker, asked(correlation, &["<token/>"]))));
    }
}

#[test]
fn who_cannot_open_an_answer_gets_no_token_and_the_record_has_it_under_his_account() {
    use rcgen::KeyUsagePurpose::DigitalSignature;
    let (sam, max) = (Client::new(), Client::rsa_for(&[DigitalSignature]));
    let office = office(&sam, &max, "sealed");
    let mut worker = office.worker();
    for client in [&sam, &max] {
        assert_eq!(worker.refused(signed(client)), Refusal::UnsupportedSecurityToken);
    }
    assert_eq!(office.decisions(), [(false, "unsealable".to_owned()), (false, "unsealable".to_owned())]);
}
