//! The vectors of others, file by file, in `vectors.md`: passed, or refused on purpose with the reason. None
//! fails. libxml2's are compared octet for octet; of the others every reference is digested and every `ds:Signature`
//! goes through our grammar. Vectors of encryption are in `encrypted.md`.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::fmt::Write as _;
use std::path::Path;

use base64ct::{Base64, Encoding};
use chancery::xml::signature::Signature;
use chancery::xml::{Element, Ids, Limits, Method, PrefixList, Tree, names};

#[path = "support/data.rs"]
mod others;
#[path = "support/references.rs"]
mod references;

use others::{data, documents};
use references::CHANGED;

const TABLE: &str = include_str!("vectors.md");
const MOST: usize = 1024 * 1024;

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Pass(String),
    Refused(String),
    Fail(String),
}

fn refused(why: impl std::fmt::Display) -> Verdict {
    Verdict::Refused(why.to_string())
}

fn octets(path: &Path) -> Vec<u8> {
    let octets = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "base64") {
        let text: String = String::from_utf8(octets).unwrap().split_ascii_whitespace().collect();
        return Base64::decode_vec(&text).unwrap();
    }
    octets
}

/// The one element that an expression of the suite selects with all it holds, by its local name.
fn subset(expression: &str) -> Option<String> {
    let mut bare = expression.to_owned();
    while let Some(at) = bare.find("<!--") {
        let end = at + bare[at..].find("-->")? + "-->".len();
        bare.replace_range(at..end, "");
    }
    let words: String = bare[bare.find('[')?..=bare.rfind(']')?].split_whitespace().collect();
    let name = words.strip_prefix("[ancestor-or-self::")?.strip_suffix(']')?;
    // Two elements are no subset of ours.
    let local = name.split_once(':').map_or(name, |(_, local)| local);
    local.chars().all(|c| c.is_ascii_alphanumeric()).then(|| local.to_owned())
}

/// A document of libxml2 and the octets it becomes.
fn canonical(path: &Path) -> Verdict {
    let method = match path.parent().unwrap().file_name().unwrap().to_str().unwrap() {
        "exc-without-comments" => Method::exclusive(),
        "without-comments" => Method::named("http://www.w3.org/TR/2001/REC-xml-c14n-20010315").unwrap(),
        "with-comments" => Method::named("http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments").unwrap(),
        "1-1-without-comments" => Method::named("http://www.w3.org/2006/12/xml-c14n11").unwrap(),
        other => return Verdict::Fail(format!("unknown form {other}")),
    };
    let tree = match Tree::parse(&octets(path), &Limits::default()) {
        Ok(tree) => tree,
        Err(why) => return refused(why),
    };
    let element = match std::fs::read_to_string(path.with_extension("xpath")) {
        Err(_) => tree.root(),
        Ok(expression) => {
            let Some(local) = subset(&expression) else { return refused("a subset that is not one element") };
            let mut found = tree.elements().filter(|element| element.local() == local);
            let Some(first) = found.next() else { return Verdict::Fail("nothing selected".to_owned()) };
            // Of elements within one another the outermost is the subset.
            let below = |element: Element<'_>| {
                std::iter::successors(element.parent(), |element| element.parent()).any(|above| above == first)
            };
            if !found.all(below) {
                return refused("a subset that is not one element");
            }
            first
        }
    };
    let method = match std::fs::read_to_string(path.with_extension("ns")) {
        Err(_) => method,
        Ok(list) => method.with_prefixes(PrefixList::parse(&list).unwrap()).unwrap(),
    };
    let name = path.file_stem().unwrap();
    let form = path.parent().unwrap();
    let expected = form.parent().unwrap().parent().unwrap().join("expected").join(form.file_name().unwrap()).join(name);
    let Ok(expected) = std::fs::read_to_string(expected) else { return refused("no expected octets in the suite") };
    match element.canonical(&method, None, MOST) {
        Err(why) => refused(why),
        Ok(octets) if octets.as_str() == expected => Verdict::Pass("octets".to_owned()),
        Ok(_) => Verdict::Fail("other octets".to_owned()),
    }
}

/// A document with signatures. It passes when the digest of each reference is that of what we canonicalise; beside
/// it stands what our grammar, which is much smaller than the standard's, says of its signatures.
fn signed(path: &Path, changed: bool) -> Option<Verdict> {
    let octets = octets(path);
    let tree = match Tree::parse(&octets, &Limits::default()) {
        Ok(tree) => tree,
        Err(why) => return String::from_utf8_lossy(&octets).contains("SignatureValue").then(|| refused(why)),
    };
    let named = |local| tree.elements().filter(move |element| element.is(names::DS, local));
    let signatures: Vec<_> = named("Signature").map(Signature::read).collect();
    let grammar = match signatures.iter().find_map(|read| read.as_ref().err()) {
        _ if signatures.is_empty() => return None,
        _ if Ids::of(&tree).is_err() => "an id twice".to_owned(),
        Some(why) => why.to_string(),
        None => "read".to_owned(),
    };
    let digests: Vec<Option<bool>> = named("Reference").map(|reference| references::holds(&tree, reference)).collect();
    let right = digests.iter().filter(|holds| **holds == Some(true)).count();
    Some(match (digests.contains(&Some(false)), digests.contains(&None)) {
        (true, _) if changed => refused("not what was signed: changed since, or spoilt on purpose"),
        (true, _) => Verdict::Fail("another digest".to_owned()),
        (false, true) => refused(format!("transform, algorithm or place not allowed; grammar: {grammar}")),
        (false, false) if right == 0 => refused(format!("no reference; grammar: {grammar}")),
        (false, false) => Verdict::Pass(format!("digests: {right}; grammar: {grammar}")),
    })
}

#[test]
fn every_vector_of_others_passes_or_is_refused_for_a_reason() {
    let Some(data) = data("vectors") else { return };
    let vectors = data.join("vectors");
    let mut verdicts = Vec::new();
    for path in documents(&vectors, &["xml", "base64"]) {
        let name = path.strip_prefix(&vectors).unwrap().to_str().unwrap().to_owned();
        let changed = CHANGED.iter().any(|changed| changed.strip_prefix("vectors/") == Some(name.as_str()));
        let verdict = if name.starts_with("libxml2-c14n/") { Some(canonical(&path)) } else { signed(&path, changed) };
        verdicts.extend(verdict.map(|verdict| (name, verdict)));
    }
    let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, verdict)| is(verdict)).count();
    let passed = count(|verdict| matches!(verdict, Verdict::Pass(_)));
    let failed = count(|verdict| matches!(verdict, Verdict::Fail(_)));
    let refused = verdicts.len() - passed - failed;
    let mut table: String = TABLE.split_inclusive('\n').take_while(|line| !line.starts_with("Passed")).collect();
    write!(table, "Passed {passed}, refused on purpose {refused}, failed {failed}.\n\n").unwrap();
    table.push_str("| file | verdict | what or why |\n|---|---|---|\n");
    for (name, verdict) in &verdicts {
        let (word, what) = match verdict {
            Verdict::Pass(what) => ("pass", what),
            Verdict::Refused(why) => ("refused", why),
            Verdict::Fail(why) => ("FAIL", why),
        };
        writeln!(table, "| {name} | {word} | {what} |").unwrap();
    }
    let now = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors.md");
    std::fs::write(&now, &table).unwrap();
    assert_eq!(failed, 0, "{}", now.display());
    assert!(table == TABLE, "the table is another: {}", now.display());
}
