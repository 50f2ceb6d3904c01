//! The first look, as anybody has it: `chancery run --demo`, a token of each kind asked for at the front
//! door, an independent tool as the judge, an orderly end, and a second start that finds everything there.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::service::{self, Demo};

const SAML11: (&str, &str) = ("saml11", "AssertionID urn:oasis:names:tc:SAML:1.0:assertion:Assertion");
const SAML20: (&str, &str) = ("saml20", "ID urn:oasis:names:tc:SAML:2.0:assertion:Assertion");
const MICROSOFT: &str = "urn:federation:MicrosoftOnline";
const GENERIC: &str = "https://rp.example.com/";
/// Of a demo, with one worker and two signers.
const DAEMONS: [&str; 7] = ["worker@1", "auth", "issuer", "signer@1", "signer@2", "audit", "exporter"];

/// xmlsec1 must accept the token, and refuse it when a character of it is another one.
fn judged(demo: &Demo, directory: &Path, token: &str, id: &str) {
    let (attribute, name) = id.split_once(' ').unwrap();
    let verdict = |text: &str| {
        let file = directory.join("token.xml");
        std::fs::write(&file, text).unwrap();
        Command::new("xmlsec1")
            .args(["--verify", "--enabled-reference-uris", "same-doc"])
            .args([&format!("--id-attr:{attribute}"), name, "--pubkey-cert-pem", demo.fact("token_signing")])
            .arg(&file)
            .output()
            .unwrap()
    };
    let good = verdict(token);
    let said = String::from_utf8_lossy(&good.stderr).into_owned();
    assert!(good.status.success(), "{said}\n{token}");
    assert!(said.contains("SignedInfo References (ok/all): 1/1"), "{said}");
    let forged = token.replacen("alice", "mally", 1).replacen("Alice", "Mally", 1).replacen("YWxp", "bWFs", 1);
    assert_ne!(forged, token);
    assert!(!verdict(&forged).status.success(), "accepted altered");
}

#[test]
fn the_demo_issues_every_kind_of_token_ends_cleanly_and_starts_again_fast() {
    if !service::possible("demo") {
        return;
    }
    let judge = Command::new("xmlsec1").arg("--version").output().is_ok();
    if !judge {
        println!("SKIPPED demo-judge: xmlsec1 is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(directory.path());
    println!("first start ready after {:?}", demo.took);
    let generic = "/sts";
    let (new, old) = ("/adfs/services/trust/13/usernamemixed", "/adfs/services/trust/2005/usernamemixed");
    for (path, party, kind, more) in [
        (new, MICROSOFT, SAML11, vec![]),
        (new, MICROSOFT, SAML20, vec!["--token-type", "saml20"]),
        (old, MICROSOFT, SAML11, vec!["--trust", "2005"]),
        (old, MICROSOFT, SAML20, vec!["--trust", "2005", "--token-type", "saml20"]),
        (generic, GENERIC, SAML20, vec!["--lifetime-min", "5"]),
        (generic, GENERIC, SAML20, vec!["--soap", "1.1"]),
        (generic, GENERIC, SAML11, vec!["--soap", "1.1", "--trust", "2005", "--token-type", "saml11"]),
    ] {
        let mut words = vec!["--applies-to", party];
        words.extend(more);
        let answer = demo.request(path, &words);
        let token = String::from_utf8(answer.stdout).unwrap();
        assert!(answer.status.success(), "{words:?}: {}", String::from_utf8_lossy(&answer.stderr));
        assert!(token.contains(party) && token.contains("http://sts.example.com/adfs/services/trust"), "{token}");
        if judge {
            judged(&demo, directory.path(), token.trim_end(), kind.1);
        }
    }
    assert_eq!(demo.stop().code(), Some(0));
    let left = std::fs::read_to_string(directory.path().join("log")).unwrap();
    for word in ["panicked", "violation", "did not stop in time"] {
        assert!(!left.contains(word), "{left}");
    }

    let again = Demo::start(directory.path());
    println!("second start ready after {:?}", again.took);
    assert!(again.took < Duration::from_secs(10), "{:?}", again.took);
    assert!(again.request(new, &["--applies-to", MICROSOFT]).status.success());
}

#[test]
fn ctrl_c_ends_everything_cleanly() {
    use nix::errno::Errno;
    use nix::sys::signal::{Signal, killpg};
    use nix::unistd::Pid;
    use std::os::unix::process::CommandExt;
    if !service::possible("demo-ctrl-c") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start_with(directory.path(), |command| {
        command.process_group(0);
    });
    assert!(demo.request("/adfs/services/trust/13/usernamemixed", &["--applies-to", MICROSOFT]).status.success());
    // Each daemon leads a group, in which the worker's dialer is too.
    let mut groups = DAEMONS.map(|name| (name, Pid::from_raw(demo.pid(name)))).to_vec();
    groups.push(("supervisor", demo.supervisor()));
    // As a terminal does: to the whole foreground group.
    killpg(demo.supervisor(), Signal::SIGINT).unwrap();
    assert_eq!(demo.wait().code(), Some(0));
    let begun = Instant::now();
    for (name, group) in groups {
        while killpg(group, None) != Err(Errno::ESRCH) {
            assert!(begun.elapsed() < Duration::from_secs(5), "{name} or a child of it is left");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    assert!(!directory.path().join("ready.json").exists());
    let left = std::fs::read_to_string(directory.path().join("log")).unwrap();
    for word in ["panicked", "violation", "did not stop in time", "ERROR"] {
        assert!(!left.contains(word), "{left}");
    }
}

/// `chancery explain` of the id that the client was told says this.
fn explained(demo: &Demo, directory: &Path, refused: &Output, words: [&str; 3]) {
    let said = String::from_utf8_lossy(&refused.stderr);
    // As it stands there, in brackets.
    let id = said.split_ascii_whitespace().find(|word| word.len() == 34 && word.starts_with('('));
    let id = id.unwrap_or_else(|| panic!("no correlation id: {said}"));
    let log = directory.join("log");
    let mut told = String::new();
    // A sum of refusals is in the record a second later.
    for _ in 0..100 {
        let mut explain = Command::new(service::CHANCERY);
        explain.args(["explain", id, "--directory", demo.fact("record"), "--log"]).arg(&log);
        told = String::from_utf8(explain.output().unwrap().stdout).unwrap();
        if told.contains("record: ") && words.iter().all(|word| told.contains(word)) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{words:?} {id}: {told}");
}

#[test]
fn a_refusal_reaches_the_script_as_an_exit_code() {
    if !service::possible("demo-refusals") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(directory.path());
    let path = "/adfs/services/trust/13/usernamemixed";
    let wrong = directory.path().join("wrong");
    std::fs::write(&wrong, "not the password\n").unwrap();
    let refused = demo.request(path, &["--applies-to", "urn:nobody"]);
    assert_eq!(refused.status.code(), Some(14), "{}", String::from_utf8_lossy(&refused.stderr));
    explained(&demo, directory.path(), &refused, ["scope: ", "wst:InvalidScope", "allowed=false"]);
    let mut words = vec!["request", "issue", "--user", "alice", "--applies-to", MICROSOFT, "--ca", demo.fact("ca")];
    let url = format!("{}{path}", demo.fact("url"));
    words.extend(["--url", &url, "--password-file", wrong.to_str().unwrap()]);
    let refused = Command::new(service::CHANCERY).args(&words).output().unwrap();
    assert_eq!(refused.status.code(), Some(10), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(refused.stdout.is_empty());
    explained(&demo, directory.path(), &refused, ["wrong-password: ", "wsse:FailedAuthentication", "log: "]);
    // Without the demo's certificate there is no answer to trust.
    let words: Vec<&str> = words.into_iter().filter(|word| *word != "--ca" && *word != demo.fact("ca")).collect();
    assert_eq!(Command::new(service::CHANCERY).args(&words).output().unwrap().status.code(), Some(1));
}

#[test]
fn a_process_that_is_killed_comes_back_and_tokens_with_it() {
    if !service::possible("demo-restart") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(directory.path());
    let path = "/adfs/services/trust/13/usernamemixed";
    for name in DAEMONS {
        // The ready file has the first process ids; each is killed once.
        let pid = nix::unistd::Pid::from_raw(demo.pid(name));
        if nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).is_err() {
            // Signers go with their issuer.
            assert!(name.starts_with("signer"), "{name} was gone already");
        }
        let begun = std::time::Instant::now();
        std::thread::sleep(Duration::from_millis(50));
        while !demo.request(path, &["--applies-to", MICROSOFT]).status.success() {
            assert!(begun.elapsed() < Duration::from_secs(10), "no token 10 s after the end of {name}");
        }
        println!("{name}: a token {:?} after its end", begun.elapsed());
    }
    assert_eq!(demo.stop().code(), Some(0));
}
