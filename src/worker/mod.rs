//! The process clients talk to. It inherits its listener, reads its configuration, gives up everything
//! else, says ready, and then turns octets into typed requests and answers into octets: TLS records, HTTP,
//! SOAP. It decides nothing. It opens no file and dials nobody but auth and issuer, holds no private key,
//! and cannot name a subject: a token comes only from evidence that auth has verified.

use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

mod activity;
mod asking;
mod body;
mod client;
mod connection;
mod counters;
mod handshake;
mod http;
mod limits;
mod line;
pub mod message;
pub mod mex;
mod negotiate;
mod peers;
mod recording;
mod request;
mod tls;

use self::line::Exchange;
use crate::config::worker::{Chain, ClientCertificates, Worker};
use crate::metrics::Metrics;
use crate::sandbox::{self, Grants, Role};
use crate::sys::dial::{self, Dialer};
use crate::sys::listen::Inherited;
use crate::sys::notify::Notifier;
use crate::sys::places::configuration_root;

/// How long the peers may take before this process says ready without them.
const PEERS: Duration = Duration::from_secs(5);

/// Threads the runtime may have besides the one that works. `TasksMax=` of the unit leaves room for them.
const BLOCKING: usize = handshake::BLOCKED as usize + 64;

/// What was inherited and read before the lock-down.
struct Prepared {
    config: Worker,
    chain: Chain,
    /// Each with whether clients are asked for a certificate there.
    listeners: Vec<(TcpListener, ClientCertificates)>,
    metrics: Metrics,
    notifier: Notifier,
    dialer: Dialer,
    /// Connections at once.
    capacity: u32,
}

/// The process.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(ended) = dial::maybe_run() {
        return ended;
    }
    let name = format!("worker@{}", std::env::var("CHANCERY_ORDINAL").as_deref().unwrap_or("1"));
    crate::sys::log::start(&name);
    let served = prepare(&name).and_then(|prepared| {
        let report = sandbox::lock_down(Role::Worker, &Grants::default()).map_err(|error| error.to_string())?;
        tracing::info!(event = "locked-down", "{report}");
        serve(prepared).map_err(|error| error.to_string())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "stopped", %error);
            ExitCode::FAILURE
        }
    }
}

fn prepare(name: &str) -> Result<Prepared, String> {
    sandbox::begin().map_err(|error| error.to_string())?;
    let mut inherited = Inherited::take().map_err(|error| error.to_string())?;
    let directory = configuration_root().join("worker.d");
    let (config, chain) = crate::config::worker::load(&directory).map_err(|error| error.to_string())?;
    let mut listeners = Vec::new();
    for listener in config.listeners() {
        let found = inherited.all(&listener.name);
        if found.is_empty() {
            return Err(format!("no inherited listener is named {:?}", listener.name));
        }
        listeners.extend(found.into_iter().map(|found| (found.into(), listener.client_certificates)));
    }
    Ok(Prepared {
        capacity: limits::connections(config.limits.connections),
        dialer: Dialer::start().map_err(|error| format!("the dialer does not start: {error}"))?,
        config,
        chain,
        listeners,
        metrics: Metrics::new(name),
        notifier: Notifier::open(),
    })
}

fn serve(prepared: Prepared) -> io::Result<()> {
    let Prepared { config, chain, listeners, metrics, notifier, dialer, capacity } = prepared;
    // One thread for everything but what waits for a signature: a request is handed from task to task half a dozen
    // times, which between threads costs more than the work. Whoever has processors to spare starts more workers.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("worker")
        .max_blocking_threads(BLOCKING)
        .build()?;
    let served = runtime.block_on(async {
        let counters = counters::Counters::new(&metrics, &config);
        let limits = config.limits.clone();
        let exchange = Exchange { dialer: Arc::new(dialer), dead: Arc::new(Notify::new()) };
        let auth = peers::Auth::open(limits.requests as usize, &exchange, &counters.violations);
        let open = (limits.requests + limits.handshakes) as usize;
        let issuer = peers::Issuer::open(open, &exchange, &counters.violations);
        let server = chain.fingerprint();
        let (plain, asking) =
            tls::servers(&config, chain, issuer.clone(), counters.clone()).map_err(io::Error::other)?;
        let front = Arc::new(http::Front::new(config, server, auth.clone(), issuer.clone(), counters));
        let door = connection::Door::new(front, capacity);
        let (drain, draining) = watch::channel(false);
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        // There is nothing to read again after lock-down: the worker that is started in this one's place does.
        let mut hung_up = signal(SignalKind::hangup())?;

        let ready = Arc::new(AtomicBool::new(false));
        metrics.report(Arc::clone(&ready));
        let both_up = move || auth.is_up() && issuer.is_up();
        let started = Instant::now();
        while !both_up() && started.elapsed() < PEERS {
            tokio::select! {
                () = sleep(Duration::from_millis(5)) => {}
                _ = terminated.recv() => return Ok(()),
                _ = interrupted.recv() => return Ok(()),
                _ = hung_up.recv() => return Ok(()),
            }
        }
        let mut porters = JoinSet::new();
        for (listener, asked) in listeners {
            let tls = if asked == ClientCertificates::Asked { &asking } else { &plain };
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            porters.spawn(Arc::clone(&door).accept(listener, Arc::clone(tls), draining.clone()));
        }
        ready.store(both_up(), Ordering::Relaxed);
        notifier.ready();
        tracing::info!(event = "ready", connections = capacity, peers = both_up());

        let mut look = tokio::time::interval(Duration::from_millis(500));
        let end = loop {
            tokio::select! {
                _ = terminated.recv() => break Ok(()),
                _ = interrupted.recv() => break Ok(()),
                _ = hung_up.recv() => break Ok(()),
                () = exchange.dead.notified() => break Err(io::Error::other("the dialer is gone")),
                _ = look.tick() => {
                    ready.store(both_up(), Ordering::Relaxed);
                    notifier.alive();
                }
            }
        };
        notifier.stopping();
        ready.store(false, Ordering::Relaxed);
        tracing::info!(event = "draining");
        let _ = drain.send(true);
        // One of them may have taken a connection in this very moment, which is to be served like the others.
        let emptied = async {
            porters.join_all().await;
            door.emptied(Instant::now() + Duration::from_secs(limits.drain_s.into())).await
        };
        tokio::pin!(emptied);
        // A drain may last longer than the watchdog waits.
        let left = loop {
            tokio::select! {
                left = &mut emptied => break left,
                _ = look.tick() => notifier.alive(),
            }
        };
        tracing::info!(event = "drained", left);
        end
    });
    // Threads waiting for a signature hold nobody up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    served
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_leaves_room_for_every_thread() {
        let unit = include_str!("../../systemd/chancery-worker@.service");
        let most = unit.lines().find_map(|line| line.strip_prefix("TasksMax=")).unwrap();
        assert!(most.parse::<usize>().unwrap() >= BLOCKING + 16, "{most}");
    }
}
