//! Keeping what others publish: revocation lists and key sets. One task a source visits it when its document becomes
//! old, sooner when somebody needs a newer set of keys, and after failures at growing distances. A document that is not
//! taken leaves the one before in place, which ends by itself: a list with its `nextUpdate`, a key set after so many
//! hours.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::http::{self, Missing};
use super::office::Office;
use crate::config::auth::Auth;
use crate::config::auth::jwt::{LARGEST_SET, Set};
use crate::config::auth::list::List;
use crate::config::auth::source::{Fetched, Source};
use crate::wire::Millis;

/// Octets of a list, at most.
const LARGEST_LIST: usize = 16 << 20;
/// After the first failure, and at most, until the next visit.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(300);
/// Between two visits, however much somebody would like a newer document.
const APART: Duration = Duration::from_secs(60);

/// Sources that are visited at one time.
const VISITS: usize = 8;

/// The tasks of one configuration.
#[derive(Debug)]
pub(super) struct Fetching {
    tasks: JoinSet<()>,
    room: Arc<Room>,
}

/// What is held of strangers at one time is bounded: so many documents on their way, and one of them being read.
#[derive(Debug)]
struct Room {
    visits: Semaphore,
    reading: Arc<Semaphore>,
}

impl Default for Fetching {
    fn default() -> Self {
        let room = Room { visits: Semaphore::new(VISITS), reading: Arc::new(Semaphore::new(1)) };
        Self { tasks: JoinSet::new(), room: Arc::new(room) }
    }
}

impl Fetching {
    /// Goes on with this configuration, and with what the one before had fetched where that fits it still.
    pub(super) fn follow(&mut self, config: &Arc<Auth>, before: Option<&Auth>, office: &Arc<Office>) {
        // Dropping it ends the tasks of the one before.
        let mut tasks = JoinSet::new();
        if let Some(before) = before {
            keep(config, before);
        }
        for which in all(config) {
            let asked = named(config, which).2.clone();
            tasks.spawn(visit(Arc::downgrade(config), which, asked, office.clone(), self.room.clone()));
        }
        self.tasks = tasks;
    }
}

/// A document of the configuration: which of an authority's lists, or which issuer's keys.
#[derive(Debug, Clone, Copy)]
enum Which {
    List(usize, usize),
    Keys(usize),
}

fn all(config: &Auth) -> Vec<Which> {
    let lists = config.authorities.iter().enumerate().flat_map(|(authority, one)| {
        (0..one.lists.as_ref().map_or(0, |lists| lists.sources.len())).map(move |source| Which::List(authority, source))
    });
    let issuers = config.issuers.iter().enumerate().filter(|(_, issuer)| issuer.keys.source().is_some());
    lists.chain(issuers.map(|(issuer, _)| Which::Keys(issuer))).collect()
}

/// Hands on what was fetched, as far as it is as good under the new configuration: lists by who has signed them, sets
/// of keys by where they came from.
fn keep(config: &Auth, before: &Auth) {
    for authority in &config.authorities {
        let old = before.authorities.iter().find(|old| old.name == authority.name).and_then(|old| old.lists.as_ref());
        let Some((lists, old)) = authority.lists.as_ref().zip(old) else { continue };
        if !lists.sources.is_empty() {
            authority.keep(old.fetched());
        }
        for source in &lists.sources {
            let from_there = |old: &&Fetched<List>| old.source.is_as_good_as(&source.source);
            if let Some((list, age)) = old.sources.iter().find(from_there).and_then(|old| old.held().zip(old.age())) {
                source.hold(list, since(age));
            }
        }
    }
    for issuer in &config.issuers {
        let Some(source) = issuer.keys.source() else { continue };
        let old = before.issuers.iter().filter(|old| old.name == issuer.name).find_map(|old| old.keys.source());
        let Some(old) = old.filter(|old| old.source.is_as_good_as(&source.source)) else { continue };
        if let Some((set, age)) = old.held().zip(old.age()) {
            let taken = issuer.take(source, set.octets().to_vec(), (&config.issuers, &config.users), since(age));
            if let Err(why) = taken {
                warn!(event = "not-kept", what = "keys", of = issuer.name.as_str(), url = source.source.url, why);
            }
        }
    }
}

fn since(age: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}

/// Visits one source as long as the configuration is in use.
async fn visit(config: Weak<Auth>, which: Which, asked: Arc<Notify>, office: Arc<Office>, room: Arc<Room>) {
    let mut failures = 0_u32;
    // Not held while nothing is done: whoever lets go of it last frees all of it.
    while let Some(config) = config.upgrade() {
        let begun = Instant::now();
        let outcome = fetch(config.clone(), which, &room).await;
        let (of, source, _) = named(&config, which);
        let what = match which {
            Which::List(..) => "list",
            Which::Keys(_) => "keys",
        };
        let wait = match outcome {
            Ok((new, left_out)) => {
                if new {
                    info!(event = "fetched", what, of, url = source.url, left_out);
                }
                office.gauges.fetches.with_label_values(&[if new { "new" } else { "same" }]).inc();
                failures = 0;
                next(&config, which).unwrap_or(source.every).min(source.every)
            }
            Err(why) => {
                // Seldom enough: the pauses grow.
                let why = &why[..why.floor_char_boundary(256)];
                warn!(event = "not-fetched", what, of, url = source.url, why);
                office.gauges.fetches.with_label_values(&["failed"]).inc();
                failures = failures.saturating_add(1);
                (SHORT * (1 << (failures - 1).min(16))).min(LONG)
            }
        };
        drop(config);
        let needed = async {
            asked.notified().await;
            tokio::time::sleep(APART.saturating_sub(begun.elapsed())).await;
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = needed => {}
        }
    }
}

/// Sources that gave nothing yet, lists that are past and have no newer one, and sets of keys that have ended.
pub(super) fn missing(config: &Auth) -> usize {
    let now = Millis::now();
    let lists = config.authorities.iter().flat_map(|authority| &authority.lists);
    let lists = lists.map(|lists| {
        let silent = lists.sources.iter().filter(|source| source.held().is_none()).count();
        silent + lists.fetched().iter().filter(|list| list.is_past(now)).count()
    });
    let lists: usize = lists.sum();
    let keys = config.issuers.iter().filter(|issuer| issuer.keys.source().is_some());
    lists + keys.filter(|issuer| issuer.keys.now().is_empty()).count()
}

fn named(config: &Auth, which: Which) -> (&str, &Source, &Arc<Notify>) {
    match which {
        Which::List(authority, source) => {
            let authority = &config.authorities[authority];
            let source = &authority.lists.as_ref().expect("it has sources").sources[source];
            (authority.name.as_str(), &source.source, &source.asked)
        }
        Which::Keys(issuer) => {
            let issuer = &config.issuers[issuer];
            let source = issuer.keys.source().expect("it has one");
            (issuer.name.as_str(), &source.source, &source.asked)
        }
    }
}

fn list(config: &Auth, authority: usize, source: usize) -> &Fetched<List> {
    &config.authorities[authority].lists.as_ref().expect("it has sources").sources[source]
}

/// When a list should be looked for again because one of its authority ends or has ended, whichever came from where.
fn next(config: &Auth, which: Which) -> Option<Duration> {
    let Which::List(authority, _) = which else { return None };
    config.authorities[authority].lists.as_ref()?.patience(Millis::now()).map(apart)
}

/// So many milliseconds, a minute at least.
fn apart(patience: i64) -> Duration {
    Duration::from_millis(patience.try_into().unwrap_or(0)).max(APART)
}

/// Fetches one document and holds it. Whether it is a new one, and how many keys of it are of no use here.
async fn fetch(config: Arc<Auth>, which: Which, room: &Room) -> Result<(bool, usize), String> {
    let largest = match which {
        Which::List(..) => LARGEST_LIST,
        Which::Keys(_) => LARGEST_SET,
    };
    // They are never closed.
    let _visit = room.visits.acquire().await.map_err(|error| error.to_string())?;
    let since = Instant::now();
    let octets = http::get(named(&config, which).1, largest).await.map_err(Missing::why)?;
    // A large list takes a while to be read and hashed, and requests do not wait for it.
    let reading = room.reading.clone().acquire_owned().await.map_err(|error| error.to_string())?;
    let read = move || match which {
        Which::List(authority, source) => {
            let (authority, source) = (&config.authorities[authority], list(&config, authority, source));
            Ok((authority.take(source, authority.read_list(octets)?, since)?, 0))
        }
        Which::Keys(issuer) => {
            let issuer = &config.issuers[issuer];
            let source: &Fetched<Set> = issuer.keys.source().ok_or("no source")?;
            issuer.take(source, octets, (&config.issuers, &config.users), since)
        }
    };
    let taken = tokio::task::spawn_blocking(move || {
        let taken = read();
        // Also when nobody waits for it any more.
        drop(reading);
        taken
    });
    taken.await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_ends_is_looked_for_after_a_minute_at_the_earliest() {
        for (patience_ms, wait_s) in [(3_600_000, 3600), (60_001, 60), (59_999, 60), (1, 60), (0, 60), (-1, 60)] {
            assert_eq!(apart(patience_ms).as_secs(), wait_s, "{patience_ms}");
        }
    }
}
