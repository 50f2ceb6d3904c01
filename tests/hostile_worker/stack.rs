//! The service under attack, what it is watched for, and the judgement of one case.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};
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

use super::asserted::{AUDIENCE, ISSUER};
use super::assertions::{ASSERTED, USER as INSPECTOR};
use super::connections::{self, CONNECTED};
use super::demo::Demo;
use super::digests::{BOTH, SECRET, USER};
use super::faulty;
use super::jwt_words::{CLOUD, US, jwk, jwks};
use super::jwts::{PRESENTED, USER as REPORTER};
use super::made::Identity;
use super::peer::Peer;
use super::signatures::{ADDRESS, SIGNED};
use super::signed::Client;
use super::{COUNTERS, ENDPOINT, FORBIDDEN, GUARDED, HANDSHAKES, NARROW, PARTY, PATIENCE, SCARCE, TO_ISSUER};

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
    /// Signatures of handshakes, and tokens.
    Connections { handshakes: u64, tokens: u64 },
    /// As many signatures of handshakes as the attack was given.
    Signed,
    /// Nothing but refusals.
    Nothing,
    /// So many breaches of the protocol, counted by that process on that link.
    Violations(Counter, u64),
}

/// A process, and the link it receives on, as `chancery_violations_total` names them.
pub(super) type Counter = (&'static str, &'static str);

/// What may not change, and what must.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    signatures: u64,
    intents: usize,
    violations: Vec<(Counter, u64)>,
}

impl Traces {
    fn violated(&mut self, counter: Counter, count: u64) {
        self.violations.iter_mut().filter(|(other, _)| *other == counter).for_each(|(_, total)| *total += count);
    }
}

/// The service under attack.
pub(super) struct Stack {
    pub(super) directory: PathBuf,
    pub(super) demo: Demo,
    pub(super) password: String,
    /// Whose certificate is registered.
    pub(super) client: Client,
    /// Whose certificate is registered, for TLS.
    pub(super) gate: Identity,
    /// Its key, PKCS#8.
    pub(super) gate_key: Vec<u8>,
    /// A partner whose assertions are taken.
    pub(super) agency: Client,
    /// Handshakes signed for an attack that cannot know their number beforehand.
    pub(super) signed: AtomicU64,
}

/// Registers a relying party like the generic one, but for what `auth` and `issuer` change in its two files.
fn party(directory: &Path, uri: &str, auth: impl Fn(String) -> String, issuer: impl Fn(String) -> String) {
    let name = uri.trim_start_matches("https://").split('.').next().unwrap();
    for (folder, change) in [("auth.d", &auth as &dyn Fn(String) -> String), ("issuer.d", &issuer)] {
        let generic = directory.join("demo/etc").join(folder).join("relying-parties/generic.toml");
        let text = std::fs::read_to_string(&generic).unwrap().replace(PARTY, uri);
        std::fs::write(generic.with_file_name(format!("{name}.toml")), change(text)).unwrap();
    }
}

/// What `username` would send with that password, for the generic relying party.
pub(super) fn submission(username: &str, password: &str) -> Submission {
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
            use_key: None,
            claims: List::default(),
            lifetime: None,
        },
    }
}

/// A voucher, and the channel it was proven on, with which it goes.
pub(super) type Vouchered = (Peer<AuthToWorker, WorkerToAuth>, Redemption);

/// The voucher for that submission.
pub(super) fn vouched(
    auth: &mut Peer<AuthToWorker, WorkerToAuth>,
    submission: Submission,
) -> Result<Redemption, String> {
    let correlation = submission.correlation;
    auth.send(WorkerToAuth::Submit(submission))?;
    match auth.answer()? {
        AuthToWorker::Vouched(vouched) if vouched.correlation == correlation => {
            Ok(Redemption { voucher: vouched.voucher, correlation })
        }
        other => Err(format!("no voucher: {other:?}")),
    }
}

impl Stack {
    pub(super) fn start(directory: &Path) -> Self {
        faulty::prepare(directory);
        party(directory, FORBIDDEN, |text| text.replace("permit(", "forbid("), |text| text);
        // auth would let these pass: what stops them is issuer.
        let scarce = |text: String| text.replace("ceiling_min = 60", "ceiling_min = 5").replace("= 60000", "= 2");
        party(directory, SCARCE, |text| text, scarce);
        party(directory, NARROW, |text| text, |text| text.replace(", \"saml11\"", ""));
        party(directory, GUARDED, |text| text, |text| format!("protected_subjects = [\"Alice\"]\n{text}"));
        faulty::change(directory, "issuer.d/issuer.toml", |text| {
            format!("handshakes_per_second = {HANDSHAKES}\n{text}")
        });
        let client = Client::new();
        let agency = Client::new();
        std::fs::write(directory.join("demo/etc/auth.d/machine.pem"), &client.certificate).unwrap();
        let (gate, gate_key) = Identity::made("gate", &rcgen::PKCS_ECDSA_P256_SHA256);
        let etc = directory.join("demo/etc");
        std::fs::write(etc.join("auth.d/gate.pem"), connections::pem(&gate)).unwrap();
        std::fs::copy(etc.join("worker.d/tls.pem"), etc.join("auth.d/tls.pem")).unwrap();
        std::fs::write(directory.join("demo/etc/auth.d/agency.pem"), &agency.certificate).unwrap();
        std::fs::write(etc.join("auth.d/cloud.json"), jwks(&[jwk(&agency, "")])).unwrap();
        faulty::change(directory, "auth.d/users.toml", |text| {
            let mail = "attributes = { mail = [\"machine@example.com\"] }";
            let robot = format!(
                "[users.{USER}]\ndigest_secret = \"{SECRET}\"\nattributes = {{ mail = [\"{USER}@example.com\"] }}"
            );
            let gate = "[users.gate]\ncertificates = [\"gate.pem\"]\nattributes = { mail = [\"gate@example.com\"] }";
            let inspector = format!(
                "[users.{INSPECTOR}]\nsaml_partner = \"agency\"\nattributes = {{ mail = [\"{INSPECTOR}@example.com\"] }}"
            );
            let reporter = format!(
                "[users.{REPORTER}]\njwt_issuer = \"cloud\"\nattributes = {{ mail = [\"{REPORTER}@example.com\"] }}"
            );
            format!(
                "{text}\n[users.machine]\ncertificates = [\"machine.pem\"]\n{mail}\n{robot}\n{gate}\n{inspector}\n{reporter}\n"
            )
        });
        faulty::change(directory, "auth.d/auth.toml", |text| {
            let usual = [ENDPOINT, "/adfs/services/trust/2005/usernamemixed"]
                .map(|path| format!("[[endpoint]]\npath = \"{path}\"\ntoken_type = \"saml11\"\n"));
            let signed = format!("credentials = [\"signature\"]\naddresses = [\"{ADDRESS}\"]\nreplies = \"signed\"\n");
            let [first, second] = usual;
            let both = format!("[[endpoint]]\npath = \"{BOTH}\"\ncredentials = [\"password\", \"digest\"]\n");
            let connected = format!("[[endpoint]]\npath = \"{CONNECTED}\"\ncredentials = [\"tls-certificate\"]\n");
            let asserted = format!(
                "[[endpoint]]\npath = \"{ASSERTED}\"\ncredentials = [\"saml\", \"sender-vouches\"]\n\
                 addresses = [\"{ADDRESS}\"]\n[[saml_partner]]\nname = \"agency\"\n\
                 issuer = \"{ISSUER}\"\ncertificates = [\"agency.pem\"]\naudiences = [\"{AUDIENCE}\"]\n\
                 holder_proofs = [\"signature\", \"tls-certificate\", \"mac\"]\n\
                 [[saml_partner.subject]]\nfrom = \"name-id\"\n\
                 [[saml_partner.intermediary]]\naccount = \"machine\"\nsubjects = [\"{INSPECTOR}\"]\n\
                 [[saml_partner.intermediary]]\naccount = \"gate\"\nsubjects = [\"{INSPECTOR}\"]\n"
            );
            let presented = format!(
                "[[endpoint]]\npath = \"{PRESENTED}\"\ncredentials = [\"jwt\"]\n[[jwt_issuer]]\nname = \"cloud\"\n\
                 issuer = \"{CLOUD}\"\njwks = \"cloud.json\"\naudiences = [\"{US}\"]\n[[jwt_issuer.subject]]\n\
                 claim = \"sub\"\n"
            );
            let both = both + &asserted + &presented;
            format!(
                "server_certificates = [\"tls.pem\"]\n{text}\n{connected}{first}{second}{both}[[endpoint]]\npath = \"/sts\"\n[[endpoint]]\npath = \"{SIGNED}\"\n{signed}"
            )
        });
        let demo = faulty::start(directory, |_| {});
        let password = std::fs::read_to_string(demo.fact("password_file")).unwrap().trim().to_owned();
        let (directory, signed) = (directory.to_owned(), AtomicU64::new(0));
        let stack = Self { directory, demo, password, client, agency, gate, gate_key, signed };
        // The supervisor asks for a token of its own once all is ready, and snapshots come once a second.
        let mut last = None;
        loop {
            std::thread::sleep(Duration::from_secs(2));
            let now = stack.traces();
            if now.intents > 0 && last.as_ref() == Some(&now) {
                return stack;
            }
            last = Some(now);
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
        submission("alice", &self.password)
    }

    /// A voucher, honestly come by, not redeemed.
    pub(super) fn voucher(&self, auth: &mut Peer<AuthToWorker, WorkerToAuth>) -> Result<Redemption, String> {
        vouched(auth, self.submission())
    }

    /// As [`Self::voucher`], for that relying party and with what else `change` wishes.
    pub(super) fn voucher_for(&self, party: &str, change: impl FnOnce(&mut Wish)) -> Result<Vouchered, String> {
        let mut auth = self.auth();
        let mut submission = self.submission();
        submission.wish.applies_to = Some(Text::new(party).unwrap());
        change(&mut submission.wish);
        let redemption = vouched(&mut auth, submission)?;
        Ok((auth, redemption))
    }

    pub(super) fn traces(&self) -> Traces {
        let entries = Entries::open(Path::new(self.demo.fact("record")));
        let intents = entries.filter(|entry| matches!(entry.as_ref().unwrap().leaf.public, Public::Intent(_))).count();
        Traces { signatures: faulty::calls(&self.directory, "C_Sign"), intents, violations: self.violations() }
    }

    /// Is there such an entry in the record?
    pub(super) fn recorded(&self, such: impl Fn(&Public) -> bool) -> bool {
        Entries::open(Path::new(self.demo.fact("record"))).any(|entry| such(&entry.unwrap().leaf.public))
    }

    /// How often the service has said this in its log.
    pub(super) fn said(&self, words: &str) -> usize {
        std::fs::read_to_string(self.directory.join("log")).unwrap().matches(words).count()
    }

    /// The service comes to say this so often; it may hang up first and say why afterwards.
    pub(super) fn says(&self, words: &str, often: usize) -> Verdict {
        let begun = Instant::now();
        while self.said(words) < often && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = self.said(words);
        must(said == often, format!("{words}: {said} times and not {often}"))
    }

    fn violations(&self) -> Vec<(Counter, u64)> {
        let address = self.demo.fact("metrics").trim_start_matches("http://").trim_end_matches("/metrics");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let count = |(process, link): Counter| {
            let mut of_link = page.lines().filter(|line| {
                line.starts_with("chancery_violations_total{")
                    && line.contains(&format!("process=\"{process}\""))
                    && line.contains(&format!("link=\"{link}\""))
            });
            let line = of_link.next().unwrap_or_else(|| panic!("no counter of {process}, {link} in\n{page}"));
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap().round() as u64
        };
        COUNTERS.iter().map(|counter| (*counter, count(*counter))).collect()
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
                expected.violated(TO_ISSUER, 1);
            }
            Leaves::Handshakes(count) => expected.signatures += count,
            Leaves::Connections { handshakes, tokens } => {
                expected.signatures += handshakes + tokens;
                expected.intents += tokens as usize;
            }
            Leaves::Signed => expected.signatures += self.signed.swap(0, Ordering::Relaxed),
            Leaves::Nothing => {}
            Leaves::Violations(counter, count) => expected.violated(counter, count),
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
