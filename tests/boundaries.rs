//! What ships is looked into: each process links the libraries of its own role and no other. Needs the
//! packages, in the directory `CHANCERY_PACKAGES`; where that is unset nothing is proven, and each test says
//! so. What is looked at came out of the .deb.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "support/packages.rs"]
mod packages;

use std::path::{Path, PathBuf};

use packages::{output, package};
use tempfile::TempDir;

/// The daemons, and the command line.
const PROGRAMS: [&str; 8] = ["worker", "auth", "issuer", "signer", "audit", "kerberos", "exporter", "chancery"];

/// Text that a binary has when the crate or the C library is in it: panic messages and symbols name the
/// source's path (`quick-xml-0.42.0/src/…`). Who may have it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("quick-xml-", &["worker", "auth", "chancery"]),
    ("/rustls-0", &["worker", "auth", "chancery"]),
    ("/rustls-webpki-", &["worker", "auth", "chancery"]),
    ("/hyper-1", &["worker", "auth", "exporter", "chancery"]),
    ("/cryptoki-", &["signer"]),
    ("/libloading-", &["signer"]),
    ("/cedar-policy", &["auth", "chancery"]),
    ("/argon2-", &["auth", "chancery"]),
    ("/rusqlite-", &["auth"]),
    ("SQLite format 3", &["auth"]),
    ("/tokio-postgres-", &["auth"]),
    ("/postgres-protocol-", &["auth"]),
    // Nobody's clock can be told another time.
    ("CHANCERY_CLOCK_SHIFT_MS", &[]),
    ("/clap_builder-", &["chancery"]),
    ("/tokio-1", &["worker", "auth", "exporter", "chancery"]),
    ("/x509-parser-", &["auth", "issuer", "signer", "chancery"]),
];

/// The only shared objects anybody is linked to.
const LIBRARIES: &[&str] =
    &["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

/// Those of the one process that has another's C code for its business.
const KERBEROS: &[&str] = &["libkrb5.so.3", "libk5crypto.so.3"];

/// The .deb's files below a directory, which is gone when dropped.
fn unpacked(test: &str) -> Option<TempDir> {
    let package = package(test, "deb")?;
    let directory = tempfile::tempdir().unwrap();
    output("dpkg-deb", &["-x", package.to_str().unwrap(), directory.path().to_str().unwrap()]);
    Some(directory)
}

fn binary(root: &TempDir, program: &str) -> PathBuf {
    let name = match program {
        "chancery" => "usr/bin/chancery".to_owned(),
        role => format!("usr/libexec/chancery/chancery-{role}"),
    };
    let path = root.path().join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path
}

fn holds(octets: &[u8], mark: &str) -> bool {
    octets.windows(mark.len()).any(|window| window == mark.as_bytes())
}

fn look(tool: &str, arguments: &[&str], path: &Path) -> String {
    output(tool, &[arguments, &[path.to_str().unwrap()]].concat())
}

#[test]
fn only_the_signer_can_load_a_shared_object() {
    let Some(root) = unpacked("only_the_signer_can_load_a_shared_object") else { return };
    for role in PROGRAMS {
        let symbols = look("nm", &["-D", "--undefined-only"], &binary(&root, role));
        let loads = symbols.lines().any(|line| {
            let name = line.split_whitespace().last().unwrap_or_default();
            name.split('@').next() == Some("dlopen")
        });
        assert_eq!(loads, role == "signer", "{role}");
    }
}

#[test]
fn nobody_is_linked_to_more_than_the_c_library() {
    let Some(root) = unpacked("nobody_is_linked_to_more_than_the_c_library") else { return };
    for role in PROGRAMS {
        let dynamic = look("readelf", &["-d", "-W"], &binary(&root, role));
        let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
        for line in needed {
            let library = line.split(['[', ']']).nth(1).unwrap();
            let own = role == "kerberos" && KERBEROS.contains(&library);
            assert!(own || LIBRARIES.contains(&library), "{role} needs {library}");
        }
    }
}

#[test]
fn binaries_are_hardened() {
    let Some(root) = unpacked("binaries_are_hardened") else { return };
    for role in PROGRAMS {
        let path = binary(&root, role);
        let headers = look("readelf", &["-h", "-l", "-d", "-W"], &path);
        assert!(headers.contains("DYN (") && headers.contains("PIE"), "{role} is no PIE");
        assert!(headers.contains("GNU_RELRO") && headers.contains("BIND_NOW"), "{role}: no full RELRO");
        let stack = headers.lines().find(|line| line.contains("GNU_STACK")).unwrap();
        assert!(stack.contains("RW ") && !stack.contains("RWE"), "{role}: executable stack");
    }
}

#[test]
fn each_process_holds_only_the_libraries_of_its_role() {
    let Some(root) = unpacked("each_process_holds_only_the_libraries_of_its_role") else { return };
    let mut wrong = Vec::new();
    for role in PROGRAMS {
        let octets = std::fs::read(binary(&root, role)).unwrap();
        for (mark, roles) in MAY_USE {
            if holds(&octets, mark) && !roles.contains(&role) {
                wrong.push(format!("{role} holds {mark}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Without this the test above would pass on binaries that name nothing.
#[test]
fn the_marks_are_found_where_they_belong() {
    let Some(root) = unpacked("the_marks_are_found_where_they_belong") else { return };
    for (mark, role) in [
        ("/hyper-1", "worker"),
        ("/cryptoki-", "signer"),
        ("/cedar-policy", "auth"),
        ("SQLite format 3", "auth"),
        ("/tokio-postgres-", "auth"),
        ("/clap_builder-", "chancery"),
    ] {
        let octets = std::fs::read(binary(&root, role)).unwrap();
        assert!(holds(&octets, mark), "{mark} in {role}");
    }
}
