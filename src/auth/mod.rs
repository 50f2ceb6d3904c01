//! auth: who is this, and what may he get? It inherits its listener, reads its configuration, opens what it
//! needs, locks itself down, says that it is ready, and then judges what workers submit. It takes no worker's
//! word for who a client is, parses no XML but what a trusted key has signed, and has nothing signed but by
//! voucher.

mod acceptor;
mod addressing;
mod assertion;
pub mod cipher;
mod claims;
mod confirmed;
mod dates;
pub mod derive;
mod dial;
mod digest;
mod directory;
mod excess;
mod exchanges;
mod fetch;
mod gauges;
mod handshake;
mod homes;
mod http;
mod issued;
mod jwt;
mod known_signatures;
mod lifetime;
mod means;
pub mod named;
mod ocsp;
mod office;
mod order;
mod password;
mod policies;
mod policy;
mod pool;
pub mod readers;
mod recipient;
mod record;
mod reply;
mod revocation;
mod sealed;
mod share;
mod shared_keys;
mod signature;
pub mod store;
mod strangers;
mod successes;
mod throttle;
mod timestamp;
mod tls;
mod vouchers;
mod worker;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use self::acceptor::Acceptor;
use self::confirmed::Confirmed;
use self::dial::Dial;
use self::directory::Directories;
use self::fetch::Fetching;
use self::gauges::Gauges;
use self::means::Means;
use self::office::Office;
use self::password::Passwords;
use self::pool::Pool;
use self::record::Record;
use self::share::Share;
use self::store::Store;
use self::vouchers::{ChannelNumber, Vouchers};
use crate::config::auth::Auth;
use crate::config::beneath::Directory;
use crate::config::load::ConfigError;
use crate::metrics::Metrics;
use crate::reason;
use crate::sandbox::{self, Grants, Role};
use crate::sys::channel::Listener;
use crate::sys::channel_async::listening;
use crate::sys::listen::Inherited;
use crate::sys::notify::Notifier;
use crate::sys::places::{Place, configuration_root};
use crate::wire::Peer;
use crate::wire::permit::Link;

const ISSUER_LINK: &str = "issuer-to-auth";
const AUDIT_LINK: &str = "audit-to-auth";
const KERBEROS_LINK: &str = "kerberos-to-auth";
/// Channels of workers at one time, and of one of them: one, and what a restart of ours leaves behind. A worker
/// that dials without end cannot keep the others out.
const WORKERS: usize = 64;
const OF_ONE: usize = 16;
/// Those taken in before requests have their turn again.
const AT_ONCE: usize = 16;
/// How long a planned end waits for what is under way.
const DRAIN: Duration = Duration::from_secs(5);

/// The process.
#[must_use]
pub fn main() -> ExitCode {
    crate::sys::log::start("auth");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            error!(event = "failed", "{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    sandbox::begin()?;
    let mut inherited = Inherited::take()?;
    let listener = Listener::adopt(inherited.one(Place::AuthWorker.listener().1)?)?;
    let directory = Directory::open(&configuration_root().join("auth.d"))?;
    let config = crate::config::auth::read(&directory)?;
    describe(&config);
    let metrics = Metrics::new("auth");
    let gauges = Gauges::new(&metrics);
    let notifier = Notifier::open();
    let means = Means::of(&config)?;
    let (mut store, mut write_held) = (None, false);
    if let Some(rules) = &config.store {
        store = Some(Store::open(rules, means.store_password(rules)?)?);
        write_held = rules.postgresql().is_none();
    }
    let read = vec![directory.path().to_owned()];
    let mut grants = Grants { read, write_held, ..Grants::default() };
    means.grant(&mut grants);
    let report = sandbox::lock_down(Role::Auth, &grants)?;
    info!(event = "locked-down", "{report}");
    // Threads begin here: those begun earlier would escape.
    let pool = Pool::start(config.password.threads, config.password.queue, gauges.queue.clone())?;
    let store = store.map(|store| store.start(gauges.store.clone())).transpose()?;
    let directories = means.directories(&config)?;
    let reloads = reader(directory, means)?;
    let ready = Arc::new(AtomicBool::new(false));
    metrics.report(ready.clone());
    // One thread for all requests: they are short, wait for others most of the time, and are handed from task to task,
    // which between threads costs more than the work. Passwords and the store have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(listener, (config, directories), (pool, store), gauges, reloads, &ready, &notifier))
}

fn describe(config: &Auth) {
    let (users, parties) = (config.users.count(), config.parties.addresses());
    info!(event = "configured", users, addresses = parties, directories = config.directories.len());
    let doubtful = |authority: &str, doubts: &[ConfigError]| {
        for doubt in doubts {
            let why = doubt.to_string();
            warn!(event = "doubtful", authority, why = why.lines().next().unwrap_or_default());
        }
    };
    doubtful("-", &config.doubts);
    for authority in &config.authorities {
        doubtful(&authority.name, &authority.doubts);
    }
    if config.users.odd_costs > 0 {
        let why = "timing tells users whose hash costs something else than most from others";
        warn!(event = "odd-costs", users = config.users.odd_costs, why);
    }
}

/// A configuration, and the directories that it names.
type Configured = (Auth, Directories);

type Reloads = (std::sync::mpsc::SyncSender<()>, mpsc::Receiver<Result<Configured, String>>);

/// A thread that reads the configuration when asked to: policies of many parties take a while to validate,
/// and messages must not wait for them.
fn reader(directory: Directory, means: Means) -> std::io::Result<Reloads> {
    let (ask, asked) = sync_channel::<()>(1);
    let (give, given) = mpsc::channel(1);
    std::thread::Builder::new().name("configuration".to_owned()).spawn(move || {
        while asked.recv().is_ok() {
            let read = crate::config::auth::read(&directory).map_err(|errors| errors.to_string());
            let configured =
                read.and_then(|config| means.directories(&config).map(|directories| (config, directories)));
            if give.blocking_send(configured).is_err() {
                return;
            }
        }
    })?;
    Ok((ask, given))
}

async fn serve(
    listener: Listener,
    config: Configured,
    (pool, store): (Pool, Option<Store>),
    gauges: Gauges,
    (ask, mut reloaded): Reloads,
    ready: &AtomicBool,
    notifier: &Notifier,
) -> Result<(), Box<dyn Error>> {
    let dial = |place, link, name| Dial::new(place, link, name, gauges.violations.clone());
    let record = Record::open(dial(Place::AuditAuth, Link::AuditToAuth, AUDIT_LINK));
    let vouchers = Vouchers::open(dial(Place::IssuerAuth, Link::IssuerToAuth, ISSUER_LINK));
    let acceptor = Acceptor::open(dial(Place::KerberosAuth, Link::KerberosToAuth, KERBEROS_LINK));
    let passwords = Passwords::new(pool, gauges.password.clone());
    let office = Arc::new(Office::new(config, passwords, store, record, (vouchers, acceptor), gauges));
    let mut fetching = Fetching::default();
    fetching.follow(&office.config(), None, &office);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopping) = watch::channel(false);
    let mut workers: JoinSet<Peer> = JoinSet::new();
    let mut open: HashMap<Peer, (usize, Share, Confirmed)> = HashMap::new();
    let (mut accepted, mut refused) = (0, 0_u64);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let listener = listening(listener)?;
    notifier.ready();
    info!(event = "ready");
    loop {
        tokio::select! {
            readable = listener.readable() => {
                let mut readable = readable?;
                // A few, and then whatever else there is to do: requests are served by this very thread.
                for _ in 0..AT_ONCE {
                    let Some(channel) = listener.get_ref().accept()? else {
                        readable.clear_ready();
                        break;
                    };
                    let peer = channel.peer();
                    if workers.len() >= WORKERS || open.get(&peer).is_some_and(|(count, ..)| *count >= OF_ONE) {
                        refused += 1;
                        continue;
                    }
                    accepted += 1;
                    let (count, share, confirmed) =
                        open.entry(peer).or_insert_with(|| (0, Share::new(), Confirmed::default()));
                    *count += 1;
                    let number = ChannelNumber(accepted);
                    let of_worker = (share.clone(), confirmed.clone());
                    let served = worker::serve(office.clone(), channel, number, of_worker, stopping.clone());
                    workers.spawn(async move {
                        served.await;
                        peer
                    });
                }
                tokio::task::yield_now().await;
            }
            Some(ended) = workers.join_next(), if !workers.is_empty() => {
                // Panics abort the process and nobody cancels these tasks: each ends with its peer.
                if let Ok(peer) = ended
                    && let Entry::Occupied(mut of_peer) = open.entry(peer)
                {
                    of_peer.get_mut().0 -= 1;
                    if of_peer.get().0 == 0 {
                        of_peer.remove();
                        office.gone(peer);
                    }
                }
            }
            _ = second.tick() => {
                office.gauges.workers.set(workers.len().try_into().unwrap_or(i64::MAX));
                office.gauges.missing.set(fetch::missing(&office.config()).try_into().unwrap_or(i64::MAX));
                office.gauges.failing.set(office.desks.failing().try_into().unwrap_or(i64::MAX));
                settle(&office);
                office.sweep();
                if refused > 0 {
                    warn!(event = "workers-refused", count = std::mem::take(&mut refused), why = "too many channels");
                }
                notifier.alive();
                let is_ready = office.ready();
                if ready.swap(is_ready, Ordering::Relaxed) != is_ready {
                    notifier.status(if is_ready { "vouching" } else { "waiting for issuer, audit or the store" });
                }
            }
            Some(()) = hangup.recv() => {
                // A reload under way reads what is there now; asking twice changes nothing.
                let _already_asked = ask.try_send(());
            }
            Some(config) = reloaded.recv() => reconfigure(&office, config, &mut fetching),
            Some(()) = terminate.recv() => break,
            Some(()) = interrupt.recv() => break,
        }
    }
    notifier.stopping();
    info!(event = "stopping");
    drop(listener);
    stop.send_replace(true);
    let _forced = tokio::time::timeout(DRAIN, async { while workers.join_next().await.is_some() {} }).await;
    for entry in office.strangers.close().into_iter().chain(office.excess.settle(Instant::now())) {
        let _best_effort = office.record.append(entry, Duration::from_millis(200)).await;
    }
    Ok(())
}

fn reconfigure(office: &Arc<Office>, configured: Result<Configured, String>, fetching: &mut Fetching) {
    match configured {
        Ok((config, directories)) => {
            describe(&config);
            let before = office.config();
            if config.store != before.store {
                warn!(event = "store-unchanged", why = "[store] is read at start only");
            }
            let config = Arc::new(config);
            // First what was fetched, so that no request finds less than there was.
            fetching.follow(&config, Some(&before), office);
            drop(before);
            office.reconfigure((config, directories));
            office.gauges.reloads.with_label_values(&["taken"]).inc();
            info!(event = "reloaded");
        }
        Err(why) => {
            office.gauges.reloads.with_label_values(&["refused"]).inc();
            error!(event = "not-reloaded", "the configuration in use stays: {why}");
        }
    }
}

/// Hands the sums of refusals that are due to the record.
fn settle(office: &Arc<Office>) {
    let now = Instant::now();
    let mut entries = office.strangers.settle(now);
    entries.extend(office.excess.settle(now));
    if entries.is_empty() {
        return;
    }
    let office = office.clone();
    tokio::spawn(async move {
        for entry in entries {
            if office.record.append(entry, Duration::from_secs(10)).await.is_err() {
                office.gauges.unrecorded.inc();
            }
        }
    });
}
