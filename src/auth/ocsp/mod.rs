//! Asking the responders of an authority whether certificates were taken back (RFC 6960). Nobody but who has a
//! certificate below that authority, and has proved its key, has anybody asked; each certificate is asked about once at
//! a time, however many wait for it, and whoever waits does so for no longer than [`WAIT`], in a place that leaves most
//! of its worker to those who do not. A responder that is down is left alone for a while, and those of other
//! authorities do not know of it.

mod answer;
mod answers;
mod gone;
mod line;
mod question;
#[cfg(feature = "signer")]
#[cfg(test)]
mod tests;
mod times;
mod waiting;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

pub(super) use self::answer::Delegate;
use self::answer::{Answer, Status};
use self::answers::Answers;
pub(super) use self::answers::Held;
use self::gone::Gone;
use self::line::{Line, Unheard};
pub(super) use self::question::Question;
pub(super) use self::waiting::Place;
use self::waiting::Waiting;
use crate::config::auth::Auth;
use crate::config::auth::authority::Authority;
use crate::config::auth::responder::Nonce;
use crate::metrics::IntCounterVec;
use crate::sys::gate::LogGate;
use crate::wire::{Millis, Peer, Text};

/// How long a request waits for answers, all in all.
pub(super) const WAIT: Duration = Duration::from_secs(5);
/// How much of it those have who are asked about one certificate: it is known that they are silent before nobody waits
/// to hear so.
const ALL: Duration = Duration::from_secs(4);
/// Lines of log a second.
const LINES: u32 = 10;

/// Octets of an answer, or of what is signed in one, as of the issuer with this name and key about its certificate of
/// number 5: for whoever hunts for those that the reader does not stand.
pub(super) fn is_answer(octets: &[u8]) -> bool {
    use crate::config::auth::responder::{CertIdHash, Issuer};
    let issuer = Issuer { name: Vec::new(), key: b"\x30\x06\x30\x00\x03\x02\x00\x04".to_vec() };
    let question = Question { issuer: issuer.clone(), serial: vec![5] };
    let rules = answer::Rules { hash: CertIdHash::Sha1, nonce: Nonce::WhenAnswered, kept: Duration::from_secs(3600) };
    let (now, nonce) = (Millis(1_795_000_000_000), [7; 32]);
    let read = answer::read(octets, &question, (rules, Some(&nonce)), now);
    let said = answer::said(octets, &issuer, &question, (rules, Some(&nonce)), now);
    assert!(read.is_err(), "nobody has signed by that key");
    said.is_ok_and(|answer| {
        assert!(now < answer.until && answer.until.0 - now.0 <= 3_600_000, "it counts for a while");
        true
    })
}

/// The desks at which questions are put, by authority.
#[derive(Debug)]
pub(super) struct Desks {
    of: RwLock<HashMap<Text<64>, Arc<Desk>>>,
    waiting: Waiting,
    means: Arc<Means>,
}

/// What all desks have together.
#[derive(Debug)]
struct Means {
    gone: Gone,
    gate: LogGate,
    answers: IntCounterVec,
}

/// Where questions about the certificates of one authority are put.
#[derive(Debug)]
pub(super) struct Desk {
    authority: Text<64>,
    lines: Vec<Line>,
    answers: Answers,
    flights: Mutex<HashMap<Question, watch::Receiver<()>>>,
    means: Arc<Means>,
}

impl Desks {
    /// Those of a configuration. Answers are counted there, by outcome.
    pub(super) fn new(config: &Auth, answers: IntCounterVec) -> Self {
        let means = Arc::new(Means { gone: Gone::default(), gate: LogGate::new(LINES), answers });
        let desks = Self { of: RwLock::default(), waiting: Waiting::new(), means };
        desks.follow(config);
        desks
    }

    /// Goes on with this configuration: with what was answered where the responders are the same, and else with what
    /// was taken back. What was for good stays so where nobody is asked any more.
    pub(super) fn follow(&self, config: &Auth) {
        let mut of = self.of.write().unwrap_or_else(PoisonError::into_inner);
        let asked = config.authorities.iter().filter(|authority| !authority.responders.is_empty());
        let desks = asked.map(|authority| {
            let before = of.get(&authority.name);
            let desk = match before.filter(|desk| desk.lines.iter().map(|line| &line.rules).eq(&authority.responders)) {
                Some(same) => same.clone(),
                None => {
                    let answers = before.map(|desk| desk.answers.revoked()).unwrap_or_default();
                    Arc::new(Desk::new(authority, answers, self.means.clone()))
                }
            };
            (authority.name.clone(), desk)
        });
        let desks = desks.collect();
        *of = desks;
    }

    /// Has anybody who was asked since this process began said that it was taken back for good?
    pub(super) fn gone(&self, question: &Question) -> bool {
        self.means.gone.has(question)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Desk>> {
        self.of.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A place for a request that waits for those of an authority, if one is left to that worker, to that network and
    /// to it, where a worker may have so many requests under way.
    pub(super) fn place(&self, from: (Peer, IpAddr), asked: &Desk, under_way: usize) -> Option<Place> {
        let alone = self.of.read().unwrap_or_else(PoisonError::into_inner).len() < 2;
        self.waiting.place(from, (&asked.authority, alone), under_way)
    }

    /// Responders that have failed, and were not heard of since.
    pub(super) fn failing(&self) -> usize {
        self.all().iter().flat_map(|desk| &desk.lines).filter(|line| line.is_failing()).count()
    }
}

impl Desk {
    fn new(authority: &Authority, answers: Answers, means: Arc<Means>) -> Self {
        let lines = authority.responders.iter().map(Line::to).collect();
        Self { authority: authority.name.clone(), lines, answers, flights: Mutex::default(), means }
    }

    /// Whose it is.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// What is known of a certificate.
    pub(super) fn held(&self, question: &Question, now: Millis) -> Held {
        match self.answers.held(question, now) {
            Held::Nothing if !self.lines.iter().any(|line| line.rules.speaks_for(&question.issuer)) => {
                Held::Silent("no responder is for its issuer".to_owned())
            }
            // Whoever is asked now: others may have said it.
            held => held,
        }
    }

    /// Puts a question, unless it is put already, and gives something that changes when it is over. None where there
    /// are too many for the responder that is asked first.
    pub(super) fn put(self: &Arc<Self>, question: &Question) -> Option<watch::Receiver<()>> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(question) {
            return Some(flight.clone());
        }
        let first = self.lines.iter().find(|line| line.rules.speaks_for(&question.issuer));
        let place = first?.place()?;
        let (over, flight) = watch::channel(());
        flights.insert(question.clone(), flight.clone());
        drop(flights);
        let (desk, question) = (self.clone(), question.clone());
        tokio::spawn(async move {
            if let Err(Some(why)) = desk.ask(&question).await {
                desk.answers.silent(question.clone(), why, Millis::now());
            }
            desk.flights().remove(&question);
            drop((over, place));
        });
        Some(flight)
    }

    /// Asks one responder after the other until one has an answer that counts. Where none has, why; nothing where one
    /// had no time to be asked, for then nobody can say that it was silent.
    async fn ask(&self, question: &Question) -> Result<(), Option<String>> {
        let mut last = Some("no responder is for its issuer".to_owned());
        let mut busy = false;
        let lines = || self.lines.iter().filter(|line| line.rules.speaks_for(&question.issuer));
        let each = ALL / u32::try_from(lines().count().max(1)).unwrap_or(u32::MAX);
        for line in lines() {
            let take = |answer: Answer| {
                if answer.status == (Status::Revoked { for_good: true }) {
                    self.means.gone.note(question);
                }
                self.answers.take(question.clone(), answer, Millis::now())
            };
            let (outcome, why) = match line.ask(question, line.deadline().min(each), take).await {
                Ok(status) => {
                    let word = match status {
                        Status::Good => "good",
                        Status::Revoked { .. } => "revoked",
                        Status::Unknown => "unknown",
                    };
                    self.means.answers.with_label_values(&[word]).inc();
                    return Ok(());
                }
                Err(Unheard::Left) => {
                    last = Some("it was silent just now, and is left alone for a while".to_owned());
                    continue;
                }
                Err(Unheard::Busy) => {
                    self.means.answers.with_label_values(&["busy"]).inc();
                    busy = true;
                    continue;
                }
                Err(Unheard::Failed(why)) => ("failed", why),
                Err(Unheard::Refused(why)) => ("refused", why),
            };
            self.means.answers.with_label_values(&[outcome]).inc();
            if let Some(left_out) = self.means.gate.pass() {
                let (authority, url) = (self.authority.as_str(), line.rules.source.url.as_str());
                let why = &why[..why.floor_char_boundary(256)];
                warn!(event = "ocsp-not-answered", authority, url, why, left_out);
            }
            last = Some(why);
        }
        Err(last.filter(|_| !busy))
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<()>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
