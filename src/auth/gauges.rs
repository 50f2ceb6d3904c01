//! What auth measures.

use super::known_signatures::OUTCOMES;
use super::password::Counters;
use super::reason::{ALLOWED, Reason};
use super::store::Measures;
use crate::metrics::{Histogram, IntCounterVec, IntGauge, Metrics};

/// Every metric of this process.
#[derive(Debug, Clone)]
pub(super) struct Gauges {
    /// `chancery_authentications_total{outcome}`: `METHOD-OUTCOME`.
    pub(super) authentications: IntCounterVec,
    /// `chancery_decisions_total{reason}`.
    pub(super) decisions: IntCounterVec,
    /// `chancery_messages_opened_total`.
    pub(super) opened: crate::metrics::IntCounter,
    /// `chancery_replies_total{outcome}`.
    pub(super) replies: IntCounterVec,
    /// `chancery_decision_seconds`: from submission to answer.
    pub(super) seconds: Histogram,
    /// `chancery_argon2_queue`.
    pub(super) queue: IntGauge,
    /// Of the password part.
    pub(super) password: Counters,
    /// Of the store.
    pub(super) store: Measures,
    /// `chancery_violations_total{link}`.
    pub(super) violations: IntCounterVec,
    /// `chancery_workers`.
    pub(super) workers: IntGauge,
    /// `chancery_reloads_total{outcome}`.
    pub(super) reloads: IntCounterVec,
    /// `chancery_fetches_total{outcome}`.
    pub(super) fetches: IntCounterVec,
    /// `chancery_sources_missing`.
    pub(super) missing: IntGauge,
    /// `chancery_ocsp_answers_total{outcome}`.
    pub(super) ocsp: IntCounterVec,
    /// `chancery_certificate_signatures_total{outcome}`.
    pub(super) signatures: IntCounterVec,
    /// `chancery_responders_failing`.
    pub(super) failing: IntGauge,
    /// `chancery_leniencies_total{leniency}`.
    pub(super) leniencies: IntCounterVec,
    /// `chancery_refusals_not_recorded_total`.
    pub(super) unrecorded: crate::metrics::IntCounter,
}

impl Gauges {
    /// Makes them all.
    #[must_use]
    pub(super) fn new(metrics: &Metrics) -> Self {
        let words: Vec<&str> = Reason::WORDS.iter().copied().chain([ALLOWED]).collect();
        let outcomes = [
            "password-accepted",
            "password-refused",
            "password-throttled",
            "password-busy",
            "digest-accepted",
            "digest-refused",
            "digest-throttled",
            "digest-busy",
            "signature-accepted",
            "signature-refused",
            "signature-busy",
            "tls-certificate-accepted",
            "tls-certificate-refused",
            "tls-certificate-busy",
            "saml-accepted",
            "saml-refused",
            "saml-busy",
            "jwt-accepted",
            "jwt-refused",
            "jwt-busy",
            "password-symmetric-accepted",
            "password-symmetric-refused",
            "password-symmetric-throttled",
            "password-symmetric-busy",
            "kerberos-accepted",
            "kerberos-refused",
            "kerberos-busy",
            "kerberos-token-accepted",
            "kerberos-token-refused",
            "kerberos-token-busy",
        ];
        Self {
            authentications: metrics.counters(
                "chancery_authentications_total",
                "Credentials judged, by method and outcome.",
                "outcome",
                &outcomes,
            ),
            decisions: metrics.counters("chancery_decisions_total", "Requests decided.", "reason", &words),
            opened: metrics.counter("chancery_messages_opened_total", "Sealed messages that were opened for a worker."),
            replies: metrics.counters(
                "chancery_replies_total",
                "Answers to requests under a MAC, by what became of theirs.",
                "outcome",
                &["sealed", Reason::NoSession.word(), Reason::NotSealed.word()],
            ),
            seconds: metrics.seconds("chancery_decision_seconds", "From submission to answer."),
            queue: metrics.gauge("chancery_argon2_queue", "Passwords waiting to be verified."),
            password: Counters {
                cache_hits: metrics.counter("chancery_password_cache_hits_total", "Passwords accepted from memory."),
                throttled: metrics.counters(
                    "chancery_throttled_total",
                    "Passwords and digests not tried, by whose budget was used up.",
                    "by",
                    &["user", "address"],
                ),
            },
            store: Measures::new(metrics),
            violations: metrics.counters(
                "chancery_violations_total",
                "Channels closed because the peer broke the protocol.",
                "link",
                &[super::worker::LINK, super::ISSUER_LINK, super::AUDIT_LINK, super::KERBEROS_LINK],
            ),
            workers: metrics.gauge("chancery_workers", "Connected workers."),
            reloads: metrics.counters(
                "chancery_reloads_total",
                "Configurations read on SIGHUP.",
                "outcome",
                &["taken", "refused"],
            ),
            fetches: metrics.counters(
                "chancery_fetches_total",
                "Visits to where others publish revocation lists and keys.",
                "outcome",
                &["new", "same", "failed"],
            ),
            missing: metrics.gauge(
                "chancery_sources_missing",
                "Places that gave no revocation list or keys yet, and lists and keys that ended without newer ones.",
            ),
            ocsp: metrics.counters(
                "chancery_ocsp_answers_total",
                "Questions to responders whether a certificate was taken back, by what came of them.",
                "outcome",
                &["good", "revoked", "unknown", "refused", "failed", "busy"],
            ),
            signatures: metrics.counters(
                "chancery_certificate_signatures_total",
                "Signatures over certificates that hold, by whether that was known already.",
                "outcome",
                &OUTCOMES,
            ),
            failing: metrics
                .gauge("chancery_responders_failing", "Responders that did not answer when they were last asked."),
            leniencies: metrics.counters(
                "chancery_leniencies_total",
                "Client bugs that were tolerated.",
                "leniency",
                &[
                    "to-absent",
                    "enveloped-transform",
                    "unsigned-addressing",
                    "hmac-sha1",
                    "rsa-sha1",
                    "reference-sha1",
                    "assertion-rsa-sha1",
                    "assertion-reference-sha1",
                    "unbound-ticket",
                    "aes-cbc",
                ],
            ),
            unrecorded: metrics
                .counter("chancery_refusals_not_recorded_total", "Sums of refusals that the record did not take."),
        }
    }
}
