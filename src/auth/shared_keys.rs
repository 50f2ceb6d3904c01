//! Keys that partners have sealed for us in their assertions, opened, so that each is opened once however often its
//! assertion is presented. Nothing is asked of a key here but whether it is the one that was sealed so: who may use it
//! is judged each time. They are wiped when they are over, and a bounded number of them is kept; where there are more,
//! the first to end is opened anew.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::reason::Reason;
use crate::wire::{Millis, Peer, Text};

/// At one time.
const MOST: usize = 4096;

/// What becomes of opening one.
pub(super) type Outcome = Result<Zeroizing<Vec<u8>>, Reason>;

/// Which key is asked for, for the message of which worker and for which account.
pub(super) type Question = ([u8; 32], Peer, Text<256>);

/// The keys, by a hash of how each was sealed.
#[derive(Default)]
pub(super) struct SharedKeys {
    kept: Mutex<HashMap<[u8; 32], Kept>>,
    /// Those that somebody waits for.
    asked: Mutex<HashMap<Question, Weak<OnceCell<Outcome>>>>,
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<shared keys>")
    }
}

/// One of them, or a random one in the place of what did not open.
pub(super) struct Kept {
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) until: Millis,
    pub(super) opened: bool,
}

impl SharedKeys {
    /// The one of that name.
    pub(super) fn find(&self, name: &[u8; 32], now: Millis) -> Option<Zeroizing<Vec<u8>>> {
        self.lock().get(name).filter(|kept| now < kept.until).map(|kept| kept.key.clone())
    }

    /// That question. Whoever comes with it while it is put waits for the same answer, whatever it is.
    pub(super) fn question(&self, name: &Question) -> Arc<OnceCell<Outcome>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, question| question.strong_count() > 0);
        let question = asked.get(name).and_then(Weak::upgrade).unwrap_or_default();
        asked.insert(name.clone(), Arc::downgrade(&question));
        question
    }

    /// Keeps the answer to this question, unless all was wiped since it was put. What did not open takes no other's
    /// place: of two workers' questions one may have come where no key of ours opened it yet.
    pub(super) fn keep(&self, question: &Question, of: &Arc<OnceCell<Outcome>>, one: Kept, now: Millis) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = asked.get(question).is_some_and(|other| other.as_ptr() == Arc::as_ptr(of));
        let (mut kept, name) = (self.lock(), question.0);
        let has_one = kept.get(&name).is_some_and(|other| now < other.until);
        if !stands || (has_one && !one.opened) {
            return;
        }
        if kept.len() >= MOST {
            kept.retain(|_, one| now < one.until);
        }
        if kept.len() >= MOST
            && let Some(first) = kept.iter().min_by_key(|(_, one)| one.until).map(|(name, _)| *name)
        {
            kept.remove(&first);
        }
        kept.insert(name, one);
    }

    /// Wipes those that are over.
    pub(super) fn sweep(&self, now: Millis) {
        self.lock().retain(|_, one| now < one.until);
    }

    /// Wipes all: partners and what is asked of them may be others now. Nobody joins a question of before.
    pub(super) fn forget(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(octet: u8) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(vec![octet; 32])
    }

    impl SharedKeys {
        fn answer(&self, name: [u8; 32], key: Zeroizing<Vec<u8>>, until: Millis, now: Millis) {
            let question = (name, Peer(1), Text::new("a").unwrap());
            self.keep(&question, &self.question(&question), Kept { key, until, opened: true }, now);
        }
    }

    #[test]
    fn a_key_is_kept_by_its_name_until_it_is_over() {
        let keys = SharedKeys::default();
        keys.answer([1; 32], key(1), Millis(10), Millis(0));
        keys.answer([2; 32], key(2), Millis(20), Millis(0));
        assert_eq!(keys.find(&[1; 32], Millis(9)), Some(key(1)));
        assert_eq!(keys.find(&[1; 32], Millis(10)), None);
        assert_eq!(keys.find(&[3; 32], Millis(0)), None);
        keys.sweep(Millis(10));
        let count = keys.lock().len();
        assert_eq!((count, keys.find(&[2; 32], Millis(10))), (1, Some(key(2))));
        keys.forget();
        assert_eq!(keys.find(&[2; 32], Millis(10)), None);
    }

    #[test]
    fn a_question_is_one_while_somebody_waits_for_it_and_of_one_worker_and_account() {
        let keys = SharedKeys::default();
        let of = |name, worker, account| keys.question(&([name; 32], Peer(worker), Text::new(account).unwrap()));
        let first = of(1, 1, "a");
        assert!(Arc::ptr_eq(&first, &of(1, 1, "a")));
        for (name, worker, account) in [(2, 1, "a"), (1, 2, "a"), (1, 1, "b")] {
            assert!(!Arc::ptr_eq(&first, &of(name, worker, account)));
        }
        keys.forget();
        assert!(!Arc::ptr_eq(&first, &of(1, 1, "a")));
        drop(first);
        let _other = of(3, 1, "a");
        assert_eq!(keys.asked.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_did_not_open_takes_nobodys_place_and_what_was_asked_before_all_was_wiped_is_not_kept() {
        let (keys, now, until) = (SharedKeys::default(), Millis(0), Millis(10));
        let of = |worker| ([1; 32], Peer(worker), Text::new("a").unwrap());
        let keep = |worker, octet, opened| {
            keys.keep(&of(worker), &keys.question(&of(worker)), Kept { key: key(octet), until, opened }, now);
        };
        keep(1, 1, false);
        keep(2, 2, true);
        keep(3, 3, false);
        assert_eq!(keys.find(&[1; 32], now), Some(key(2)));
        let question = keys.question(&of(1));
        keys.forget();
        let kept = |of: &_, cell: &_| keys.keep(of, cell, Kept { key: key(4), until, opened: true }, now);
        kept(&of(1), &question);
        assert_eq!(keys.find(&[1; 32], now), None);
        // Nor where it was asked again since.
        let again = keys.question(&of(1));
        kept(&of(1), &question);
        assert_eq!(keys.find(&[1; 32], now), None);
        kept(&of(1), &again);
        assert_eq!(keys.find(&[1; 32], now), Some(key(4)));
    }

    #[test]
    fn there_are_so_many_and_the_first_to_end_makes_room() {
        let keys = SharedKeys::default();
        let name = |number: usize| {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            name
        };
        let end = |number: usize| Millis(100 + i64::try_from(number).unwrap());
        for number in 0..MOST {
            keys.answer(name(number), key(0), end(number), Millis(0));
        }
        keys.answer(name(MOST), key(1), end(MOST), Millis(0));
        assert_eq!(keys.lock().len(), MOST);
        assert!(keys.find(&name(0), Millis(0)).is_none() && keys.find(&name(1), Millis(0)).is_some());
        assert_eq!(keys.find(&name(MOST), Millis(0)), Some(key(1)));
        // What is over goes before what is not.
        keys.answer(name(MOST + 1), key(1), end(MOST + 1), end(MOST - 2));
        assert_eq!(keys.lock().len(), 3);
    }
}
