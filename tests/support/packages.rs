//! The packages as they ship, in the directory `CHANCERY_PACKAGES`, and the tools that look into them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The one package with this ending; none where none were built, which `test` then says.
pub(crate) fn package(test: &str, ending: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("CHANCERY_PACKAGES") else {
        println!("SKIPPED {test}: CHANCERY_PACKAGES is not set; `make packages` builds them");
        return None;
    };
    let found: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    let [one] = found.as_slice() else { panic!("one .{ending} in {}: {found:?}", Path::new(&directory).display()) };
    Some(one.clone())
}

/// What a tool prints, which must succeed.
pub(crate) fn output(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
