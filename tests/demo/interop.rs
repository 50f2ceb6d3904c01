//! Clients and judges that none of us wrote, in `tests/interop`, each against a demo service. Skipped by
//! name where `tests/support/prepare` has not made their Python.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::service::{self, Demo};

/// One service for all scripts. It ends with this process: a static is never dropped, but the thread that
/// started the supervisor dies with the process, and the supervisor is told.
fn shared() -> &'static Demo {
    static SERVICE: OnceLock<Demo> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let directory = tempfile::tempdir().unwrap().keep();
            let _ = send.send(Demo::start_with(&directory, |command| {
                command.arg("--die-with-parent");
            }));
            loop {
                std::thread::park();
            }
        });
        receive.recv().unwrap()
    })
}

fn script(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    if !python.exists() {
        println!("SKIPPED interop-{name}: no .venv; tests/support/prepare makes it");
        return;
    }
    if !service::possible(&format!("interop-{name}")) {
        return;
    }
    let output = Command::new(python)
        .args(["-B", "-W", "error::DeprecationWarning:__main__"])
        .arg(root.join(format!("tests/interop/{name}.py")))
        .arg(&shared().ready_file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().any(|line| line.starts_with("ok ") || line.starts_with("SKIPPED ")), "{name} checked nothing");
}

#[test]
fn msal_python_chooses_its_endpoints_and_gets_tokens() {
    script("msal_client");
}

#[test]
fn zeep_gets_a_token_from_the_generic_endpoint() {
    script("zeep_client");
}

#[test]
fn xmlsec_and_signxml_accept_every_token_and_refuse_it_altered() {
    script("judges");
}

#[test]
fn answers_and_tokens_are_valid_by_the_published_schemas() {
    script("xsd");
}
