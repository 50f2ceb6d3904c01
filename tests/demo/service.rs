//! A demo service for tests: the real supervisor, the real processes, a real token. Stopped when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

/// How long a first start may take, keys and all, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The command line under test.
pub(crate) const CHANCERY: &str = env!("CARGO_BIN_EXE_chancery");

/// A running demo.
pub(crate) struct Demo {
    supervisor: Child,
    /// What the ready file says.
    pub(crate) ready: serde_json::Value,
    /// The ready file.
    pub(crate) ready_file: PathBuf,
    /// From start to ready.
    pub(crate) took: Duration,
}

impl Demo {
    /// Starts a demo in `directory` on a free port and waits until it is ready.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, |_| {})
    }

    /// As [`Self::start`], with more arguments or environment.
    pub(crate) fn start_with(directory: &Path, more: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(CHANCERY);
        command.args(["run", "--demo", "--port", "0", "--directory"]).arg(directory.join("demo"));
        more(&mut command);
        Self::run(directory, command)
    }

    /// Starts a demo made before, as an operator's configuration that is read as it stands.
    pub(crate) fn configured(directory: &Path, more: impl FnOnce(&mut Command)) -> Self {
        let demo = directory.join("demo");
        let mut command = Command::new(CHANCERY);
        command.args(["run", "--port", "0", "--metrics-port", "0", "--config"]).arg(demo.join("etc"));
        command.arg("--credentials").arg(demo.join("credentials")).env("SOFTHSM2_CONF", demo.join("softhsm2.conf"));
        more(&mut command);
        Self::run(directory, command)
    }

    fn run(directory: &Path, mut command: Command) -> Self {
        let ready_file = directory.join("ready.json");
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let begun = Instant::now();
        command.arg("--ready-file").arg(&ready_file).stdin(Stdio::null()).stderr(log);
        let mut supervisor = command.spawn().unwrap();
        loop {
            if let Ok(text) = std::fs::read(&ready_file) {
                let ready = serde_json::from_slice(&text).unwrap();
                return Self { supervisor, ready, ready_file, took: begun.elapsed() };
            }
            let ended = supervisor.try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let _ = supervisor.kill();
                let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
                panic!("the demo did not become ready ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A fact of the ready file.
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("the ready file has no {name}"))
    }

    /// Process id of a process by name (`worker@1`).
    pub(crate) fn pid(&self, name: &str) -> i32 {
        i32::try_from(self.ready["pids"][name].as_i64().unwrap()).unwrap()
    }

    /// `chancery request issue` at `path`, with more arguments.
    pub(crate) fn request(&self, path: &str, more: &[&str]) -> Output {
        let url = format!("{}{path}", self.fact("url"));
        Command::new(CHANCERY)
            .args(["request", "issue", "--url", &url, "--user", self.fact("user")])
            .args(["--password-file", self.fact("password_file"), "--ca", self.fact("ca")])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Asks the supervisor to stop, and waits.
    pub(crate) fn stop(self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// Waits for the supervisor's end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.supervisor.wait().unwrap()
    }

    /// The supervisor.
    pub(crate) fn supervisor(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.supervisor.id()).unwrap())
    }

    fn terminate(&self) {
        let _ = nix::sys::signal::kill(self.supervisor(), nix::sys::signal::Signal::SIGTERM);
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.supervisor.try_wait().ok().flatten().is_none() {
            self.terminate();
            let _ = self.supervisor.wait();
        }
    }
}

/// Can there be a demo here? Says why not, once a test.
pub(crate) fn possible(test: &str) -> bool {
    let modules = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
    let found = modules.iter().any(|module| Path::new(module).exists());
    if !found {
        println!("SKIPPED {test}: SoftHSM is not installed");
    }
    found
}

// Not every test needs this, and each test is a crate of its own.
const _: fn(&Path, fn(&mut Command)) -> Demo = Demo::configured;
