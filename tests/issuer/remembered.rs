//! Handshakes that issuer remembers, and what it says of them to auth.

use super::*;

/// As auth would find it in what a client signed.
fn signed(house: &House, handshake: &Handshake, signature: &[u8]) -> SignedHandshake {
    SignedHandshake {
        certificate: house.keys["tls"].certificate_sha256,
        transcript: handshake.transcript.clone(),
        signature: Octets::new(signature).unwrap(),
    }
}

fn confirmed(auth: &mut Auth, worker: Peer, handshake: SignedHandshake) -> Option<u32> {
    auth.say(&AuthToIssuer::Confirm { question: 5, worker, handshake });
    let answer = std::iter::repeat_with(|| auth.hear()).find(|said| !matches!(said, IssuerToAuth::Redeemed(_)));
    match answer {
        Some(IssuerToAuth::Confirmed { question: 5, left_ms }) => left_ms,
        other => panic!("{other:?}"),
    }
}

/// Has it signed and remembered, with so many digests on the way.
fn remembered(house: &House, scene: &mut Scene, handshake: &Handshake, digests: usize) -> Vec<u8> {
    let again = Handshake { transcript: handshake.transcript.clone(), ..*handshake };
    scene.worker.say(&WorkerToIssuer::RememberedHandshake(again));
    for _ in 0..digests {
        house.sign(&mut scene.signer);
    }
    match scene.worker.hear() {
        IssuerToWorker::HandshakeSigned { signature, .. } => signature.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn auth_is_told_of_a_handshake_that_was_signed_for_that_worker_and_of_no_other() {
    let house = House::new();
    let mut scene = scene(&house);
    let ours = handshake(&house, 7, 32);
    // The first time the key signs twice, to be seen to sign in two ways.
    let signature = remembered(&house, &mut scene, &ours, 2);
    let left = confirmed(&mut scene.auth, me(), signed(&house, &ours, &signature)).unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    // Signed again it is another: what a client has signed before has the first signature.
    let again = remembered(&house, &mut scene, &ours, 1);
    assert_ne!(again, signature);
    let good = || signed(&house, &ours, &signature);
    let other = Peer(me().0 + 1);
    for (worker, handshake) in [
        (other, good()),
        (me(), SignedHandshake { certificate: [0; 32], ..good() }),
        (me(), SignedHandshake { transcript: handshake(&house, 7, 48).transcript, ..good() }),
        (me(), SignedHandshake { signature: Octets::new(&signature[1..]).unwrap(), ..good() }),
    ] {
        assert_eq!(confirmed(&mut scene.auth, worker, handshake), None);
    }
    assert!(confirmed(&mut scene.auth, me(), good()).is_some());
    // One that nobody wanted remembered.
    let plain = handshake(&house, 8, 48);
    scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, 8, 32)));
    house.sign(&mut scene.signer);
    let IssuerToWorker::HandshakeSigned { signature: unkept, .. } = scene.worker.hear() else { panic!("signed") };
    assert_eq!(confirmed(&mut scene.auth, me(), signed(&house, &plain, &unkept)), None);
    let same = signed(&house, &ours, &unkept);
    assert_eq!(confirmed(&mut scene.auth, me(), same), None);
    // They go with the worker's last channel.
    let second = house.worker();
    scene.worker = nowhere(Link::IssuerToWorker);
    std::thread::sleep(SILENCE);
    assert!(confirmed(&mut scene.auth, me(), good()).is_some());
    drop(second);
    std::thread::sleep(SILENCE);
    assert_eq!(confirmed(&mut scene.auth, me(), good()), None);
    scene.nothing_happened(&house);
}

#[test]
fn a_key_that_signs_alike_twice_has_no_handshake_remembered() {
    let house = House::new();
    let mut scene = scene(&house);
    scene.worker.say(&WorkerToIssuer::RememberedHandshake(handshake(&house, 7, 32)));
    // The token says the same of the same digest.
    let IssuerToSigner::Sign { id, key, mechanism, digest } = scene.signer.hear() else { panic!("a digest") };
    let pair = &house.keys.values().find(|other| other.id == key).unwrap().pair;
    let signature = Octets::new(pair.sign(mechanism, &digest)).unwrap();
    scene.signer.say(&SignerToIssuer::Signed { id, signature: signature.clone() });
    let IssuerToSigner::Sign { id, digest: again, .. } = scene.signer.hear() else { panic!("a digest") };
    assert_eq!(*again, *digest);
    scene.signer.say(&SignerToIssuer::Signed { id, signature });
    assert!(matches!(scene.worker.hear(), IssuerToWorker::HandshakeFailed { serial: 7 }));
    // Other handshakes of the same key are signed as ever. For one to be remembered it is not tried again at once:
    // strangers would have two signatures for each connection.
    scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, 8, 32)));
    house.sign(&mut scene.signer);
    assert!(matches!(scene.worker.hear(), IssuerToWorker::HandshakeSigned { serial: 8, .. }));
    scene.worker.say(&WorkerToIssuer::RememberedHandshake(handshake(&house, 9, 32)));
    assert!(matches!(scene.worker.hear(), IssuerToWorker::HandshakeFailed { serial: 9 }));
    scene.nothing_happened(&house);
}

#[test]
fn a_handshake_to_remember_keeps_to_the_rules_of_every_other() {
    let house = House::new();
    let mut scene = scene(&house);
    let good = || handshake(&house, 1, 32);
    for bad in [
        Handshake { certificate: house.keys["reply"].certificate_sha256, ..good() },
        Handshake { scheme: Scheme::RsaPkcs1Sha256, ..good() },
        handshake(&house, 1, 20),
    ] {
        let mut worker = house.worker();
        worker.say(&WorkerToIssuer::RememberedHandshake(bad));
        assert!(worker.is_hung_up());
    }
    // And to the worker's quota.
    for serial in 0..60 {
        scene.worker.say(&WorkerToIssuer::RememberedHandshake(handshake(&house, serial, 32)));
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
