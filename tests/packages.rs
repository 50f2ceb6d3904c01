//! The .deb and the .rpm hold the same service: the same files with the same modes, man pages for every
//! program, and scripts that make the users and tell systemd. Needs the packages, in the directory
//! `CHANCERY_PACKAGES`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "support/packages.rs"]
mod packages;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use packages::{output, package};

/// Octal mode by path. Directories are left out: each format owns some of its own.
type Files = BTreeMap<String, String>;

fn of_deb(path: &Path) -> Files {
    let listed =
        output("sh", &["-c", "dpkg-deb --fsys-tarfile \"$0\" | tar -tv --numeric-owner", path.to_str().unwrap()]);
    files(listed.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], "0/0", "{line}");
        (words[0].to_owned(), words[5].trim_start_matches('.').to_owned())
    }))
}

fn of_rpm(path: &Path) -> Files {
    let query = "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\\n]";
    let listed = output("rpm", &["-qp", "--qf", query, path.to_str().unwrap()]);
    files(listed.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1..3], ["root", "root"], "{line}");
        (words[0].to_owned(), words[3].to_owned())
    }))
}

fn files(all: impl Iterator<Item = (String, String)>) -> Files {
    let files: Files = all.filter(|(mode, _)| !mode.starts_with('d')).map(|(mode, path)| (path, mode)).collect();
    assert!(files.len() > 40, "{files:#?}");
    files
}

#[test]
fn both_packages_install_the_same_files_with_the_same_modes() {
    let test = "both_packages_install_the_same_files_with_the_same_modes";
    let (Some(deb), Some(rpm)) = (package(test, "deb"), package(test, "rpm")) else { return };
    let (mut deb, rpm) = (of_deb(&deb), of_rpm(&rpm));
    // Debian's policy wants these two of a package.
    for own in ["copyright", "changelog.gz"] {
        assert!(deb.remove(&format!("/usr/share/doc/chancery/{own}")).is_some(), "{own}");
    }
    assert_eq!(deb, rpm);
}

#[test]
fn every_program_and_every_command_has_its_man_page() {
    let Some(deb) = package("every_program_and_every_command_has_its_man_page", "deb") else { return };
    let files = of_deb(&deb);
    for role in ["worker", "auth", "issuer", "signer", "audit", "kerberos", "exporter"] {
        assert_eq!(files[&format!("/usr/libexec/chancery/chancery-{role}")], "-rwxr-xr-x");
        assert_eq!(files[&format!("/usr/share/man/man8/chancery-{role}.8.gz")], "-rw-r--r--");
    }
    for command in
        ["", "-run", "-check", "-check-sandbox", "-token", "-key", "-audit", "-request", "-partner", "-hash-password"]
    {
        assert!(files.contains_key(&format!("/usr/share/man/man1/chancery{command}.1.gz")), "{command}: {files:#?}");
    }
}

#[test]
fn both_packages_make_the_users_and_tell_systemd() {
    let test = "both_packages_make_the_users_and_tell_systemd";
    let (Some(deb), Some(rpm)) = (package(test, "deb"), package(test, "rpm")) else { return };
    let of_deb = |name: &str| output("dpkg-deb", &["-I", deb.to_str().unwrap(), name]);
    // `rpm --scripts` has all in one text, each part headed by what it is.
    let scripts = output("rpm", &["-qp", "--scripts", rpm.to_str().unwrap()]);
    let of_rpm = |name: &str| {
        let (_, script) = scripts.split_once(&format!("{name} scriptlet (using /bin/sh):\n")).unwrap();
        let lines =
            script.lines().take_while(|line| !line.contains("scriptlet (using")).map(|line| format!("{line}\n"));
        lines.collect::<String>()
    };
    for [installed, removing, removed] in
        [["postinst", "prerm", "postrm"].map(of_deb), ["postinstall", "preuninstall", "postuninstall"].map(of_rpm)]
    {
        let users = installed.find("systemd-sysusers chancery.conf").unwrap();
        let directories = installed.find("systemd-tmpfiles --create chancery.conf").unwrap();
        assert!(users < directories, "directories belong to the users: {installed}");
        assert!(installed.contains("systemctl daemon-reload") && removed.contains("systemctl daemon-reload"));
        assert!(removing.contains("systemctl stop chancery.target"), "{removing}");
        // The record and the configuration are the operator's.
        assert!(![&installed, &removing, &removed].iter().any(|script| script.contains("rm ")));
        for script in [installed, removing, removed] {
            let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
            std::io::Write::write_all(shell.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
            assert!(shell.wait().unwrap().success(), "{script}");
        }
    }
}
