use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::*;

const HTTP: &str = "HTTP/sts.example.com@EXAMPLE.COM";
const FILE: &str =
    "services = [\"HTTP/sts.example.com@EXAMPLE.COM\"]\nkeytab = \"keytab\"\nstate_directory = \"../state\"\n";

/// One entry, as `ktadd` writes it.
fn entry(principal: &str, version: u32, kind: u16, key: &[u8]) -> Vec<u8> {
    let (name, realm) = principal.split_once('@').unwrap();
    let counted = |octets: &[u8]| [&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat();
    let components: Vec<&str> = name.split('/').collect();
    let mut octets = u16::try_from(components.len()).unwrap().to_be_bytes().to_vec();
    octets.extend(counted(realm.as_bytes()));
    components.iter().for_each(|component| octets.extend(counted(component.as_bytes())));
    octets.extend([0, 0, 0, 1, 0, 0, 0, 0, version.to_be_bytes()[3]]);
    octets.extend(kind.to_be_bytes());
    octets.extend(counted(key));
    octets.extend(version.to_be_bytes());
    [&u32::try_from(octets.len()).unwrap().to_be_bytes()[..], &octets].concat()
}

fn keytab(entries: &[Vec<u8>]) -> Vec<u8> {
    [vec![5, 2], entries.concat()].concat()
}

fn load(text: &str, keytab: &[u8], mode: u32) -> Result<Kerberos, String> {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("kerberos.d")).unwrap();
    std::fs::write(place(root.path()), text).unwrap();
    let path = root.path().join("kerberos.d/keytab");
    std::fs::write(&path, keytab).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    Kerberos::load(root.path()).map_err(|error| error.to_string())
}

#[test]
fn of_a_keytab_the_strong_keys_of_our_services_are_taken_and_no_others_r_w070() {
    let octets = keytab(&[
        entry(HTTP, 300, 18, &[1; 32]),
        entry(HTTP, 300, 23, &[2; 16]),
        entry(HTTP, 2, 17, &[3; 16]),
        entry("host/sts.example.com@EXAMPLE.COM", 2, 18, &[4; 32]),
        entry("HTTP/sts.example.com@OTHER.COM", 2, 18, &[5; 32]),
        // As long as no key of its kind is.
        entry(HTTP, 9, 18, &[6; 16]),
        vec![0xFF, 0xFF, 0xFF, 0xFE, 9, 9],
    ]);
    let kerberos = load(FILE, &octets, 0o640).unwrap();
    let taken: Vec<_> = kerberos.keys.iter().map(|key| (key.version, key.kind, key.key.expose()[0])).collect();
    assert_eq!(taken, [(300, 18, 1), (2, 17, 3)]);
    assert!(kerberos.keys.iter().all(|key| key.principal == HTTP));
    assert!(kerberos.state_directory.ends_with("kerberos.d/../state"));
    assert_eq!((kerberos.clock_skew, kerberos.call_deadline), (Duration::from_secs(300), Duration::from_secs(2)));
}

#[test]
fn what_cannot_be_used_names_its_line() {
    let good = keytab(&[entry(HTTP, 1, 18, &[1; 32])]);
    let weak = keytab(&[entry(HTTP, 1, 23, &[1; 16])]);
    let refused = |text: &str, octets: &[u8], mode| load(text, octets, mode).unwrap_err();
    for (text, octets, mode, why) in [
        (FILE.to_owned() + "kdc = 1", &good[..], 0o600, "kerberos.toml:4:"),
        (FILE.to_owned() + "clock_skew_s = 301", &good, 0o600, ":4:16: clock_skew_s must be from 1 to 300"),
        (FILE.to_owned() + "call_deadline_ms = 1", &good, 0o600, ":4:20: call_deadline_ms must be from"),
        (FILE.to_owned(), &weak, 0o600, ":1:13: services: keytab"),
        (FILE.to_owned(), &weak, 0o600, "has no key but weak ones of HTTP/sts.example.com@EXAMPLE.COM"),
        (FILE.to_owned(), &keytab(&[]), 0o600, "has no key of HTTP/"),
        (FILE.to_owned(), &good, 0o604, ":2:10: keytab"),
        (FILE.to_owned(), &good, 0o604, "everybody may read it"),
        (FILE.to_owned(), b"no keytab", 0o600, "not a keytab of version 5.2"),
        (FILE.to_owned(), &good[..good.len() - 1], 0o600, "not a keytab of version 5.2"),
        (FILE.replace(HTTP, "sts.example.com"), &good, 0o600, ":1:13: services: a principal as"),
        (FILE.replace(HTTP, "HTTP/sts"), &good, 0o600, ":1:13: services: a principal as"),
        (
            FILE.replace("COM\"", "COM\", \"HTTP/b@ELSEWHERE.COM\""),
            &good,
            0o600,
            ":1:49: services: all are of one realm",
        ),
        (FILE.replace(&format!("\"{HTTP}\""), ""), &good, 0o600, ":1:12: services: 1 to 16"),
        (FILE.replace("= \"keytab\"", "= \"none\""), &good, 0o600, ":2:10: keytab"),
        (FILE.replace("../state", "a b"), &good, 0o600, ":3:19: state_directory: A-Z"),
        (FILE.replace("../state", "%{uid}"), &good, 0o600, ":3:19: state_directory: A-Z"),
    ] {
        let said = refused(&text, octets, mode);
        assert!(said.contains(why), "{why}: {said}");
    }
    let nowhere = Kerberos::load(Path::new("/nowhere")).unwrap_err().to_string();
    assert!(nowhere.contains("/nowhere/kerberos.d/kerberos.toml"));
}

#[test]
fn a_key_is_not_printed() {
    let kerberos = load(FILE, &keytab(&[entry(HTTP, 1, 18, b"abcdefghabcdefghabcdefghabcdefgh")]), 0o600).unwrap();
    assert!(!format!("{kerberos:?}").contains("97, 98"), "{kerberos:?}");
}
