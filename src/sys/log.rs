//! Logs: one line, key=value, on standard error, with the `<N>` priority journald reads when it is the
//! reader. Nothing secret is ever given to it.

use std::fmt;

use nix::sys::signal::{SigSet, Signal};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

struct Line {
    process: String,
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
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
        write!(out, "{}: ", self.process)?;
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// Starts logging for this process. `CHANCERY_LOG=debug` shows more. A line that cannot be written is lost, and nothing
/// else: neither a full disk nor a file that may not grow ends anybody. Call before there are threads.
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
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let _already_started = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // They would go to standard error, by a macro that panics when that is what cannot be written.
        .log_internal_errors(false)
        .event_format(Line { process: process.to_owned(), journal })
        .try_init();
}
