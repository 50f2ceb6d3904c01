//! The vectors of others for encryption, file by file, in `encrypted.md`: passed, or refused on purpose with the
//! reason. None fails.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use base64ct::{Base64, Encoding};
use chancery::auth::cipher;
use chancery::trust::parts;
use chancery::xml::encryption::{EncryptedData, EncryptedKey};
use chancery::xml::{Limits, Tree, names};

#[path = "support/data.rs"]
mod others;

use others::{data, documents};

const TABLE: &str = include_str!("encrypted.md");

/// What became of one file.
enum Verdict {
    Pass(String),
    Refused(String),
    Fail(String),
}

fn decoded(text: &str) -> Vec<u8> {
    Base64::decode_vec(&text.split_ascii_whitespace().collect::<String>()).unwrap()
}

/// The keys of NIST's suite, by name.
fn keys(suites: &Path) -> HashMap<String, Vec<u8>> {
    let mut keys = HashMap::new();
    // Its elements are those of xmlsec, in the order name and value.
    for bits in [128, 192, 256] {
        let text = std::fs::read_to_string(suites.join(format!("nist-aesgcm/keys-aes{bits}-gcm.xml"))).unwrap();
        for key in text.split("<KeyName>").skip(1) {
            let (name, rest) = key.split_once("</KeyName>").unwrap();
            let value = rest.split_once('>').unwrap().1.split_once("AESKeyValue").unwrap().1;
            let value = value.split_once('>').unwrap().1.split_once('<').unwrap().0;
            keys.insert(name.to_owned(), decoded(value));
        }
    }
    keys
}

/// One document that holds something encrypted.
fn judged(path: &Path, keys: &HashMap<String, Vec<u8>>) -> Option<Verdict> {
    let octets = std::fs::read(path).unwrap();
    let tree = match Tree::parse(&octets, &Limits { octets: 1 << 20, ..Limits::default() }) {
        Ok(tree) => tree,
        Err(why) => {
            let text = String::from_utf8_lossy(&octets);
            return text.contains("CipherData").then(|| Verdict::Refused(why.to_string()));
        }
    };
    let named = |local| tree.elements().filter(move |element| element.is(names::XENC, local));
    let sealed: Vec<_> = named("EncryptedKey").map(EncryptedKey::read).collect();
    let parts: Vec<_> = named("EncryptedData").map(EncryptedData::read).collect();
    if sealed.is_empty() && parts.is_empty() {
        return None;
    }
    if let Some(why) = sealed.iter().find_map(|key| key.as_ref().err()) {
        return Some(Verdict::Refused(why.to_string()));
    }
    let transports = sealed.iter().flatten().map(|key| parts::transport(key.oaep)).collect::<Option<Vec<_>>>();
    let Some(transports) = transports else { return Some(Verdict::Refused("OAEP of hashes not offered".to_owned())) };
    let mut opened = 0;
    for part in parts {
        let part = match part {
            Ok(part) => part,
            Err(why) => return Some(Verdict::Refused(why.to_string())),
        };
        let name = part.key_info.and_then(|info| info.children().next()).and_then(|name| name.text()).unwrap_or("");
        let beside = std::fs::read(path.with_extension("key"));
        let Some(key) = keys.get(name.trim()).cloned().or(beside.ok()) else { continue };
        let plain = cipher::open(parts::cipher(part.cipher), &key, &part.value);
        let expected = std::fs::read(path.with_extension("data")).ok();
        match (plain, expected) {
            (None, None) => return Some(Verdict::Pass("does not open, as it must not".to_owned())),
            (Some(plain), Some(expected)) => {
                // NIST's are written in base64.
                let text: Vec<u8> = expected.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
                let is = *plain == expected || Base64::encode_string(&plain).as_bytes() == text;
                if !is {
                    return Some(Verdict::Fail("opened to something else".to_owned()));
                }
                opened += 1;
            }
            (Some(_), None) => return Some(Verdict::Fail("opened, and must not".to_owned())),
            (None, Some(_)) => return Some(Verdict::Fail("not opened".to_owned())),
        }
    }
    let sealed: Vec<_> = transports.into_iter().map(|transport| transport.name()).collect();
    Some(match (opened, sealed.is_empty()) {
        (0, true) => Verdict::Refused("no key for it in the suite".to_owned()),
        (0, false) => Verdict::Pass(format!("read: {}", sealed.join(" "))),
        (count, _) => Verdict::Pass(format!("opened: {count}")),
    })
}

#[test]
fn every_encrypted_vector_of_others_opens_or_is_refused_for_a_reason() {
    let Some(data) = data("encrypted-vectors") else { return };
    let vectors = data.join("vectors");
    let keys = keys(&vectors.join("xmlsec"));
    let mut rows = String::new();
    let (mut passed, mut refused, mut failed) = (0, 0, 0);
    for path in documents(&vectors, &["xml"]) {
        let Some(verdict) = judged(&path, &keys) else { continue };
        let (word, what, count) = match &verdict {
            Verdict::Pass(what) => ("pass", what, &mut passed),
            Verdict::Refused(why) => ("refused", why, &mut refused),
            Verdict::Fail(why) => ("FAIL", why, &mut failed),
        };
        *count += 1;
        let name = path.strip_prefix(&vectors).unwrap().to_str().unwrap();
        writeln!(rows, "| {name} | {word} | {what} |").unwrap();
    }
    let mut table: String = TABLE.split_inclusive('\n').take_while(|line| !line.starts_with("Passed")).collect();
    write!(table, "Passed {passed}, refused on purpose {refused}, failed {failed}.\n\n").unwrap();
    table.push_str("| file | verdict | what or why |\n|---|---|---|\n");
    table.push_str(&rows);
    let now = Path::new(env!("CARGO_TARGET_TMPDIR")).join("encrypted.md");
    std::fs::write(&now, &table).unwrap();
    assert_eq!(failed, 0, "{}", now.display());
    assert!(table == TABLE, "the table is another: {}", now.display());
}
