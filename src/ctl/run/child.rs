//! One supervised process: whether it runs, whether it has said ready, and when it may be started again.

use std::path::PathBuf;
use std::process::{Child as Running, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use super::fleet::Member;

/// First pause before a restart; doubles up to [`SLOWEST`].
const QUICKEST: Duration = Duration::from_millis(20);
/// Longest pause before a restart.
const SLOWEST: Duration = Duration::from_secs(5);
/// Who lived this long gets the quick restart again.
const SETTLED: Duration = Duration::from_secs(10);

/// Exit code that says starting again cannot help: a broken configuration, or a PIN that was refused
/// (`EX_CONFIG`; the units say the same with `RestartPreventExitStatus`).
pub(super) const HOPELESS: i32 = 78;

/// The same, of the supervisor itself.
pub(super) fn hopeless() -> ExitCode {
    ExitCode::from(u8::try_from(HOPELESS).unwrap_or(1))
}

/// What a child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// To be started when those before it are ready, not before this instant.
    Due(Instant),
    /// Started, has not said ready.
    Starting,
    /// Said ready.
    Ready,
    /// Exited with [`HOPELESS`]; stays down.
    Hopeless,
}

/// One child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) member: Member,
    pub(super) name: String,
    /// The socket it says `READY=1` to.
    pub(super) notify: PathBuf,
    pub(super) state: State,
    running: Option<Running>,
    since: Instant,
    pause: Duration,
}

impl Child {
    pub(super) fn new(member: Member, notify: PathBuf) -> Self {
        let now = Instant::now();
        Self { name: member.name(), member, notify, state: State::Due(now), running: None, since: now, pause: QUICKEST }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::id)
    }

    pub(super) fn started(&mut self, running: Running) {
        self.running = Some(running);
        self.state = State::Starting;
        self.since = Instant::now();
    }

    /// Its exit, if it exited since the last call; the next start is set.
    pub(super) fn reap(&mut self) -> Option<ExitStatus> {
        let status = self.running.as_mut()?.try_wait().ok()??;
        self.running = None;
        self.state = if status.code() == Some(HOPELESS) { State::Hopeless } else { State::Due(self.next()) };
        Some(status)
    }

    /// Could not be started at all.
    pub(super) fn failed(&mut self) {
        self.state = State::Due(self.next());
    }

    fn next(&mut self) -> Instant {
        let lived = self.since.elapsed();
        let pause = if lived >= SETTLED { QUICKEST } else { self.pause };
        self.pause = (pause * 2).min(SLOWEST);
        Instant::now() + jittered(pause)
    }

    /// Sends a signal; a process that is gone is no error.
    pub(super) fn signal(&self, signal: nix::sys::signal::Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            // Not reaped yet, so the number is still its own.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
        }
    }
}

/// Between three quarters and five quarters of `pause`, so that what died together does not return as one.
fn jittered(pause: Duration) -> Duration {
    let mut octet = [128];
    // Without randomness the pause is merely not spread.
    let _ = getrandom::fill(&mut octet);
    pause.mul_f64(0.75 + f64::from(octet[0]) / 510.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::run::fleet::{Strength, members};

    fn ran(script: &str) -> Child {
        let mut child =
            Child::new(members(Strength { workers: 1, signers: 1, kerberos: false }).remove(0), PathBuf::new());
        child.started(std::process::Command::new("/bin/sh").args(["-c", script]).spawn().unwrap());
        while child.reap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }

    #[test]
    fn exit_78_is_never_started_again() {
        assert_eq!(ran("exit 78").state, State::Hopeless);
        assert!(matches!(ran("exit 1").state, State::Due(_)));
        assert!(matches!(ran("kill -9 $$").state, State::Due(_)));
    }

    #[test]
    fn pauses_grow_and_end_at_a_limit() {
        let mut child = ran("exit 1");
        let mut last = child.pause;
        for _ in 0..20 {
            child.failed();
            assert!(child.pause >= last && child.pause <= SLOWEST);
            last = child.pause;
        }
        assert_eq!(last, SLOWEST);
        assert!(jittered(SLOWEST) <= SLOWEST * 5 / 4);
    }
}
