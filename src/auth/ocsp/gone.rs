//! Certificates that were taken back for good, whoever said so and whether or not he is asked any more. A reload may
//! take the responders of an authority out, or the authority; what they have said then stays true.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::question::Question;

/// As many as are kept in mind. Where there are more the first are forgotten.
const MOST: usize = 8192;

/// Those that are known.
#[derive(Debug, Default)]
pub(super) struct Gone(Mutex<(HashSet<Question>, VecDeque<Question>)>);

impl Gone {
    /// Was it taken back for good?
    pub(super) fn has(&self, question: &Question) -> bool {
        self.lock().0.contains(question)
    }

    /// From now on it was.
    pub(super) fn note(&self, question: &Question) {
        let (known, order) = &mut *self.lock();
        if !known.insert(question.clone()) {
            return;
        }
        order.push_back(question.clone());
        if order.len() > MOST
            && let Some(first) = order.pop_front()
        {
            known.remove(&first);
        }
    }

    fn lock(&self) -> MutexGuard<'_, (HashSet<Question>, VecDeque<Question>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::auth::responder::Issuer;

    #[test]
    fn they_are_many_and_the_first_is_forgotten_first() {
        let gone = Gone::default();
        let of = |number: usize| Question {
            issuer: Issuer { name: Vec::new(), key: Vec::new() },
            serial: number.to_be_bytes().to_vec(),
        };
        for number in 0..=MOST {
            gone.note(&of(number));
            gone.note(&of(number));
        }
        assert!(!gone.has(&of(0)) && gone.has(&of(1)) && gone.has(&of(MOST)));
        let (known, order) = &*gone.lock();
        assert_eq!((known.len(), order.len()), (MOST, MOST));
    }
}
