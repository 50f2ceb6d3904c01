//! What waits for a slow HSM: nobody's flood, of whatever kind, keeps the others waiting for longer than the patience,
//! and what could not be done in time is refused at once.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::*;

/// `signature_deadline_ms` of the house.
const WAIT: Duration = Duration::from_millis(700);

/// A channel of another worker, and its name. It is as good when that process has ended.
pub(crate) fn another_worker(house: &House) -> (Worker, Peer) {
    let ours: OwnedFd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crowds::somebody_else", "--ignored"])
        .env("CHANCERY_TEST_SOMEBODY_ELSE", house.root.path().join(Place::IssuerWorker.file()))
        .stdin(ours.try_clone().unwrap())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let peer = Peer(child.id().cast_signed());
    assert!(child.wait().unwrap().success());
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    (Line::new(Channel::from_fd(ours).unwrap(), Link::IssuerToWorker), peer)
}

#[test]
#[ignore = "not a test: connects its standard input, in a process of its own, for the test that started it"]
fn somebody_else() {
    let place = std::env::var("CHANCERY_TEST_SOMEBODY_ELSE").unwrap();
    connect(std::io::stdin().as_raw_fd(), &UnixAddr::new(Path::new(&place)).unwrap()).unwrap();
}

/// What the record has.
#[derive(Debug, Default)]
struct Recorded {
    intents: usize,
    not_signed: usize,
}

/// A house whose HSM does one thing after the other, each in its time, and whose audit takes everything.
struct Town {
    house: Arc<House>,
    auth: Auth,
    worker: Worker,
    recorded: Arc<Mutex<Recorded>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _issuer: support::processes::Daemon,
}

impl Drop for Town {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// One where only the signers say how much is done in a second.
fn house_without_rates() -> House {
    let house = House::new();
    let file = house.root.path().join("issuer.d/issuer.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("s_per_second = 20", "s_per_second = 5000")).unwrap();
    house
}

impl Town {
    /// `each` is what one signature takes.
    fn new(each: Duration) -> Self {
        let house = house_without_rates();
        let Scene { mut audit, auth, worker, mut signer, issuer } = scene(&house);
        let (over, recorded) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Recorded>>::default());
        let house = Arc::new(house);
        let mut town = Self {
            house: house.clone(),
            auth,
            worker,
            recorded: recorded.clone(),
            over,
            threads: Vec::new(),
            _issuer: issuer,
        };
        town.meanwhile(move || {
            if let Some(asked) = signer.heard() {
                std::thread::sleep(each);
                house.answer(&mut signer, asked);
            }
        });
        town.meanwhile(move || {
            let Some(IssuerToAudit::Append { sequence, entry }) = audit.heard() else { return };
            audit.say(&FromAudit::Durable { sequence });
            let mut recorded = recorded.lock().unwrap();
            match entry {
                IssuerEntry::Intent(..) => recorded.intents += 1,
                IssuerEntry::Outcome(outcome) if outcome.result == OutcomeResult::NotSigned => recorded.not_signed += 1,
                _ => {}
            }
        });
        town
    }

    /// Does that again and again until the test is over.
    fn meanwhile(&mut self, mut again: impl FnMut() + Send + 'static) {
        let over = self.over.clone();
        self.threads.push(std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                again();
            }
        }));
    }

    /// A worker that keeps so many handshakes open, with a new one for each that has ended.
    fn shake(&mut self, mut worker: Worker, most: usize) -> Arc<Mutex<Shaken>> {
        let (house, shaken) = (self.house.clone(), Arc::<Mutex<Shaken>>::default());
        let (seen, mut open, mut serial) = (shaken.clone(), HashMap::new(), 0);
        self.meanwhile(move || {
            while open.len() < most {
                serial += 1;
                worker.say(&WorkerToIssuer::Handshake(handshake(&house, serial, 32)));
                open.insert(serial, Instant::now());
            }
            let Some(said) = worker.heard() else { return };
            let mut seen = seen.lock().unwrap();
            match said {
                IssuerToWorker::HandshakeSigned { serial, .. } => {
                    open.remove(&serial).unwrap();
                    seen.signed += 1;
                }
                IssuerToWorker::HandshakeFailed { serial } => {
                    let took = open.remove(&serial).unwrap().elapsed();
                    if took < WAIT / 4 {
                        seen.at_once += 1
                    } else {
                        seen.late += 1
                    }
                    // There are others on this machine.
                    std::thread::sleep(Duration::from_millis(1));
                }
                other => panic!("{other:?}"),
            }
        });
        shaken
    }

    /// A worker that has so many tokens on order at a time.
    fn order(&mut self, (mut worker, peer): (Worker, Peer), most: usize) -> Arc<Mutex<usize>> {
        let (mut auth, declined) = (self.house.auth(), Arc::<Mutex<usize>>::default());
        let (counted, mut open) = (declined.clone(), 0);
        self.meanwhile(move || {
            while open < most {
                let order = order("office", TokenType::Saml20);
                let (voucher, correlation) = (VoucherId::random(), order.correlation);
                auth.say(&AuthToIssuer::Lodge(Voucher { id: voucher, worker: peer, order, signed_reply: false }));
                let answer =
                    std::iter::repeat_with(|| auth.hear()).find(|said| !matches!(said, IssuerToAuth::Redeemed(_)));
                if let Some(IssuerToAuth::Declined { .. }) = answer {
                    *counted.lock().unwrap() += 1;
                    std::thread::sleep(Duration::from_millis(1));
                    break;
                }
                worker.say(&WorkerToIssuer::Redeem(Redemption { voucher, correlation }));
                open += 1;
            }
            while worker.heard().is_some() {
                open -= 1;
            }
        });
        declined
    }

    /// A token for an honest client of an honest worker.
    fn issue(&mut self, worker: Peer) -> Duration {
        let redemption = lodge(&mut self.auth, order("office", TokenType::Saml20), worker);
        let begun = Instant::now();
        self.worker.say(&WorkerToIssuer::Redeem(redemption));
        released(&mut self.worker);
        begun.elapsed()
    }

    /// A handshake of an honest worker.
    fn connect(&mut self, serial: u64) -> Duration {
        let begun = Instant::now();
        self.worker.say(&WorkerToIssuer::Handshake(handshake(&self.house, serial, 32)));
        match self.worker.hear() {
            IssuerToWorker::HandshakeSigned { serial: of, .. } if of == serial => begun.elapsed(),
            other => panic!("{other:?}"),
        }
    }
}

/// How handshakes ended.
#[derive(Debug, Default)]
struct Shaken {
    signed: usize,
    at_once: usize,
    late: usize,
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_worker_that_floods_with_handshakes_leaves_tokens_and_handshakes_of_others_alone() {
    let mut town = Town::new(ms(20));
    let (hijacked, _) = another_worker(&town.house);
    let shaken = town.shake(hijacked, 256);
    std::thread::sleep(2 * WAIT);
    for round in 0..12 {
        let took = [town.issue(me()), town.connect(round)];
        assert!(took.iter().all(|took| *took < WAIT), "{took:?}");
    }
    let shaken = shaken.lock().unwrap();
    assert!(shaken.at_once > 200 && shaken.signed > 20, "{shaken:?}");
    assert_eq!(town.recorded.lock().unwrap().not_signed, 0);
}

#[test]
fn strangers_who_shake_hands_by_an_honest_worker_at_a_slow_hsm_leave_its_tokens_alone() {
    let mut town = Town::new(ms(100));
    let strangers = town.house.worker();
    let shaken = town.shake(strangers, 32);
    std::thread::sleep(3 * WAIT);
    let before = std::mem::take(&mut *shaken.lock().unwrap());
    for _ in 0..10 {
        let took = town.issue(me());
        assert!(took < WAIT, "{took:?}");
    }
    // Strangers get in meanwhile, and who does not hears at once.
    let shaken = shaken.lock().unwrap();
    assert!(shaken.signed >= 3, "{before:?} {shaken:?}");
    assert!(shaken.at_once > 100 && shaken.late * 10 < shaken.at_once, "{before:?} {shaken:?}");
    assert_eq!(town.recorded.lock().unwrap().not_signed, 0);
}

#[test]
fn a_worker_that_floods_with_tokens_leaves_others_their_share_and_no_intents_that_come_to_nothing() {
    let mut town = Town::new(ms(20));
    let hijacked = another_worker(&town.house);
    // The pace is not known before there was more than the HSM could do.
    let (third, _) = another_worker(&town.house);
    let warm = town.shake(third, 8);
    std::thread::sleep(WAIT);
    let declined = town.order(hijacked, 200);
    std::thread::sleep(2 * WAIT);
    for round in 0..12 {
        let took = [town.issue(me()), town.connect(round)];
        assert!(took.iter().all(|took| *took < WAIT), "{took:?}");
    }
    let (recorded, declined) = (town.recorded.lock().unwrap(), *declined.lock().unwrap());
    assert!(declined > 100 && recorded.intents > 40, "{declined} {recorded:?}");
    assert!(recorded.not_signed * 10 < recorded.intents, "{declined} {recorded:?}");
    assert!(warm.lock().unwrap().signed > 20);
}

#[test]
fn handshakes_of_a_worker_take_none_of_the_room_of_its_tokens() {
    let house = house_without_rates();
    let mut scene = scene(&house);
    // As many as it may have open, at signers of which nobody knows yet how fast they are.
    for serial in 0..256 {
        scene.worker.say(&WorkerToIssuer::Handshake(handshake(&house, serial, 32)));
    }
    scene.redeem(order("office", TokenType::Saml20));
    assert!(matches!(record(&mut scene.audit), IssuerEntry::Intent(..)));
    // The HSM has four of them. The token is next, once issuer has heard of its intent.
    let is_token = (0..64).any(|_| {
        let IssuerToSigner::Sign { id, key, mechanism, digest } = scene.signer.hear() else { panic!("a digest") };
        let is_token = key == house.keys["rsa"].id;
        house.answer(&mut scene.signer, IssuerToSigner::Sign { id, key, mechanism, digest });
        is_token
    });
    assert!(is_token);
}

/// Has issuer know that a signature takes so long.
fn show_pace(scene: &mut Scene, house: &House, each: Duration) {
    for serial in 0..20 {
        scene.worker.say(&WorkerToIssuer::Handshake(handshake(house, serial, 32)));
    }
    for _ in 0..20 {
        let asked = scene.signer.hear();
        std::thread::sleep(each);
        house.answer(&mut scene.signer, asked);
    }
    for _ in 0..20 {
        scene.worker.hear();
    }
}

#[test]
fn no_intent_is_recorded_and_no_session_key_sent_that_would_only_wait() {
    let house = house_without_rates();
    let mut scene = scene(&house);
    show_pace(&mut scene, &house, ms(30));
    // When they are lodged nothing waits.
    let redemptions: Vec<_> =
        (0..60).map(|_| lodge(&mut scene.auth, order("office", TokenType::Saml20), me())).collect();
    for redemption in redemptions {
        scene.worker.say(&WorkerToIssuer::Redeem(redemption));
    }
    let mut refused = 0;
    while let Some(said) = scene.worker.heard() {
        assert!(matches!(said, IssuerToWorker::Failed { failure, .. } if UNAVAILABLE(failure)), "{said:?}");
        refused += 1;
    }
    // Seven hundred milliseconds are less than twenty-four of thirty.
    let intents = 60 - refused;
    assert!((4..30).contains(&intents), "{intents}");
    // They are not recorded, and the places of their digests are free again.
    for _ in 0..intents {
        let (sequence, entry) = entry(&mut scene.audit);
        assert!(matches!(entry, IssuerEntry::Intent(..)));
        scene.audit.say(&FromAudit::NotDurable { sequence });
        assert!(UNAVAILABLE(failure(&mut scene.worker)));
    }
    assert!(scene.signer.hears_nothing() && scene.audit.hears_nothing());
    for _ in 0..4 {
        scene.redeem(order("office", TokenType::Saml20));
        let (sequence, _) = entry(&mut scene.audit);
        scene.audit.say(&FromAudit::NotDurable { sequence });
        assert!(UNAVAILABLE(failure(&mut scene.worker)));
    }
    scene.issue(&house, order("office", TokenType::Saml20));
    // Session keys likewise, when the signer is known to be slow again.
    show_pace(&mut scene, &house, ms(30));
    while scene.auth.heard().is_some() {}
    let begun = Instant::now();
    for serial in 0..60 {
        scene.auth.say(&unwraps::unwrap(serial, me(), unwraps::thumbprint(&house, "sealed")));
    }
    let answers: Vec<_> = std::iter::from_fn(|| scene.auth.heard()).take(30).collect();
    let unavailable = |said: &IssuerToAuth| {
        matches!(said, IssuerToAuth::NotUnwrapped { why: chancery::wire::unwrap::NotUnwrapped::Unavailable, .. })
    };
    assert!(answers.len() == 30 && answers.iter().all(unavailable), "{answers:?}");
    assert!(begun.elapsed() < WAIT, "they waited");
}
