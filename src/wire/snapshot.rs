//! Metrics on their way to the exporter: one datagram, one process, once a second. Nothing comes back.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Text};

/// Everything one process measures.
#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Snapshot {
    /// `worker@1`, `auth`, …: becomes the label `process`.
    pub process: Text<32>,
    /// Is it ready to do its work?
    pub ready: bool,
    /// Metric families.
    pub families: List<Family, 64>,
}

/// One metric family.
#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Family {
    /// `chancery_…`.
    pub name: Text<96>,
    /// The HELP line.
    pub help: Text<256>,
    /// The TYPE line.
    pub kind: FamilyKind,
    /// Samples.
    pub samples: List<Sample, 128>,
}

/// Prometheus metric types in use. A histogram travels as its `_bucket`, `_sum` and `_count` samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets.
    Histogram,
}

/// One line of the exposition.
#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Sample {
    /// Appended to the family's name: empty, `_bucket`, `_sum` or `_count`.
    pub suffix: Text<8>,
    /// Labels.
    pub labels: List<Label, 8>,
    /// The value.
    pub value: f64,
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Label {
    /// Name.
    pub name: Text<32>,
    /// Value.
    pub value: Text<128>,
}
