//! Signatures of answers. A worker has one for each token it was given where auth has said so, over parts of a closed
//! list, and nothing else that it asks for is signed.

use chancery::wire::reply::{Covered, ReplyPart, SIGNED_IDS, SignedReply, ToSign};
use chancery::xml::signature::{Signature, SignedInfo};
use chancery::xml::{Limits, Tree};

use super::*;

const ALL: [ReplyPart; 2] = [ReplyPart::Timestamp, ReplyPart::Body];

fn to_sign(correlation: Correlation, parts: &[ReplyPart]) -> WorkerToIssuer {
    let parts: Vec<Covered> = parts.iter().map(|part| Covered { part: *part, digest: [7; 32] }).collect();
    WorkerToIssuer::SignReply(ToSign { correlation, parts: List::new(parts).unwrap() })
}

impl Scene {
    /// A token, of which auth has said that the answer may be signed, or not.
    fn issue_for(&mut self, house: &House, signed_reply: bool) -> Correlation {
        let redemption = lodge_with(&mut self.auth, order("office", TokenType::Saml20), me(), signed_reply);
        let correlation = redemption.correlation;
        self.worker.say(&WorkerToIssuer::Redeem(redemption));
        record(&mut self.audit);
        house.sign(&mut self.signer);
        record(&mut self.audit);
        assert_eq!(released(&mut self.worker).correlation, correlation);
        correlation
    }

    fn reply_signed(&mut self) -> SignedReply {
        match self.worker.hear() {
            IssuerToWorker::ReplySigned(signed) => signed,
            other => panic!("{other:?}"),
        }
    }

    fn reply_failed(&mut self, of: Correlation) -> Failure {
        match self.worker.hear() {
            IssuerToWorker::ReplyFailed { correlation, failure } if correlation == of => failure,
            other => panic!("{other:?}"),
        }
    }

    /// The worker is hung up on, and nothing was signed.
    fn breach(&mut self, house: &House, asked: &WorkerToIssuer) {
        self.worker.say(asked);
        assert!(self.worker.is_hung_up());
        self.nothing_happened(house);
    }
}

#[test]
fn an_answer_is_signed_once_by_the_key_for_answers_and_nothing_of_it_is_recorded() {
    let house = House::new();
    let mut scene = scene(&house);
    let correlation = scene.issue_for(&house, true);
    let parts = [ReplyPart::Body, ReplyPart::Timestamp, ReplyPart::To];
    scene.worker.say(&to_sign(correlation, &parts));
    let IssuerToSigner::Sign { id, key, mechanism, digest } = scene.signer.hear() else { panic!("a digest") };
    assert_eq!(key, house.keys["reply"].id);
    let value = house.keys["reply"].pair.sign(mechanism, &digest);
    scene.signer.say(&SignerToIssuer::Signed { id, signature: Octets::new(value.clone()).unwrap() });
    let signed = scene.reply_signed();
    let text = std::str::from_utf8(&signed.signature).unwrap();
    let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
    let signature = Signature::read(tree.root()).unwrap();
    assert_eq!(signature.value, value);
    let info = signature.signed_octets(65536).unwrap();
    assert_eq!(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, info.as_bytes()).as_ref(), &*digest);
    let info = Tree::parse(info.as_bytes(), &Limits::default()).unwrap();
    let info = SignedInfo::read(info.root()).unwrap();
    let ids: Vec<&str> = info.references.iter().map(|reference| reference.id.as_str()).collect();
    assert_eq!(ids, parts.map(ReplyPart::id));
    for reference in &info.references {
        assert!(reference.id.starts_with(SIGNED_IDS) && reference.digest == [7; 32]);
        assert!(!reference.transform.enveloped, "it could verify as an assertion");
    }
    // Once, however he words it.
    for parts in [&parts[..], &ALL] {
        scene.worker.say(&to_sign(correlation, parts));
        assert!(UNAVAILABLE(scene.reply_failed(correlation)));
    }
    assert!(scene.signer.hears_nothing() && scene.audit.hears_nothing());
}

#[test]
fn no_answer_is_signed_that_auth_has_not_said_so_of_or_that_has_no_token() {
    let house = House::new();
    let mut scene = scene(&house);
    let refused = |scene: &mut Scene, correlation| {
        scene.worker.say(&to_sign(correlation, &ALL));
        assert!(UNAVAILABLE(scene.reply_failed(correlation)));
        assert!(scene.signer.hears_nothing());
    };
    refused(&mut scene, Correlation::random());
    let unsaid = scene.issue_for(&house, false);
    refused(&mut scene, unsaid);
    // A voucher is no token: lodged, and not redeemed; redeemed, and its intent not recorded.
    let redemption = lodge_with(&mut scene.auth, order("office", TokenType::Saml20), me(), true);
    let correlation = redemption.correlation;
    refused(&mut scene, correlation);
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    let (sequence, _) = entry(&mut scene.audit);
    refused(&mut scene, correlation);
    scene.audit.say(&FromAudit::Durable { sequence });
    house.sign(&mut scene.signer);
    record(&mut scene.audit);
    released(&mut scene.worker);
    scene.worker.say(&to_sign(correlation, &ALL));
    house.sign(&mut scene.signer);
    scene.reply_signed();
}

#[test]
fn parts_that_are_no_answer_are_a_breach() {
    let house = House::new();
    let mut scene = scene(&house);
    use ReplyPart::{Action, Body, Timestamp, To};
    let shapes: [&[ReplyPart]; 6] =
        [&[], &[Body], &[Timestamp], &[To, Action], &[Timestamp, Body, Body], &[Timestamp, Timestamp, Body]];
    for parts in shapes {
        let correlation = scene.issue_for(&house, true);
        scene.breach(&house, &to_sign(correlation, parts));
        // And what he might have had signed went with his last channel.
        scene.worker.say(&to_sign(correlation, &ALL));
        assert!(UNAVAILABLE(scene.reply_failed(correlation)), "{parts:?}");
    }
}

/// Another process asks, and says what it is answered.
fn asked_by_another_process(house: &House, correlation: Correlation) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "answers::another_process", "--ignored", "--nocapture"])
        .env("CHANCERY_TEST_ISSUER", house.root.path().join(Place::IssuerWorker.file()))
        .env("CHANCERY_TEST_ASKS", correlation.to_string())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "not a test: another worker, in a process of its own"]
fn another_process() {
    let place = std::env::var("CHANCERY_TEST_ISSUER").unwrap();
    let correlation = u128::from_str_radix(&std::env::var("CHANCERY_TEST_ASKS").unwrap(), 16).unwrap();
    let mut worker: Worker = Line::new(Channel::connect(place.as_ref()).unwrap(), Link::IssuerToWorker);
    worker.say(&to_sign(Correlation(correlation.to_be_bytes()), &ALL));
    println!("answered {:?}", worker.hear());
}

#[test]
fn a_neighbour_has_no_answer_signed_that_another_was_given_the_token_for() {
    let house = House::new();
    let mut scene = scene(&house);
    let correlation = scene.issue_for(&house, true);
    let said = asked_by_another_process(&house, correlation);
    assert!(said.contains("answered ReplyFailed") && said.contains("Unavailable"), "{said}");
    assert!(scene.signer.hears_nothing());
    scene.worker.say(&to_sign(correlation, &ALL));
    house.sign(&mut scene.signer);
    scene.reply_signed();
}

#[test]
fn a_signature_that_does_not_verify_leaves_nobody_and_without_a_signer_there_is_none() {
    let house = House::new();
    let mut scene = scene(&house);
    let correlation = scene.issue_for(&house, true);
    scene.worker.say(&to_sign(correlation, &ALL));
    let IssuerToSigner::Sign { id, .. } = scene.signer.hear() else { panic!("a digest") };
    scene.signer.say(&SignerToIssuer::Signed { id, signature: Octets::new([7; 64]).unwrap() });
    assert!(UNAVAILABLE(scene.reply_failed(correlation)));
    assert!(scene.signer.is_hung_up());
    scene.signer = house.signer();
    let correlation = scene.issue_for(&house, true);
    scene.worker.say(&to_sign(correlation, &ALL));
    for _ in 0..2 {
        let IssuerToSigner::Sign { id, .. } = scene.signer.hear() else { panic!("a digest") };
        scene.signer.say(&SignerToIssuer::SignFailed { id, class: FailureClass::Token, rv: 5 });
    }
    assert!(UNAVAILABLE(scene.reply_failed(correlation)));
}

#[test]
fn no_token_is_made_whose_answer_could_not_be_signed() {
    let house = House::new();
    let issuer = house.start();
    // Every key but that of answers.
    let keys = house.keys.iter().filter(|(name, _)| **name != "reply").map(|(_, key)| key);
    let signer = house.signer_with(keys.map(|key| (key.id.clone(), key.public_key.clone())).collect());
    let mut scene = Scene { audit: house.audit(), auth: house.auth(), worker: house.worker(), signer, issuer };
    scene.issue(&house, order("office", TokenType::Saml20));
    // A start is no failure, so that a second is waited.
    std::thread::sleep(Duration::from_millis(1100));
    let redemption = lodge_with(&mut scene.auth, order("office", TokenType::Saml20), me(), true);
    scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
    scene.nothing_happened(&house);
}
