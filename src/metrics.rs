//! The one place that knows the prometheus crate. A process makes its metrics at start with every label
//! value they can have, and sends a snapshot to the exporter once a second; a full socket drops it.

use prometheus::{HistogramOpts, Opts, Registry};

pub use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// The metrics of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    process: String,
    registry: Registry,
}

impl Metrics {
    /// For the process of that name (`auth`, `worker@1`).
    #[must_use]
    pub fn new(process: &str) -> Self {
        Self { process: process.to_owned(), registry: Registry::new() }
    }

    /// The process these belong to.
    #[must_use]
    pub fn process(&self) -> &str {
        &self.process
    }

    /// A counter. Names begin `chancery_` and end `_total`.
    ///
    /// # Panics
    /// When the name is malformed or taken: a mistake in this program, found by its first start.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        let counter = IntCounter::new(name, help).expect("metric names are literals of this program");
        self.registry.register(Box::new(counter.clone())).expect("metric names are unique");
        counter
    }

    /// Counters by one label, with every value it can have.
    ///
    /// # Panics
    /// As [`Self::counter`].
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, label: &str, values: &[&str]) -> IntCounterVec {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label]).expect("metric names are literals");
        for value in values {
            counters.with_label_values(&[value]).inc_by(0);
        }
        self.registry.register(Box::new(counters.clone())).expect("metric names are unique");
        counters
    }

    /// A gauge.
    ///
    /// # Panics
    /// As [`Self::counter`].
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        let gauge = IntGauge::new(name, help).expect("metric names are literals of this program");
        self.registry.register(Box::new(gauge.clone())).expect("metric names are unique");
        gauge
    }

    /// A histogram of seconds.
    ///
    /// # Panics
    /// As [`Self::counter`].
    #[must_use]
    pub fn seconds(&self, name: &str, help: &str) -> Histogram {
        let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))
            .expect("metric names are literals of this program");
        self.registry.register(Box::new(histogram.clone())).expect("metric names are unique");
        histogram
    }
}
