//! What issuer counts, and how often it says what a peer can make it say.

use std::time::{Duration, Instant};

use super::ceilings::Above;
use crate::metrics::{Histogram, IntCounter, IntCounterVec, IntGauge, Metrics};

/// The metrics of issuer.
pub(super) struct Measures {
    pub(super) issued: IntCounterVec,
    pub(super) refused: IntCounterVec,
    pub(super) above: IntCounterVec,
    pub(super) handshakes: IntCounterVec,
    pub(super) unwraps: IntCounterVec,
    pub(super) replies: IntCounterVec,
    pub(super) violations: IntCounterVec,
    pub(super) wrong_signatures: IntCounter,
    pub(super) outcomes_lost: IntCounter,
    pub(super) keys_refused: IntCounter,
    pub(super) vouchers: IntGauge,
    pub(super) declined: IntCounter,
    pub(super) in_flight: IntGauge,
    pub(super) signers: IntGauge,
    pub(super) clock_stopped: IntGauge,
    pub(super) issue_seconds: Histogram,
    pub(super) sign_seconds: Histogram,
}

/// The links issuer receives on.
pub(super) const LINKS: [&str; 4] = ["worker-to-issuer", "auth-to-issuer", "signer-to-issuer", "audit-to-issuer"];

/// Why issuer itself gives no token, other than a ceiling.
pub(super) const REFUSALS: [&str; 8] =
    ["voucher", "ceiling", "clock", "record", "signer", "auth", "full", "wrong-signature"];

impl Measures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let above: Vec<&str> = Above::ALL.iter().map(|above| above.word()).collect();
        Self {
            issued: metrics.counters(
                "chancery_tokens_released_total",
                "Tokens recorded, signed, verified and handed to a worker.",
                "token_type",
                &["saml20", "saml11"],
            ),
            refused: metrics.counters(
                "chancery_redemptions_refused_total",
                "Redemptions that got no token, by reason.",
                "reason",
                &REFUSALS,
            ),
            above: metrics.counters(
                "chancery_orders_above_ceiling_total",
                "Orders of auth above a ceiling of issuer, by ceiling.",
                "ceiling",
                &above,
            ),
            handshakes: metrics.counters(
                "chancery_handshakes_total",
                "TLS handshake signatures asked for, by result.",
                "result",
                &["signed", "certificate", "rate", "full", "unavailable", "key", "failed"],
            ),
            unwraps: metrics.counters(
                "chancery_unwraps_total",
                "Session keys of messages that auth asked to have opened, by result.",
                "result",
                &["opened", "unopened", "rate", "full", "unavailable"],
            ),
            replies: metrics.counters(
                "chancery_reply_signatures_total",
                "Signatures of answers that workers asked for, by result.",
                "result",
                &["signed", "token", "full", "unavailable", "failed"],
            ),
            violations: metrics.counters(
                "chancery_violations_total",
                "Messages from a peer that no honest peer sends.",
                "link",
                &LINKS,
            ),
            wrong_signatures: metrics
                .counter("chancery_wrong_signatures_total", "Signatures that did not verify and were thrown away."),
            outcomes_lost: metrics
                .counter("chancery_outcomes_lost_total", "Outcomes that are not in the record; the intents stand."),
            keys_refused: metrics
                .counter("chancery_signer_keys_refused_total", "Keys of signers that differ from their certificates."),
            vouchers: metrics.gauge("chancery_vouchers", "Vouchers lodged and not run out, spent ones included."),
            declined: metrics.counter(
                "chancery_vouchers_declined_total",
                "Vouchers that were not taken: there is no room, or what waits is more than can be signed in time.",
            ),
            in_flight: metrics.gauge("chancery_issuing", "Redemptions between voucher and answer."),
            signers: metrics.gauge("chancery_signers_usable", "Signers whose token can sign."),
            clock_stopped: metrics.gauge("chancery_clock_stopped", "1 while the clock is behind the record."),
            issue_seconds: metrics.seconds("chancery_issue_seconds", "From redemption to release."),
            sign_seconds: metrics.seconds("chancery_sign_seconds", "From digest to signature, waiting included."),
        }
    }
}

/// So many lines a second; the next one says how many were left out.
#[derive(Debug)]
pub(super) struct Lines {
    since: Instant,
    said: u32,
    left_out: u64,
}

const LINES_A_SECOND: u32 = 10;

impl Lines {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, said: 0, left_out: 0 }
    }

    /// Says how many lines were left out before this one, or that this one is to be left out.
    pub(super) fn permit(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.said) = (now, 0);
        }
        if self.said < LINES_A_SECOND {
            self.said += 1;
            Some(std::mem::take(&mut self.left_out))
        } else {
            self.left_out += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_limited_and_the_missing_ones_counted() {
        let start = Instant::now();
        let mut lines = Lines::new(start);
        let said = (0..25).filter(|_| lines.permit(start).is_some()).count();
        assert_eq!(said, 10);
        assert_eq!(lines.permit(start + Duration::from_secs(1)), Some(15));
    }
}
