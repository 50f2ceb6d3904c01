//! Session keys on their way from auth to a signer and back. A worker never gets one, whatever it does.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Stdio};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use chancery::sys::channel::Channel;
use chancery::wire::KeyId;
use chancery::wire::unwrap::{KeyTransport, NotUnwrapped, Recipient, SessionKey, Unwrap};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

const TRANSPORT: KeyTransport = KeyTransport::OaepSha1;
pub(crate) fn thumbprint(house: &House, key: &str) -> Recipient {
    let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &house.keys[key].certificate);
    Recipient::Thumbprint(sha1.as_ref().try_into().unwrap())
}

pub(crate) fn unwrap(serial: u64, worker: Peer, recipient: Recipient) -> AuthToIssuer {
    let sealed = Octets::new([9; 256]).unwrap();
    AuthToIssuer::Unwrap(Unwrap { serial, worker, proven: false, recipient, transport: TRANSPORT, sealed })
}

/// The same where somebody has signed it.
fn proven(question: AuthToIssuer) -> AuthToIssuer {
    let AuthToIssuer::Unwrap(unwrap) = question else { panic!("{question:?}") };
    AuthToIssuer::Unwrap(Unwrap { proven: true, ..unwrap })
}

fn session() -> SessionKey {
    SessionKey::new(vec![0x5A; 32]).unwrap()
}

impl Scene {
    /// What the signer is given.
    fn given(&mut self) -> (u64, KeyId) {
        match self.signer.hear() {
            IssuerToSigner::Unwrap { id, key, transport: TRANSPORT, sealed } if *sealed == [9; 256] => (id, key),
            other => panic!("{other:?}"),
        }
    }

    fn not_unwrapped(&mut self) -> (u64, NotUnwrapped) {
        match self.auth.hear() {
            IssuerToAuth::NotUnwrapped { serial, why } => (serial, why),
            other => panic!("{other:?}"),
        }
    }

    /// Past what a scene's first token left in auth's channel.
    fn with_auth_caught_up(mut self) -> Self {
        while self.auth.heard().is_some() {}
        self
    }
}

fn caught_up(house: &House) -> Scene {
    scene(house).with_auth_caught_up()
}

#[test]
fn a_session_key_goes_to_the_auth_that_asked_by_whatever_name_its_key_has() {
    let house = House::new();
    let mut scene = caught_up(&house);
    let key = &house.keys["sealed"];
    let (_, certificate) = X509Certificate::from_der(&key.certificate).unwrap();
    let identifier = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    });
    let names = [
        (thumbprint(&house, "sealed"), "sealed"),
        (Recipient::Certificate(key.certificate_sha256), "sealed"),
        (Recipient::KeyIdentifier(Octets::new(identifier.unwrap()).unwrap()), "sealed"),
        (Recipient::Serial(Octets::new(certificate.serial.to_bytes_be()).unwrap()), "sealed"),
        // What was sealed before a roll-over still opens.
        (thumbprint(&house, "sealed-before"), "sealed-before"),
    ];
    let mut bystander = house.auth();
    for (serial, (recipient, name)) in (1..).zip(names) {
        scene.auth.say(&unwrap(serial, me(), recipient));
        let (id, asked) = scene.given();
        assert_eq!(asked, house.keys[name].id);
        scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
        let IssuerToAuth::Unwrapped { serial: of, key } = scene.auth.hear() else { panic!("a session key") };
        assert_eq!((of, key.expose()), (serial, session().expose()));
    }
    assert!(bystander.hears_nothing() && scene.worker.hears_nothing() && scene.audit.hears_nothing());
}

#[test]
fn what_is_sealed_for_no_key_that_opens_is_answered_as_what_does_not_open() {
    let house = House::new();
    let mut scene = caught_up(&house);
    let strangers = [
        Recipient::Certificate([0; 32]),
        Recipient::Thumbprint([0; 20]),
        Recipient::KeyIdentifier(Octets::default()),
        Recipient::Serial(Octets::default()),
    ];
    let others =
        ["rsa", "p384", "tls", "reply"].map(|name| Recipient::Certificate(house.keys[name].certificate_sha256));
    for (serial, recipient) in (1..).zip(strangers.into_iter().chain(others)) {
        scene.auth.say(&unwrap(serial, me(), recipient));
        assert_eq!(scene.not_unwrapped(), (serial, NotUnwrapped::Unopened));
    }
    assert!(scene.signer.hears_nothing());
    scene.auth.say(&unwrap(9, me(), thumbprint(&house, "sealed")));
    let (id, _) = scene.given();
    scene.signer.say(&SignerToIssuer::UnwrapFailed { id, class: FailureClass::Request });
    assert_eq!(scene.not_unwrapped(), (9, NotUnwrapped::Unopened));
    assert!(scene.signer.hears_nothing(), "it was tried again");
}

#[test]
fn a_worker_that_asks_for_a_session_key_is_hung_up_on() {
    let house = House::new();
    let mut scene = caught_up(&house);
    // auth's own message, over a worker's channel.
    let channel = Channel::connect(&house.root.path().join(Place::IssuerWorker.file())).unwrap();
    let mut worker: Line<IssuerToWorker, AuthToIssuer> = Line::new(channel, Link::IssuerToWorker);
    worker.say(&unwrap(1, me(), thumbprint(&house, "sealed")));
    assert!(worker.is_hung_up());
    scene.nothing_happened(&house);
}

/// Another worker's process, connected to issuer for as long as this lives.
struct Neighbour {
    child: Child,
    _said: Lines<BufReader<ChildStdout>>,
}

impl Neighbour {
    fn of(house: &House) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "unwraps::the_neighbour", "--ignored", "--nocapture"])
            .env("CHANCERY_TEST_NEIGHBOUR", house.root.path().join(Place::IssuerWorker.file()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.by_ref().map_while(Result::ok).any(|line| line.contains("the neighbour is connected")));
        Self { child, _said: said }
    }

    fn peer(&self) -> Peer {
        Peer(self.child.id().cast_signed())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "not a test: the other worker of some, in a process of its own"]
fn the_neighbour() {
    let place = std::env::var("CHANCERY_TEST_NEIGHBOUR").unwrap();
    let _connected = Channel::connect(place.as_ref()).unwrap();
    println!("the neighbour is connected");
    // Until the test is over.
    let _end = std::io::stdin().read(&mut [0]);
}

#[test]
fn nothing_is_opened_for_a_worker_that_is_not_connected_r_w051() {
    let house = House::new();
    let mut scene = caught_up(&house);
    // An auth that invents workers has none of their shares.
    for serial in 1..=300 {
        let invented = Peer(me().0 + 1 + i32::try_from(serial).unwrap());
        scene.auth.say(&unwrap(serial, invented, thumbprint(&house, "sealed")));
        assert_eq!(scene.not_unwrapped(), (serial, NotUnwrapped::NotYet));
    }
    assert!(scene.signer.hears_nothing());
    // Nor do they take those that are there their place.
    let neighbour = Neighbour::of(&house);
    for (serial, worker) in [(301, me()), (302, neighbour.peer())] {
        scene.auth.say(&unwrap(serial, worker, thumbprint(&house, "sealed")));
        let (id, _) = scene.given();
        scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
        assert!(matches!(scene.auth.hear(), IssuerToAuth::Unwrapped { serial: of, .. } if of == serial));
    }
    // One that has gone is as good as none.
    let gone = neighbour.peer();
    drop(neighbour);
    scene.auth.say(&unwrap(303, gone, thumbprint(&house, "sealed")));
    assert_eq!(scene.not_unwrapped(), (303, NotUnwrapped::NotYet));
    assert!(scene.signer.hears_nothing());
}

#[test]
fn a_worker_has_no_more_opened_than_its_share() {
    let house = House::new();
    let mut scene = caught_up(&house);
    let mut refused = 0;
    for serial in 0..60 {
        // Also what is sealed for nobody counts.
        let recipient = if serial % 2 == 0 { thumbprint(&house, "sealed") } else { Recipient::Thumbprint([0; 20]) };
        scene.auth.say(&unwrap(serial, me(), recipient));
        match scene.signer.heard() {
            Some(IssuerToSigner::Unwrap { id, .. }) => {
                scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
                assert!(matches!(scene.auth.hear(), IssuerToAuth::Unwrapped { serial: of, .. } if of == serial));
            }
            None => match scene.not_unwrapped() {
                (of, NotUnwrapped::Rate) if of == serial => {
                    refused += 1;
                    break;
                }
                (of, NotUnwrapped::Unopened) => assert_eq!(of % 2, 1),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    // Twenty at once, and twenty a second while this lasts.
    assert!(refused >= 1, "{refused}");
    // What somebody has signed has room of its own.
    scene.auth.say(&proven(unwrap(98, me(), thumbprint(&house, "sealed"))));
    let (id, _) = scene.given();
    scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
    assert!(matches!(scene.auth.hear(), IssuerToAuth::Unwrapped { serial: 98, .. }));
    // Its neighbour is served.
    let neighbour = Neighbour::of(&house);
    scene.auth.say(&unwrap(99, neighbour.peer(), thumbprint(&house, "sealed")));
    let (id, _) = scene.given();
    scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
    assert!(matches!(scene.auth.hear(), IssuerToAuth::Unwrapped { serial: 99, .. }));
}

#[test]
fn what_somebody_has_signed_does_not_wait_behind_what_strangers_seal() {
    let house = House::new();
    let mut scene = caught_up(&house);
    for serial in 1..=15 {
        scene.auth.say(&unwrap(serial, me(), thumbprint(&house, "sealed")));
    }
    let mut given = VecDeque::new();
    let mut take = |scene: &mut Scene| {
        while let Some(message) = scene.signer.heard() {
            let IssuerToSigner::Unwrap { id, .. } = message else { panic!("{message:?}") };
            given.push_back(id);
        }
        given.pop_front()
    };
    let mut next = take(&mut scene);
    scene.auth.say(&proven(unwrap(98, me(), thumbprint(&house, "sealed"))));
    let mut opened = Vec::new();
    while let Some(id) = next {
        scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
        let IssuerToAuth::Unwrapped { serial, .. } = scene.auth.hear() else { panic!("a session key") };
        opened.push(serial);
        next = take(&mut scene);
    }
    // The signer had some already.
    let before = opened.iter().position(|serial| *serial == 98).unwrap();
    assert!(opened.len() == 16 && before <= 6, "{opened:?}");
}

#[test]
fn a_signer_that_fails_is_followed_by_another_once_and_then_it_is_unavailable() {
    let house = House::new();
    let mut scene = caught_up(&house);
    scene.auth.say(&unwrap(1, me(), thumbprint(&house, "sealed")));
    for _ in 0..2 {
        let (id, _) = scene.given();
        scene.signer.say(&SignerToIssuer::UnwrapFailed { id, class: FailureClass::Token });
    }
    assert_eq!(scene.not_unwrapped(), (1, NotUnwrapped::Unavailable));
    // Nor does one that says nothing keep anybody waiting.
    scene.auth.say(&unwrap(2, me(), thumbprint(&house, "sealed")));
    scene.given();
    assert_eq!(scene.not_unwrapped(), (2, NotUnwrapped::Unavailable));
}

#[test]
fn a_signature_is_no_session_key_and_a_session_key_no_signature() {
    let house = House::new();
    let mut scene = caught_up(&house);
    scene.auth.say(&unwrap(1, me(), thumbprint(&house, "sealed")));
    let (id, _) = scene.given();
    scene.signer.say(&SignerToIssuer::Signed { id, signature: Octets::new([7; 256]).unwrap() });
    assert!(scene.signer.is_hung_up());
    assert_eq!(scene.not_unwrapped(), (1, NotUnwrapped::Unavailable));
    scene.signer = house.signer();
    scene.redeem(order("office", TokenType::Saml20));
    assert!(matches!(record(&mut scene.audit), IssuerEntry::Intent(..)));
    let IssuerToSigner::Sign { id, .. } = scene.signer.hear() else { panic!("a digest") };
    scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
    assert!(scene.signer.is_hung_up());
    let IssuerEntry::Outcome(outcome) = record(&mut scene.audit) else { panic!("an outcome") };
    assert_eq!(outcome.result, OutcomeResult::NotSigned);
    assert!(UNAVAILABLE(failure(&mut scene.worker)));
}

#[test]
fn a_session_key_that_comes_when_its_auth_is_gone_goes_to_nobody() {
    let house = House::new();
    let mut scene = caught_up(&house);
    scene.auth.say(&unwrap(1, me(), thumbprint(&house, "sealed")));
    let (id, _) = scene.given();
    scene.auth = house.auth();
    scene.signer.say(&SignerToIssuer::Unwrapped { id, session: session() });
    assert!(scene.auth.hears_nothing() && scene.worker.hears_nothing());
    scene.issue(&house, order("office", TokenType::Saml20));
}
