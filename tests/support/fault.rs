//! The fault module: where it is, and what it has counted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// SoftHSM's module on Debian, which the fault module stands in front of.
pub(crate) const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// The fault module, built when it is not there yet: cargo builds a cdylib of the workspace for nobody who
/// only tests.
///
/// # Panics
/// When it cannot be built.
pub(crate) fn module() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let exe = std::env::current_exe().expect("a test knows its own path");
        let profile = exe.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "chancery-fault-module", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().expect("target"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo starts").success(), "the fault module is not built");
        profile.join("libchancery_fault_module.so")
    };
    BUILT.get_or_init(build).clone()
}

/// A counter of `function` in the file `counts`: its calls at offset 0, the errors put in at 8. `C_Sign?`
/// are calls that ask for a size.
pub(crate) fn counter(counts: &Path, function: &str, offset: usize) -> u64 {
    let octets = std::fs::read(counts).unwrap_or_default();
    let slot = octets.chunks_exact(64).find(|slot| {
        let name = slot[..48].split(|octet| *octet == 0).next().unwrap_or_default();
        name == function.as_bytes()
    });
    let at = 48 + offset;
    slot.map_or(0, |slot| u64::from_ne_bytes(slot[at..at + 8].try_into().expect("eight octets")))
}
