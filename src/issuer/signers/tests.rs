//! Which signer gets a digest, and what becomes of it.

use super::*;
use crate::issuer::examples::{configuration, keys};
use crate::wire::links::KeyReport;
use crate::wire::{List, Text};

type Peer = Duplex<IssuerToSigner, SignerToIssuer>;

struct Scene {
    signers: Signers<u32>,
    keys: Keys,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let now = Instant::now();
        Self { signers: Signers::new(Duration::from_secs(1), now), keys: keys(), now }
    }

    fn signer(&mut self, id: u64, sessions: u16) -> Peer {
        let (ours, theirs) = Channel::pair().unwrap();
        assert!(self.signers.adopt(id, ours));
        let mut peer = Duplex::new(theirs, Link::IssuerToSigner);
        let keys = configuration()
            .keys
            .into_iter()
            .map(|key| KeyReport { id: key.id, public_key: Octets::new(key.certificate.unwrap().public_key).unwrap() });
        let keys = List::new(keys.collect::<Vec<_>>()).unwrap();
        let (token_serial, token_label) = (Text::default(), Text::default());
        peer.send(&SignerToIssuer::Ready(SignerReady { token_serial, token_label, sessions, keys })).unwrap();
        self.ready(id);
        assert!(matches!(self.signers.event(), Some(Event::Ready { refused, .. }) if refused.is_empty()));
        peer
    }

    fn ready(&mut self, id: u64) {
        self.signers.ready(id, &self.keys, self.now);
    }

    fn sign(&mut self, work: u32) {
        let key = configuration().keys[0].id.clone();
        let task = Task::Sign { mechanism: Mechanism::EcdsaP256Sha256, digest: vec![0; 32] };
        self.signers.perform(Job { key, task, work }, self.now);
    }
}

fn ids(peer: &mut Peer) -> Vec<u64> {
    std::iter::from_fn(|| match peer.receive() {
        Ok(Some(IssuerToSigner::Sign { id, .. })) => Some(id),
        _ => None,
    })
    .collect()
}

#[test]
fn digests_are_spread_by_load_and_wait_when_every_session_has_its_fill() {
    let mut scene = Scene::new();
    let (mut one, mut two) = (scene.signer(1, 1), scene.signer(2, 3));
    for work in 0..10 {
        scene.sign(work);
    }
    let (of_one, of_two) = (ids(&mut one), ids(&mut two));
    assert_eq!((of_one.len(), of_two.len()), (DEPTH, 3 * DEPTH));
    one.send(&SignerToIssuer::Signed { id: of_one[0], signature: Octets::default() }).unwrap();
    scene.ready(1);
    assert!(matches!(scene.signers.event(), Some(Event::Finished { result: Ok(_), .. })));
    assert_eq!(ids(&mut one).len(), 1);
}

#[test]
fn a_busy_signer_is_passed_over_without_costing_the_second_chance() {
    let mut scene = Scene::new();
    let mut one = scene.signer(1, 1);
    scene.sign(7);
    for _ in 0..5 {
        let id = ids(&mut one)[0];
        one.send(&SignerToIssuer::SignFailed { id, class: FailureClass::Busy, rv: 0 }).unwrap();
        scene.ready(1);
        assert!(ids(&mut one).is_empty(), "not at once");
        scene.now += BUSY_PAUSE;
        scene.signers.tick(scene.now);
    }
    assert_eq!(ids(&mut one).len(), 1);
    assert!(scene.signers.event().is_none());
}

#[test]
fn a_signer_that_owes_an_answer_is_not_given_more_because_the_deadline_passed() {
    let mut scene = Scene::new();
    let mut one = scene.signer(1, 1);
    for work in 0..2 {
        scene.sign(work);
    }
    assert_eq!(ids(&mut one).len(), DEPTH);
    scene.now += Duration::from_secs(1);
    scene.signers.tick(scene.now);
    for _ in 0..2 {
        assert!(matches!(scene.signers.event(), Some(Event::Finished { result: Err(NotSigned::Late), .. })));
    }
    scene.sign(3);
    assert!(ids(&mut one).is_empty());
}

#[test]
fn another_signers_answer_is_a_violation() {
    let mut scene = Scene::new();
    let (mut one, mut two) = (scene.signer(1, 1), scene.signer(2, 1));
    scene.sign(1);
    let (mut asked, mut other, id) = match (ids(&mut one).first(), ids(&mut two).first()) {
        (Some(id), None) => (one, (2, two), *id),
        (None, Some(id)) => (two, (1, one), *id),
        both => panic!("{both:?}"),
    };
    other.1.send(&SignerToIssuer::Signed { id, signature: Octets::default() }).unwrap();
    scene.ready(other.0);
    assert!(matches!(scene.signers.event(), Some(Event::Gone(_, Closed::Violation(_)))));
    assert!(scene.signers.event().is_none());
    asked.send(&SignerToIssuer::Signed { id, signature: Octets::default() }).unwrap();
    scene.ready(3 - other.0);
    assert!(matches!(scene.signers.event(), Some(Event::Finished { work: 1, result: Ok(_), .. })));
}

#[test]
fn a_key_nobody_has_had_for_long_is_not_available() {
    let mut scene = Scene::new();
    let key = configuration().keys[0].id.clone();
    assert!(scene.signers.is_available(&key, scene.now), "a start is not a failure");
    assert!(!scene.signers.is_available(&key, scene.now + Duration::from_secs(1)));
    let one = scene.signer(1, 1);
    assert!(scene.signers.is_available(&key, scene.now + Duration::from_secs(5)));
    drop(one);
    scene.ready(1);
    assert!(scene.signers.is_available(&key, scene.now + Duration::from_millis(5500)));
    assert!(!scene.signers.is_available(&key, scene.now + Duration::from_secs(6)));
}

#[test]
fn a_signer_gets_no_more_digests_than_it_can_be_believed_to_have_room_for() {
    let mut scene = Scene::new();
    let mut boaster = scene.signer(1, u16::MAX);
    let room = usize::from(MOST_SESSIONS) * DEPTH;
    (0..=room).for_each(|work| scene.sign(u32::try_from(work).unwrap()));
    let mut given = 0;
    // What the kernel did not take at once comes when it is polled for writing.
    while let count @ 1.. = ids(&mut boaster).len() {
        given += count;
        scene.ready(1);
    }
    assert_eq!(given, room);
}

#[test]
fn a_signer_that_talks_without_end_is_heard_in_turns() {
    let mut scene = Scene::new();
    let mut talker = scene.signer(1, 1);
    (0..2 * TURN).for_each(|time| talker.send(&SignerToIssuer::Health { usable: time % 2 == 1 }).unwrap());
    scene.ready(1);
    assert_eq!(std::iter::from_fn(|| scene.signers.event()).count(), TURN);
    // What says nothing new is no news.
    scene.ready(1);
    let _last = std::iter::from_fn(|| scene.signers.event()).count();
    talker.send(&SignerToIssuer::Health { usable: true }).unwrap();
    scene.ready(1);
    assert!(scene.signers.event().is_none());
}

#[test]
fn what_a_dismissed_signer_still_had_goes_to_another() {
    let mut scene = Scene::new();
    let mut one = scene.signer(1, 1);
    scene.sign(1);
    assert_eq!(ids(&mut one).len(), 1);
    let mut two = scene.signer(2, 1);
    scene.signers.dismiss(1, scene.now);
    assert_eq!(ids(&mut two).len(), 1);
    assert!(matches!(one.receive(), Err(Closed::Gone)));
    assert!(matches!(scene.signers.event(), Some(Event::Gone(_, Closed::Violation(_)))));
}
