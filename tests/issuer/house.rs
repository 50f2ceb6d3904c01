//! Everything around a real issuer: its configuration, its listeners, and the peers the test plays over the
//! real sockets. The signer's token is an aws-lc-rs key.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Digest, SHA256, SHA384};
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair};
use borsh::{BorshDeserialize, BorshSerialize};
use chancery::sys::channel::{Channel, Closed, Duplex, Listener};
use chancery::sys::places::Place;
use chancery::wire::links::*;
use chancery::wire::order::*;
use chancery::wire::permit::Link;
use chancery::wire::record::IssuerEntry;
use chancery::wire::{Correlation, KeyId, List, Millis, Octets, Peer, Text, VoucherId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::support::processes::{Daemon, PATIENCE, eventually, listener};

/// As long as a test waits for something that must not come.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);

/// One end of a link, played by the test.
pub(crate) struct Line<In, Out>(Duplex<In, Out>);

impl<In: BorshDeserialize, Out: BorshSerialize> Line<In, Out> {
    pub(crate) fn new(channel: Channel, link: Link) -> Self {
        Self(Duplex::new(channel, link))
    }

    pub(crate) fn say(&mut self, message: &Out) {
        self.0.send(message).unwrap();
    }

    /// Says all of it in one datagram.
    pub(crate) fn say_together(&mut self, messages: impl IntoIterator<Item = Out>) {
        messages.into_iter().for_each(|message| self.0.queue(&message).unwrap());
        self.0.flush().unwrap();
    }

    /// Asks without reading, until the other side has taken nothing for a while; gives how often it was taken.
    pub(crate) fn press(&mut self, most: usize, ask: impl Fn() -> Out) -> usize {
        for asked in 0..most {
            self.0.send(&ask()).unwrap();
            let begun = Instant::now();
            while self.0.wants_write() {
                if begun.elapsed() > Duration::from_millis(400) {
                    return asked;
                }
                let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
                poll(&mut fds, PollTimeout::from(20u8)).unwrap();
                self.0.flush().unwrap();
            }
        }
        most
    }

    fn listen(&mut self, patience: Duration) -> Result<Option<In>, Closed> {
        let begun = Instant::now();
        loop {
            self.0.flush()?;
            if let Some(message) = self.0.receive()? {
                return Ok(Some(message));
            }
            if begun.elapsed() > patience {
                return Ok(None);
            }
            let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(20u8)).unwrap();
        }
    }

    /// The next message.
    pub(crate) fn hear(&mut self) -> In {
        self.listen(PATIENCE).unwrap().expect("a message in time")
    }

    /// The next message, if it comes soon.
    pub(crate) fn heard(&mut self) -> Option<In> {
        self.listen(Duration::from_millis(20)).unwrap()
    }

    /// Nothing comes.
    pub(crate) fn hears_nothing(&mut self) -> bool {
        matches!(self.listen(SILENCE), Ok(None))
    }

    /// The other side hangs up and says nothing.
    pub(crate) fn is_hung_up(&mut self) -> bool {
        match self.listen(PATIENCE) {
            Err(Closed::Gone) => true,
            Ok(_) => false,
            Err(closed) => panic!("{closed}"),
        }
    }
}

pub(crate) type Worker = Line<IssuerToWorker, WorkerToIssuer>;
pub(crate) type Auth = Line<IssuerToAuth, AuthToIssuer>;
pub(crate) type Signer = Line<IssuerToSigner, SignerToIssuer>;
pub(crate) type Audit = Line<IssuerToAudit, FromAudit>;

/// A line to nobody.
pub(crate) fn nowhere<In: BorshDeserialize, Out: BorshSerialize>(link: Link) -> Line<In, Out> {
    Line::new(Channel::pair().unwrap().0, link)
}

/// A private key the test's signer has.
pub(crate) enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
}

impl Pair {
    pub(crate) fn sign(&self, mechanism: Mechanism, digest: &[u8]) -> Vec<u8> {
        let sha256 = || Digest::import_less_safe(digest, &SHA256).unwrap();
        match (self, mechanism) {
            (Self::Rsa(pair), Mechanism::RsaPkcs1Sha256) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&signature::RSA_PKCS1_SHA256, &sha256(), &mut out).unwrap();
                out
            }
            (Self::P256(pair), Mechanism::EcdsaP256Sha256) => pair.sign_digest(&sha256()).unwrap().as_ref().to_vec(),
            (Self::P384(pair), Mechanism::EcdsaP384Sha384) => {
                pair.sign_digest(&Digest::import_less_safe(digest, &SHA384).unwrap()).unwrap().as_ref().to_vec()
            }
            _ => panic!("a mechanism that does not fit the key"),
        }
    }
}

/// A key of the configuration.
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) pair: Pair,
    pub(crate) public_key: Vec<u8>,
    pub(crate) certificate_sha256: [u8; 32],
    /// DER.
    pub(crate) certificate: Vec<u8>,
}

pub(crate) struct House {
    pub(crate) root: tempfile::TempDir,
    worker: OwnedFd,
    auth: OwnedFd,
    signer: OwnedFd,
    audit: Listener,
    pub(crate) keys: HashMap<&'static str, Key>,
}

const ISSUER: &str = r#"issuer = "http://sts.example.com/adfs/services/trust"
voucher_seconds = 1
record_deadline_ms = 700
signature_deadline_ms = 700
handshakes_per_second = 20
unwraps_per_second = 20
"#;
const OFFICE: &str = r#"audience = ["urn:federation:MicrosoftOnline"]
token_types = ["saml11", "saml20"]
claims = ["http://schemas.xmlsoap.org/claims/UPN"]
confirmations = ["bearer"]
protected_subjects = ["Administrator"]
"#;
const CURVED: &str = r#"audience = ["urn:curved"]
token_types = ["saml20"]
confirmations = ["bearer"]
lifetime_ceiling_min = 5
quota_per_minute = 2
signature_algorithm = "ecdsa-sha384"
"#;

impl House {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("issuer.d");
        fs::create_dir_all(directory.join("relying-parties")).unwrap();
        fs::write(directory.join("relying-parties/office.toml"), OFFICE).unwrap();
        fs::write(directory.join("relying-parties/curved.toml"), CURVED).unwrap();
        let mut issuer = ISSUER.to_owned();
        let mut keys = HashMap::new();
        let plan: [(&str, &str, &'static rcgen::SignatureAlgorithm); 6] = [
            ("rsa", "assertion", &rcgen::PKCS_RSA_SHA256),
            ("p384", "assertion", &rcgen::PKCS_ECDSA_P384_SHA384),
            ("tls", "handshake", &rcgen::PKCS_ECDSA_P256_SHA256),
            ("reply", "message", &rcgen::PKCS_ECDSA_P256_SHA256),
            ("sealed", "unwrap", &rcgen::PKCS_RSA_SHA256),
            ("sealed-before", "unwrap", &rcgen::PKCS_RSA_SHA256),
        ];
        for (at, (name, purpose, algorithm)) in plan.into_iter().enumerate() {
            let key = key(&directory.join(format!("{name}.pem")), u8::try_from(at + 1).unwrap(), algorithm);
            issuer += &format!(
                "[[key]]\nname = \"{name}\"\npurpose = \"{purpose}\"\nid = \"{:02x}\"\ncertificate = \"{name}.pem\"\nstate = \"{}\"\n",
                key.id[0],
                if name == "sealed-before" { "previous" } else { "active" }
            );
            keys.insert(name, key);
        }
        fs::write(directory.join("issuer.toml"), issuer).unwrap();
        let socket = |place: Place| listener(&root.path().join(place.file()));
        Self {
            worker: socket(Place::IssuerWorker),
            auth: socket(Place::IssuerAuth),
            signer: socket(Place::IssuerSigner),
            audit: Listener::adopt(socket(Place::AuditIssuer)).unwrap(),
            keys,
            root,
        }
    }

    pub(crate) fn start(&self) -> Daemon {
        self.start_saying(Stdio::inherit())
    }

    /// Starts issuer with its log going elsewhere.
    pub(crate) fn start_saying(&self, log: impl Into<Stdio>) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-issuer"));
        command.arg(self.root.path()).stderr(log);
        let listeners = [("worker", &self.worker), ("auth", &self.auth), ("signer", &self.signer)];
        Daemon::start(&mut command, self.root.path(), &listeners).unwrap()
    }

    fn connect(&self, place: Place) -> Channel {
        Channel::connect(&self.root.path().join(place.file())).unwrap()
    }

    pub(crate) fn worker(&self) -> Worker {
        Line::new(self.connect(Place::IssuerWorker), Link::IssuerToWorker)
    }

    pub(crate) fn auth(&self) -> Auth {
        Line::new(self.connect(Place::IssuerAuth), Link::IssuerToAuth)
    }

    /// A signer that has said that it is ready, with the right keys.
    pub(crate) fn signer(&self) -> Signer {
        let reports = self.keys.values().map(|key| (key.id.clone(), key.public_key.clone()));
        self.signer_with(reports.collect())
    }

    pub(crate) fn signer_with(&self, reports: Vec<(KeyId, Vec<u8>)>) -> Signer {
        let mut signer: Signer = Line::new(self.connect(Place::IssuerSigner), Link::IssuerToSigner);
        let report = |(id, key): (KeyId, Vec<u8>)| KeyReport { id, public_key: Octets::new(key).unwrap() };
        signer.say(&SignerToIssuer::Ready(SignerReady {
            token_serial: Text::new("1").unwrap(),
            token_label: Text::new("test").unwrap(),
            sessions: 2,
            keys: List::new(reports.into_iter().map(report).collect::<Vec<_>>()).unwrap(),
        }));
        signer
    }

    /// The audit that issuer connects to, before it has said where the record stands.
    pub(crate) fn silent_audit(&self) -> Audit {
        Line::new(eventually("issuer connects to audit", || self.audit.accept().unwrap()), Link::IssuerToAudit)
    }

    pub(crate) fn audit(&self) -> Audit {
        self.audit_at(None)
    }

    pub(crate) fn audit_at(&self, last: Option<Millis>) -> Audit {
        let mut audit = self.silent_audit();
        audit.say(&FromAudit::Head { entries: 0, last });
        audit
    }

    /// Signs what issuer asks for next, and answers.
    pub(crate) fn sign(&self, signer: &mut Signer) {
        let asked = signer.hear();
        self.answer(signer, asked);
    }

    /// Signs if issuer asks soon.
    pub(crate) fn signs(&self, signer: &mut Signer) -> bool {
        let asked = signer.heard();
        asked.map(|asked| self.answer(signer, asked)).is_some()
    }

    pub(crate) fn answer(&self, signer: &mut Signer, asked: IssuerToSigner) {
        let IssuerToSigner::Sign { id, key, mechanism, digest } = asked else { panic!("a digest") };
        let key = self.keys.values().find(|other| other.id == key).unwrap();
        let signature = Octets::new(key.pair.sign(mechanism, &digest)).unwrap();
        signer.say(&SignerToIssuer::Signed { id, signature });
    }
}

/// Keys are made once for all tests: RSA takes its time.
fn made(id: u8, algorithm: &'static rcgen::SignatureAlgorithm) -> rcgen::KeyPair {
    static MADE: OnceLock<Mutex<HashMap<u8, Vec<u8>>>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    let new = || rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_der();
    let pkcs8 = made.entry(id).or_insert_with(new).clone();
    rcgen::KeyPair::from_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8).into(), algorithm).unwrap()
}

fn key(path: &Path, id: u8, algorithm: &'static rcgen::SignatureAlgorithm) -> Key {
    use rcgen::PublicKeyData as _;
    let made = made(id, algorithm);
    let mut params = rcgen::CertificateParams::new(vec!["sts.example.com".into()]).unwrap();
    // With a subject key identifier.
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let certificate = params.self_signed(&made).unwrap();
    fs::write(path, certificate.pem()).unwrap();
    let pkcs8 = made.serialize_der();
    let ecdsa = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).unwrap();
    let pair = if algorithm == &rcgen::PKCS_RSA_SHA256 {
        Pair::Rsa(RsaKeyPair::from_pkcs8(&pkcs8).unwrap())
    } else if algorithm == &rcgen::PKCS_ECDSA_P384_SHA384 {
        Pair::P384(ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING))
    } else {
        Pair::P256(ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING))
    };
    let hash = aws_lc_rs::digest::digest(&SHA256, certificate.der());
    Key {
        certificate: certificate.der().to_vec(),
        id: KeyId::new([id]).unwrap(),
        pair,
        public_key: made.subject_public_key_info(),
        certificate_sha256: hash.as_ref().try_into().unwrap(),
    }
}

/// The pid issuer sees for every channel of this test.
pub(crate) fn me() -> Peer {
    Peer(i32::try_from(std::process::id()).unwrap())
}

pub(crate) fn order(relying_party: &str, token_type: TokenType) -> Order {
    let now = Millis::now();
    let claim = Claim {
        uri: Text::new("http://schemas.xmlsoap.org/claims/UPN").unwrap(),
        values: List::new(vec![Text::new("alice <&> \"Ä\"\r\n\t@example.com").unwrap()]).unwrap(),
    };
    Order {
        correlation: Correlation::random(),
        relying_party: Text::new(relying_party).unwrap(),
        token_type,
        subject: Subject {
            account: Text::new("alice").unwrap(),
            name: Text::new("alice@example.com").unwrap(),
            format: NameFormat::EmailAddress,
        },
        claims: List::new(if relying_party == "office" { vec![claim] } else { vec![] }).unwrap(),
        confirmation: Confirmation::Bearer,
        not_before: None,
        latest_expiry: now.plus(900_000),
        authentication: Authentication { method: Method::Password, instant: now },
        request: RequestIntegrity::Transport,
    }
}

/// Lodges an order for `worker` and gives what redeems it.
pub(crate) fn lodge(auth: &mut Auth, order: Order, worker: Peer) -> Redemption {
    lodge_with(auth, order, worker, false)
}

/// The same, and whether the answer may be signed.
pub(crate) fn lodge_with(auth: &mut Auth, order: Order, worker: Peer, signed_reply: bool) -> Redemption {
    let (voucher, correlation) = (VoucherId::random(), order.correlation);
    auth.say(&AuthToIssuer::Lodge(Voucher { id: voucher, worker, order, signed_reply }));
    let answer = std::iter::repeat_with(|| auth.hear()).find(|said| !matches!(said, IssuerToAuth::Redeemed(_)));
    assert!(matches!(answer, Some(IssuerToAuth::Lodged(id)) if id == voucher));
    Redemption { voucher, correlation }
}

/// Takes the next entry of the record and its sequence.
pub(crate) fn entry(audit: &mut Audit) -> (u64, IssuerEntry) {
    let IssuerToAudit::Append { sequence, entry } = audit.hear();
    (sequence, entry)
}

/// Takes the next entry and makes it durable.
pub(crate) fn record(audit: &mut Audit) -> IssuerEntry {
    let (sequence, entry) = entry(audit);
    audit.say(&FromAudit::Durable { sequence });
    entry
}

pub(crate) fn failure(worker: &mut Worker) -> Failure {
    match worker.hear() {
        IssuerToWorker::Failed { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn released(worker: &mut Worker) -> Release {
    match worker.hear() {
        IssuerToWorker::Released(release) => release,
        other => panic!("{other:?}"),
    }
}
