//! The other processes, played: auth and issuer as threads on their production sockets, and clients.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use borsh::BorshDeserialize;
use chancery::sys::channel::{Duplex, Listener};
use chancery::sys::places::Place;
use chancery::wire::evidence::{Refusal, Refused, Vouched};
use chancery::wire::links::{AuthToWorker, IssuerToWorker, Transcript, WorkerToAuth, WorkerToIssuer};
use chancery::wire::order::{Failure, Release, TokenType};
use chancery::wire::permit::Link;
use chancery::wire::snapshot::Snapshot;
use chancery::wire::{Millis, Octets, Text, VoucherId};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const ENDPOINT: &str = "/adfs/services/trust/13/usernamemixed";

pub(crate) const SOAP: &[u8] = br##"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action s:mustUnderstand="1">http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action><a:MessageID>urn:uuid:0a3c1f9e-8a53-4c4e-9b5d-0d5a1c7b2f10</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo><a:To s:mustUnderstand="1">https://localhost/adfs/services/trust/13/usernamemixed</a:To><o:Security s:mustUnderstand="1" xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><o:UsernameToken><o:Username>alice</o:Username><o:Password>secret</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><trust:RequestSecurityToken xmlns:trust="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>urn:federation:MicrosoftOnline</a:Address></a:EndpointReference></wsp:AppliesTo><trust:KeyType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer</trust:KeyType><trust:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</trust:RequestType></trust:RequestSecurityToken></s:Body></s:Envelope>"##;

/// How the played auth behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    /// Vouches at once.
    Kind,
    /// Vouches after this long.
    Slow(Duration),
    /// Never answers.
    Silent,
    /// Hangs up when it is asked.
    HangUp,
    /// Answers with what belongs to another link.
    Liar,
}

/// A listener at a place in `run`.
fn listener(run: &Path, place: Place) -> Listener {
    let path = run.join(place.file());
    let _ = std::fs::remove_file(&path);
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&fd, Backlog::new(64).unwrap()).unwrap();
    Listener::adopt(fd).unwrap()
}

fn readable(fds: &[&dyn AsFd]) {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    let _ = poll(&mut polled, PollTimeout::from(5u8));
}

/// The played auth.
pub(crate) struct Auth {
    mood: Arc<Mutex<Mood>>,
    seen: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Auth {
    fn start(run: &Path) -> Self {
        let (mood, seen) = (Arc::new(Mutex::new(Mood::Kind)), Arc::new(AtomicUsize::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let listener = listener(run, Place::AuthWorker);
        let (mood2, seen2, stop2) = (Arc::clone(&mood), Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut channel: Option<Duplex<WorkerToAuth, AuthToWorker>> = None;
            let mut due: VecDeque<(Instant, AuthToWorker)> = VecDeque::new();
            while !stop2.load(Ordering::SeqCst) {
                match &channel {
                    Some(open) => readable(&[&listener, open]),
                    None => readable(&[&listener]),
                }
                if let Some(accepted) = listener.accept().unwrap() {
                    channel = Some(Duplex::new(accepted, Link::WorkerToAuth));
                }
                let Some(open) = &mut channel else { continue };
                let received = open.receive();
                if let Ok(Some(WorkerToAuth::Open(open))) = &received {
                    // It has no key that opens anything.
                    let refused = Refused { correlation: open.correlation, refusal: Refusal::FailedCheck };
                    due.push_back((Instant::now(), AuthToWorker::Refused(refused)));
                }
                if let Ok(Some(WorkerToAuth::Submit(submission))) = received {
                    seen2.fetch_add(1, Ordering::SeqCst);
                    let vouched = AuthToWorker::Vouched(Vouched {
                        correlation: submission.correlation,
                        voucher: VoucherId::random(),
                    });
                    let mood = *mood2.lock().unwrap();
                    match mood {
                        Mood::Kind => due.push_back((Instant::now(), vouched)),
                        Mood::Slow(delay) => due.push_back((Instant::now() + delay, vouched)),
                        Mood::Silent => {}
                        Mood::HangUp => channel = None,
                        Mood::Liar => {
                            nix::sys::socket::send(
                                open.as_raw_fd(),
                                &[2, 0, 1, 0, 0, 0, 99],
                                nix::sys::socket::MsgFlags::empty(),
                            )
                            .unwrap();
                        }
                    }
                } else if received.is_err() {
                    channel = None;
                }
                while let Some((_, answer)) = due.pop_front_if(|(at, _)| *at <= Instant::now()) {
                    if let Some(open) = &mut channel {
                        let _ = open.send(&answer);
                    }
                }
            }
        });
        Self { mood, seen, stop, thread: Some(thread) }
    }

    pub(crate) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Submissions so far.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_for(&self, submissions: usize) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.seen() < submissions {
            assert!(Instant::now() < end, "auth was not asked");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// The played issuer.
pub(crate) struct Issuer {
    pub(crate) redeemed: Arc<AtomicUsize>,
    /// Handshakes it was asked to sign, and those it signed.
    pub(crate) asked: Arc<AtomicUsize>,
    pub(crate) signed: Arc<AtomicUsize>,
    pub(crate) signs: Arc<AtomicBool>,
    pub(crate) delay_ms: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Issuer {
    fn start(run: &Path, key: &rcgen::KeyPair, mut unknown: usize) -> Self {
        let listener = listener(run, Place::IssuerWorker);
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der()).unwrap();
        let (redeemed, signed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (signs, stop) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let delay_ms = Arc::new(AtomicU64::new(0));
        let (redeemed2, signed2, signs2, stop2) =
            (Arc::clone(&redeemed), Arc::clone(&signed), Arc::clone(&signs), Arc::clone(&stop));
        let delay2 = Arc::clone(&delay_ms);
        let asked = Arc::new(AtomicUsize::new(0));
        let asked2 = Arc::clone(&asked);
        let thread = std::thread::spawn(move || {
            let mut channel: Option<Duplex<WorkerToIssuer, IssuerToWorker>> = None;
            while !stop2.load(Ordering::SeqCst) {
                match &channel {
                    Some(open) => readable(&[&listener, open]),
                    None => readable(&[&listener]),
                }
                if let Some(accepted) = listener.accept().unwrap() {
                    channel = Some(Duplex::new(accepted, Link::WorkerToIssuer));
                }
                let Some(open) = &mut channel else { continue };
                let answer = match open.receive() {
                    Ok(Some(WorkerToIssuer::Redeem(redemption))) if unknown > 0 => {
                        unknown -= 1;
                        IssuerToWorker::Failed { correlation: redemption.correlation, failure: Failure::NoSuchVoucher }
                    }
                    Ok(Some(WorkerToIssuer::Redeem(redemption))) => {
                        redeemed2.fetch_add(1, Ordering::SeqCst);
                        IssuerToWorker::Released(Release {
                            correlation: redemption.correlation,
                            token: Octets::new(*b"<token-of-issuer xmlns=\"urn:x\"/>").unwrap(),
                            token_type: TokenType::Saml11,
                            token_id: Text::new("_1").unwrap(),
                            created: Millis::now(),
                            expires: Millis::now().plus(60_000),
                        })
                    }
                    Ok(Some(WorkerToIssuer::Handshake(handshake) | WorkerToIssuer::RememberedHandshake(handshake))) => {
                        asked2.fetch_add(1, Ordering::SeqCst);
                        if !signs2.load(Ordering::SeqCst) {
                            continue;
                        }
                        std::thread::sleep(Duration::from_millis(delay2.load(Ordering::SeqCst)));
                        signed2.fetch_add(1, Ordering::SeqCst);
                        let octets = octets(handshake.transcript);
                        let signature = key.sign(&aws_lc_rs::rand::SystemRandom::new(), &octets).unwrap();
                        let signature = Octets::new(signature.as_ref()).unwrap();
                        IssuerToWorker::HandshakeSigned { serial: handshake.serial, signature }
                    }
                    Ok(Some(WorkerToIssuer::SignReply(_))) => panic!("no answer here is signed"),
                    Ok(None) => continue,
                    Err(_) => {
                        channel = None;
                        continue;
                    }
                };
                let _ = open.send(&answer);
            }
        });
        Self { redeemed, asked, signed, signs, delay_ms, stop, thread: Some(thread) }
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// What RFC 8446 4.4.3 and RFC 8422 5.4 have signed.
fn octets(transcript: Transcript) -> Vec<u8> {
    match transcript {
        Transcript::Tls13 { hash } => {
            let mut octets = vec![b' '; 64];
            octets.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
            octets.extend_from_slice(&hash);
            octets
        }
        Transcript::Tls12 { client_random, server_random, curve, point } => {
            let mut octets = [client_random, server_random].concat();
            octets.push(3);
            octets.extend_from_slice(&curve.to_be_bytes());
            octets.push(u8::try_from(point.len()).unwrap());
            octets.extend_from_slice(&point);
            octets
        }
    }
}

/// Everything around one worker.
pub(crate) struct Stage {
    pub(crate) auth: Auth,
    pub(crate) issuer: Issuer,
    pub(crate) address: SocketAddr,
    directory: tempfile::TempDir,
    worker: Child,
    certificate: CertificateDer<'static>,
    key: rcgen::KeyPair,
    listener: OwnedFd,
    environment: Vec<(String, String)>,
    exporter: UnixDatagram,
}

impl Stage {
    /// A worker that dies at this failpoint, once.
    pub(crate) fn doomed(failpoint: &str) -> Self {
        let mut stage = Self::new("");
        let mark = stage.directory.path().join("died").display().to_string();
        stage.environment = vec![("CHANCERY_FAILPOINT".to_owned(), format!("{failpoint},{mark}"))];
        stage.terminate();
        stage.exited(Duration::from_secs(5));
        stage.start();
        stage
    }

    /// Starts the worker on the listener that was there before.
    pub(crate) fn start(&mut self) {
        self.worker = launch(self.directory.path(), &self.listener, &self.environment);
        self.logs("event=\"ready\"");
    }

    /// A worker with these lines in `[limits]`.
    pub(crate) fn new(limits: &str) -> Self {
        Self::with("1.3", limits)
    }

    pub(crate) fn with(minimum: &str, limits: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::create_dir(root.join("worker.d")).unwrap();
        std::fs::create_dir(root.join("run")).unwrap();
        std::fs::write(root.join("worker.d/tls.pem"), certificate.pem()).unwrap();
        let config = format!(
            "public_url = \"https://localhost\"\n[tls]\ncertificate = \"tls.pem\"\nminimum = \"{minimum}\"\n\
             [limits]\n{limits}[[endpoint]]\npath = \"{ENDPOINT}\"\nprofile = \"adfs\"\ntrust = \"1.3\"\n\
             credential = \"username\"\n[[metadata]]\npath = \"/adfs/services/trust/mex\"\nkind = \"mex\"\n"
        );
        std::fs::write(root.join("worker.d/worker.toml"), config).unwrap();
        let exporter = UnixDatagram::bind(root.join("run").join(Place::Metrics.file())).unwrap();
        exporter.set_nonblocking(true).unwrap();
        let auth = Auth::start(&root.join("run"));
        let issuer = Issuer::start(&root.join("run"), &key, 0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // std asks for 128; what does not fit waits a second before it tries again.
        listen(&listener, Backlog::new(4096).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = OwnedFd::from(listener);
        let worker = launch(root, &listener, &[]);
        let certificate = certificate.der().clone();
        let environment = Vec::new();
        let stage =
            Self { auth, issuer, address, directory, worker, certificate, key, listener, environment, exporter };
        stage.logs("event=\"ready\"");
        stage
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Starts the worker again with another configuration.
    pub(crate) fn configured(&mut self, change: impl FnOnce(&str) -> String) {
        let file = self.directory.path().join("worker.d/worker.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, change(&text)).unwrap();
        self.terminate();
        self.exited(Duration::from_secs(5));
        self.start();
    }

    /// Waits until a counter is what it should be.
    pub(crate) fn counts(&self, family: &str, label: &str, value: f64) {
        let end = Instant::now() + Duration::from_secs(5);
        let mut octets = vec![0; 256 * 1024];
        let mut last = None;
        while last != Some(value) {
            assert!(Instant::now() < end, "{family} {label}: {last:?} instead of {value}");
            let Ok(length) = self.exporter.recv(&mut octets) else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            let snapshot = Snapshot::try_from_slice(&octets[..length]).unwrap();
            assert_eq!(&*snapshot.process, "worker@1");
            let family = snapshot.families.iter().find(|known| &*known.name == family).unwrap();
            let sample = family.samples.iter().find(|sample| {
                sample.labels.iter().any(|known| &*known.value == label) || sample.labels.is_empty() && label.is_empty()
            });
            last = sample.map(|sample| sample.value);
        }
    }

    /// What of the worker is in memory, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits for a line of the log.
    pub(crate) fn logs(&self, words: &str) {
        let end = Instant::now() + Duration::from_secs(5);
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "no {words} in the log");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// So many connections that say nothing, from ten addresses: each may have 1024.
    pub(crate) fn silent(&self, count: usize) -> Vec<TcpStream> {
        let one = async |index: usize| {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(format!("127.0.0.{}:0", 10 + index % 10).parse().unwrap()).unwrap();
            let stream = socket.connect(self.address).await.unwrap().into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            stream
        };
        run(async {
            let mut streams = Vec::new();
            for index in 0..count {
                streams.push(one(index).await);
            }
            streams
        })
    }

    pub(crate) fn client(&self) -> Client {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Client::new(self.address, &self.certificate, provider, &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    pub(crate) fn terminate(&mut self) {
        self.tell(nix::sys::signal::Signal::SIGTERM);
    }

    pub(crate) fn tell(&mut self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.worker.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    pub(crate) fn exited(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.worker.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the worker is still there: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the played auth and starts another after `pause`.
    pub(crate) fn restart_auth(&mut self, pause: Duration) {
        self.auth.stop();
        std::thread::sleep(pause);
        self.auth = Auth::start(&self.directory.path().join("run"));
    }

    /// Ends the played issuer and starts another after `pause` that does not know the first `unknown` vouchers.
    pub(crate) fn restart_issuer(&mut self, pause: Duration, unknown: usize) {
        self.issuer.stop();
        std::thread::sleep(pause);
        self.issuer = Issuer::start(&self.directory.path().join("run"), &self.key, unknown);
    }
}

fn launch(root: &Path, listener: &OwnedFd, environment: &[(String, String)]) -> Child {
    let log = std::fs::File::create(root.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-worker"));
    command.arg(root).env("CHANCERY_RUN", root.join("run")).stderr(log);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    chancery::sys::spawn::spawn(&mut command, &[("https", listener)]).unwrap()
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.worker.kill();
        let _ = self.worker.wait();
        self.auth.stop();
        self.issuer.stop();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: hyper::HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    async fn read(response: hyper::Response<hyper::body::Incoming>) -> hyper::Result<Self> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Self { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What a client saw of its last connection.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) version: Option<rustls::ProtocolVersion>,
    pub(crate) group: Option<rustls::NamedGroup>,
    pub(crate) kind: Option<rustls::HandshakeKind>,
}

/// A client; every request comes over a new connection.
pub(crate) struct Client {
    address: SocketAddr,
    from: IpAddr,
    certificate: CertificateDer<'static>,
    config: Arc<rustls::ClientConfig>,
    http2: bool,
    seen: Mutex<Seen>,
}

impl Client {
    fn new(
        address: SocketAddr,
        certificate: &CertificateDer<'static>,
        provider: rustls::crypto::CryptoProvider,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let certificate = certificate.clone();
        let from = "127.0.0.1".parse().unwrap();
        Self { address, from, certificate, config: Arc::new(config), http2: false, seen: Mutex::default() }
    }

    pub(crate) fn tls12(self) -> Self {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Self::new(self.address, &self.certificate, provider, &[&rustls::version::TLS12])
    }

    /// Offers a share of a group the server does not take, and one that it does without a share.
    pub(crate) fn awkward_group(self) -> Self {
        use rustls::crypto::aws_lc_rs::kx_group::{MLKEM768, X25519};
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![MLKEM768, X25519];
        Self::new(self.address, &self.certificate, provider, &[&rustls::version::TLS13])
    }

    pub(crate) fn http2(mut self, http2: bool) -> Self {
        self.http2 = http2;
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.from = address.parse().unwrap();
        self
    }

    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock().unwrap()
    }

    pub(crate) fn post(&self, body: &[u8]) -> Reply {
        self.send("POST", ENDPOINT, &[("content-type", "application/soap+xml; charset=utf-8")], body)
    }

    /// The same request so many times over one connection.
    pub(crate) fn posts(&self, body: &[u8], times: u64) -> Vec<Reply> {
        run(async {
            let stream = self.connect().await.unwrap();
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let mut replies = Vec::new();
            for _ in 0..times {
                let request = hyper::Request::post(ENDPOINT).header("host", "localhost");
                let request = request.header("content-type", "application/soap+xml; charset=utf-8");
                let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
                replies.push(Reply::read(sender.send_request(request).await.unwrap()).await.unwrap());
            }
            replies
        })
    }

    pub(crate) fn try_post(&self, body: &[u8]) -> Result<Reply, String> {
        run(self.exchange("POST", ENDPOINT, &[("content-type", "application/soap+xml; charset=utf-8")], body))
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        run(self.exchange(method, path, headers, body)).unwrap()
    }

    /// Sends these octets inside TLS and reads until the server closes.
    pub(crate) fn raw(&self, octets: &[u8]) -> String {
        self.raw_after(|| {}, octets)
    }

    /// As [`Self::raw`]; does something between the handshake and the octets.
    pub(crate) fn raw_after(&self, between: impl FnOnce(), octets: &[u8]) -> String {
        run(async {
            let mut stream = self.connect().await.unwrap();
            between();
            let _ = stream.write_all(octets).await;
            let _ = stream.flush().await;
            let mut answer = Vec::new();
            let mut buffer = [0; 4096];
            // An answer that keeps the connection open is whole when it has come.
            while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_secs(6), stream.read(&mut buffer)).await {
                answer.extend_from_slice(&buffer[..read]);
                if read == 0 || answer.starts_with(b"HTTP/1.1 ") {
                    break;
                }
            }
            String::from_utf8_lossy(&answer).into_owned()
        })
    }

    async fn connect(&self) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, String> {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(self.from, 0)).unwrap();
        let stream = socket.connect(self.address).await.map_err(|error| error.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        let name = ServerName::try_from("localhost").unwrap();
        connector.connect(name, stream).await.map_err(|error| error.to_string())
    }

    async fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply, String> {
        let stream = self.connect().await?;
        let session = stream.get_ref().1;
        *self.seen.lock().unwrap() = Seen {
            version: session.protocol_version(),
            group: session.negotiated_key_exchange_group().map(|group| group.name()),
            kind: session.handshake_kind(),
        };
        let uri = if self.http2 { format!("https://localhost{path}") } else { path.to_owned() };
        let mut request = hyper::Request::builder().method(method).uri(uri);
        if !self.http2 {
            request = request.header("host", "localhost");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let io = TokioIo::new(stream);
        let text = |error: hyper::Error| format!("{error:?}");
        let response = if self.http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(text)?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(text)?;
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        Reply::read(response.map_err(text)?).await.map_err(text)
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("no answer in 20 s"))
    })
}
