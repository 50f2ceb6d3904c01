//! The last snapshot of each process, and what follows from them: is the service ready? A process that falls
//! silent is first not ready, then forgotten. Whatever could not stand in an exposition is not taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use borsh::BorshDeserialize;

use crate::wire::snapshot::Snapshot;

/// Processes kept at most. More than this no appliance has.
const PROCESSES: usize = 64;
/// A process that was silent this long is not ready.
const FRESH: Duration = Duration::from_secs(5);
/// A process that was silent this long is forgotten.
const KEPT: Duration = Duration::from_secs(15);
/// One process of each is needed to issue.
const NEEDED: [&str; 5] = ["worker", "auth", "issuer", "audit", "signer"];

/// Snapshots by process.
#[derive(Debug, Default)]
pub(super) struct Board(BTreeMap<String, (Snapshot, Instant)>);

impl Board {
    /// Takes a datagram; false when it is no snapshot, or one process too many.
    pub(super) fn take(&mut self, datagram: &[u8], now: Instant) -> bool {
        let Ok(snapshot) = Snapshot::try_from_slice(datagram) else { return false };
        let room = self.0.len() < PROCESSES || self.0.contains_key(snapshot.process.as_str());
        let taken = room && showable(&snapshot);
        if taken {
            self.0.insert(snapshot.process.to_string(), (snapshot, now));
        }
        taken
    }

    /// Forgets who is silent.
    pub(super) fn forget(&mut self, now: Instant) {
        self.0.retain(|_, (_, seen)| now.duration_since(*seen) < KEPT);
    }

    /// What is kept, in order of process.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.0.values().map(|(snapshot, _)| snapshot)
    }

    /// Roles of which no process is ready: none when the service is.
    pub(super) fn missing(&self, now: Instant) -> Vec<&'static str> {
        let ready = |role: &str| {
            self.0.iter().any(|(name, (snapshot, seen))| {
                let role_of = name.split_once('@').map_or(name.as_str(), |(role, _)| role);
                role_of == role && snapshot.ready && now.duration_since(*seen) <= FRESH
            })
        };
        NEEDED.into_iter().filter(|role| !ready(role)).collect()
    }
}

/// Are all names what Prometheus allows (`[a-zA-Z_:][a-zA-Z0-9_:]*`, labels without the colon), and is the
/// label `process` left to us?
fn showable(snapshot: &Snapshot) -> bool {
    !snapshot.process.is_empty()
        && snapshot.families.iter().all(|family| {
            name(&family.name, true)
                && !family.help.is_empty()
                && family.samples.iter().all(|sample| {
                    matches!(sample.suffix.as_str(), "" | "_bucket" | "_sum" | "_count")
                        && sample.labels.iter().all(|label| name(&label.name, false) && &*label.name != "process")
                })
        })
}

fn name(name: &str, colon: bool) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    name.chars().all(allowed) && name.starts_with(|c: char| !c.is_ascii_digit())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::snapshot::{Family, FamilyKind, Label, Sample};
    use crate::wire::{List, Text};

    pub(in super::super) fn snapshot(process: &str, ready: bool, labels: &[(&str, &str)]) -> Vec<u8> {
        let labels: Vec<Label> = labels
            .iter()
            .map(|(name, value)| Label { name: Text::new(*name).unwrap(), value: Text::new(*value).unwrap() })
            .collect();
        let sample = Sample { suffix: Text::default(), labels: List::new(labels).unwrap(), value: 1.5 };
        let family = Family {
            name: Text::new("chancery_x").unwrap(),
            help: Text::new("Back\\slash\nand line.").unwrap(),
            kind: FamilyKind::Gauge,
            samples: List::new(vec![sample]).unwrap(),
        };
        let process = Text::new(process).unwrap();
        borsh::to_vec(&Snapshot { process, ready, families: List::new(vec![family]).unwrap() }).unwrap()
    }

    #[test]
    fn the_service_is_ready_when_one_of_each_said_so_lately() {
        let (mut board, start) = (Board::default(), Instant::now());
        assert_eq!(board.missing(start), NEEDED);
        for process in ["worker@2", "auth", "issuer", "audit", "signer@1"] {
            assert!(board.take(&snapshot(process, false, &[]), start));
            assert!(board.missing(start).contains(&process.split('@').next().unwrap()));
            assert!(board.take(&snapshot(process, true, &[]), start));
        }
        assert!(board.missing(start).is_empty());
        assert!(board.take(&snapshot("audit", false, &[]), start));
        assert_eq!(board.missing(start), ["audit"]);
        assert!(board.take(&snapshot("audit", true, &[]), start + Duration::from_secs(3)));
        assert_eq!(board.missing(start + Duration::from_secs(6)), ["worker", "auth", "issuer", "signer"]);
    }

    #[test]
    fn who_is_silent_is_forgotten() {
        let (mut board, start) = (Board::default(), Instant::now());
        board.take(&snapshot("auth", true, &[]), start);
        board.take(&snapshot("audit", true, &[]), start + Duration::from_secs(10));
        board.forget(start + Duration::from_secs(16));
        assert_eq!(board.snapshots().map(|snapshot| snapshot.process.to_string()).collect::<Vec<_>>(), ["audit"]);
    }

    #[test]
    fn what_could_not_be_shown_is_not_taken() {
        let (mut board, now) = (Board::default(), Instant::now());
        for labels in [&[("process", "auth")], &[("1x", "y")], &[("a b", "y")], &[("", "y")]] {
            assert!(!board.take(&snapshot("auth", true, labels), now), "{labels:?}");
        }
        assert!(!board.take(b"garbage", now));
        assert!(!board.take(&snapshot("", true, &[]), now));
        for number in 0..PROCESSES {
            assert!(board.take(&snapshot(&format!("worker@{number}"), true, &[]), now));
        }
        assert!(!board.take(&snapshot("auth", true, &[]), now));
        assert!(board.take(&snapshot("worker@3", true, &[]), now));
    }
}
