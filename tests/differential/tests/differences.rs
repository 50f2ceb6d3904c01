//! Everybody reads the same documents in the same way, or a table says who does not and why. A few thousand documents
//! by default, the same ones each time; `CHANCERY_DOCUMENTS` asks for more, as `make nightly` does, and
//! `CHANCERY_SEED` for others.

use std::collections::BTreeMap;

use chancery::xml::{Element, Limits, Malformed, Tree};
use chancery_differential::documents::{Numbers, changed, good, plain};
use chancery_differential::judges::{ALGORITHMS, Form, Libxml2, Verdict, bergshamra, ours, xml_sec};

/// As many of either kind.
const DOCUMENTS: u64 = 3_000;
const LISTS: [&str; 6] = ["", "", "a", "#default", "a b nobody", "#default long-prefix.1 c"];

/// Where we mean to be stricter than one of the others: characters and names beyond the grammar, encodings by any
/// other name than UTF-8, processing instructions, and namespace names that are no absolute URIs.
const STRICTER: [Malformed; 6] = [
    Malformed::Character,
    Malformed::Declaration,
    Malformed::Encoding,
    Malformed::Instruction,
    Malformed::Name,
    Malformed::Namespace,
];

fn figure(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn forms(numbers: &mut Numbers) -> Vec<Form> {
    let list = numbers.one(&LISTS);
    let form = |algorithm: &'static str| {
        let prefixes = if algorithm.contains("xml-exc-c14n") { list } else { "" };
        Form { algorithm, prefixes }
    };
    ALGORITHMS.map(form).to_vec()
}

/// The others.
struct Judges(Option<Libxml2>);

impl Judges {
    fn all() -> Self {
        let libxml2 = Libxml2::start();
        if libxml2.is_none() {
            println!("SKIPPED differential-libxml2: no python3 with a libxml2");
        }
        Self(libxml2)
    }

    fn ask(&mut self, document: &[u8], forms: &[Form]) -> Vec<(&'static str, Verdict)> {
        let mut said = vec![("bergshamra", bergshamra(document, forms)), ("xml-sec", xml_sec(document, forms))];
        said.extend(self.0.as_mut().map(|libxml2| ("libxml2", libxml2.ask(document, forms))));
        said
    }
}

/// Why somebody writes another form than we do, where it is known and the fault is theirs.
fn known(who: &str, document: &[u8], form: &Form, own: &[u8], theirs: &[u8]) -> Option<&'static str> {
    // What everybody must make of it: line ends and white space in values are normalised before anything else.
    let again = |judge: fn(&[u8], &[Form]) -> Verdict| {
        let text = plain(std::str::from_utf8(document).ok()?);
        judge(text.as_bytes(), std::slice::from_ref(form)).ok()?.pop()?
    };
    let replaced = |octets: &[u8], from: &str, to: &str| String::from_utf8_lossy(octets).replace(from, to);
    match who {
        "bergshamra" => {
            let theirs = again(bergshamra)?;
            if theirs == own {
                Some("uppsala leaves white space in values, and line ends, as they are")
            } else if form.algorithm.contains("xml-c14n11") && uninherited(&theirs) == uninherited(own) {
                Some("bergshamra hands down in 1.1 what is neither xml:lang nor xml:space")
            } else {
                None
            }
        }
        "xml-sec" => {
            let theirs = again(xml_sec)?;
            let less = |octets: &[u8]| replaced(octets, " xmlns=\"\"", "");
            if theirs == own {
                Some("xmloxide leaves line ends in comments as they are")
            } else if form.algorithm.contains("REC-xml-c14n") && uninherited(&theirs) == uninherited(own) {
                Some("xml-sec does not hand down in 1.0 what it does not know of xml")
            } else if less(&theirs) == less(own) {
                Some("xml-sec takes back a default namespace that the output does not have")
            } else {
                None
            }
        }
        _ => {
            // Two of them, or one and a fragment, make a name with two fragments, which has no canonical form.
            let tree = Tree::parse(document, &Limits::default()).ok()?;
            let mut declared = tree.elements().flat_map(Element::declarations);
            let none = theirs.is_empty() && declared.any(|(_, uri)| uri.matches(['&', '#']).count() > 1);
            let same = replaced(theirs, "&#38;", "&amp;").as_bytes() == own;
            (none || same).then_some("libxml2 does not resolve & in a namespace name")
        }
    }
}

/// A canonical form without attributes of the `xml` namespace but `xml:lang` and `xml:space`.
fn uninherited(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let mut parts = text.split(" xml:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        match part.split_once("=\"").and_then(|(name, rest)| Some((name, rest.split_once('"')?))) {
            Some((name, (_, rest))) if name != "lang" && name != "space" => out + rest,
            _ => out + " xml:" + part,
        }
    })
}

/// Where two forms part.
fn parting(own: &[u8], theirs: &[u8]) -> String {
    let at = own.iter().zip(theirs).take_while(|(own, theirs)| own == theirs).count();
    let around = |octets: &[u8]| {
        let piece = &octets[at.saturating_sub(100)..(at + 100).min(octets.len())];
        format!("{:?}", String::from_utf8_lossy(piece))
    };
    format!("  ours   {}\n  theirs {}", around(own), around(theirs))
}

/// What became of all comparisons.
#[derive(Default)]
struct Outcome {
    tally: BTreeMap<String, u64>,
    unknown: Vec<String>,
}

impl Outcome {
    fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    fn compare(
        &mut self,
        who: &str,
        document: &[u8],
        forms: &[Form],
        own: &[Option<Vec<u8>>],
        theirs: &[Option<Vec<u8>>],
    ) {
        for ((form, own), theirs) in forms.iter().zip(own).zip(theirs) {
            let theirs = theirs.as_deref().unwrap_or_default();
            let Some(own) = own else {
                self.count("a form that we do not offer");
                continue;
            };
            if own == theirs {
                self.count(format!("{who} writes the same"));
            } else if let Some(why) = known(who, document, form, own, theirs) {
                self.count(why);
            } else {
                let document = String::from_utf8_lossy(document);
                self.unknown.push(format!("{who} {form:?}\n  in     {document:?}\n{}", parting(own, theirs)));
            }
        }
    }

    fn close(self) {
        println!("{:#?}", self.tally);
        let first = &self.unknown[..self.unknown.len().min(6)];
        assert!(first.is_empty(), "{} differences:\n{}", self.unknown.len(), first.join("\n\n"));
    }
}

#[test]
fn every_form_of_every_document_is_what_others_make_of_it() {
    let mut judges = Judges::all();
    let mut outcome = Outcome::default();
    let seed = figure("CHANCERY_SEED", 1) << 40;
    for number in 0..figure("CHANCERY_DOCUMENTS", DOCUMENTS) {
        let mut numbers = Numbers::of(seed | number);
        let document = good(&mut numbers);
        let forms = forms(&mut numbers);
        let own = ours(document.as_bytes(), &forms).unwrap_or_else(|why| panic!("{number}: {why:?}: {document}"));
        for (who, verdict) in judges.ask(document.as_bytes(), &forms) {
            let theirs = verdict.unwrap_or_else(|why| panic!("{who} does not read {number}: {why}\n{document}"));
            outcome.compare(who, document.as_bytes(), &forms, &own, &theirs);
        }
    }
    outcome.close();
}

#[test]
fn what_we_read_everybody_reads_alike() {
    let mut judges = Judges::all();
    let mut outcome = Outcome::default();
    let seed = figure("CHANCERY_SEED", 1) << 40 | 1 << 39;
    for number in 0..figure("CHANCERY_DOCUMENTS", DOCUMENTS) {
        let mut numbers = Numbers::of(seed | number);
        let document = changed(&mut numbers);
        let forms = forms(&mut numbers);
        let own = ours(&document, &forms);
        for (who, verdict) in judges.ask(&document, &forms) {
            match (&own, verdict) {
                (Err(_), Err(_)) => outcome.count(format!("{who} refuses it too")),
                (Err(why), Ok(_)) if STRICTER.contains(why) => {
                    outcome.count(format!("{who} reads what we refuse: {why}"));
                }
                (Err(why), Ok(_)) => {
                    let document = String::from_utf8_lossy(&document);
                    outcome.unknown.push(format!("{who} reads what we refuse: {why}\n  {document:?}"));
                }
                (Ok(_), Err(why)) => {
                    outcome.unknown.push(format!("{who} refuses: {why}\n  {:?}", String::from_utf8_lossy(&document)));
                }
                (Ok(own), Ok(theirs)) => outcome.compare(who, &document, &forms, own, &theirs),
            }
        }
    }
    outcome.close();
}
