//! Which signer gets a digest, and what becomes of it.

use super::*;
use crate::issuer::examples::{configuration, keys};
use crate::wire::links::KeyReport;
use crate::wire::{List, Text};

type Token = Duplex<IssuerToSigner, SignerToIssuer>;

const WORKER: Peer = Peer(41);

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

    fn signer(&mut self, id: u64, sessions: u16) -> Token {
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
        self.signers.flush(self.now);
    }

    fn tick(&mut self) {
        self.signers.tick(self.now);
        self.signers.flush(self.now);
    }

    fn sign(&mut self, work: u32) {
        self.try_to_sign(Kind::Token, work).unwrap();
    }

    fn try_to_sign(&mut self, kind: Kind, work: u32) -> Result<(), Crowded> {
        let key = configuration().keys[0].id.clone();
        let place = self.signers.place(kind, WORKER, &key)?;
        let task = Task::Sign { mechanism: Mechanism::EcdsaP256Sha256, digest: vec![0; 32] };
        self.signers.perform(place, Job { key, task, work }, self.now);
        self.signers.flush(self.now);
        Ok(())
    }

    /// Time goes by, and the signer answers all that it was given.
    fn answer(&mut self, (id, peer): (u64, &mut Token), after: Duration) -> usize {
        let asked = ids(peer);
        self.now += after;
        for id in &asked {
            peer.send(&SignerToIssuer::Signed { id: *id, signature: Octets::default() }).unwrap();
        }
        self.ready(id);
        while self.signers.event().is_some() {}
        asked.len()
    }
}

fn ids(peer: &mut Token) -> Vec<u64> {
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
        scene.tick();
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
    scene.tick();
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
    let mut one = scene.signer(1, 1);
    // For long nobody asks; then it is started again.
    scene.now += Duration::from_secs(10);
    assert!(scene.signers.is_available(&key, scene.now));
    one.send(&SignerToIssuer::Health { usable: false }).unwrap();
    scene.ready(1);
    assert!(scene.signers.is_available(&key, scene.now + Duration::from_millis(900)));
    assert!(!scene.signers.is_available(&key, scene.now + Duration::from_secs(1)));
    one.send(&SignerToIssuer::Health { usable: true }).unwrap();
    scene.ready(1);
    scene.now += Duration::from_secs(10);
    drop(one);
    scene.ready(1);
    assert!(scene.signers.is_available(&key, scene.now + Duration::from_millis(900)));
    assert!(!scene.signers.is_available(&key, scene.now + Duration::from_secs(1)));
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
    scene.signers.flush(scene.now);
    assert_eq!(ids(&mut two).len(), 1);
    assert!(matches!(one.receive(), Err(Closed::Gone)));
    assert!(matches!(scene.signers.event(), Some(Event::Gone(_, Closed::Violation(_)))));
}

#[test]
fn what_could_not_be_done_in_time_gets_no_place_and_what_is_promised_counts() {
    let mut scene = Scene::new();
    let mut one = scene.signer(1, 1);
    (0..40).for_each(|work| scene.sign(work));
    // Twenty a second, and so ten within half of the patience of a second, those that it has among them.
    while scene.signers.waiting.count() > 4 {
        scene.answer((1, &mut one), Duration::from_millis(50 * DEPTH as u64));
    }
    let key = configuration().keys[0].id.clone();
    let owed = scene.signers.signers[&1].owed.len();
    let waiting = scene.signers.waiting.count();
    let mut places = Vec::new();
    while let Ok(place) = scene.signers.place(Kind::Token, WORKER, &key) {
        places.push(place);
    }
    assert_eq!(owed + waiting + places.len(), 10);
    assert_eq!(scene.try_to_sign(Kind::Token, 99), Err(Crowded));
    // Another worker has its turn sooner, and so has an answer.
    assert!(scene.signers.has_time(Kind::Token, Peer(42), &key));
    assert!(scene.signers.has_time(Kind::Answer, WORKER, &key));
    assert!(scene.signers.has_time(Kind::Handshake, WORKER, &key));
    // A signer more does as much again.
    let mut two = scene.signer(2, 1);
    scene.tick();
    while let Ok(place) = scene.signers.place(Kind::Token, WORKER, &key) {
        places.push(place);
    }
    let owed: usize = scene.signers.signers.values().map(|signer| signer.owed.len()).sum();
    assert_eq!(owed + scene.signers.waiting.count(), 20);
    places.into_iter().for_each(|place| scene.signers.give_back(place));
    while scene.answer((1, &mut one), Duration::ZERO) + scene.answer((2, &mut two), Duration::ZERO) > 0 {}
    assert_eq!(scene.signers.waiting.count(), 0);
}

#[test]
fn while_a_session_is_free_everybody_has_a_place_however_slow_it_was() {
    let mut scene = Scene::new();
    let mut one = scene.signer(1, 1);
    (0..6).for_each(|work| scene.sign(work));
    for _ in 0..2 {
        scene.answer((1, &mut one), Duration::from_millis(900));
    }
    while scene.answer((1, &mut one), Duration::from_secs(5)) > 0 {}
    assert!(scene.signers.signers[&1].pace.each() > Some(scene.signers.patience / 2));
    assert_eq!(scene.try_to_sign(Kind::Token, 7), Ok(()));
    assert_eq!(scene.try_to_sign(Kind::Token, 8), Err(Crowded));
}

#[test]
fn a_slow_signer_has_one_digest_a_session_so_that_the_others_have_their_turn() {
    let mut scene = Scene::new();
    let mut one = scene.signer(1, 4);
    (0..50).for_each(|work| scene.try_to_sign(Kind::Handshake, work).unwrap());
    assert_eq!(scene.signers.signers[&1].owed.len(), 4 * DEPTH);
    for _ in 0..3 {
        scene.answer((1, &mut one), Duration::from_millis(200));
    }
    assert_eq!(scene.signers.signers[&1].owed.len(), 4);
}

#[test]
fn what_is_queued_for_a_signer_that_is_gone_goes_to_another() {
    let mut scene = Scene::new();
    let (mut one, mut two) = (scene.signer(1, 1), scene.signer(2, 1));
    let key = configuration().keys[0].id.clone();
    let place = scene.signers.place(Kind::Token, WORKER, &key).unwrap();
    let task = Task::Sign { mechanism: Mechanism::EcdsaP256Sha256, digest: vec![0; 32] };
    scene.signers.perform(place, Job { key, task, work: 1 }, scene.now);
    assert!(ids(&mut one).is_empty() && ids(&mut two).is_empty(), "nothing is sent before the flush");
    drop(one);
    assert!(scene.signers.flush(scene.now), "there is something to see to");
    assert!(matches!(scene.signers.event(), Some(Event::Gone(_, Closed::Gone))));
    assert!(!scene.signers.flush(scene.now));
    assert_eq!(ids(&mut two).len(), 1);
}
