//! The supervisor's loop: start what may start, listen for `READY=1`, start again what died, and stop
//! everything in order when told to. It decides nothing else; it reads no message of any channel.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::net::UnixDatagram;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::child::{Child, HOPELESS, State, hopeless};
use super::fleet::{Member, Strength, Surroundings, members};
use super::listeners::Listeners;
use crate::sys::spawn::spawn;

/// How long the members of a stage have after SIGTERM before they are killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the operator is told who keeps a start waiting.
const REMINDER: Duration = Duration::from_secs(10);

/// A service under supervision.
pub(super) struct Supervisor {
    around: Surroundings,
    listeners: Listeners,
    children: Vec<Child>,
    ready: mpsc::Receiver<usize>,
    died: Signals,
    stop: Signals,
    interrupt: Signals,
    reload: Signals,
}

impl Supervisor {
    /// Takes hold of the signals and opens a socket for each child's readiness. Inside a runtime whose
    /// only thread is the main one: children die with the thread that made them.
    pub(super) fn new(around: Surroundings, listeners: Listeners, strength: Strength) -> io::Result<Self> {
        let (said, ready) = mpsc::channel(16);
        let mut children = Vec::new();
        for (index, member) in members(strength).into_iter().enumerate() {
            let path = around.runtime.join(format!("notify-{}.sock", member.name()));
            tokio::spawn(listen(UnixDatagram::bind(&path)?, index, said.clone()));
            children.push(Child::new(member, path));
        }
        Ok(Self {
            around,
            listeners,
            children,
            ready,
            died: signal(SignalKind::child())?,
            stop: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Runs until told to stop; calls `announce` once, when every process is ready.
    ///
    /// Exit code 0 after an orderly stop, 78 when a process says before that that its configuration or
    /// PIN is hopeless.
    pub(super) async fn run(mut self, announce: impl FnOnce(&[(String, u32)]) -> io::Result<()>) -> ExitCode {
        let mut announce = Some(announce);
        let mut remind = Instant::now() + REMINDER;
        loop {
            let next = self.start_due();
            if announce.is_some() {
                if let Some(child) = self.children.iter().find(|child| child.state == State::Hopeless) {
                    let name = child.name.clone();
                    tracing::error!(event = "not-started", process = name, "gave up; see its last lines above");
                    self.shut_down().await;
                    return hopeless();
                }
                if self.children.iter().all(|child| child.state == State::Ready)
                    && let Some(announce) = announce.take()
                    && let Err(error) = announce(&self.pids())
                {
                    tracing::error!(event = "not-announced", why = %error);
                    self.shut_down().await;
                    return ExitCode::FAILURE;
                }
                if Instant::now() >= remind {
                    remind = Instant::now() + REMINDER;
                    let waiting: Vec<&str> = self.not_ready().collect();
                    tracing::warn!(event = "waiting", processes = waiting.join(","));
                }
            }
            let wake = next.unwrap_or(remind).min(remind.max(Instant::now() + Duration::from_millis(1)));
            let wake = if announce.is_some() { wake } else { next.unwrap_or(Instant::now() + REMINDER) };
            tokio::select! {
                Some(index) = self.ready.recv() => self.said_ready(index),
                _ = self.died.recv() => self.reap(false),
                _ = self.stop.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.reload.recv() => self.pass_reload(),
                () = sleep_until(wake.into()) => {}
            }
        }
        tracing::info!(event = "stopping");
        self.shut_down().await;
        ExitCode::SUCCESS
    }

    fn not_ready(&self) -> impl Iterator<Item = &str> {
        self.children.iter().filter(|child| child.state != State::Ready).map(|child| child.name.as_str())
    }

    fn pids(&self) -> Vec<(String, u32)> {
        self.children.iter().filter_map(|child| Some((child.name.clone(), child.pid()?))).collect()
    }

    /// Starts whoever may start now; gives the instant of the next start that is only a matter of time.
    fn start_due(&mut self) -> Option<Instant> {
        let ready: Vec<String> = (self.children.iter())
            .filter(|child| child.state == State::Ready)
            .map(|child| child.name.clone())
            .collect();
        let ready = |name: &str| ready.iter().any(|known| known == name);
        let mut next: Option<Instant> = None;
        for child in &mut self.children {
            let State::Due(instant) = child.state else { continue };
            if !child.member.may_start(&ready) {
                continue;
            }
            if instant <= Instant::now() {
                let mut command = self.around.command(&child.member, &child.notify);
                match spawn(&mut command, &self.listeners.of(child.member.role)) {
                    Ok(running) => {
                        child.started(running);
                        tracing::debug!(event = "started", process = child.name, pid = child.pid());
                        continue;
                    }
                    Err(error) => {
                        tracing::error!(event = "not-started", process = child.name, why = %error);
                        child.failed();
                    }
                }
            }
            if let State::Due(instant) = child.state {
                next = Some(next.map_or(instant, |earlier| earlier.min(instant)));
            }
        }
        next
    }

    fn said_ready(&mut self, index: usize) {
        if let Some(child) = self.children.get_mut(index)
            && child.state == State::Starting
        {
            child.state = State::Ready;
            tracing::debug!(event = "ready", process = child.name);
        }
    }

    fn reap(&mut self, stopping: bool) {
        for child in &mut self.children {
            let pid = child.pid();
            let Some(status) = child.reap() else { continue };
            let process = &child.name;
            match status.code() {
                // A signer ends when its issuer does, with a code of its own.
                Some(_) if stopping => {}
                Some(HOPELESS) => tracing::error!(
                    event = "hopeless",
                    process,
                    pid,
                    "exit 78: its configuration is broken or its PIN was refused; it is not started again"
                ),
                _ => tracing::warn!(event = "exited", process, pid, %status),
            }
        }
    }

    fn pass_reload(&self) {
        tracing::info!(event = "reload");
        for child in self.children.iter().filter(|child| matches!(child.member.role, "auth" | "issuer")) {
            child.signal(Signal::SIGHUP);
        }
    }

    /// Stops stage after stage; a second signal from the operator ends all patience.
    async fn shut_down(&mut self) {
        let mut patience = PATIENCE;
        for stage in 0..Member::STAGES {
            self.signal_stage(stage, Signal::SIGTERM);
            let deadline = Instant::now() + patience;
            while self.running(stage) {
                tokio::select! {
                    _ = self.died.recv() => self.reap(true),
                    _ = self.stop.recv() => patience = Duration::ZERO,
                    _ = self.interrupt.recv() => patience = Duration::ZERO,
                    () = sleep_until(deadline.into()) => self.kill_stage(stage),
                }
                if patience.is_zero() {
                    self.kill_stage(stage);
                }
            }
        }
    }

    fn running(&self, stage: usize) -> bool {
        self.children.iter().any(|child| child.member.stage() == stage && child.pid().is_some())
    }

    fn signal_stage(&self, stage: usize, signal: Signal) {
        self.children.iter().filter(|child| child.member.stage() == stage).for_each(|child| child.signal(signal));
    }

    fn kill_stage(&mut self, stage: usize) {
        for child in self.children.iter().filter(|child| child.member.stage() == stage && child.pid().is_some()) {
            tracing::warn!(event = "killed", process = child.name, "did not stop in time");
            child.signal(Signal::SIGKILL);
        }
        // SIGKILL cannot be refused; its SIGCHLD follows at once.
        std::thread::sleep(Duration::from_millis(20));
        self.reap(true);
    }
}

/// Passes on each `READY=1` of one child.
async fn listen(socket: UnixDatagram, index: usize, said: mpsc::Sender<usize>) {
    let mut buffer = [0; 4096];
    while let Ok(length) = socket.recv(&mut buffer).await {
        let ready = buffer[..length].split(|octet| *octet == b'\n').any(|line| line == b"READY=1");
        if ready && said.send(index).await.is_err() {
            return;
        }
    }
}

/// Removes the runtime directory when the service is over.
pub(super) struct Runtime(std::path::PathBuf);

impl Runtime {
    /// A fresh directory that only this user can enter. Its path is short: a unix socket's name has room
    /// for 107 octets.
    pub(super) fn make() -> io::Result<Self> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, Into::into);
        let base = if base.is_dir() { base } else { std::env::temp_dir() };
        Ok(Self(nix::unistd::mkdtemp(&base.join("chancery-XXXXXX"))?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Left-overs hold no secret that outlives the service; the next start makes its own.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
