//! An HSM that is elsewhere: behind a TCP port, a daemon's socket or a device. The fault module in front of SoftHSM
//! asks a server of the test in C_Initialize and in each C_Sign. A signer that was granted the way signs; one that was
//! not never becomes ready and says what it lacks, and so does the ceremony, before there is a key.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests let functions fail")]
#[path = "support/softhsm.rs"]
mod softhsm;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chancery::config::signer::key_id;
use chancery::wire::Octets;
use chancery::wire::links::{IssuerToSigner, Mechanism, SignerToIssuer};
use softhsm::{Issuer, SoftHsm, next, within};

/// How many were greeted.
type Greeted = Arc<AtomicUsize>;

fn serve<S: Read + Write>(connections: impl Iterator<Item = std::io::Result<S>> + Send + 'static) -> Greeted {
    let greeted = Greeted::default();
    let count = Arc::clone(&greeted);
    std::thread::spawn(move || {
        for mut stream in connections.map(Result::unwrap) {
            if stream.read_exact(&mut [0; 5]).is_ok() && stream.write_all(b"world").is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    greeted
}

/// A server behind TCP, with its port.
fn behind_tcp() -> (u16, Greeted) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, serve(std::iter::repeat_with(move || listener.accept().map(|(stream, _)| stream))))
}

/// A daemon of this machine.
fn behind_a_socket(hsm: &SoftHsm) -> (String, Greeted) {
    let path = hsm.path("daemon.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let accept = std::iter::repeat_with(move || listener.accept().map(|(stream, _)| stream));
    (path.to_str().unwrap().to_owned(), serve(accept))
}

/// A signer that is killed when the test is over.
struct Running<'a>(Child, &'a SoftHsm);

impl<'a> Running<'a> {
    /// With the Landlock that is there, at most `abi`.
    fn start(hsm: &'a SoftHsm, abi: &str) -> Self {
        let log = std::fs::File::create(hsm.path("log")).unwrap();
        Self(hsm.signer(1).env("CHANCERY_SANDBOX_ABI", abi).stderr(log).spawn().unwrap(), hsm)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.1.path("log")).unwrap()
    }

    fn ends(&mut self) -> std::process::ExitStatus {
        within(Duration::from_secs(10), || self.0.try_wait().unwrap())
    }

    /// It ends, to be started again, with one line that says why; gives that line.
    fn never_ready(&mut self, issuer: &Issuer) -> String {
        let _channel = issuer.accept();
        assert_eq!(self.ends().code(), Some(75), "{}", self.log());
        let log = self.log();
        let why: Vec<&str> = log.lines().filter(|line| line.contains("event=\"stopped\"")).collect();
        assert_eq!(why.len(), 1, "{log}");
        why[0].to_owned()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Landlock in force, as the log has it.
fn landlock(log: &str) -> u8 {
    log.split_once(", landlock ").unwrap().1.split(';').next().unwrap().trim().parse().unwrap()
}

/// It becomes ready, and signs so many times.
fn signs(issuer: &Issuer, times: u64) {
    let mut signer = issuer.accept();
    assert!(matches!(next(&mut signer), SignerToIssuer::Ready(_)));
    for id in 0..times {
        let (key, digest) = (key_id("a1").unwrap(), Octets::new([7; 32]).unwrap());
        signer.send(&IssuerToSigner::Sign { id, key, mechanism: Mechanism::EcdsaP256Sha256, digest }).unwrap();
        let answer = next(&mut signer);
        assert!(matches!(answer, SignerToIssuer::Signed { id: of, .. } if of == id), "{answer:?}");
    }
}

/// A token with one key, made before its HSM went elsewhere.
fn token() -> (SoftHsm, String) {
    let hsm = SoftHsm::new();
    let key = hsm.key("a1", "assertion", "p-256");
    (hsm, key)
}

/// What is said of a module that was granted nothing.
const NOTHING: &str = "beyond files the module is granted nothing; if it reaches its HSM in another way, signer.toml or \
    the profile must say so: tcp_connect for a port, unix_connect for a daemon's socket, devices for a device";

#[test]
fn a_signer_signs_through_a_port_that_it_was_granted_and_no_other() {
    let (hsm, key) = token();
    let ((port, greeted), (elsewhere, _)) = (behind_tcp(), behind_tcp());
    hsm.instruct(&format!("reach tcp 127.0.0.1:{port}\n"));
    let issuer = hsm.issuer();
    for abi in ["7", "2", "0"] {
        hsm.configure(&format!("tcp_connect = [{port}]"), &key);
        let before = greeted.load(Ordering::SeqCst);
        let running = Running::start(&hsm, abi);
        signs(&issuer, 3);
        assert_eq!(greeted.load(Ordering::SeqCst) - before, 4, "one greeting when it starts and one a signature");
        drop(running);

        hsm.configure("", &key);
        let why = Running::start(&hsm, abi).never_ready(&issuer);
        assert!(why.contains("C_Initialize: CKR_DEVICE_ERROR (0x30)") && why.contains(NOTHING), "{why}");

        // A socket of this machine is none of TCP.
        hsm.configure("unix_connect = [\"/run/pcscd/pcscd.comm\"]", &key);
        let why = Running::start(&hsm, abi).never_ready(&issuer);
        assert!(why.contains("is granted unix_connect /run/pcscd/pcscd.comm; if"), "{why}");
    }
    hsm.configure(&format!("tcp_connect = [{elsewhere}]"), &key);
    let mut running = Running::start(&hsm, "7");
    if landlock(&hsm_log(&hsm)) >= 4 {
        let before = greeted.load(Ordering::SeqCst);
        let why = running.never_ready(&issuer);
        assert!(why.contains(&format!("is granted tcp_connect {elsewhere}; if")), "{why}");
        assert_eq!(greeted.load(Ordering::SeqCst), before);
    }
}

/// The log once it says how it is locked down.
fn hsm_log(hsm: &SoftHsm) -> String {
    within(Duration::from_secs(5), || {
        let log = std::fs::read_to_string(hsm.path("log")).unwrap();
        log.contains(", landlock ").then_some(log)
    })
}

#[test]
fn a_signer_signs_through_a_daemon_that_it_was_granted() {
    let (hsm, key) = token();
    let (path, greeted) = behind_a_socket(&hsm);
    let (port, _) = behind_tcp();
    hsm.instruct(&format!("reach unix {path}\n"));
    let issuer = hsm.issuer();
    for abi in ["7", "2", "0"] {
        hsm.configure(&format!("unix_connect = [{path:?}]"), &key);
        let before = greeted.load(Ordering::SeqCst);
        let running = Running::start(&hsm, abi);
        signs(&issuer, 3);
        assert_eq!(greeted.load(Ordering::SeqCst) - before, 4);
        assert!(running.log().contains("held by file permissions, not by their paths"), "{}", running.log());
        drop(running);

        for (grant, said) in [("", NOTHING), (&*format!("tcp_connect = [{port}]"), "is granted tcp_connect")] {
            hsm.configure(grant, &key);
            let why = Running::start(&hsm, abi).never_ready(&issuer);
            assert!(why.contains("C_Initialize: CKR_DEVICE_ERROR (0x30)") && why.contains(said), "{why}");
        }
    }
}

#[test]
fn a_signer_commands_a_device_that_it_was_granted_and_no_other() {
    let (hsm, key) = token();
    hsm.instruct("reach device /dev/urandom\n");
    let issuer = hsm.issuer();
    for abi in ["7", "2", "0"] {
        hsm.configure("devices = [\"/dev/urandom\"]", &key);
        let running = Running::start(&hsm, abi);
        signs(&issuer, 2);
        drop(running);
    }
    // Below ABI 1 the device is opened by its file permissions; the command is then a call without a row.
    for grant in ["", "devices = [\"/dev/zero\"]"] {
        hsm.configure(grant, &key);
        let why = Running::start(&hsm, "7").never_ready(&issuer);
        assert!(why.contains("C_Initialize: CKR_DEVICE_ERROR (0x30); beyond files the module is granted"), "{why}");
    }
    hsm.configure("", &key);
    let mut running = Running::start(&hsm, "0");
    let _channel = issuer.accept();
    assert_eq!(running.ends().signal(), Some(31), "{}", running.log());
}

#[test]
fn a_ceremony_is_refused_what_its_signers_would_be_before_there_is_a_key() {
    let (hsm, key) = token();
    let (port, greeted) = behind_tcp();
    hsm.instruct(&format!("reach tcp 127.0.0.1:{port}\n"));
    let generate = ["key", "generate", "--purpose", "assertion", "--algorithm", "p-256"];
    let (logins, made) = (hsm.calls("C_Login"), hsm.calls("C_GenerateKeyPair"));
    for words in [&["token", "init"][..], &["token", "unlock"], &["key", "list"], &generate] {
        let output = hsm.try_chancery(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(NOTHING), "{words:?}: {said}");
    }
    assert_eq!((hsm.calls("C_Login"), hsm.calls("C_GenerateKeyPair")), (logins, made));
    assert_eq!(greeted.load(Ordering::SeqCst), 0);

    hsm.configure(&format!("tcp_connect = [{port}]"), &key);
    assert!(hsm.chancery(&["key", "list"]).starts_with("a1 "));
    hsm.chancery(&generate);
    assert!(greeted.load(Ordering::SeqCst) >= 2);
}

#[test]
fn a_ceremony_whose_module_leaves_its_sandbox_is_ended_and_says_so() {
    let (hsm, _) = token();
    hsm.instruct("reach device /dev/urandom\n");
    let mut command = hsm.command(std::path::Path::new(env!("CARGO_BIN_EXE_chancery")));
    // Where no Landlock keeps the device closed.
    command.env("CHANCERY_SANDBOX_ABI", "0").args(["key", "list", "--config"]).arg(hsm.path("config"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the sandbox ended the ceremony"), "{said}");
    assert!(said.contains("CHANCERY_SANDBOX=debug"), "{said}");
    let named = command.env("CHANCERY_SANDBOX", "debug").output().unwrap();
    let said = String::from_utf8_lossy(&named.stderr);
    assert!(said.contains(&format!("refused system call {} ioctl", libc::SYS_ioctl)), "{said}");
}
