//! What ships is looked into: each process links the libraries of its own role and no other. Needs the
//! binaries as they are packaged, one role a build, in the directory `CHANCERY_ROLE_BINARIES`; where that is
//! unset nothing is proven, and the test says so.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

const ROLES: [&str; 6] = ["worker", "auth", "issuer", "signer", "audit", "exporter"];

/// Text that a binary has when the crate or the C library is in it: panic messages and symbols name the
/// source's path (`quick-xml-0.42.0/src/…`). Who may have it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("quick-xml-", &["worker"]),
    ("/rustls-0", &["worker"]),
    ("/hyper-1", &["worker", "exporter"]),
    ("/cryptoki-", &["signer"]),
    ("/libloading-", &["signer"]),
    ("/cedar-policy", &["auth"]),
    ("/argon2-", &["auth"]),
    ("/clap_builder-", &[]),
    ("/tokio-1", &["worker", "auth", "exporter"]),
    ("/x509-parser-", &["issuer", "signer"]),
];

/// The only shared objects anybody is linked to.
const LIBRARIES: &[&str] =
    &["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

fn binaries() -> Option<PathBuf> {
    let directory = std::env::var_os("CHANCERY_ROLE_BINARIES").map(PathBuf::from);
    if directory.is_none() {
        println!("SKIPPED boundaries: CHANCERY_ROLE_BINARIES is not set; `make packages` builds them");
    }
    directory
}

fn binary(directory: &Path, role: &str) -> PathBuf {
    let path = directory.join(format!("chancery-{role}"));
    assert!(path.exists(), "{} is missing", path.display());
    path
}

fn output(tool: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(tool).args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{tool} {}", path.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn only_the_signer_can_load_a_shared_object() {
    let Some(directory) = binaries() else { return };
    for role in ROLES {
        let symbols = output("nm", &["-D", "--undefined-only"], &binary(&directory, role));
        let loads = symbols.lines().any(|line| {
            let name = line.split_whitespace().last().unwrap_or_default();
            name.split('@').next() == Some("dlopen")
        });
        assert_eq!(loads, role == "signer", "chancery-{role}");
    }
}

#[test]
fn nobody_is_linked_to_more_than_the_c_library() {
    let Some(directory) = binaries() else { return };
    for role in ROLES {
        let dynamic = output("readelf", &["-d", "-W"], &binary(&directory, role));
        let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
        for line in needed {
            let library = line.split(['[', ']']).nth(1).unwrap();
            assert!(LIBRARIES.contains(&library), "chancery-{role} needs {library}");
        }
    }
}

#[test]
fn binaries_are_hardened() {
    let Some(directory) = binaries() else { return };
    for role in ROLES {
        let path = binary(&directory, role);
        let headers = output("readelf", &["-h", "-l", "-d", "-W"], &path);
        assert!(headers.contains("DYN (") && headers.contains("PIE"), "chancery-{role} is no PIE");
        assert!(headers.contains("GNU_RELRO") && headers.contains("BIND_NOW"), "chancery-{role}: no full RELRO");
        let stack = headers.lines().find(|line| line.contains("GNU_STACK")).unwrap();
        assert!(stack.contains("RW ") && !stack.contains("RWE"), "chancery-{role}: executable stack");
    }
}

#[test]
fn each_process_holds_only_the_libraries_of_its_role() {
    let Some(directory) = binaries() else { return };
    let mut wrong = Vec::new();
    for role in ROLES {
        let octets = std::fs::read(binary(&directory, role)).unwrap();
        for (mark, roles) in MAY_USE {
            let holds = octets.windows(mark.len()).any(|window| window == mark.as_bytes());
            if holds && !roles.contains(&role) {
                wrong.push(format!("chancery-{role} holds {mark}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Without this the test above would pass on binaries that name nothing.
#[test]
fn the_marks_are_found_where_they_belong() {
    let Some(directory) = binaries() else { return };
    for (mark, role) in [("/hyper-1", "worker"), ("/cryptoki-", "signer"), ("/cedar-policy", "auth")] {
        let octets = std::fs::read(binary(&directory, role)).unwrap();
        assert!(octets.windows(mark.len()).any(|window| window == mark.as_bytes()), "{mark} in chancery-{role}");
    }
}
