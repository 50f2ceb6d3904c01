//! What responders of one authority have said. Of two answers about a certificate the newer counts, wherever the older
//! comes from and whenever, and what was taken back for good stays so, whichever is the newer: whoever keeps answers of
//! yesterday gets nobody in by them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{Answer, Delegate, Status};
use super::question::Question;
use crate::wire::Millis;

/// Certificates that are known of, at most.
const MOST: usize = 8192;
/// For how long nobody is asked again who has not answered, or not this.
const QUIET: Duration = Duration::from_secs(5);

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<Question, Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The answer, and since when it is here.
    answer: Option<(Answer, Instant)>,
    /// Since when there is none, and why.
    silent: Option<(Instant, String)>,
}

/// What is known of a certificate now.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::auth) enum Held {
    /// It was not taken back, says the issuer or whom it delegated.
    Good(Option<Delegate>),
    /// It was.
    Revoked,
    /// The responder does not know it.
    Unknown,
    /// Nobody answered just now, for this reason.
    Silent(String),
    /// Nobody was asked, or not for too long.
    Nothing,
}

impl Answers {
    /// What is known of it.
    pub(super) fn held(&self, question: &Question, now: Millis) -> Held {
        let known = self.lock();
        let Some(Known { answer, silent }) = known.get(question) else { return Held::Nothing };
        match answer {
            Some((Answer { status: Status::Revoked { for_good: true }, .. }, _)) => Held::Revoked,
            Some((answer, since)) if now < answer.until && since.elapsed() < answer.kept => match answer.status {
                Status::Good => Held::Good(answer.delegate.clone()),
                Status::Revoked { .. } => Held::Revoked,
                Status::Unknown => Held::Unknown,
            },
            Some(_) | None => match silent {
                Some((since, why)) if since.elapsed() < QUIET => Held::Silent(why.clone()),
                Some(_) | None => Held::Nothing,
            },
        }
    }

    /// Takes an answer, unless there is one that counts more.
    ///
    /// # Errors
    /// Why it is not taken, for the operator.
    pub(super) fn take(&self, question: Question, answer: Answer, now: Millis) -> Result<(), &'static str> {
        let mut known = self.lock();
        match known.get(&question).and_then(|known| known.answer.as_ref()).map(|(before, _)| before) {
            Some(before) if before.status == (Status::Revoked { for_good: true }) => {
                return Err("was taken back for good");
            }
            // An older one that takes back for good is true all the same: whoever called it good later was wrong, or is
            // asked elsewhere.
            Some(_) if answer.status == (Status::Revoked { for_good: true }) => {}
            Some(before) if before.this_update > answer.this_update => return Err("an older answer than before"),
            Some(_) | None => {}
        }
        make_room(&mut known, &question, now);
        known.insert(question, Known { answer: Some((answer, Instant::now())), silent: None });
        Ok(())
    }

    /// Nobody has answered.
    pub(super) fn silent(&self, question: Question, why: String, now: Millis) {
        let mut known = self.lock();
        make_room(&mut known, &question, now);
        known.entry(question).or_default().silent = Some((Instant::now(), why));
    }

    /// Those of other rules, as far as they count whoever is asked: what was taken back.
    pub(super) fn revoked(&self) -> Self {
        let known = self.lock();
        let revoked = known.iter().filter_map(|(question, known)| {
            let answer = known.answer.clone().filter(|(answer, _)| matches!(answer.status, Status::Revoked { .. }))?;
            Some((question.clone(), Known { answer: Some(answer), silent: None }))
        });
        Self(Mutex::new(revoked.collect()))
    }

    /// How many certificates are known of.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more. What is over goes first, and then what ends soonest; what was taken back goes last, for
/// whoever has it forgotten is asked about anew.
fn make_room(known: &mut HashMap<Question, Known>, question: &Question, now: Millis) {
    if known.len() < MOST || known.contains_key(question) {
        return;
    }
    let counts = |known: &Known| match &known.answer {
        None => (false, Millis(0)),
        Some((answer, _)) => (matches!(answer.status, Status::Revoked { .. }), answer.until),
    };
    known.retain(|_, known| known.answer.is_some() && (counts(known).0 || now < counts(known).1));
    while known.len() >= MOST {
        let Some(least) = known.iter().min_by_key(|(_, known)| counts(known)).map(|(question, _)| question.clone())
        else {
            return;
        };
        known.remove(&least);
    }
}
