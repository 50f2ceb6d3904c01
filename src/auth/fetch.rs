//! Keeping what others publish: revocation lists and key sets. One task a source visits it when its document becomes old,
//! sooner when somebody needs a newer one, and after failures at growing distances. A document that is not taken leaves
//! the one before in place, which ends by itself: a list with its `nextUpdate`, a key set after so many hours.

mod http;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{info, warn};

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

/// The tasks of one configuration.
#[derive(Debug, Default)]
pub(super) struct Fetching(JoinSet<()>);

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
            tasks.spawn(visit(Arc::downgrade(config), which, asked, office.clone()));
        }
        self.0 = tasks;
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

/// Hands on what was fetched from the same places, as far as the new configuration would take it.
fn keep(config: &Auth, before: &Auth) {
    for authority in &config.authorities {
        let Some(old) = before.authorities.iter().find(|old| old.name == authority.name) else { continue };
        for source in authority.lists.iter().flat_map(|lists| &lists.sources) {
            let mut held =
                old.lists.iter().flat_map(|lists| &lists.sources).filter(|old| old.source.url == source.source.url);
            if let Some((list, age)) = held.find_map(|old| old.held().zip(old.age())) {
                let _one_that_is_not_taken_is_fetched_anew = authority.take(source, list, since(age));
            }
        }
    }
    for issuer in &config.issuers {
        let Some(source) = issuer.keys.source() else { continue };
        let old = before.issuers.iter().filter(|old| old.name == issuer.name).find_map(|old| old.keys.source());
        let Some(old) = old.filter(|old| old.source.url == source.source.url) else { continue };
        if let Some((set, age)) = old.held().zip(old.age()) {
            let those = (&config.issuers[..], &config.users);
            let _one_that_is_not_taken_is_fetched_anew = issuer.take(source, set.octets().to_vec(), those, since(age));
        }
    }
}

fn since(age: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}

/// Visits one source as long as the configuration is in use.
async fn visit(config: Weak<Auth>, which: Which, asked: Arc<Notify>, office: Arc<Office>) {
    let mut failures = 0_u32;
    // Not held while nothing is done: whoever lets go of it last frees all of it.
    while let Some(config) = config.upgrade() {
        let begun = Instant::now();
        let outcome = fetch(config.clone(), which).await;
        let (of, source, _) = named(&config, which);
        let what = match which {
            Which::List(..) => "list",
            Which::Keys(_) => "keys",
        };
        let wait = match outcome {
            Ok(new) => {
                if new {
                    info!(event = "fetched", what, of, url = source.url);
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
        let early = APART.saturating_sub(begun.elapsed());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = async { asked.notified().await; tokio::time::sleep(early).await } => {}
        }
    }
}

/// Sources that have nothing that may be used now.
pub(super) fn missing(config: &Auth) -> usize {
    let now = Millis::now();
    let lists = config.authorities.iter().flat_map(|authority| &authority.lists).flat_map(|lists| &lists.sources);
    let lists = lists.filter(|source| source.held().is_none_or(|list| list.is_past(now))).count();
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

/// When a document should be looked for again because it ends: half of the time that is left, a minute at least.
fn next(config: &Auth, which: Which) -> Option<Duration> {
    let Which::List(authority, source) = which else { return None };
    let left = list(config, authority, source).held()?.next_update.0.saturating_sub(Millis::now().0) / 2;
    Some(Duration::from_millis(left.try_into().unwrap_or(0)).max(APART))
}

/// Fetches one document and holds it. Whether it is a new one.
async fn fetch(config: Arc<Auth>, which: Which) -> Result<bool, String> {
    let largest = match which {
        Which::List(..) => LARGEST_LIST,
        Which::Keys(_) => LARGEST_SET,
    };
    let since = Instant::now();
    let octets = http::get(named(&config, which).1, largest).await?;
    // A large list takes a while to be read and hashed, and requests do not wait for it.
    let taken = tokio::task::spawn_blocking(move || match which {
        Which::List(authority, source) => {
            let (authority, source) = (&config.authorities[authority], list(&config, authority, source));
            authority.take(source, authority.read_list(octets)?, since)
        }
        Which::Keys(issuer) => {
            let issuer = &config.issuers[issuer];
            let source: &Fetched<Set> = issuer.keys.source().ok_or("no source")?;
            issuer.take(source, octets, (&config.issuers, &config.users), since)
        }
    });
    taken.await.map_err(|error| error.to_string())?
}
