//! Data of others beside the project: vectors, and messages of real clients. They are not ours to ship, so what needs
//! them is skipped, by name, where there are none.

use std::path::{Path, PathBuf};

/// Where they are: `CHANCERY_DATA`, or `shared/data` beside a directory above this one. `test` is the name under which
/// it is said that they are missing.
pub(crate) fn data(test: &str) -> Option<PathBuf> {
    let configured = std::env::var_os("CHANCERY_DATA").map(PathBuf::from);
    let beside = || {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join("shared/data"));
        above.into_iter().find(|path| path.is_dir())
    };
    let found = configured.or_else(beside);
    if found.is_none() {
        println!("SKIPPED {test}: no data of others here; CHANCERY_DATA names them");
    }
    found
}

/// The files below a directory whose names end so, in order.
pub(crate) fn documents(directory: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|its| extensions.iter().any(|extension| its == *extension)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
