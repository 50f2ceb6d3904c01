//! The one place that knows the prometheus crate. A process makes its metrics at start with every label
//! value they can have, and sends a snapshot to the exporter once a second; a full socket drops it.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use prometheus::{HistogramOpts, Opts, Registry};

use crate::sys::log;
use crate::sys::places::Place;
use crate::wire::snapshot::{Family, FamilyKind, Label, Sample, Snapshot};
use crate::wire::{List, Text};

pub use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// The metrics of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    process: String,
    registry: Registry,
    /// `chancery_log_lines_lost_total`.
    lost: IntCounter,
    exporter: Option<Arc<UnixDatagram>>,
}

/// A datagram above this is not sent: a stock kernel's socket buffer holds 212 960 octets.
const LARGEST: usize = 200_000;
/// Between two snapshots.
const INTERVAL: Duration = Duration::from_secs(1);

impl Metrics {
    /// For the process of that name (`auth`, `worker@1`). Opens the way to the exporter, when there is one: call it
    /// after `sandbox::begin` and before lock-down. An exporter that is restarted inherits the same socket, so the way
    /// stays.
    #[must_use]
    pub fn new(process: &str) -> Self {
        let exporter = exporter().map(Arc::new);
        let registry = Registry::new();
        let name = "chancery_log_lines_lost_total";
        let lost = IntCounter::new(name, "Lines of log that could not be written.").expect("a literal of this program");
        registry.register(Box::new(lost.clone())).expect("the first one");
        Self { process: process.to_owned(), registry, lost, exporter }
    }

    /// Starts the thread that sends a snapshot once a second, and at once. Call it after lock-down, which
    /// threads started before would escape. `ready` is what `/ready` hears of this process.
    ///
    /// # Panics
    /// When the kernel gives no thread: a process that cannot say how it does is not started.
    pub fn report(&self, ready: Arc<AtomicBool>) {
        let metrics = self.clone();
        let report = move || {
            while metrics.send(ready.load(Ordering::Relaxed)) {
                std::thread::sleep(INTERVAL);
            }
        };
        std::thread::Builder::new().name("metrics".to_owned()).spawn(report).expect("a thread can be started");
    }

    /// Everything as it is now. Families and samples beyond the bounds of the types are left out.
    #[must_use]
    pub fn snapshot(&self, ready: bool) -> Snapshot {
        self.lost.inc_by(log::lost().saturating_sub(self.lost.get()));
        let mut families: Vec<Family> = self.registry.gather().iter().filter_map(family).collect();
        families.truncate(64);
        Snapshot {
            process: Text::new(self.process.as_str()).unwrap_or_default(),
            ready,
            families: List::new(families).unwrap_or_default(),
        }
    }

    /// False when there is nobody to send to.
    fn send(&self, ready: bool) -> bool {
        let Some(exporter) = &self.exporter else { return false };
        let mut snapshot = self.snapshot(ready);
        let mut octets = borsh::to_vec(&snapshot).unwrap_or_default();
        if octets.len() > LARGEST {
            // Too many samples is a mistake of this program; readiness still has to arrive.
            snapshot.families = List::default();
            octets = borsh::to_vec(&snapshot).unwrap_or_default();
        }
        // Full or gone: the next one is as good.
        let _ = exporter.send(&octets);
        true
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

fn exporter() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(Place::Metrics.path()).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

fn family(family: &MetricFamily) -> Option<Family> {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => FamilyKind::Counter,
        MetricType::GAUGE => FamilyKind::Gauge,
        MetricType::HISTOGRAM => FamilyKind::Histogram,
        MetricType::SUMMARY | MetricType::UNTYPED => return None,
    };
    let mut samples = Vec::new();
    for metric in family.get_metric() {
        let labels = metric.get_label();
        let mut push =
            |suffix: &str, bound: Option<String>, value| samples.extend(sample(suffix, labels, bound, value));
        match kind {
            FamilyKind::Counter => push("", None, metric.get_counter().get_value()),
            FamilyKind::Gauge => push("", None, metric.get_gauge().get_value()),
            FamilyKind::Histogram => {
                let histogram = metric.get_histogram();
                #[expect(clippy::cast_precision_loss, reason = "prometheus counts in floating point")]
                let count = |count: u64| count as f64;
                for bucket in histogram.get_bucket() {
                    push("_bucket", Some(bucket.upper_bound().to_string()), count(bucket.cumulative_count()));
                }
                push("_bucket", Some("+Inf".to_owned()), count(histogram.get_sample_count()));
                push("_sum", None, histogram.get_sample_sum());
                push("_count", None, count(histogram.get_sample_count()));
            }
        }
    }
    samples.truncate(128);
    let (name, help) = (Text::new(family.name()).ok()?, Text::new(family.help()).ok()?);
    Some(Family { name, help, kind, samples: List::new(samples).ok()? })
}

fn sample(suffix: &str, labels: &[LabelPair], bound: Option<String>, value: f64) -> Option<Sample> {
    let label = |name: &str, value: &str| Some(Label { name: Text::new(name).ok()?, value: Text::new(value).ok()? });
    let mut carried: Vec<Label> = labels.iter().map(|pair| label(pair.name(), pair.value())).collect::<Option<_>>()?;
    if let Some(bound) = bound {
        carried.push(label("le", &bound)?);
    }
    Some(Sample { suffix: Text::new(suffix).ok()?, labels: List::new(carried).ok()?, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_and_every_sample_is_in_the_snapshot() {
        let metrics = Metrics::new("worker@1");
        metrics.counter("chancery_a_total", "A.").inc_by(3);
        metrics.gauge("chancery_b", "B.").set(-4);
        let by_kind = metrics.counters("chancery_c_total", "C.", "kind", &["x", "y"]);
        by_kind.with_label_values(&["y"]).inc();
        let seconds = metrics.seconds("chancery_d_seconds", "D.");
        seconds.observe(0.003);
        seconds.observe(60.0);
        let snapshot = metrics.snapshot(true);
        let octets = borsh::to_vec(&snapshot).unwrap();
        let back: Snapshot = borsh::from_slice(&octets).unwrap();
        assert_eq!(back, snapshot);
        let lines: Vec<String> = back
            .families
            .iter()
            .flat_map(|family| {
                family.samples.iter().map(move |sample| {
                    let labels: Vec<String> = sample.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
                    format!("{}{} {} {}", family.name, sample.suffix, labels.join(","), sample.value)
                })
            })
            .collect();
        for wanted in [
            "chancery_a_total  3",
            "chancery_b  -4",
            "chancery_c_total kind=x 0",
            "chancery_c_total kind=y 1",
            "chancery_d_seconds_bucket le=0.0025 0",
            "chancery_d_seconds_bucket le=0.005 1",
            "chancery_d_seconds_bucket le=5 1",
            "chancery_d_seconds_bucket le=+Inf 2",
            "chancery_d_seconds_sum  60.003",
            "chancery_d_seconds_count  2",
        ] {
            assert!(lines.iter().any(|line| line == wanted), "{wanted} is not in {lines:#?}");
        }
        assert_eq!(lines.len(), 1 + 4 + 14 + 2);
    }
}
