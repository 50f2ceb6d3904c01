//! What policies have said, for those who come again: a machine asks for the same token all day. Cedar has no clock and
//! sees nothing but an account, a relying party and what is compared here, so that the answer can only be the same
//! until one of them is loaded, or found, anew.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::wire::order::{ConfirmationKind, Method, TokenType};
use crate::wire::{List, Text};

/// Answers kept at most: of some hundred octets each, or 3 KiB where sixteen policies with long names decide.
const MOST: usize = 4096;

/// Tells an account or a relying party from every other that this process had, of whatever name. A copy is another
/// one, for it may be changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Edition(u64);

impl Default for Edition {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for Edition {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Edition {
    /// Of this process only.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0
    }
}

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The account's edition.
    pub account: u64,
    /// The relying party's.
    pub party: u64,
    /// The kind of token.
    pub token_type: TokenType,
    /// How its presenter is to prove himself.
    pub confirmation: ConfirmationKind,
    /// How the requestor proved himself.
    pub method: Method,
    /// Who asked in his place; empty where nobody did.
    pub intermediary: String,
    /// The endpoint, as the worker says.
    pub endpoint: String,
    /// Where from, as the worker says.
    pub source: IpAddr,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Some policy permits it, and none forbids it.
    Yes,
    /// None permits it, or one forbids it.
    No,
    /// Some policy could not be evaluated, which may have forbidden it.
    Nothing,
}

/// An answer, and which policies decided, in order of their ids; the first sixteen.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What they said.
    pub said: Said,
    /// Their ids.
    pub policies: List<Text<128>, 16>,
}

/// The answers of one configuration.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<Question, Verdict>>);

impl Verdicts {
    /// What was said before, or what is found now. Full, it begins anew.
    pub(super) fn of(&self, question: Question, find: impl FnOnce() -> Verdict) -> Verdict {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = known.get(&question) {
            return verdict.clone();
        }
        let verdict = find();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(question, verdict.clone());
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(account: &Edition, source: &str) -> Question {
        Question {
            account: account.number(),
            party: 7,
            token_type: TokenType::Saml20,
            confirmation: ConfirmationKind::Bearer,
            method: Method::Password,
            intermediary: String::new(),
            endpoint: "/sts".to_owned(),
            source: source.parse().expect("an address"),
        }
    }

    fn verdict(said: Said) -> Verdict {
        Verdict { said, policies: List::default() }
    }

    #[test]
    fn only_the_very_same_is_not_asked_again() {
        let (verdicts, account) = (Verdicts::default(), Edition::default());
        let first = verdicts.of(question(&account, "192.0.2.1"), || verdict(Said::Yes));
        assert_eq!(first.said, Said::Yes);
        let again = verdicts.of(question(&account, "192.0.2.1"), || panic!("it is known"));
        assert_eq!(again.said, Said::Yes);
        for other in [question(&account, "192.0.2.2"), question(&account.clone(), "192.0.2.1")] {
            assert_eq!(verdicts.of(other, || verdict(Said::No)).said, Said::No);
        }
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let (verdicts, account) = (Verdicts::default(), Edition::default());
        for number in 0..=MOST as u32 {
            let source = std::net::Ipv4Addr::from(number).to_string();
            let _ = verdicts.of(question(&account, &source), || verdict(Said::Yes));
        }
        assert_eq!(verdicts.0.lock().expect("nobody panicked").len(), 1);
    }
}
