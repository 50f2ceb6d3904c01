//! Logs: one line, key=value, on standard error, with the `<N>` priority journald reads when it is the
//! reader. Nothing secret is ever given to it.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{SigSet, Signal};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Lines that could not be written since this process began.
static LOST: AtomicU64 = AtomicU64::new(0);
/// Of these, the ones that no line in the log speaks of yet.
static UNTOLD: AtomicU64 = AtomicU64::new(0);

#[derive(Clone)]
struct Line {
    process: String,
    journal: bool,
}

impl Line {
    /// What each begins with.
    fn head(&self, level: Level, out: &mut impl fmt::Write) -> fmt::Result {
        if self.journal {
            let priority = match level {
                Level::ERROR => 3,
                Level::WARN => 4,
                Level::INFO => 6,
                _ => 7,
            };
            write!(out, "<{priority}>")?;
        } else {
            write!(out, "{level:<5} ")?;
        }
        write!(out, "{}: ", self.process)
    }

    /// Writes a whole line, and before it how many were lost.
    fn put(&self, line: &[u8], out: &mut impl Write) -> io::Result<()> {
        let untold = UNTOLD.swap(0, Ordering::Relaxed);
        let mut before = String::new();
        if untold > 0 {
            // Half of a line may stand there.
            before.push('\n');
            let _never_fails = self.head(Level::ERROR, &mut before);
            before.push_str(&format!("event=\"log-lines-lost\" count={untold}\n"));
        }
        let told = out.write_all(before.as_bytes());
        let untold = if told.is_ok() { 0 } else { untold };
        let written = told.and_then(|()| out.write_all(line));
        if written.is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
            UNTOLD.fetch_add(untold + 1, Ordering::Relaxed);
        }
        written
    }
}

/// Standard error, to which a whole line is given at a time. One that is not taken is counted, and the next one that is
/// taken is preceded by how many there were.
struct Stderr<'a>(&'a Line);

impl Write for Stderr<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line, &mut io::stderr().lock()).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Line {
    type Writer = Stderr<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Stderr(self)
    }
}

/// How many lines were lost, for the metrics.
#[must_use]
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        self.head(*event.metadata().level(), &mut out)?;
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// Starts logging for this process. `CHANCERY_LOG=debug` shows more. A line that cannot be written is lost and counted,
/// and that is all: neither a full disk nor a file that may not grow ends anybody. Whoever reads a pipe and stops holds
/// everybody up, though. Call before there are threads.
pub fn start(process: &str) {
    let mut held = SigSet::empty();
    held.add(Signal::SIGXFSZ);
    // Where it is not held, a write beyond RLIMIT_FSIZE ends the process as it would have without this.
    let _as_before = held.thread_block();
    let level = match std::env::var("CHANCERY_LOG").as_deref() {
        Ok("debug") => Level::DEBUG,
        Ok("trace") => Level::TRACE,
        Ok("warn") => Level::WARN,
        _ => Level::INFO,
    };
    let line = Line { process: process.to_owned(), journal: std::env::var_os("JOURNAL_STREAM").is_some() };
    let _already_started = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(line.clone())
        .with_ansi(false)
        // They would go to standard error, by a macro that panics when that is what cannot be written.
        .log_internal_errors(false)
        .event_format(line)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let fits = octets.len().min(self.1 - self.0.len());
            self.0.extend_from_slice(&octets[..fits]);
            if fits == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fits) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_next_line_that_can_be_written_says_how_many_were_lost() {
        let line = Line { process: "auth".to_owned(), journal: true };
        let mut disk = Disk(Vec::new(), 8);
        assert!(line.put(b"first\n", &mut disk).is_ok());
        assert!(line.put(b"second\n", &mut disk).is_err() && line.put(b"third\n", &mut disk).is_err());
        assert_eq!(lost(), 2);
        disk.1 = 1000;
        assert!(line.put(b"fourth\n", &mut disk).is_ok() && line.put(b"fifth\n", &mut disk).is_ok());
        let written = String::from_utf8(disk.0).unwrap();
        assert_eq!(written, "first\nse\n<3>auth: event=\"log-lines-lost\" count=2\nfourth\nfifth\n");
    }
}
