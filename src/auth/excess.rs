//! What each account may ask. Whoever has proved himself has each decision in the record, and issuer's quotas
//! count only what is redeemed: one account that asks without end would fill the disk, and a full disk stops
//! issuing for all. Beyond its pace an account is told to come back, and that is summed up by account and second.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::warn;

use super::reason::Reason;
use super::throttle::Pace;
use crate::config::auth::ThrottleRules;
use crate::sys::gate::LogGate;
use crate::wire::record::{AuthEntry, DecisionPrivate, Excessive};
use crate::wire::{Correlation, Millis, Text};

/// Lines in the log in one second.
const LINES: u32 = 10;

/// Accounts that have lately been served, and what they asked in excess.
#[derive(Debug)]
pub(super) struct Excess {
    accounts: Mutex<Accounts>,
    lines: LogGate,
}

// As many names as were lately proven, at most.
#[derive(Debug, Default)]
struct Accounts {
    /// For each the instant at which all of its burst will be there again.
    served: HashMap<Text<256>, Instant>,
    /// Requests of each that are on their way to be, which is not known yet.
    coming: HashMap<Text<256>, u32>,
    sums: HashMap<Text<256>, Excessive>,
}

impl Default for Excess {
    fn default() -> Self {
        Self { accounts: Mutex::default(), lines: LogGate::new(LINES) }
    }
}

impl Excess {
    /// May this account be served now? If so, it has had that; if not, that is counted.
    ///
    /// # Errors
    /// [`Reason::Excess`].
    pub(super) fn admit(
        &self,
        rules: &ThrottleRules,
        account: &Text<256>,
        request: (IpAddr, Correlation),
        now: Instant,
    ) -> Result<(), Reason> {
        self.ask(rules, account, request, now, true)
    }

    /// As [`Self::admit`], and the account has had nothing yet: it is not known that it is he who asks. Until what is
    /// given is dropped, nobody else has that place: or all who ask while the first waits would have the same one.
    ///
    /// # Errors
    /// [`Reason::Excess`].
    pub(super) fn would_admit<'e>(
        &'e self,
        rules: &ThrottleRules,
        account: &Text<256>,
        request: (IpAddr, Correlation),
        now: Instant,
    ) -> Result<Coming<'e>, Reason> {
        self.ask(rules, account, request, now, false)?;
        Ok(Coming { excess: self, account: account.clone() })
    }

    fn ask(
        &self,
        rules: &ThrottleRules,
        account: &Text<256>,
        (source, correlation): (IpAddr, Correlation),
        now: Instant,
        takes: bool,
    ) -> Result<(), Reason> {
        let pace = Pace::new(rules.account_burst, rules.account_per_minute);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let served = accounts.served.get(account).copied().unwrap_or(now);
        let coming = accounts.coming.get(account).copied().unwrap_or_default();
        let admitted = if takes { pace.one_more(served, now) } else { pace.one_more_after(coming, served, now) };
        if let Some(next) = admitted {
            if takes {
                accounts.served.insert(account.clone(), next);
            } else {
                accounts.coming.insert(account.clone(), coming + 1);
            }
            return Ok(());
        }
        let sum = Excessive { instant: Millis::now(), correlation, source, count: 1 };
        match accounts.sums.entry(account.clone()) {
            Entry::Vacant(none) => _ = none.insert(sum),
            Entry::Occupied(mut before) => {
                let count = before.get().count.saturating_add(1);
                before.insert(Excessive { count, ..sum });
            }
        }
        drop(accounts);
        if let Some(left_out) = self.lines.pass() {
            warn!(correlation = %correlation, event = "excess", account = ?account, source = %source, left_out);
        }
        Err(Reason::Excess)
    }

    /// What is to be recorded now, once a second.
    pub(super) fn settle(&self, now: Instant) -> Vec<AuthEntry> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.served.retain(|_, until| *until > now);
        let entry = |(account, sum)| AuthEntry::Excessive(sum, DecisionPrivate { account });
        std::mem::take(&mut accounts.sums).into_iter().map(entry).collect()
    }
}

/// The place of a request that may be an account's.
#[derive(Debug)]
#[must_use]
pub(super) struct Coming<'e> {
    excess: &'e Excess,
    account: Text<256>,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let mut accounts = self.excess.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = accounts.coming.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                accounts.coming.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const RULES: ThrottleRules = ThrottleRules {
        user_burst: 1,
        user_per_minute: 1,
        address_burst: 1,
        address_per_minute: 1,
        account_burst: 3,
        account_per_minute: 60,
        unwrap_burst: 1,
        unwrap_per_minute: 1,
    };

    #[test]
    fn an_account_is_served_at_its_pace_and_what_it_asks_beyond_is_one_entry() {
        let (excess, now) = (Excess::default(), Instant::now());
        let asks = |account: &str, now| {
            let account = Text::new(account).unwrap();
            excess.admit(&RULES, &account, (IpAddr::V4(Ipv4Addr::LOCALHOST), Correlation::random()), now)
        };
        let served = (0..100).filter(|_| asks("alice", now).is_ok()).count();
        assert_eq!(served, 3);
        assert!(asks("bob", now).is_ok());
        let entries = excess.settle(now);
        let [AuthEntry::Excessive(sum, private)] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((sum.count, private.account.as_str()), (97, "alice"));
        assert!(excess.settle(now).is_empty());
        assert_eq!(asks("alice", now), Err(Reason::Excess));
        assert!(asks("alice", now + Duration::from_secs(1)).is_ok());
        // Those whose turn it is not known to be hold one each, and give it back.
        let (carol, request) = (Text::new("carol").unwrap(), (IpAddr::V4(Ipv4Addr::LOCALHOST), Correlation::random()));
        let comes = || excess.would_admit(&RULES, &carol, request, now);
        let coming: Vec<_> = (0..100).map_while(|_| comes().ok()).collect();
        assert_eq!(coming.len(), 3);
        assert!(asks("carol", now).is_ok() && comes().is_err());
        drop(coming);
        assert_eq!((0..100).map_while(|_| comes().ok()).collect::<Vec<_>>().len(), 2);
        assert!(excess.accounts.lock().unwrap().coming.is_empty());
        excess.settle(now + Duration::from_secs(10));
        assert!(excess.accounts.lock().unwrap().served.is_empty(), "who rests is not kept in mind");
    }
}
