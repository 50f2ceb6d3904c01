//! auth's way into the record. An entry that was not confirmed when the channel broke is sent again over the
//! next one: it may then stand in the record twice, never not at all. Nobody is answered before his entry
//! is on disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::dial::{Dial, Line};
use super::reason::Reason;
use crate::wire::frame::Violation;
use crate::wire::links::{AuthToAudit, FromAudit};
use crate::wire::record::AuthEntry;

/// Entries on their way to disk; with more than these, new ones are refused.
const PENDING: usize = 4096;

/// Where to put entries. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Record {
    entries: mpsc::Sender<Entry>,
    up: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Entry {
    entry: AuthEntry,
    done: oneshot::Sender<bool>,
}

impl Record {
    /// Starts the task that keeps the channel to audit.
    pub(super) fn open(dial: Dial) -> Self {
        let (entries, queue) = mpsc::channel(PENDING);
        let up = Arc::new(AtomicBool::new(false));
        tokio::spawn(keep(dial, queue, up.clone()));
        Self { entries, up }
    }

    /// Is audit there?
    #[must_use]
    pub(super) fn up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Returns when the entry is on disk.
    ///
    /// # Errors
    /// [`Reason::NotRecorded`] when it is not, or not known to be before the deadline.
    pub(super) async fn append(&self, entry: AuthEntry, deadline: Duration) -> Result<(), Reason> {
        let (done, outcome) = oneshot::channel();
        self.entries.try_send(Entry { entry, done }).map_err(|_| Reason::NotRecorded)?;
        match tokio::time::timeout(deadline, outcome).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(Reason::NotRecorded),
        }
    }
}

/// What was sent and is not confirmed, with its sequence on this channel.
type Pending = VecDeque<(u64, Entry)>;

async fn keep(mut dial: Dial, mut queue: mpsc::Receiver<Entry>, up: Arc<AtomicBool>) {
    let mut pending = Pending::new();
    loop {
        let line = connect(&mut dial, &mut queue, &mut pending).await;
        let (line, broken) = converse(line, &mut queue, &mut pending, &up).await;
        up.store(false, Ordering::Relaxed);
        dial.hang_up(line, broken).await;
    }
}

/// Connects; meanwhile entries whose requests have been given up are dropped, others wait.
async fn connect(
    dial: &mut Dial,
    queue: &mut mpsc::Receiver<Entry>,
    pending: &mut Pending,
) -> Line<FromAudit, AuthToAudit> {
    let connecting = dial.connect();
    tokio::pin!(connecting);
    loop {
        tokio::select! {
            line = &mut connecting => return line,
            Some(entry) = queue.recv() => {
                pending.retain(|(_, entry)| !entry.done.is_closed());
                if pending.len() < PENDING {
                    pending.push_back((0, entry));
                }
            }
        }
    }
}

async fn converse(
    mut line: Line<FromAudit, AuthToAudit>,
    queue: &mut mpsc::Receiver<Entry>,
    pending: &mut Pending,
    up: &AtomicBool,
) -> (Line<FromAudit, AuthToAudit>, Option<Violation>) {
    let mut sequence = 0;
    // The permit table lets nothing through before audit's head.
    let Some(_head) = line.incoming.recv().await else { return (line, None) };
    pending.retain(|(_, entry)| !entry.done.is_closed());
    for (number, entry) in pending.iter_mut() {
        sequence += 1;
        *number = sequence;
        if !line.send(AuthToAudit::Append { sequence, entry: entry.entry.clone() }) {
            return (line, None);
        }
    }
    up.store(true, Ordering::Relaxed);
    loop {
        tokio::select! {
            message = line.incoming.recv() => match message {
                None => return (line, None),
                Some(FromAudit::Head { .. }) => return (line, Some(Violation::OutOfState)),
                Some(FromAudit::Durable { sequence: upto }) => {
                    if upto > sequence {
                        return (line, Some(Violation::Rule("confirms an entry never sent")));
                    }
                    while let Some((number, entry)) = pending.pop_front() {
                        if number > upto {
                            pending.push_front((number, entry));
                            break;
                        }
                        let _given_up = entry.done.send(true);
                    }
                }
                Some(FromAudit::NotDurable { sequence: which }) => {
                    if let Some(at) = pending.iter().position(|(number, _)| *number == which)
                        && let Some((_, entry)) = pending.remove(at)
                    {
                        let _given_up = entry.done.send(false);
                    }
                }
            },
            Some(entry) = queue.recv(), if pending.len() < PENDING => {
                sequence += 1;
                let sent = line.send(AuthToAudit::Append { sequence, entry: entry.entry.clone() });
                pending.push_back((sequence, entry));
                if !sent {
                    return (line, None);
                }
            }
        }
    }
}
