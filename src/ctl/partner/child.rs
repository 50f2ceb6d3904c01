//! The reader: this program again, locked down before it has read an octet, with a pipe in and a pipe out. Whoever
//! writes metadata that takes it over has a process that can open nothing, reach nobody and live for a few seconds, and
//! whose answer is a small value that is held against what was verified elsewhere.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use borsh::BorshDeserialize;

use super::reader;
use crate::sandbox::{self, Grants, Role};
use crate::sys::failpoint::failpoint;
use crate::sys::limits;
use crate::wire::Text;
use crate::wire::metadata::{Answer, Ask, LARGEST_ANSWER, LARGEST_CANONICAL};

/// The argument that makes this program a reader.
const ARGUMENT: &str = "--metadata-reader";
/// How long one question may take, with starting and locking down.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a reader is told of the environment it is started in.
const KEPT: [&str; 4] = ["CHANCERY_SANDBOX", "CHANCERY_SANDBOX_ABI", "CHANCERY_LOG", "CHANCERY_FAILPOINT"];

/// Asks a reader that is started for this one question.
///
/// # Errors
/// A clause for the operator.
pub(super) fn ask(question: &Ask) -> Result<Answer, String> {
    let until = Instant::now() + PATIENCE;
    let say = |error: io::Error| format!("the reader: {error}");
    let (mut ours, theirs) = UnixStream::pair().map_err(say)?;
    let mut reader = Reader::start(theirs).map_err(say)?;
    let answered = exchange(&mut ours, question, until);
    match answered {
        // In letters that move no cursor, whoever answers.
        Ok(Answer::Refused(why)) => Err(shortened(&why).as_str().to_owned()),
        Ok(answer) => Ok(answer),
        Err(error) => Err(reader.explain(&error)),
    }
}

/// Writes the question and reads the answer up to its end. Each step has what is left of the time, so that an answer
/// that trickles is late, too.
fn exchange(ours: &mut UnixStream, question: &Ask, until: Instant) -> io::Result<Answer> {
    let left = || match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(Some(left)),
    };
    let octets = borsh::to_vec(question)?;
    let mut rest = octets.as_slice();
    while !rest.is_empty() {
        ours.set_write_timeout(left()?)?;
        let written = ours.write(rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    ours.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        ours.set_read_timeout(left()?)?;
        match ours.read(&mut piece)? {
            0 => break,
            length => answer.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
        if answer.len() > LARGEST_ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer that is too large"));
        }
    }
    if answer.is_empty() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Answer::try_from_slice(&answer)
}

/// A reader that is gone when this is dropped.
struct Reader(Child);

impl Reader {
    fn start(theirs: UnixStream) -> io::Result<Self> {
        let theirs = OwnedFd::from(theirs);
        let mut command = Command::new("/proc/self/exe");
        let environment: Vec<_> = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
        // Its words are not for the terminal, but where somebody wants to know which call it was refused.
        let debugged = std::env::var_os("CHANCERY_SANDBOX").is_some();
        command.arg(ARGUMENT).env_clear().envs(environment).current_dir("/");
        command.stderr(if debugged { Stdio::inherit() } else { Stdio::null() });
        command.stdin(theirs.try_clone()?).stdout(theirs);
        command.spawn().map(Self)
    }

    /// Why it gave no answer: how it ended says more than the pipe.
    fn explain(&mut self, error: &io::Error) -> String {
        if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
            return format!("the reader had no answer within {} s, and was ended", PATIENCE.as_secs());
        }
        if error.kind() == io::ErrorKind::InvalidData {
            return format!("the reader's answer is none: {error}");
        }
        // One that only closed its end is not waited for; how one ended that did is not changed by this.
        let _ = self.0.kill();
        match self.0.wait().map(|status| (status.signal(), status)) {
            Ok((Some(libc::SIGSYS), _)) => {
                "the sandbox ended the reader: the document may be an attack on it".to_owned()
            }
            Ok((_, status)) => format!("the reader ended without an answer: {status}"),
            Err(error) => format!("the reader: {error}"),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Gone already, as a rule.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where this process was started as a reader it answers one question, and that is the end of it. Everywhere else
/// nothing happens. Call it first of all in `main`.
#[must_use]
pub fn maybe_run() -> Option<ExitCode> {
    if std::env::args_os().nth(1).as_deref() != Some(OsStr::new(ARGUMENT)) {
        return None;
    }
    crate::sys::log::start("reader");
    Some(match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!(event = "reader-ends", why);
            ExitCode::FAILURE
        }
    })
}

fn run() -> Result<(), String> {
    sandbox::begin().map_err(|error| error.to_string())?;
    limits::die_with_parent().map_err(|error| error.to_string())?;
    let say = |error: io::Error| error.to_string();
    let input = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned().map_err(say)?);
    let mut output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned().map_err(say)?);
    let report = sandbox::lock_down(Role::Reader, &Grants::default()).map_err(|error| error.to_string())?;
    tracing::debug!(event = "locked-down", "{report}");

    // A plain read(2) into a vector: what std asks of a file, its size, is not this process's to ask.
    let mut octets = Vec::new();
    let most = LARGEST_CANONICAL as u64 + 4096;
    let mut input = Bare(input).take(most);
    input.read_to_end(&mut octets).map_err(say)?;
    failpoint("partner-read");
    let answer = match Ask::try_from_slice(&octets).map_err(say)? {
        Ask::Find(document) => reader::find(&document).map(Answer::Found),
        Ask::Read { id, entity, document } => {
            reader::read(&document, id.as_deref(), entity.as_deref()).map(Answer::Entity)
        }
    };
    let answer = answer.unwrap_or_else(|why| Answer::Refused(shortened(&why)));
    output.write_all(&borsh::to_vec(&answer).map_err(say)?).map_err(say)
}

/// A file that is only read.
struct Bare(std::fs::File);

impl Read for Bare {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// As much of it as fits, in letters that move no cursor.
fn shortened(why: &str) -> Text<256> {
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    Text::new(why.chars().map(plain).take(256).collect::<String>()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_closes_its_end_and_stays_is_ended() {
        let begun = Instant::now();
        let mut reader = Reader(Command::new("sleep").arg("60").spawn().unwrap());
        let why = reader.explain(&io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(why.contains("ended without an answer") && begun.elapsed() < PATIENCE, "{why}");
    }

    #[test]
    fn an_answer_is_whole_in_time_and_of_its_size() {
        let ask = Ask::Find(crate::wire::Octets::default());
        let answered = |answer: Vec<u8>, patience: Duration| {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let answering = std::thread::spawn(move || {
                let mut theirs = theirs;
                let _question = theirs.read_to_end(&mut Vec::new());
                // An octet at a time, each well within what a single read may take.
                let slow = answer.len() < 64;
                for piece in answer.chunks(if slow { 1 } else { 1 << 16 }) {
                    if theirs.write_all(piece).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(if slow { 20 } else { 0 }));
                }
            });
            let outcome = exchange(&mut ours, &ask, Instant::now() + patience);
            drop(ours);
            answering.join().unwrap();
            outcome.map_err(|error| error.kind())
        };
        let good = borsh::to_vec(&Answer::Refused(shortened("no metadata"))).unwrap();
        assert!(matches!(answered(good.clone(), PATIENCE), Ok(Answer::Refused(_))));
        let late = answered(good.clone(), Duration::from_millis(100)).unwrap_err();
        assert!(matches!(late, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{late}");
        for (answer, kind) in [
            (Vec::new(), io::ErrorKind::UnexpectedEof),
            ([good.as_slice(), &[0]].concat(), io::ErrorKind::InvalidData),
            (vec![0; LARGEST_ANSWER + 1], io::ErrorKind::InvalidData),
            (vec![9], io::ErrorKind::InvalidData),
        ] {
            assert_eq!(answered(answer, PATIENCE).unwrap_err(), kind);
        }
    }

    #[test]
    fn a_reason_moves_no_cursor() {
        assert_eq!(shortened("a\u{1b}[2J\u{202e}b\n").as_str(), "a?[2J?b?");
        assert_eq!(shortened(&"x".repeat(300)).len(), 256);
    }
}
