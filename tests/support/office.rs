//! The real auth under a test that plays its peers: workers, issuer and audit, over the real sockets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use borsh::{BorshDeserialize, BorshSerialize};
use chancery::sys::channel::{Channel, Duplex, Listener};
use chancery::sys::places::Place;
use chancery::wire::evidence::{Evidence, Operation, Refusal, Submission, Wish};
use chancery::wire::links::{AuthToAudit, AuthToIssuer, AuthToWorker, FromAudit, IssuerToAuth, WorkerToAuth};
use chancery::wire::order::Voucher;
use chancery::wire::permit::Link;
use chancery::wire::record::AuthEntry;
use chancery::wire::snapshot::{Sample, Snapshot};
use chancery::wire::unwrap::{NotUnwrapped, SessionKey, Unwrap};
use chancery::wire::{Correlation, List, Secret, Text, VoucherId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use super::processes::{Daemon, PATIENCE, datagrams, eventually, listener};

/// Where requests come from unless a test says otherwise.
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// The endpoint of [`request`].
pub(crate) const ENDPOINT: &str = "/adfs/services/trust/13/usernamemixed";

/// A cheap argon2id hash.
pub(crate) fn hash(password: &str) -> String {
    let params = Params::new(1024, 1, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password.as_bytes()).expect("hashes").to_string()
}

/// Peers, configuration and the process.
pub(crate) struct Office {
    root: tempfile::TempDir,
    worker: OwnedFd,
    exporter: OwnedFd,
    auth: Option<Daemon>,
    clock_shift: i64,
    pub(crate) issuer: Desk<AuthToIssuer, IssuerToAuth>,
    pub(crate) audit: Desk<AuthToAudit, FromAudit>,
    confirms: Arc<Mutex<Option<u32>>>,
    opens: Arc<Mutex<Result<SessionKey, NotUnwrapped>>>,
}

impl Office {
    /// Starts auth with `auth.toml`, `users.toml` and one relying party `office` at `urn:office`.
    pub(crate) fn open(auth: &str, users: &str, party: &str) -> Self {
        Self::with(auth, users, party, &[])
    }

    /// As [`Self::open`], with more files in `auth.d`. There is a directory for a store at `../../state`.
    pub(crate) fn with(auth: &str, users: &str, party: &str, more: &[(&str, &str)]) -> Self {
        Self::at(0, auth, users, party, more)
    }

    /// As [`Self::with`], and auth's clock is that many milliseconds ahead.
    pub(crate) fn at(clock_shift: i64, auth: &str, users: &str, party: &str, more: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let run = root.path().join("run");
        std::fs::create_dir_all(&run).expect("made");
        std::fs::create_dir_all(root.path().join("etc/auth.d/relying-parties")).expect("made");
        std::fs::create_dir_all(root.path().join("state")).expect("made");
        let worker = listener(&run.join(Place::AuthWorker.file()));
        let exporter = datagrams(&run.join(Place::Metrics.file()));
        let confirms = Arc::new(Mutex::new(Some(3_600_000)));
        let left = confirms.clone();
        let opens = Arc::new(Mutex::new(Err(NotUnwrapped::NotYet)));
        let session = opens.clone();
        let issuer = Desk::open(&run, Place::IssuerAuth, Link::AuthToIssuer, None, move |message| match message {
            AuthToIssuer::Lodge(voucher) => Some(IssuerToAuth::Lodged(voucher.id)),
            AuthToIssuer::Withdraw(_) => None,
            AuthToIssuer::Unwrap(Unwrap { serial, .. }) => {
                let key: Result<SessionKey, NotUnwrapped> = session.lock().expect("not poisoned").clone();
                Some(match key {
                    Ok(key) => IssuerToAuth::Unwrapped { serial: *serial, key },
                    Err(why) => IssuerToAuth::NotUnwrapped { serial: *serial, why },
                })
            }
            AuthToIssuer::Confirm { question, .. } => {
                let left_ms = *left.lock().expect("not poisoned");
                Some(IssuerToAuth::Confirmed { question: *question, left_ms })
            }
        });
        let head = || FromAudit::Head { entries: 0, last: None };
        let audit = Desk::open(&run, Place::AuditAuth, Link::AuthToAudit, Some(head), |message| {
            let AuthToAudit::Append { sequence, .. } = message;
            Some(FromAudit::Durable { sequence: *sequence })
        });
        let mut office = Self { root, worker, exporter, auth: None, clock_shift, issuer, audit, confirms, opens };
        office.write("auth.toml", auth);
        office.write("users.toml", users);
        office.write("relying-parties/office.toml", party);
        more.iter().for_each(|(file, text)| office.write(file, text));
        office.start();
        office
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.root.path().join("etc/auth.d").join(file);
        // A name may lead out: to what the service manager hands to auth.
        std::fs::create_dir_all(path.parent().expect("a file has one")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.path().join("run")
    }

    pub(crate) fn start(&mut self) {
        self.start_with(|_| {});
    }

    /// As [`Self::start`], with something else about the process.
    pub(crate) fn start_with(&mut self, more: impl FnOnce(&mut Command)) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-auth"));
        command.arg(self.root.path().join("etc"));
        command.env("CHANCERY_CLOCK_SHIFT_MS", self.clock_shift.to_string());
        // As the service manager does where the unit has credentials.
        let credentials = self.root.path().join("credentials");
        if credentials.exists() {
            command.env("CREDENTIALS_DIRECTORY", credentials);
        }
        more(&mut command);
        let started = Daemon::start(&mut command, &self.run(), &[("worker", &self.worker)]);
        self.auth = Some(started.expect("auth starts"));
    }

    pub(crate) fn auth(&self) -> &Daemon {
        self.auth.as_ref().expect("auth runs")
    }

    pub(crate) fn worker(&self) -> Worker {
        let channel = Channel::connect(&self.run().join(Place::AuthWorker.file())).expect("connects");
        Worker { duplex: Duplex::new(channel, Link::AuthToWorker), early: HashMap::new() }
    }

    /// What auth says of itself now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut octets = vec![0; 256 * 1024];
        let mut next = || {
            let length = recv(self.exporter.as_raw_fd(), &mut octets, MsgFlags::MSG_DONTWAIT).ok()?;
            Some(Snapshot::try_from_slice(&octets[..length]).expect("a snapshot"))
        };
        // What was sent before says nothing of now.
        while next().is_some() {}
        eventually("auth says what it counts", next)
    }

    /// What auth counts under each of these labels of a family, as of now.
    pub(crate) fn counted<const N: usize>(&self, family: &str, labels: [&str; N]) -> [String; N] {
        let snapshot = self.snapshot();
        let family = snapshot.families.iter().find(|known| &*known.name == family).expect("such a family");
        labels.map(|label| {
            let of = |sample: &&Sample| sample.labels.iter().any(|known| &*known.value == label);
            family.samples.iter().find(of).map_or_else(|| "nothing".to_owned(), |sample| sample.value.to_string())
        })
    }

    /// How long issuer says from now on that a handshake may prove a client, milliseconds, if it confirms any.
    pub(crate) fn confirms(&self, left_ms: Option<u32>) {
        *self.confirms.lock().expect("not poisoned") = left_ms;
    }

    /// What issuer says from now on is in every session key, or why it opens none.
    pub(crate) fn opens(&self, session: Result<SessionKey, NotUnwrapped>) {
        *self.opens.lock().expect("not poisoned") = session;
    }

    /// Decisions in the record so far, and whether each was allowed, with its reason.
    pub(crate) fn decisions(&self) -> Vec<(bool, String)> {
        let said = self.audit.said.lock().expect("not poisoned");
        let decision = |message: &AuthToAudit| match message {
            AuthToAudit::Append {
                entry:
                    AuthEntry::Decision(decision, _) | AuthEntry::Vouched(decision, _) | AuthEntry::Held(decision, ..),
                ..
            } => Some((decision.allowed, decision.reason.to_string())),
            AuthToAudit::Append { .. } => None,
        };
        said.iter().filter_map(decision).collect()
    }

    /// The voucher last lodged.
    pub(crate) fn lodged(&self) -> Voucher {
        let said = self.issuer.said.lock().expect("not poisoned");
        let voucher = said.iter().rev().find_map(|message| match message {
            AuthToIssuer::Lodge(voucher) => {
                let Voucher { id, worker, signed_reply, .. } = *voucher;
                Some(Voucher { id, worker, order: voucher.order.clone(), signed_reply })
            }
            AuthToIssuer::Withdraw(_) | AuthToIssuer::Unwrap(_) | AuthToIssuer::Confirm { .. } => None,
        });
        voucher.expect("a voucher was lodged")
    }

    /// The voucher lodged for that request, once it is.
    pub(crate) fn lodged_for(&self, correlation: Correlation) -> Option<VoucherId> {
        let said = self.issuer.said.lock().expect("not poisoned");
        said.iter().find_map(|message| match message {
            AuthToIssuer::Lodge(voucher) => (voucher.order.correlation == correlation).then_some(voucher.id),
            AuthToIssuer::Withdraw(_) | AuthToIssuer::Unwrap(_) | AuthToIssuer::Confirm { .. } => None,
        })
    }

    pub(crate) fn lodgings(&self, id: VoucherId) -> usize {
        let said = self.issuer.said.lock().expect("not poisoned");
        said.iter().filter(|message| matches!(message, AuthToIssuer::Lodge(voucher) if voucher.id == id)).count()
    }

    pub(crate) fn withdrawn(&self, id: VoucherId) -> bool {
        let said = self.issuer.said.lock().expect("not poisoned");
        said.iter().any(|message| matches!(message, AuthToIssuer::Withdraw(gone) if *gone == id))
    }
}

// One test needs each, and each test is a crate of its own.
const _: fn(&Office, Option<u32>) = Office::confirms;
const _: fn(&Office, &str, [&str; 1]) -> [String; 1] = Office::counted;
const _: fn(&Office, Result<SessionKey, NotUnwrapped>) = Office::opens;

/// A peer that auth connects to: hears everything, answers by rule, can be away.
pub(crate) struct Desk<In, Out> {
    /// What auth said.
    pub(crate) said: Arc<Mutex<Vec<In>>>,
    /// To be sent as it is.
    pub(crate) to_say: Arc<Mutex<Vec<Out>>>,
    away: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<In, Out> Desk<In, Out>
where
    In: BorshDeserialize + Send + 'static,
    Out: BorshSerialize + Send + 'static,
{
    fn open(
        run: &Path,
        place: Place,
        link: Link,
        head: Option<fn() -> Out>,
        rule: impl Fn(&In) -> Option<Out> + Send + 'static,
    ) -> Self {
        let listener = Listener::adopt(listener(&run.join(place.file()))).expect("adopted");
        let (said, to_say) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let flag = || Arc::new(AtomicBool::new(false));
        let (away, silent, over) = (flag(), flag(), flag());
        let mine = (said.clone(), to_say.clone(), away.clone(), silent.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let (said, to_say, away, silent, over) = mine;
            let mut line: Option<Duplex<In, Out>> = None;
            while !over.load(Ordering::SeqCst) {
                if away.load(Ordering::SeqCst) {
                    line = None;
                    // Who waits at the door is turned away as well.
                    while let Ok(Some(_)) = listener.accept() {}
                } else if let Some(channel) = listener.accept().expect("accepts") {
                    let mut duplex = Duplex::new(channel, link);
                    if let Some(head) = head {
                        // A test may end auth just then.
                        let _gone = duplex.send(&head());
                    }
                    line = Some(duplex);
                }
                let Some(duplex) = &mut line else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                wait(duplex, 5);
                loop {
                    match duplex.receive() {
                        Ok(Some(message)) => {
                            let answer = if silent.load(Ordering::SeqCst) { None } else { rule(&message) };
                            // Heard before it is answered: whoever sees the consequence looks here.
                            said.lock().expect("not poisoned").push(message);
                            if let Some(answer) = answer {
                                let _gone = duplex.send(&answer);
                            }
                        }
                        Ok(None) => break,
                        Err(_) => {
                            line = None;
                            break;
                        }
                    }
                }
                if let Some(duplex) = &mut line {
                    for message in to_say.lock().expect("not poisoned").drain(..) {
                        let _gone = duplex.send(&message);
                    }
                }
            }
        });
        Self { said, to_say, away, silent, over, thread: Some(thread) }
    }

    /// Hangs up, and turns everybody away until `false`.
    pub(crate) fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
    }

    /// Hears and does not answer.
    pub(crate) fn silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }
}

impl<In, Out> Drop for Desk<In, Out> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A worker's end of its channel to auth.
pub(crate) struct Worker {
    pub(crate) duplex: Duplex<AuthToWorker, WorkerToAuth>,
    early: HashMap<Correlation, AuthToWorker>,
}

impl Worker {
    pub(crate) fn submit(&mut self, submission: Submission) {
        self.duplex.send(&WorkerToAuth::Submit(submission)).expect("sent");
    }

    /// The answer to that request.
    pub(crate) fn answer(&mut self, correlation: Correlation) -> AuthToWorker {
        let begun = Instant::now();
        loop {
            if let Some(answer) = self.early.remove(&correlation) {
                return answer;
            }
            // What the kernel has not taken yet; that auth is gone shows when what it said is read.
            let _gone = self.duplex.flush();
            // One at a time: auth may hang up right behind the answer.
            if let Some(answer) = self.duplex.receive().expect("auth does not hang up") {
                let about = match &answer {
                    AuthToWorker::Vouched(vouched) => vouched.correlation,
                    AuthToWorker::Refused(refused) => refused.correlation,
                    AuthToWorker::Opened(opened) => opened.correlation,
                    AuthToWorker::Sealed(sealed) => sealed.correlation,
                    AuthToWorker::Negotiated(negotiated) => negotiated.vouched.correlation,
                    AuthToWorker::SealedFor(sealed) => sealed.correlation,
                };
                self.early.insert(about, answer);
            } else {
                wait(&self.duplex, 100);
            }
            assert!(begun.elapsed() < PATIENCE, "no answer");
        }
    }

    pub(crate) fn ask(&mut self, submission: Submission) -> AuthToWorker {
        let correlation = submission.correlation;
        self.submit(submission);
        self.answer(correlation)
    }

    #[track_caller]
    pub(crate) fn vouched(&mut self, submission: Submission) -> VoucherId {
        match self.ask(submission) {
            AuthToWorker::Vouched(vouched) => vouched.voucher,
            AuthToWorker::Negotiated(negotiated) => negotiated.vouched.voucher,
            AuthToWorker::Refused(refused) => panic!("refused: {:?}", refused.refusal),
            AuthToWorker::Opened(_) | AuthToWorker::Sealed(_) | AuthToWorker::SealedFor(_) => panic!("opened"),
        }
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, submission: Submission) -> Refusal {
        match self.ask(submission) {
            AuthToWorker::Refused(refused) => refused.refusal,
            AuthToWorker::Vouched(_) | AuthToWorker::Negotiated(_) => panic!("vouched"),
            AuthToWorker::Opened(_) | AuthToWorker::Sealed(_) | AuthToWorker::SealedFor(_) => panic!("opened"),
        }
    }
}

fn wait(socket: &impl AsFd, milliseconds: u16) {
    let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let _interrupted = poll(&mut waiting, PollTimeout::from(milliseconds));
}

/// A plain request of that user for `urn:office`.
pub(crate) fn request(user: &str, password: &str) -> Submission {
    Submission {
        correlation: Correlation::random(),
        endpoint: Text::new(ENDPOINT).expect("fits"),
        source: HOME,
        timestamp: None,
        evidence: Evidence::Password {
            username: Text::new(user).expect("fits"),
            password: Secret::new(password.as_bytes()).expect("fits"),
        },
        wish: Wish {
            operation: Operation::Issue,
            applies_to: Some(Text::new("urn:office").expect("fits")),
            token_type: None,
            key_type: None,
            key_size: None,
            use_key: None,
            claims: List::default(),
            lifetime: None,
        },
    }
}
