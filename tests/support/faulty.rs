//! A demo service whose token counts what is asked of it: made once, with the fault module put in front of
//! SoftHSM afterwards, so that no test waits for keys twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "fault.rs"]
mod fault;

use super::demo::Demo;

/// Makes a demo below `directory` and stops it again.
pub(crate) fn prepare(directory: &Path) {
    let demo = Demo::start(directory);
    println!("made after {:.1?}: {}", demo.took, demo.ready_file.display());
    assert_eq!(demo.stop().code(), Some(0));
    fs::create_dir(directory.join("demo/fault")).unwrap();
    fs::write(directory.join("demo/fault/control"), "").unwrap();
    // As an operator with an odd module would: name it, and grant it what it reads.
    change(directory, "signer.d/signer.toml", |text| {
        let module = format!("module = {:?}", fault::module());
        let line = |line: &str| match line.split(' ').next() {
            Some("module") => module.clone(),
            Some("read") => line.replace('[', "[\"../../fault\", "),
            _ => line.to_owned(),
        };
        text.lines().map(|text| line(text) + "\n").collect()
    });
}

/// Changes a file of the configuration.
pub(crate) fn change(directory: &Path, file: &str, how: impl FnOnce(&str) -> String) {
    let path = directory.join("demo/etc").join(file);
    let text = fs::read_to_string(&path).unwrap();
    let changed = how(&text);
    assert_ne!(changed, text, "{file} stays as it was");
    fs::write(path, changed).unwrap();
}

/// Starts what was prepared in `directory`.
pub(crate) fn start(directory: &Path, more: impl FnOnce(&mut Command)) -> Demo {
    Demo::start_with(directory, |command| {
        surroundings(directory, command);
        more(command);
    })
}

/// The fault module's environment.
pub(crate) fn surroundings(directory: &Path, command: &mut Command) {
    command.env("CHANCERY_FAULT_MODULE", fault::SOFTHSM);
    command.env("CHANCERY_FAULT_COUNTS", counts(directory));
    command.env("CHANCERY_FAULT_CONTROL", directory.join("demo/fault/control"));
}

/// Calls of a function of the module so far, by every process.
pub(crate) fn calls(directory: &Path, function: &str) -> u64 {
    fault::counter(&counts(directory), function, 0)
}

fn counts(directory: &Path) -> PathBuf {
    directory.join("demo/fault/counts")
}
