//! The last snapshot of each process, and what follows from them: is the service ready? A process that falls
//! silent is first not ready, then forgotten. Whatever could not stand in an exposition is not taken, and a name
//! belongs to the process that used it first, for as long as it goes on using it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use borsh::BorshDeserialize;

use crate::wire::Peer;
use crate::wire::snapshot::Snapshot;

/// Processes kept at most. More than this no appliance has.
const PROCESSES: usize = 64;
/// A process that was silent this long is not ready.
const FRESH: Duration = Duration::from_secs(5);
/// A process that was silent this long is forgotten.
const KEPT: Duration = Duration::from_secs(15);
/// A name whose process was silent this long may be another's: one that was restarted has a new process id. An
/// honest process speaks once a second.
const OWNED: Duration = Duration::from_secs(3);
/// One process of each is needed to issue.
const NEEDED: [&str; 5] = ["worker", "auth", "issuer", "audit", "signer"];

/// Snapshots by process.
#[derive(Debug, Default)]
pub(super) struct Board(BTreeMap<String, Kept>);

#[derive(Debug)]
struct Kept {
    snapshot: Snapshot,
    seen: Instant,
    sender: Peer,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is on the board.
    Taken,
    /// It is no snapshot, or of one process too many.
    Malformed,
    /// Its name is another process's, or nobody knows whose it is.
    Refused,
}

impl Board {
    /// Takes a datagram of that sender.
    pub(super) fn take(&mut self, datagram: &[u8], sender: Peer, now: Instant) -> Fate {
        let Ok(snapshot) = Snapshot::try_from_slice(datagram) else { return Fate::Malformed };
        if !showable(&snapshot) {
            return Fate::Malformed;
        }
        let owner = self.0.get(snapshot.process.as_str());
        let foreign = owner.is_some_and(|kept| kept.sender != sender && now.duration_since(kept.seen) < OWNED);
        // 0 is a process the kernel has no number for here: any number of processes could be that one.
        if sender.0 <= 0 || foreign {
            return Fate::Refused;
        }
        if owner.is_none() && self.0.len() >= PROCESSES {
            return Fate::Malformed;
        }
        self.0.insert(snapshot.process.to_string(), Kept { snapshot, seen: now, sender });
        Fate::Taken
    }

    /// Forgets who is silent.
    pub(super) fn forget(&mut self, now: Instant) {
        self.0.retain(|_, kept| now.duration_since(kept.seen) < KEPT);
    }

    /// What is kept, in order of process.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.0.values().map(|kept| &kept.snapshot)
    }

    /// Roles of which no process is ready: none when the service is.
    pub(super) fn missing(&self, now: Instant) -> Vec<&'static str> {
        let ready = |role: &str| {
            self.0.iter().any(|(name, kept)| {
                let role_of = name.split_once('@').map_or(name.as_str(), |(role, _)| role);
                role_of == role && kept.snapshot.ready && now.duration_since(kept.seen) <= FRESH
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

    pub(in super::super) const ONE: Peer = Peer(11);
    const OTHER: Peer = Peer(12);

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
            assert_eq!(board.take(&snapshot(process, false, &[]), ONE, start), Fate::Taken);
            assert!(board.missing(start).contains(&process.split('@').next().unwrap()));
            assert_eq!(board.take(&snapshot(process, true, &[]), ONE, start), Fate::Taken);
        }
        assert!(board.missing(start).is_empty());
        assert_eq!(board.take(&snapshot("audit", false, &[]), ONE, start), Fate::Taken);
        assert_eq!(board.missing(start), ["audit"]);
        assert_eq!(board.take(&snapshot("audit", true, &[]), ONE, start + Duration::from_secs(3)), Fate::Taken);
        assert_eq!(board.missing(start + Duration::from_secs(6)), ["worker", "auth", "issuer", "signer"]);
    }

    #[test]
    fn who_is_silent_is_forgotten() {
        let (mut board, start) = (Board::default(), Instant::now());
        board.take(&snapshot("auth", true, &[]), ONE, start);
        board.take(&snapshot("audit", true, &[]), ONE, start + Duration::from_secs(10));
        board.forget(start + Duration::from_secs(16));
        assert_eq!(board.snapshots().map(|snapshot| snapshot.process.to_string()).collect::<Vec<_>>(), ["audit"]);
    }

    #[test]
    fn what_could_not_be_shown_is_not_taken() {
        let (mut board, now) = (Board::default(), Instant::now());
        for labels in [&[("process", "auth")], &[("1x", "y")], &[("a b", "y")], &[("", "y")]] {
            assert_eq!(board.take(&snapshot("auth", true, labels), ONE, now), Fate::Malformed, "{labels:?}");
        }
        assert_eq!(board.take(b"garbage", ONE, now), Fate::Malformed);
        assert_eq!(board.take(&snapshot("", true, &[]), ONE, now), Fate::Malformed);
        for number in 0..PROCESSES {
            assert_eq!(board.take(&snapshot(&format!("worker@{number}"), true, &[]), ONE, now), Fate::Taken);
        }
        assert_eq!(board.take(&snapshot("auth", true, &[]), ONE, now), Fate::Malformed);
        assert_eq!(board.take(&snapshot("worker@3", true, &[]), ONE, now), Fate::Taken);
    }

    #[test]
    fn a_name_is_its_first_senders_until_that_one_is_silent() {
        let (mut board, start) = (Board::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        let (honest, lie) = (snapshot("issuer", true, &[]), snapshot("issuer", false, &[]));
        assert_eq!(board.take(&honest, ONE, start), Fate::Taken);
        for second in 0..20 {
            assert_eq!(board.take(&lie, OTHER, after(second * 1000 + 900)), Fate::Refused);
            assert_eq!(board.take(&honest, ONE, after(second * 1000 + 1000)), Fate::Taken);
        }
        assert!(board.snapshots().all(|snapshot| snapshot.ready));
        // It was restarted: the new process id has the name as soon as the old one has not spoken for a while.
        assert_eq!(board.take(&honest, OTHER, after(22_900)), Fate::Refused);
        assert_eq!(board.take(&honest, OTHER, after(23_100)), Fate::Taken);
        assert_eq!(board.take(&lie, ONE, after(23_200)), Fate::Refused);
    }

    #[test]
    fn a_sender_nobody_knows_has_no_name() {
        let mut board = Board::default();
        assert_eq!(board.take(&snapshot("auth", true, &[]), Peer(0), Instant::now()), Fate::Refused);
        assert_eq!(board.snapshots().count(), 0);
    }
}
