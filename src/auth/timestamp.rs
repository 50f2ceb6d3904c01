//! Judges `wsu:Timestamp` (R-W011). The skew is added once to each bound and nowhere else; an
//! `Expires` ten years ahead gives a message no longer life than its `Created` does.

use super::reason::Reason;
use crate::config::auth::TimestampRules;
use crate::wire::Millis;
use crate::wire::evidence::Timestamp;

/// Is the message fresh?
///
/// # Errors
/// The reason it is not.
pub(super) fn judge(rules: &TimestampRules, timestamp: Option<Timestamp>, now: Millis) -> Result<(), Reason> {
    let Some(Timestamp { created, expires }) = timestamp else {
        return if rules.required { Err(Reason::NoTimestamp) } else { Ok(()) };
    };
    if expires.is_some_and(|expires| expires <= created) {
        return Err(Reason::MalformedTimestamp);
    }
    let expired = expires.is_some_and(|expires| now > expires.plus(rules.skew_ms));
    let early = created > now.plus(rules.future_ms).plus(rules.skew_ms);
    let old = now > created.plus(rules.ttl_ms).plus(rules.skew_ms);
    if expired || early || old { Err(Reason::StaleTimestamp) } else { Ok(()) }
}

/// Longer than a question to the store may take: whoever has been told that a message was not here before has
/// still to find it stale when the store forgets it.
const MARGIN_MS: i64 = 60_000;

/// How old what is good once may be, and how far ahead, whatever the rules say. What was used is remembered by
/// this, so that nothing becomes fresh again because somebody lengthens the rules.
const ONCE_TTL_MS: i64 = 600_000;
const ONCE_FUTURE_MS: i64 = 300_000;

/// Is a message that is good once fresh?
///
/// # Errors
/// The reason it is not.
pub(super) fn judge_once(rules: &TimestampRules, timestamp: Timestamp, now: Millis) -> Result<(), Reason> {
    let oldest = now.plus(-ONCE_TTL_MS);
    if timestamp.created < oldest || timestamp.created > now.plus(ONCE_FUTURE_MS) {
        return Err(Reason::StaleTimestamp);
    }
    judge(rules, Some(timestamp), now)
}

/// Until when what is used now must be remembered.
pub(super) fn until(now: Millis) -> Millis {
    now.plus(ONCE_FUTURE_MS).plus(ONCE_TTL_MS).plus(MARGIN_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const RULES: TimestampRules = TimestampRules { required: false, ttl_ms: 300_000, future_ms: 60_000, skew_ms: 0 };

    fn judged(created: i64, expires: Option<i64>) -> Result<(), Reason> {
        let timestamp = Timestamp { created: Millis(NOW + created), expires: expires.map(|at| Millis(NOW + at)) };
        judge(&RULES, Some(timestamp), Millis(NOW))
    }

    #[test]
    fn r_w011_bounds_hold_to_the_second() {
        assert_eq!(judged(-300_000, None), Ok(()));
        assert_eq!(judged(-301_000, None), Err(Reason::StaleTimestamp));
        assert_eq!(judged(60_000, None), Ok(()));
        assert_eq!(judged(61_000, None), Err(Reason::StaleTimestamp));
        assert_eq!(judged(-10_000, Some(0)), Ok(()));
        assert_eq!(judged(-10_000, Some(-1_000)), Err(Reason::StaleTimestamp));
    }

    #[test]
    fn a_far_expiry_does_not_lengthen_the_life_of_a_message() {
        assert_eq!(judged(-301_000, Some(10 * 365 * 86_400_000)), Err(Reason::StaleTimestamp));
    }

    #[test]
    fn instants_at_the_ends_of_time_are_judged_and_not_overflowed() {
        for (created, expires) in [(i64::MIN, None), (i64::MAX, None), (i64::MIN, Some(i64::MAX))] {
            let timestamp = Timestamp { created: Millis(created), expires: expires.map(Millis) };
            assert_eq!(judge(&RULES, Some(timestamp), Millis(NOW)), Err(Reason::StaleTimestamp));
        }
        assert_eq!(judged(5, Some(5)), Err(Reason::MalformedTimestamp));
    }

    #[test]
    fn nothing_is_fresh_when_it_is_forgotten_whatever_the_rules_became() {
        let longest = TimestampRules { required: true, ttl_ms: 3_600_000, future_ms: 600_000, skew_ms: 600_000 };
        let forgotten = until(Millis(NOW));
        for created in [-600_000, -1, 0, 1, 300_000] {
            let timestamp = Timestamp { created: Millis(NOW + created), expires: None };
            assert_eq!(judge_once(&longest, timestamp, Millis(NOW)), Ok(()), "{created}");
            let answered = forgotten.plus(-MARGIN_MS + 1);
            assert_eq!(judge_once(&longest, timestamp, answered), Err(Reason::StaleTimestamp), "{created}");
        }
        for created in [-600_001, 300_001] {
            let timestamp = Timestamp { created: Millis(NOW + created), expires: None };
            assert_eq!(judge_once(&longest, timestamp, Millis(NOW)), Err(Reason::StaleTimestamp), "{created}");
        }
        let timestamp = Timestamp { created: Millis(NOW - 301_000), expires: None };
        assert_eq!(judge_once(&RULES, timestamp, Millis(NOW)), Err(Reason::StaleTimestamp), "the rules hold too");
    }

    #[test]
    fn the_skew_is_added_once_and_absence_is_a_matter_of_configuration() {
        let rules = TimestampRules { skew_ms: 30_000, ..RULES };
        let at =
            |created| judge(&rules, Some(Timestamp { created: Millis(NOW + created), expires: None }), Millis(NOW));
        assert_eq!(at(-330_000), Ok(()));
        assert_eq!(at(-331_000), Err(Reason::StaleTimestamp));
        assert_eq!(judge(&RULES, None, Millis(NOW)), Ok(()));
        let rules = TimestampRules { required: true, ..RULES };
        assert_eq!(judge(&rules, None, Millis(NOW)), Err(Reason::NoTimestamp));
    }
}
