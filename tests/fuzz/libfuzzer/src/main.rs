//! libFuzzer in front of one parser, named by `CHANCERY_FUZZ`. Built with coverage by `tests/fuzz/run`.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use chancery_fuzz::{LONGEST, TARGETS, Target, frames};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("CHANCERY_FUZZ").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("CHANCERY_FUZZ is one of {:?}", TARGETS.map(|target| target.name)))
});

/// Puts what is made and not kept where libFuzzer will look for it.
fn sow() {
    let Some(directory) = std::env::var_os("CHANCERY_FUZZ_SEEDS").filter(|_| TARGET.name == "frames") else { return };
    for (number, octets) in frames::seeds().iter().enumerate() {
        std::fs::write(Path::new(&directory).join(format!("seed-{number}")), octets).expect("seeds can be written");
    }
}

fuzz_target!(
    init: sow(),
    |octets: &[u8]| {
        // Once may be a page fault; three times is a finding.
        let slow = (0..3).all(|_| TARGET.timed(octets) > LONGEST);
        assert!(!slow, "more than {LONGEST:?}");
    }
);
