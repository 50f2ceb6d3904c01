//! The process that serves metrics and health. It inherits its two sockets, needs no configuration, locks
//! itself down, says ready, and loops: the last snapshot of each process is kept, and shown to whoever asks
//! over HTTP. It sends nothing to anybody, and cannot ask a process for anything.

use std::error::Error;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use crate::metrics::{IntCounter, Metrics};
use crate::sandbox;
use crate::sys::listen::Inherited;
use crate::sys::log;
use crate::sys::notify::Notifier;
use board::{Board, Fate};
use intake::Intake;

mod board;
mod http;
mod intake;
mod text;

/// Counters of this process.
#[derive(Debug)]
struct Counters {
    received: IntCounter,
    malformed: IntCounter,
    refused: IntCounter,
}

/// Inherits, locks down, says ready, loops.
#[must_use]
pub fn main() -> ExitCode {
    log::start("exporter");
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "stopped", why = %error);
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    sandbox::begin()?;
    let mut inherited = Inherited::take()?;
    let snapshots = UnixDatagram::from(inherited.one("metrics")?);
    intake::name_senders(&snapshots)?;
    let listeners = inherited.all("http");
    if listeners.is_empty() {
        return Err("no inherited listener is named \"http\"".into());
    }
    let notifier = Notifier::open();
    let metrics = Metrics::new("exporter");
    let counters = Counters {
        received: metrics.counter("chancery_exporter_snapshots_total", "Snapshots received."),
        malformed: metrics.counter("chancery_exporter_malformed_total", "Datagrams that were no snapshot."),
        refused: metrics.counter(
            "chancery_exporter_refused_total",
            "Snapshots under the name of another process: a few follow a restart, many are a lie.",
        ),
    };
    let locked = sandbox::lock_down(sandbox::Role::Exporter, &sandbox::Grants::default())?;
    tracing::info!(event = "ready", sandbox = %locked);
    metrics.report(Arc::new(AtomicBool::new(true)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(run(snapshots, listeners, notifier, &counters))
}

async fn run(
    snapshots: UnixDatagram,
    listeners: Vec<OwnedFd>,
    notifier: Notifier,
    counters: &Counters,
) -> Result<(), Box<dyn Error>> {
    let board = Arc::new(Mutex::new(Board::default()));
    let mut intake = Intake::new(snapshots)?;
    for listener in listeners {
        let listener = std::net::TcpListener::from(listener);
        listener.set_nonblocking(true)?;
        tokio::spawn(http::serve(tokio::net::TcpListener::from_std(listener)?, Arc::clone(&board)));
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut second = tokio::time::interval(std::time::Duration::from_secs(1));
    notifier.ready();
    let mut refused = 0_u64;
    loop {
        tokio::select! {
            datagram = intake.next() => {
                let (sender, octets) = datagram?;
                match board.lock().expect("no holder panics").take(octets, sender, Instant::now()) {
                    Fate::Taken => counters.received.inc(),
                    Fate::Malformed => counters.malformed.inc(),
                    Fate::Refused => {
                        counters.refused.inc();
                        refused += 1;
                    }
                }
            }
            _ = second.tick() => {
                board.lock().expect("no holder panics").forget(Instant::now());
                if refused > 0 {
                    let count = std::mem::take(&mut refused);
                    tracing::warn!(event = "snapshots-refused", count, why = "the name is another process's");
                }
                notifier.alive();
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    notifier.stopping();
    tracing::info!(event = "stopping");
    Ok(())
}
