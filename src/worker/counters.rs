//! What a worker counts.

use crate::config::worker::{Leniency, Worker};
use crate::metrics::{Histogram, IntCounter, IntCounterVec, IntGauge, Metrics};

/// Ways a request can end, other than by a reason of the message layer.
const OUTCOMES: &[&str] = &["released", "metadata", "refused", "unreadable", "unavailable", "turned-away"];
/// Reasons for turning a request away before it is read as a message.
const REASONS: &[&str] = &[
    "unknown-path",
    "method",
    "content-encoding",
    "header",
    "headers",
    "duplicate-header",
    "origin",
    "negotiate",
    "negotiate-unreadable",
    "too-large",
    "too-slow",
    "truncated",
    "overload",
    "peer-full",
    "peer-gone",
    "peer-late",
];
/// Reasons for closing a connection without an answer.
const CLOSED: &[&str] = &[
    "too-many",
    "too-many-from-source",
    "hung-up",
    "tls",
    "handshake-timeout",
    "idle",
    "unused",
    "slow-head",
    "http",
    "no-signature",
];

/// The leniency that is not of the message layer.
pub(super) const TLS12: &str = "tls-1.2";

/// The worker's metrics; a clone counts into the same.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    pub(super) requests: IntCounterVec,
    pub(super) endpoints: IntCounterVec,
    pub(super) reasons: IntCounterVec,
    pub(super) seconds: Histogram,
    pub(super) in_flight: IntGauge,
    pub(super) connections: IntGauge,
    pub(super) accepted: IntCounter,
    pub(super) closed: IntCounterVec,
    pub(super) handshakes: IntCounterVec,
    pub(super) handshake_signature: Histogram,
    pub(super) leniencies: IntCounterVec,
    pub(super) violations: IntCounterVec,
}

impl Counters {
    /// Registers them.
    pub(super) fn new(metrics: &Metrics, config: &Worker) -> Self {
        let endpoints = config.endpoints.iter().map(|endpoint| endpoint.path.as_str());
        let metadata = config.metadata.iter().map(|metadata| metadata.path.as_str());
        let paths: Vec<&str> = endpoints.chain(metadata).collect();
        let mut leniencies: Vec<&str> = Leniency::ALL.iter().map(|leniency| leniency.name()).collect();
        leniencies.push(TLS12);
        Self {
            requests: metrics.counters("chancery_requests_total", "Requests by how they ended.", "outcome", OUTCOMES),
            endpoints: metrics.counters(
                "chancery_endpoint_requests_total",
                "Requests by configured path.",
                "endpoint",
                &paths,
            ),
            reasons: metrics.counters(
                "chancery_request_refusals_total",
                "Requests that got no token, by reason.",
                "reason",
                REASONS,
            ),
            seconds: metrics
                .seconds("chancery_request_seconds", "From a request's head to its answer, token endpoints only."),
            in_flight: metrics.gauge("chancery_requests_in_flight", "Requests being worked on."),
            connections: metrics.gauge("chancery_connections", "Open connections."),
            accepted: metrics.counter("chancery_connections_total", "Connections accepted."),
            closed: metrics.counters(
                "chancery_connections_closed_total",
                "Connections closed by us without an answer, by reason.",
                "reason",
                CLOSED,
            ),
            handshakes: metrics.counters(
                "chancery_tls_handshakes_total",
                "Completed TLS handshakes. 1.2 is a leniency.",
                "kind",
                &["1.3", "1.3-resumed", "1.2", "1.2-resumed"],
            ),
            handshake_signature: metrics
                .seconds("chancery_tls_signature_seconds", "Waiting for the signature of a handshake."),
            leniencies: metrics.counters(
                "chancery_leniencies_total",
                "Client bugs and old versions that were tolerated.",
                "leniency",
                &leniencies,
            ),
            violations: metrics.counters(
                "chancery_violations_total",
                "Messages from a peer that no honest peer sends.",
                "link",
                &["auth-to-worker", "issuer-to-worker"],
            ),
        }
    }
}
