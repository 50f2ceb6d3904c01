//! What reads a stranger's octets, each as a function of octets. It may refuse them; it may not panic, take long, or
//! say of what it read what it would not say of its own writing of it. `tests/corpus.rs` runs each over its corpus and
//! some changes of it with every change; `tests/fuzz/run` hunts for more, for as long as it is told.
//!
//! A parser that is added is added here.

pub mod frames;
pub mod jose;
pub mod messages;
pub mod metadata;
pub mod negotiate;
pub mod octets;
pub mod sealed;
pub mod xml;

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// One parser.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 19] = [
    Target { name: "envelope", run: messages::envelope },
    Target { name: "inquiry", run: messages::inquiry },
    Target { name: "security", run: messages::security },
    Target { name: "key-info", run: messages::key_info },
    Target { name: "request", run: messages::request },
    Target { name: "document", run: xml::document },
    Target { name: "signature", run: xml::signature },
    Target { name: "key-value", run: xml::key_value },
    Target { name: "certificate", run: xml::certificate },
    Target { name: "sealed", run: sealed::sealed },
    Target { name: "sealed-body", run: sealed::body },
    Target { name: "path", run: octets::path },
    Target { name: "handshake", run: octets::handshake },
    Target { name: "directory", run: octets::answer },
    Target { name: "ocsp", run: octets::revocation },
    Target { name: "jwt", run: jose::jwt },
    Target { name: "negotiate", run: negotiate::token },
    Target { name: "metadata", run: metadata::metadata },
    Target { name: "frames", run: frames::frames },
];

/// CPU time that no message may take.
pub const LONGEST: Duration = Duration::from_millis(20);

impl Target {
    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Runs it, and gives the CPU time of this thread it took.
    ///
    /// # Panics
    /// When a clock that every Linux has cannot be read.
    #[must_use]
    pub fn timed(self, octets: &[u8]) -> Duration {
        let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock"));
        let begun = now();
        (self.run)(octets);
        now() - begun
    }
}
