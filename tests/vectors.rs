//! The vectors of others, file by file, in `vectors.md`: passed, or refused on purpose with the reason. None
//! fails. libxml2's are compared octet for octet; of the others every `ds:Signature` goes through our grammar and
//! every reference is digested. Vectors of encryption alone are not listed: nothing here decrypts yet.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, digest};
use base64ct::{Base64, Encoding};
use chancery::xml::signature::{Hash, Reference, Signature};
use chancery::xml::{Element, Ids, Limits, Method, PrefixList, Tree, names};

#[path = "support/changed.rs"]
mod changed;

use changed::CHANGED;

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

/// Third-party data beside the project, where there is some.
fn data() -> Option<PathBuf> {
    let configured = std::env::var_os("CHANCERY_DATA").map(PathBuf::from);
    let beside = || {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join("shared/data"));
        above.into_iter().find(|path| path.is_dir())
    };
    configured.or_else(beside)
}

fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "xml" || extension == "base64") {
            found.push(path);
        }
    }
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
    let begin = expression.find("[")?;
    let mut words: String = expression[begin..expression.rfind(']')? + 1].split_whitespace().collect();
    words = words.replace("<!--everything-->", "");
    let name = words.strip_prefix("[ancestor-or-self::")?.strip_suffix(']')?;
    let local = name.rsplit(':').next()?;
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

/// Is the digest that of what the reference means?
fn holds<'t>(signature: &Signature<'t>, reference: &Reference, ids: &Ids<'t>) -> Result<bool, String> {
    if reference.transform.dereferenced {
        return Err("STR-Transform".to_owned());
    }
    let target = signature.target(reference, ids).map_err(|why| why.to_string())?;
    let octets = signature.digested(reference, target, MOST).map_err(|why| why.to_string())?;
    let function = match reference.hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    };
    Ok(digest(function, octets.as_bytes()).as_ref() == reference.digest)
}

/// A document with signatures: the worst of them speaks for it. None when there is none in it.
fn signed(path: &Path, changed: bool) -> Option<Verdict> {
    let octets = octets(path);
    let tree = match Tree::parse(&octets, &Limits::default()) {
        Ok(tree) => tree,
        Err(why) => return String::from_utf8_lossy(&octets).contains("SignatureValue").then(|| refused(why)),
    };
    let signatures: Vec<_> = tree.elements().filter(|element| element.is(names::DS, "Signature")).collect();
    let verdict = |element: &Element<'_>| {
        let Ok(ids) = Ids::of(&tree) else { return refused("an id twice") };
        let signature = match Signature::read(*element) {
            Ok(signature) => signature,
            Err(why) => return refused(why),
        };
        let mut references = 0;
        for reference in &signature.info.references {
            match holds(&signature, reference, &ids) {
                Ok(true) => references += 1,
                Ok(false) if changed => return refused("not what was signed: changed since, or spoilt on purpose"),
                Ok(false) => return Verdict::Fail("another digest".to_owned()),
                Err(why) => return Verdict::Refused(why),
            }
        }
        Verdict::Pass(format!("{references} digests"))
    };
    signatures.iter().map(verdict).max()
}

#[test]
fn every_vector_of_others_passes_or_is_refused_for_a_reason() {
    let Some(data) = data() else {
        println!("SKIPPED vectors: no vectors of others here");
        return;
    };
    let vectors = data.join("vectors");
    let mut found = Vec::new();
    documents(&vectors, &mut found);
    found.sort();
    let mut verdicts = Vec::new();
    for path in found {
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
