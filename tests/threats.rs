//! `threats.md` says which test holds against which attack. Here it is held against the sources: a test that was
//! renamed, or a shape that vanished, leaves no attack without one.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::BTreeSet;
use std::path::Path;

const TABLE: &str = include_str!("threats.md");
const VARIANTS: &str = include_str!("wrapping/variants.txt");
/// The attacks on what a message proves itself with, those on XML and signatures first.
const ATTACKS: [u8; 37] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 33, 34, 35, 43,
    44, 45, 57, 60, 61, 64,
];

/// The names of all tests below a directory.
fn tests(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut lines = text.lines().map(str::trim);
            while let Some(line) = lines.next() {
                if line == "#[test]" || line.starts_with("#[tokio::test") {
                    let function =
                        lines.by_ref().find_map(|line| line.trim_start_matches("async ").strip_prefix("fn "));
                    found.extend(function.and_then(|rest| rest.split('(').next()).map(str::to_owned));
                }
            }
        }
    }
}

fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim).filter(|name| !name.is_empty())
}

#[test]
fn every_attack_on_a_credential_has_a_test_that_exists() {
    let mut known = BTreeSet::new();
    for directory in ["src", "tests"] {
        tests(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut known);
    }
    let shapes: BTreeSet<&str> =
        VARIANTS.lines().filter_map(|line| Some(line.split('\t').next()?.split_once('/')?.1)).collect();
    let mut ids = Vec::new();
    for row in TABLE.lines().filter(|line| line.starts_with("| A-")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, functions, variants] = cells[..] else { panic!("{row}") };
        assert!(names(functions).count() > 0, "{id} has no test");
        for function in names(functions) {
            assert!(known.contains(function), "{id}: there is no test {function}");
        }
        for shape in names(variants) {
            assert!(shapes.contains(shape), "{id}: there is no shape {shape}");
        }
        ids.push(id.strip_prefix("A-").unwrap().parse::<u8>().unwrap());
    }
    assert_eq!(ids, ATTACKS);
}
