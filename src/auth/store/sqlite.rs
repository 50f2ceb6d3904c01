//! SQLite as a store: a file, and the thread that writes it. A disk that is full or fails is quick to say so, and is
//! asked again each time.

use std::io;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use super::Measures;
use super::file::File;
use super::keeper::{Asked, Keeper, Verdict};
use super::rows::Rows;
use super::writer::{Terms, Writer};
use crate::wire::Millis;

/// How long a question waits for its answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// Starts the thread.
pub(super) fn start(file: File, measures: Measures) -> io::Result<Writer> {
    let terms = Terms { up: file.up, deadline: DEADLINE, asked_when_down: true, lines: 1 };
    Writer::start(terms, measures, move |desk| {
        // A write beyond RLIMIT_FSIZE is then an error like a full disk.
        let mut held = SigSet::empty();
        held.add(Signal::SIGXFSZ);
        let blocked = held.thread_block().map_err(|errno| errno.to_string());
        let rows = blocked.and_then(|()| Rows::of(&file.connection, file.most).map_err(|error| error.to_string()));
        match rows {
            Ok(mut rows) => desk.serve(&mut rows),
            Err(why) => desk.lost(&why),
        }
    })
}

impl Keeper for Rows<'_> {
    type Trouble = rusqlite::Error;

    fn decide(&mut self, asked: &[Asked]) -> rusqlite::Result<Vec<Verdict>> {
        self.decide_at(asked, Millis::now())
    }

    /// A store that is down finds out that there is room; one that is up forgets what is over.
    fn idle(&mut self, up: bool) -> rusqlite::Result<()> {
        if up { self.tidy(Millis::now()) } else { self.probe() }
    }

    fn count(&self) -> u64 {
        self.count
    }
}
