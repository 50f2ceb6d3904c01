//! The sandbox of each role on each Landlock ABI, from inside (`chancery check-sandbox`), and the worker's
//! dialer. This is a program and not a list of `#[test]`s because it starts itself again: as an attempt, and
//! as a dialer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output};

use chancery::ctl::check_sandbox::{self, Finding};
use chancery::sandbox::probe::{self, Outcome, Verdict};
use chancery::sandbox::{Grants, Role, SandboxError, lock_down};
use chancery::sys::dial::{self, Dialer};
use chancery::sys::places::Place;
use clap::Parser;

#[derive(Parser)]
enum Line {
    CheckSandbox(check_sandbox::Args),
    /// Becomes a worker that has a dialer.
    Worker,
    /// Becomes a worker that was taken over, and sends its dialer these octets.
    HijackedDialing {
        octets: Vec<u8>,
    },
    /// Becomes a worker that was taken over, and connects by itself.
    HijackedConnecting {
        path: PathBuf,
    },
    /// Becomes a signer that loads SoftHSM.
    Signer,
    /// Becomes a signer that may connect to one port or one socket, and talks to it as the module of an HSM does.
    Hsm {
        attempt: String,
        granted: String,
        asked: String,
    },
    /// Becomes an auth with a store in that directory.
    Store {
        directory: PathBuf,
    },
    /// Becomes an auth that may connect to one port, and tries something.
    Directory {
        attempt: String,
        granted: u16,
        port: u16,
    },
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("without_lock_down_the_attempts_get_through", without_lock_down_the_attempts_get_through),
    ("every_role_is_held_on_the_kernels_landlock", || hold_every_role(None)),
    ("every_role_is_held_on_debian_12s_landlock_2", || hold_every_role(Some(2))),
    ("every_role_is_held_by_seccomp_alone", || hold_every_role(Some(0))),
    ("seccomp_alone_refuses_all_but_what_the_table_names", seccomp_alone_refuses_all_but_what_the_table_names),
    ("a_locked_down_worker_reaches_its_two_places_through_the_dialer", a_worker_reaches_its_places),
    ("a_hijacked_worker_reaches_no_other_socket_by_its_dialer_or_itself", a_hijacked_worker_reaches_no_other_socket),
    ("a_locked_down_signer_loads_softhsm_and_signs", a_locked_down_signer_loads_softhsm_and_signs),
    ("a_signer_reaches_the_port_of_its_hsm_and_no_other", a_signer_reaches_the_port_of_its_hsm),
    ("a_signer_reaches_the_daemon_of_its_hsm", a_signer_reaches_the_daemon_of_its_hsm),
    ("a_locked_down_auth_keeps_its_store", a_locked_down_auth_keeps_its_store),
    ("an_auth_with_a_directory_reaches_its_port_and_no_other", an_auth_with_a_directory_reaches_its_port),
    ("the_debug_mode_names_the_refused_call_and_refuses_it", the_debug_mode_names_the_refused_call),
    ("a_role_is_not_granted_what_it_may_not_have", a_role_is_not_granted_what_it_may_not_have),
    ("a_process_with_threads_is_not_locked_down", a_process_with_threads_is_not_locked_down),
];

fn main() -> ExitCode {
    if let Some(code) = dial::maybe_run() {
        return code;
    }
    let first = std::env::args().nth(1);
    let again =
        ["check-sandbox", "worker", "hijacked-dialing", "hijacked-connecting", "signer", "hsm", "store", "directory"];
    if first.is_some_and(|first| again.contains(&first.as_str())) {
        return match Line::parse() {
            Line::HijackedDialing { octets } => hijacked_dialing(&octets),
            Line::HijackedConnecting { path } => hijacked_connecting(&path),
            Line::CheckSandbox(args) => check_sandbox::run(&args),
            Line::Worker => worker(),
            Line::Signer => signer(),
            Line::Hsm { attempt, granted, asked } => hsm(&attempt, &granted, &asked),
            Line::Store { directory } => store(&directory),
            Line::Directory { attempt, granted, port } => directory(&attempt, granted, port),
        };
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filter = words.iter().find(|word| !word.starts_with('-'));
    let mut passed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str()))) {
        // A failed one ends this program by its panic, without a result.
        println!("test {name} ...");
        test();
        println!("test {name} ... ok");
        passed += 1;
    }
    // In libtest's words, so that whoever adds up results finds this one.
    println!(
        "test result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; {} filtered out",
        TESTS.len() - passed
    );
    ExitCode::SUCCESS
}

fn without_lock_down_the_attempts_get_through() {
    let findings = check_sandbox::attempt_all(None, None).unwrap();
    let stopped: Vec<&Finding> = findings
        .iter()
        .filter(|finding| probe::gets_through_unconfined(finding.probe) && finding.outcome != Outcome::Through)
        .collect();
    assert!(stopped.is_empty(), "these prove nothing inside a sandbox: {stopped:#?}");
    for finding in &findings {
        println!("  {:<23} {:?}", finding.probe, finding.outcome);
    }
    let killed: Vec<&Finding> = findings.iter().filter(|finding| finding.outcome == Outcome::Killed).collect();
    assert!(killed.is_empty(), "something else here kills: {killed:#?}");
}

fn hold_every_role(abi: Option<u8>) {
    for role in Role::ALL {
        let findings = check_sandbox::attempt_all(Some(role), abi).unwrap();
        let wrong: Vec<&Finding> = findings.iter().filter(|finding| !finding.good()).collect();
        assert!(wrong.is_empty(), "{role}: {wrong:#?}");
        assert!(findings.len() > 80, "{role}: only {} attempts", findings.len());
        if let Some(abi) = abi {
            assert!(findings.iter().all(|finding| finding.landlock <= abi));
        }
    }
}

fn seccomp_alone_refuses_all_but_what_the_table_names() {
    for role in Role::ALL {
        let left: Vec<&str> =
            probe::names().filter(|name| matches!(probe::expected(name, role), Some(Verdict::Landlock(..)))).collect();
        let named: &[&str] = match role {
            Role::Worker | Role::Exporter | Role::Reader => &[],
            Role::Auth => &[
                "open-passwd",
                "connect-tcp",
                "connect-accepted-again",
                "connect-listener-again",
                "directory-dial-elsewhere",
            ],
            Role::Signer => &[
                "open-passwd",
                "create-file",
                "write-readable",
                "change-file",
                "hsm-tcp-dial-elsewhere",
                "hsm-unix-dial-elsewhere",
                "hsm-unix-dial-abstract",
                "hsm-unix-dial-tcp",
                "hsm-device-elsewhere",
            ],
            Role::Audit => &["open-passwd", "create-file", "write-readable", "change-file"],
            Role::Kerberos => &["open-passwd", "change-file"],
            Role::Issuer | Role::Dialer => &["connect-tcp", "connect-accepted-again", "connect-listener-again"],
        };
        assert_eq!(left, named, "{role}");
    }
}

/// The places that workers connect to.
const WORKERS: [Place; 2] = [Place::AuthWorker, Place::IssuerWorker];

/// A listener at that place in the runtime directory `run`.
fn listener(run: &Path, place: Place) -> OwnedFd {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
    bind(fd.as_raw_fd(), &UnixAddr::new(&run.join(place.file())).unwrap()).unwrap();
    listen(&fd, Backlog::new(8).unwrap()).unwrap();
    fd
}

/// Who is connected to that listener, if anybody is.
fn connected(listener: &OwnedFd) -> Option<i32> {
    use nix::sys::socket::{accept, getsockopt, sockopt};
    use std::os::fd::FromRawFd;
    let raw = accept(listener.as_raw_fd()).ok()?;
    #[expect(unsafe_code, reason = "accept gives a bare number")]
    // SAFETY: just made, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    Some(getsockopt(&fd, sockopt::PeerCredentials).unwrap().pid())
}

fn again(run: &Path, words: &[&str]) -> Output {
    let mut command = std::process::Command::new("/proc/self/exe");
    command.args(words).env("CHANCERY_RUN", run).env_remove("CHANCERY_SANDBOX").output().unwrap()
}

/// Two listeners in a runtime directory, and this program as a worker.
fn a_worker_reaches_its_places() {
    let run = tempfile::tempdir().unwrap();
    let listeners = WORKERS.map(|place| listener(run.path(), place));
    let output = again(run.path(), &["worker"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {said}", output.status);
    let peers = listeners.map(|listener| connected(&listener).unwrap());
    assert_eq!(peers[0], peers[1], "auth and issuer must see the same peer for one worker");
    assert!(said.contains("locked down as dialer"), "{said}");
}

/// Every channel of a service, one user's, as under `chancery run`: the dialer's two places and no other are
/// reached, whatever it is told; and nothing is reached without it.
fn a_hijacked_worker_reaches_no_other_socket() {
    use std::os::unix::process::ExitStatusExt;
    let run = tempfile::tempdir().unwrap();
    let places: Vec<Place> = Place::ALL.into_iter().filter(|place| *place != Place::Metrics).collect();
    let listeners: Vec<_> = places.iter().map(|place| (*place, listener(run.path(), *place))).collect();
    let reached = || -> Vec<Place> {
        listeners.iter().filter(|(_, listener)| connected(listener).is_some()).map(|(place, _)| *place).collect()
    };
    let dialed = |octets: &[&str]| again(run.path(), &[&["hijacked-dialing"], octets].concat());
    // It can do what a worker can: what follows is not merely broken.
    for (octet, place) in ["0", "1"].into_iter().zip(WORKERS) {
        let output = dialed(&[octet]);
        assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        assert_eq!(reached(), [place]);
    }
    let path: Vec<String> =
        run.path().join(Place::AuditIssuer.file()).to_str().unwrap().bytes().map(|b| b.to_string()).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    for octets in [&["2"][..], &["3"], &["4"], &["5"], &["6"], &["255"], &["0", "3"], &["3", "0"], &path] {
        let output = dialed(octets);
        assert_eq!(output.status.code(), Some(HUNG_UP_ON), "{octets:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(reached(), [], "{octets:?}");
    }
    for place in places {
        let output = again(run.path(), &["hijacked-connecting", run.path().join(place.file()).to_str().unwrap()]);
        assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{place:?}: {:?}", output.status);
        assert!(String::from_utf8_lossy(&output.stderr).contains("locked down as worker"), "{place:?}");
        assert_eq!(reached(), [], "{place:?}");
    }
}

/// Exit code of a hijacker whose dialer ended without connecting him.
const HUNG_UP_ON: i32 = 7;

/// Knows no rules of `Dialer`'s: writes to the descriptor itself.
fn hijacked_dialing(octets: &[u8]) -> ExitCode {
    use nix::sys::socket::{MsgFlags, recv, send};
    let sockets = || {
        let all = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
        let sockets =
            all.filter(|path| std::fs::read_link(path).is_ok_and(|to| to.to_str().unwrap().starts_with("socket:")));
        sockets.map(|path| path.file_name().unwrap().to_str().unwrap().parse::<i32>().unwrap()).collect::<Vec<_>>()
    };
    let others = sockets();
    let _dialer = Dialer::start().unwrap();
    let fd = sockets().into_iter().find(|fd| !others.contains(fd)).unwrap();
    eprintln!("{}", lock_down(Role::Worker, &Grants::default()).unwrap());
    send(fd, octets, MsgFlags::MSG_NOSIGNAL).unwrap();
    let mut answer = [0; 8];
    match recv(fd, &mut answer, MsgFlags::empty()) {
        Ok(4) if answer == [0; 8] => ExitCode::SUCCESS,
        Ok(0) => ExitCode::from(HUNG_UP_ON as u8),
        other => panic!("{other:?}: {answer:?}"),
    }
}

fn hijacked_connecting(path: &Path) -> ExitCode {
    let _dialer = Dialer::start().unwrap();
    eprintln!("{}", lock_down(Role::Worker, &Grants::default()).unwrap());
    let connected = chancery::sys::channel::Channel::connect(path);
    panic!("{connected:?}");
}

fn worker() -> ExitCode {
    let dialer = Dialer::start().unwrap();
    let report = lock_down(Role::Worker, &Grants::default()).unwrap();
    eprintln!("{report}");
    std::thread::scope(|scope| {
        for place in [Place::AuthWorker, Place::IssuerWorker] {
            let dialer = &dialer;
            scope.spawn(move || dialer.connect(place).unwrap());
        }
    });
    let refused = dialer.connect(Place::IssuerSigner).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
    ExitCode::SUCCESS
}

/// Where Debian puts it.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

fn a_locked_down_signer_loads_softhsm_and_signs() {
    if !std::path::Path::new(SOFTHSM).exists() {
        println!("SKIPPED sandbox-softhsm: no {SOFTHSM}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("tokens")).unwrap();
    let tokens = directory.path().join("tokens");
    let configuration = directory.path().join("softhsm2.conf");
    std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    for abi in ["7", "2", "0"] {
        let output = std::process::Command::new("/proc/self/exe")
            .arg("signer")
            .env("SOFTHSM2_CONF", &configuration)
            .env("CHANCERY_SANDBOX_ABI", abi)
            .current_dir(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("refused"), "{:?}: {said}", output.status);
    }
}

fn signer() -> ExitCode {
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
    use cryptoki::mechanism::Mechanism;
    use cryptoki::object::Attribute;
    use cryptoki::session::UserType;
    use cryptoki::types::AuthPin;
    let here = std::env::current_dir().unwrap();
    let grants = Grants {
        read: vec![here.join("softhsm2.conf"), "/etc".into()],
        write: vec![here.join("tokens")],
        execute_map: vec!["/usr/lib".into()],
        deny_write_execute: true,
        ..Grants::default()
    };
    eprintln!("{}", lock_down(Role::Signer, &grants).unwrap());
    let module = Pkcs11::new(SOFTHSM).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = *module.get_all_slots().unwrap().last().unwrap();
    let pin = AuthPin::new("1234".to_owned().into());
    module.init_token(slot, &pin, "probe").unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&pin)).unwrap();
    session.init_pin(&pin).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin)).unwrap();
    let public =
        [Attribute::Token(true), Attribute::ModulusBits(2048.into()), Attribute::PublicExponent(vec![1, 0, 1])];
    let (_, key) =
        session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &[Attribute::Token(true)]).unwrap();
    session.sign(&Mechanism::Sha256RsaPkcs, key, b"octets").unwrap();
    session.destroy_object(key).unwrap();
    session.generate_random_vec(16).unwrap();
    drop(session);
    module.finalize().unwrap();
    ExitCode::SUCCESS
}

/// What became of a signer that was granted that much: the Landlock ABI in force and how it ended.
fn hsm_attempt(abi: &str, attempt: &str, granted: &str, asked: &str) -> (u8, Option<i32>, Option<i32>) {
    use std::os::unix::process::ExitStatusExt;
    let output = std::process::Command::new("/proc/self/exe")
        .args(["hsm", attempt, granted, asked])
        .env("CHANCERY_SANDBOX_ABI", abi)
        .env_remove("CHANCERY_SANDBOX")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let landlock = said.split_once(", landlock ").unwrap().1.split(';').next().unwrap().trim().parse().unwrap();
    (landlock, output.status.code(), output.status.signal())
}

fn a_signer_reaches_the_port_of_its_hsm() {
    let (its, other) = (outside(), outside());
    let [its_port, other_port] = [&its, &other].map(|listener| listener.local_addr().unwrap().port().to_string());
    its.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    let _its = Server::start(move || its.accept().map(|(stream, _)| stream));
    let _other = Server::start(move || other.accept().map(|(stream, _)| stream));
    for abi in ["7", "2", "0"] {
        // By number, and by a name of /etc/hosts: no other resolver is reached.
        for host in ["127.0.0.1", "localhost"] {
            let (_, code, signal) = hsm_attempt(abi, host, &its_port, &its_port);
            assert_eq!((code, signal), (Some(0), None), "{abi}: {host}");
        }
        let (landlock, code, _) = hsm_attempt(abi, "127.0.0.1", &its_port, &other_port);
        assert_eq!(code, Some(if landlock < 4 { 0 } else { libc::EACCES }), "landlock {landlock}");
        for (attempt, granted) in [("127.0.0.1", ""), ("udp", &*its_port), ("unix", &its_port), ("netlink", &its_port)]
        {
            let (_, code, signal) = hsm_attempt(abi, attempt, granted, &its_port);
            assert_eq!((code, signal), (Some(libc::EACCES), None), "{abi}: {attempt}");
        }
        let (_, code, signal) = hsm_attempt(abi, "listen", &its_port, &its_port);
        assert_eq!((code, signal), (None, Some(libc::SIGSYS)), "{abi}");
    }
}

fn a_signer_reaches_the_daemon_of_its_hsm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("daemon.sock");
    let daemon = std::os::unix::net::UnixListener::bind(&path).unwrap();
    daemon.set_nonblocking(true).unwrap();
    let _daemon = Server::start(move || daemon.accept().map(|(stream, _)| stream));
    let tcp = outside();
    let (path, port) = (path.to_str().unwrap(), tcp.local_addr().unwrap().port().to_string());
    for abi in ["7", "2", "0"] {
        assert_eq!(hsm_attempt(abi, "unix", path, path).1, Some(0), "{abi}");
        for (attempt, granted, asked) in [("unix", "", path), ("127.0.0.1", path, &*port), ("udp", path, &port)] {
            assert_eq!(hsm_attempt(abi, attempt, granted, asked).1, Some(libc::EACCES), "{abi}: {attempt}");
        }
    }
}

/// Gives five octets for five octets until it is dropped: another test counts the threads of this program.
struct Server(std::sync::Arc<std::sync::atomic::AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Server {
    fn start<S: std::io::Read + std::io::Write>(accept: impl Fn() -> std::io::Result<S> + Send + 'static) -> Self {
        let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = std::sync::Arc::clone(&over);
        let serve = move || {
            while !told.load(std::sync::atomic::Ordering::SeqCst) {
                let Ok(mut stream) = accept() else {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    continue;
                };
                if stream.read_exact(&mut [0; 5]).is_ok() {
                    stream.write_all(b"world").unwrap();
                }
            }
        };
        Self(over, Some(std::thread::spawn(serve)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        self.1.take().unwrap().join().unwrap();
    }
}

/// As the module of an HSM behind TCP or a daemon makes its sockets, and as a hijacker would make others.
fn hsm(attempt: &str, granted: &str, asked: &str) -> ExitCode {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    use std::net::{TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::time::Duration;
    let mut grants = Grants { read: chancery::sandbox::NAMES.map(Into::into).to_vec(), ..Grants::default() };
    grants.read.retain(|path| path.exists());
    match granted.parse() {
        Ok(port) => grants.tcp_connect.push(port),
        Err(_) if granted.is_empty() => {}
        Err(_) => grants.unix_connect.push(granted.into()),
    }
    eprintln!("{}", lock_down(Role::Signer, &grants).unwrap());
    let port = || asked.parse::<u16>().unwrap();
    let outcome = match attempt {
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "listen" => socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .and_then(|socket| chancery::sys::attempts::bind(socket.as_fd()))
            .map_err(Into::into),
        "netlink" => {
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).map(drop).map_err(Into::into)
        }
        "unix" => std::os::unix::net::UnixStream::connect(asked).and_then(talk),
        host => TcpStream::connect((host, port())).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.peer_addr()?;
            talk(stream)
        }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(u8::try_from(error.raw_os_error().unwrap_or(255)).unwrap())
        }
    }
}

fn talk(mut stream: impl std::io::Read + std::io::Write) -> std::io::Result<()> {
    stream.write_all(b"hello")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"world");
    Ok(())
}

fn a_locked_down_auth_keeps_its_store() {
    for abi in ["7", "2", "0"] {
        let directory = tempfile::tempdir().unwrap();
        let output = std::process::Command::new("/proc/self/exe")
            .arg("store")
            .arg(directory.path())
            .env("CHANCERY_SANDBOX_ABI", abi)
            .env_remove("CHANCERY_SANDBOX")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {said}", output.status);
    }
}

/// Everything a store does: it grows, copies its log into its file and forgets.
fn store(directory: &Path) -> ExitCode {
    use chancery::auth::store::{Kind, Measures, Store};
    use chancery::config::auth::{StorePlace, StoreRules};
    use chancery::wire::Millis;
    let opened =
        Store::open(&StoreRules { place: StorePlace::Sqlite(directory.to_owned()), most_rows: 50_000 }, None).unwrap();
    let measures = Measures::new(&chancery::metrics::Metrics::new("auth"));
    let grants = Grants { read: vec!["/etc".into()], write_held: true, ..Grants::default() };
    eprintln!("{}", lock_down(Role::Auth, &grants).unwrap());
    let store = std::sync::Arc::new(opened.start(measures).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for round in 0..60_u16 {
            // Half are over by the time they could be forgotten.
            let asked = (0..500_u16).map(|number| {
                let store = store.clone();
                let expires = if number % 2 == 0 { Millis(0) } else { Millis::now().plus(600_000) };
                let mut value = [0; 32];
                value[..4].copy_from_slice(&(u32::from(round) << 16 | u32::from(number)).to_be_bytes());
                tokio::spawn(async move { store.first_seen(Kind::SignedMessage, &value, expires).await })
            });
            for answer in asked.collect::<Vec<_>>() {
                assert_eq!(answer.await.unwrap(), Ok(true));
            }
        }
    });
    assert!(store.up());
    let length = std::fs::metadata(directory.join("auth.sqlite")).unwrap().len();
    assert!(length > 1 << 20, "the log was never copied: {length}");
    drop(runtime);
    // Waits until the file is closed.
    drop(std::sync::Arc::into_inner(store).unwrap());
    ExitCode::SUCCESS
}

fn an_auth_with_a_directory_reaches_its_port() {
    use std::os::unix::process::ExitStatusExt;
    let (its, other) = (outside(), outside());
    let [its_port, other_port] = [&its, &other].map(|listener| listener.local_addr().unwrap().port());
    for abi in ["7", "2", "0"] {
        let attempt = |attempt: &str, granted: u16, port: u16| {
            let output = std::process::Command::new("/proc/self/exe")
                .args(["directory", attempt, &granted.to_string(), &port.to_string()])
                .env("CHANCERY_SANDBOX_ABI", abi)
                .env_remove("CHANCERY_SANDBOX")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let landlock: u8 =
                said.split_once(", landlock ").unwrap().1.split(';').next().unwrap().trim().parse().unwrap();
            if landlock < 4 && granted != 0 {
                assert!(said.contains("TCP to the outside is not held"), "{said}");
            }
            (landlock, output.status)
        };
        let (_, status) = attempt("connect", its_port, its_port);
        assert!(status.success(), "{abi}: {status:?}");
        let (landlock, status) = attempt("connect", its_port, other_port);
        let refused = if landlock < 4 { 0 } else { libc::EACCES };
        assert_eq!(status.code(), Some(refused), "landlock {landlock}");
        // No other kind of socket comes with it, and nobody is let in by it; without it there is none of this kind.
        for (name, granted) in [("datagram", its_port), ("listen", its_port), ("netlink", its_port), ("connect", 0)] {
            let (_, status) = attempt(name, granted, its_port);
            assert_eq!(status.signal(), Some(libc::SIGSYS), "{abi}: {name}");
        }
    }
}

fn outside() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

/// As the code that talks to a directory makes its sockets, and as a hijacker would make others.
fn directory(attempt: &str, granted: u16, port: u16) -> ExitCode {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let tcp_connect = if granted == 0 { Vec::new() } else { vec![granted] };
    let grants = Grants { read: vec!["/etc".into()], tcp_connect, ..Grants::default() };
    eprintln!("{}", lock_down(Role::Auth, &grants).unwrap());
    let outcome = match attempt {
        "connect" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let stream =
                    tokio::net::TcpStream::connect(("127.0.0.1".parse::<std::net::IpAddr>().unwrap(), port)).await?;
                stream.set_nodelay(true)
            })
        }
        "datagram" => std::net::UdpSocket::bind("127.0.0.1:0").map(drop),
        "listen" => std::net::TcpListener::bind("127.0.0.1:0").map(drop),
        _ => socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).map(drop).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(u8::try_from(error.raw_os_error().unwrap_or(255)).unwrap()),
    }
}

fn the_debug_mode_names_the_refused_call() {
    let scene = tempfile::tempdir().unwrap();
    for name in ["readable", "writable", "forbidden"] {
        std::fs::create_dir(scene.path().join(name)).unwrap();
    }
    let output = std::process::Command::new("/proc/self/exe")
        .args(["check-sandbox", "--role", "worker", "--probe", "connect-tcp", "--scene"])
        .arg(scene.path())
        .env("CHANCERY_SANDBOX", "debug")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(libc::EPERM), "{:?}", output.status);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("refused system call {} connect\n", libc::SYS_connect)), "{said}");
}

fn a_role_is_not_granted_what_it_may_not_have() {
    let refused = [
        (Role::Worker, Grants { read: vec!["/etc".into()], ..Grants::default() }),
        (Role::Issuer, Grants { write: vec!["/etc".into()], ..Grants::default() }),
        (Role::Auth, Grants { write: vec!["/etc".into()], ..Grants::default() }),
        (Role::Worker, Grants { write_held: true, ..Grants::default() }),
        (Role::Audit, Grants { execute_map: vec!["/usr/lib".into()], ..Grants::default() }),
        (Role::Issuer, Grants { tcp_connect: vec![636], ..Grants::default() }),
        (Role::Worker, Grants { tcp_connect: vec![636], ..Grants::default() }),
        (Role::Auth, Grants { unix_connect: vec!["/run/x".into()], ..Grants::default() }),
        (Role::Audit, Grants { devices: vec!["/dev/urandom".into()], ..Grants::default() }),
    ];
    for (role, grants) in refused {
        match lock_down(role, &grants) {
            Err(SandboxError::Grant(named, _)) => assert_eq!(named, role),
            other => panic!("{other:?}"),
        }
    }
}

fn a_process_with_threads_is_not_locked_down() {
    let (ended, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv().is_err());
    assert!(matches!(lock_down(Role::Exporter, &Grants::default()), Err(SandboxError::Threads(2))));
    drop(ended);
    assert!(thread.join().unwrap());
}
