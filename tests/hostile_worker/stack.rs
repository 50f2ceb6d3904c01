//! The service under attack, what it is watched for, and the judgement of one case.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use chancery::sys::channel::{Channel, Duplex};
use chancery::sys::places::Place;
use chancery::wire::evidence::{Evidence, Operation, Submission, Wish};
use chancery::wire::links::{AuthToWorker, IssuerToWorker, WorkerToAuth, WorkerToIssuer};
use chancery::wire::order::Redemption;
use chancery::wire::permit::Link;
use chancery::wire::{Correlation, List, Secret, Text};

use super::demo::Demo;
use super::faulty;
use super::peer::Peer;
use super::{ENDPOINT, FORBIDDEN, HANDSHAKES, PARTY, PATIENCE, TO_AUTH, TO_ISSUER};

pub(super) type Verdict = Result<(), String>;

/// Fails a case unless this is so.
pub(super) fn must(so: bool, what: impl Into<String>) -> Verdict {
    if so { Ok(()) } else { Err(what.into()) }
}

/// What a case has to leave behind.
#[derive(Clone, Copy)]
pub(super) enum Leaves {
    /// Tokens issued, and as many signatures and intents.
    Tokens(u64),
    /// What one real client meanwhile was given: a handshake and a token.
    Client,
    /// A token, and then a breach towards issuer.
    TokenThenBreach,
    /// A signature of a handshake and no intent.
    Handshakes(u64),
    /// As many signatures of handshakes as the attack was given.
    Signed,
    /// Nothing but refusals.
    Nothing,
    /// So many breaches of the protocol, counted by that process on that link.
    Violations((&'static str, &'static str), u64),
}

/// What may not change, and what must.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    signatures: u64,
    intents: usize,
    to_auth: u64,
    to_issuer: u64,
}

/// The service under attack.
pub(super) struct Stack {
    pub(super) directory: PathBuf,
    pub(super) demo: Demo,
    pub(super) password: String,
    /// Handshakes signed for an attack that cannot know their number beforehand.
    pub(super) signed: Cell<u64>,
}

impl Stack {
    pub(super) fn start(directory: &Path) -> Self {
        faulty::prepare(directory);
        for folder in ["auth.d", "issuer.d"] {
            let generic = directory.join("demo/etc").join(folder).join("relying-parties/generic.toml");
            let text = std::fs::read_to_string(&generic).unwrap().replace(PARTY, FORBIDDEN);
            std::fs::write(generic.with_file_name("forbidden.toml"), text.replace("permit(", "forbid(")).unwrap();
        }
        faulty::change(directory, "issuer.d/issuer.toml", |text| {
            format!("handshakes_per_second = {HANDSHAKES}\n{text}")
        });
        let demo = faulty::start(directory, |_| {});
        let password = std::fs::read_to_string(demo.fact("password_file")).unwrap().trim().to_owned();
        let stack = Self { directory: directory.to_owned(), demo, password, signed: Cell::new(0) };
        // The supervisor asks for a token of its own once all is ready.
        let mut last = stack.traces();
        loop {
            std::thread::sleep(Duration::from_secs(2));
            let now = stack.traces();
            if now == last && now.intents > 0 {
                return stack;
            }
            last = now;
        }
    }

    pub(super) fn place(&self, place: Place) -> PathBuf {
        Path::new(self.demo.fact("runtime")).join(place.file())
    }

    pub(super) fn channel(&self, place: Place) -> Channel {
        Channel::connect(&self.place(place)).unwrap()
    }

    /// The worker's channel to auth.
    pub(super) fn auth(&self) -> Peer<AuthToWorker, WorkerToAuth> {
        Peer(Duplex::new(self.channel(Place::AuthWorker), Link::AuthToWorker))
    }

    /// The worker's channel to issuer.
    pub(super) fn issuer(&self) -> Peer<IssuerToWorker, WorkerToIssuer> {
        Peer(Duplex::new(self.channel(Place::IssuerWorker), Link::IssuerToWorker))
    }

    /// alice's password, honestly.
    pub(super) fn submission(&self) -> Submission {
        self.submission_of("alice", &self.password)
    }

    pub(super) fn submission_of(&self, username: &str, password: &str) -> Submission {
        Submission {
            correlation: Correlation::random(),
            endpoint: Text::new(ENDPOINT).unwrap(),
            source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
            timestamp: None,
            evidence: Evidence::Password {
                username: Text::new(username).unwrap(),
                password: Secret::new(password).unwrap(),
            },
            wish: Wish {
                operation: Operation::Issue,
                applies_to: Some(Text::new(PARTY).unwrap()),
                token_type: None,
                key_type: None,
                key_size: None,
                claims: List::default(),
                lifetime: None,
            },
        }
    }

    /// A voucher, honestly come by, not redeemed.
    pub(super) fn voucher(&self, auth: &mut Peer<AuthToWorker, WorkerToAuth>) -> Result<Redemption, String> {
        let submission = self.submission();
        let correlation = submission.correlation;
        auth.send(WorkerToAuth::Submit(submission))?;
        match auth.answer()? {
            AuthToWorker::Vouched(vouched) if vouched.correlation == correlation => {
                Ok(Redemption { voucher: vouched.voucher, correlation })
            }
            other => Err(format!("no voucher: {other:?}")),
        }
    }

    pub(super) fn traces(&self) -> Traces {
        let entries = Entries::open(Path::new(self.demo.fact("record")));
        let intents = entries.filter(|entry| matches!(entry.as_ref().unwrap().leaf.public, Public::Intent(_))).count();
        Traces {
            signatures: faulty::calls(&self.directory, "C_Sign"),
            intents,
            to_auth: self.violations(TO_AUTH),
            to_issuer: self.violations(TO_ISSUER),
        }
    }

    pub(super) fn violations(&self, (process, link): (&str, &str)) -> u64 {
        let address = self.demo.fact("metrics").trim_start_matches("http://").trim_end_matches("/metrics");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let mut of_link = page.lines().filter(|line| {
            line.starts_with("chancery_violations_total{")
                && line.contains(&format!("process=\"{process}\""))
                && line.contains(&format!("link=\"{link}\""))
        });
        let line = of_link.next().unwrap_or_else(|| panic!("no counter of {process}, {link} in\n{page}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap().round() as u64
    }

    /// Does a real worker get a token for a real client?
    pub(super) fn honest(&self) -> Output {
        self.demo.request("/sts", &["--applies-to", PARTY])
    }

    /// Runs one case and looks at what it left behind.
    pub(super) fn tried(&self, leaves: Leaves, attack: fn(&Self) -> Verdict) -> Verdict {
        let before = self.traces();
        attack(self)?;
        let mut expected = before;
        match leaves {
            Leaves::Tokens(count) => {
                expected.signatures += count;
                expected.intents += count as usize;
            }
            Leaves::Client => {
                expected.signatures += 2;
                expected.intents += 1;
            }
            Leaves::TokenThenBreach => {
                expected.signatures += 1;
                expected.intents += 1;
                expected.to_issuer += 1;
            }
            Leaves::Handshakes(count) => expected.signatures += count,
            Leaves::Signed => expected.signatures += self.signed.take(),
            Leaves::Nothing => {}
            Leaves::Violations(TO_AUTH, count) => expected.to_auth += count,
            Leaves::Violations(_, count) => expected.to_issuer += count,
        }
        // Snapshots come once a second; what is not to rise is given the time to.
        let begun = Instant::now();
        let mut after = self.traces();
        while begun.elapsed() < Duration::from_millis(1200) || (after != expected && begun.elapsed() < PATIENCE / 2) {
            std::thread::sleep(Duration::from_millis(100));
            after = self.traces();
        }
        must(after == expected, format!("expected {expected:?}, found {after:?}"))?;
        let honest = self.honest();
        must(honest.status.success(), format!("honest worker: {}", String::from_utf8_lossy(&honest.stderr)))
    }
}
