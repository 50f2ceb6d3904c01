//! A SoftHSM token of one's own, made by the ceremony an operator would hold, with the fault module in front
//! of it. Everything lies in one temporary directory; nothing is shared between tests.

#[path = "fault.rs"]
mod fault;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use chancery::sys::channel::{Channel, Duplex, Listener};
use chancery::sys::places::Place;
use chancery::wire::links::{IssuerToSigner, SignerToIssuer};
use chancery::wire::permit::Link;
pub(crate) use fault::SOFTHSM;

/// The PIN every token here has.
pub(crate) const PIN: &str = "hunter-2468";

/// A token, and the directories of a service that uses it.
pub(crate) struct SoftHsm {
    directory: tempfile::TempDir,
}

impl SoftHsm {
    /// Makes a token with label `test`.
    pub(crate) fn new() -> Self {
        let hsm = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        for name in ["tokens", "credentials", "config/signer.d", "run", "fault"] {
            fs::create_dir_all(hsm.path(name)).expect("a directory");
        }
        let tokens = hsm.path("tokens");
        let conf =
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        fs::write(hsm.path("softhsm2.conf"), conf).expect("softhsm2.conf");
        fs::write(hsm.path("credentials/pin"), format!("{PIN}\n")).expect("the PIN");
        fs::write(hsm.path("credentials/so-pin"), "87654321\n").expect("the officer's PIN");
        hsm.configure("", "");
        hsm.instruct("");
        hsm.chancery(&["token", "init"]);
        hsm
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes `signer.d/signer.toml`: `more` before the keys.
    pub(crate) fn configure(&self, more: &str, keys: &str) {
        let text = format!(
            "module = {:?}\ntoken_label = \"test\"\nprofile = \"softhsm2\"\nstate_directory = \"../../state\"\n\
             read = [\"../../softhsm2.conf\", \"../../fault\"]\nwrite = [\"../../tokens\"]\n{more}\n{keys}",
            fault::module()
        );
        fs::write(self.path("config/signer.d/signer.toml"), text).expect("signer.toml");
    }

    /// Writes the fault module's instructions; they hold from the next call on.
    pub(crate) fn instruct(&self, text: &str) {
        fs::write(self.path("fault/next"), text).expect("instructions");
        fs::rename(self.path("fault/next"), self.path("fault/control")).expect("instructions");
    }

    /// `function` fails with `rv` for its next `times` calls, in whatever process.
    pub(crate) fn fail(&self, function: &str, rv: u64, times: u64) {
        let limit = self.counter(function, 8) + times;
        self.instruct(&format!("fail {function} {rv:#x} {limit}\n"));
    }

    /// Calls of a function so far, by every process of this token. `C_Sign?` are those that ask for a size.
    pub(crate) fn calls(&self, function: &str) -> u64 {
        self.counter(function, 0)
    }

    fn counter(&self, function: &str, offset: usize) -> u64 {
        fault::counter(&self.path("fault/counts"), function, offset)
    }

    /// A command with this token's environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env("CREDENTIALS_DIRECTORY", self.path("credentials"))
            .env("CHANCERY_RUN", self.path("run"))
            .env("CHANCERY_FAULT_MODULE", SOFTHSM)
            .env("CHANCERY_FAULT_COUNTS", self.path("fault/counts"))
            .env("CHANCERY_FAULT_CONTROL", self.path("fault/control"));
        command
    }

    /// Runs `chancery …` on this configuration, whatever comes of it.
    pub(crate) fn try_chancery(&self, words: &[&str]) -> Output {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_chancery")));
        command.args(words).arg("--config").arg(self.path("config"));
        command.output().expect("chancery starts")
    }

    /// Runs `chancery …`, which must succeed; gives what it printed.
    pub(crate) fn chancery(&self, words: &[&str]) -> String {
        let output = self.try_chancery(words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "chancery {words:?}: {error}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Makes a key with a certificate in signer.d; gives its `[[key]]` table.
    pub(crate) fn key(&self, id: &str, purpose: &str, algorithm: &str) -> String {
        let file = self.path(&format!("config/signer.d/{id}.pem"));
        let out = file.to_str().expect("text");
        self.chancery(&[
            "key",
            "generate",
            "--id",
            id,
            "--purpose",
            purpose,
            "--algorithm",
            algorithm,
            "--subject",
            "CN=test",
            "--out",
            out,
            "--san",
            "localhost",
        ]);
        let certificate = if file.exists() { format!("certificate = \"{id}.pem\"\n") } else { String::new() };
        format!("[[key]]\nid = \"{id}\"\npurpose = \"{purpose}\"\n{certificate}\n")
    }

    /// Listens where issuer would.
    pub(crate) fn issuer(&self) -> Issuer {
        use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
        let path = self.path("run").join(Place::IssuerSigner.file());
        let _ = fs::remove_file(&path);
        let fd: OwnedFd =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).expect("socket");
        bind(fd.as_raw_fd(), &UnixAddr::new(&path).expect("a short path")).expect("bind");
        listen(&fd, Backlog::new(64).expect("64")).expect("listen");
        Issuer(Listener::adopt(fd).expect("a listener"))
    }

    /// A signer's command; `ordinal` as `CHANCERY_ORDINAL`.
    pub(crate) fn signer(&self, ordinal: u32) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_chancery-signer")));
        command.arg(self.path("config")).env("CHANCERY_ORDINAL", ordinal.to_string());
        command
    }
}

/// The place where issuer would listen.
pub(crate) struct Issuer(Listener);

/// The channel to one signer.
pub(crate) type Signer = Duplex<SignerToIssuer, IssuerToSigner>;

impl Issuer {
    /// The next signer that connects.
    pub(crate) fn accept(&self) -> Signer {
        let channel: Channel = within(Duration::from_secs(10), || self.0.accept().expect("accept"));
        Duplex::new(channel, Link::SignerToIssuer)
    }
}

/// The next message.
pub(crate) fn next(signer: &mut Signer) -> SignerToIssuer {
    within(Duration::from_secs(15), || signer.receive().expect("the signer is there"))
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time.
pub(crate) fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < limit, "nothing within {limit:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
