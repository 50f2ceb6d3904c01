//! Four implementations behind one question: is this a document, and what are its canonical forms? libxml2 answers
//! from a process of its own, for it is C; the others are called.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64ct::{Base64, Encoding};
use bergshamra_c14n::C14nMode;
use bergshamra_xml::nodeset::NodeSet;
use chancery::xml::{Limits, Malformed, Method, PrefixList, Tree, Uncanonical};
use xml_sec::c14n::C14nAlgorithm;
use xml_sec::{Node, XmlDocument};

use crate::documents::{APEX, GONE};

/// A canonical form that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Its identifier.
    pub algorithm: &'static str,
    /// `PrefixList`, for the exclusive ones.
    pub prefixes: &'static str,
}

/// The identifiers, as libxml2 counts them: two of each, the second with comments.
pub const ALGORITHMS: [&str; 6] = [
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/2006/12/xml-c14n11",
    "http://www.w3.org/2006/12/xml-c14n11#WithComments",
];

/// What somebody makes of a document: why it is none, or each form that was asked for, where there is one.
pub type Verdict<E = String> = Result<Vec<Option<Vec<u8>>>, E>;

/// Ours.
///
/// # Errors
/// Why it is no document.
pub fn ours(document: &[u8], forms: &[Form]) -> Verdict<Malformed> {
    let tree = Tree::parse(document, &Limits::default())?;
    let marked = |name| tree.elements().find(|element| element.attribute("", name).is_some());
    let apex = marked(APEX).unwrap_or(tree.root());
    let gone = marked(GONE).map(|element| element.id());
    let octets = |form: &Form| {
        let method = Method::named(form.algorithm)?;
        let method = match form.prefixes {
            "" => method,
            list => method.with_prefixes(PrefixList::parse(list)?)?,
        };
        match apex.canonical(&method, gone, 1 << 24) {
            Ok(text) => Some(text.as_bytes().to_vec()),
            Err(Uncanonical::Base | Uncanonical::TooLarge) => None,
        }
    };
    Ok(forms.iter().map(octets).collect())
}

/// bergshamra, on uppsala, which reads no document type here.
///
/// # Errors
/// Why it is no document.
pub fn bergshamra(document: &[u8], forms: &[Form]) -> Verdict {
    let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
    let parsed = uppsala::Parser::new().with_forbid_dtd(true).parse(text).map_err(|error| error.to_string())?;
    let root = parsed.document_element().ok_or("no element")?;
    let apex = marked(&parsed, root, APEX).unwrap_or(root);
    let gone = marked(&parsed, root, GONE).filter(|gone| *gone != apex);
    let octets = |form: &Form| {
        let mode = C14nMode::from_uri(form.algorithm)?;
        let mut set = NodeSet::tree_with_comments(apex, &parsed);
        if let Some(gone) = gone.filter(|gone| within(&parsed, *gone, apex)) {
            set = set.subtract(&NodeSet::tree_with_comments(gone, &parsed));
        }
        let prefixes: Vec<&str> = form.prefixes.split_ascii_whitespace().collect();
        bergshamra_c14n::canonicalize_doc(&parsed, mode, Some(&set), &prefixes).ok()
    };
    Ok(forms.iter().map(octets).collect())
}

/// The first element in document order with this attribute.
fn marked(document: &uppsala::Document<'_>, from: uppsala::NodeId, name: &str) -> Option<uppsala::NodeId> {
    let of_no_namespace = |element: &uppsala::Element<'_>| {
        element.attributes.iter().any(|attribute| attribute.name.prefix.is_none() && attribute.name.local_name == name)
    };
    if document.element(from).is_some_and(of_no_namespace) {
        return Some(from);
    }
    document.children(from).into_iter().find_map(|child| marked(document, child, name))
}

fn within(document: &uppsala::Document<'_>, inner: uppsala::NodeId, outer: uppsala::NodeId) -> bool {
    std::iter::successors(Some(inner), |node| document.parent(*node)).any(|node| node == outer)
}

/// xml-sec, on xmloxide.
///
/// # Errors
/// Why it is no document.
pub fn xml_sec(document: &[u8], forms: &[Form]) -> Verdict {
    let parsed = XmlDocument::parse_bytes(document).map_err(|error| error.to_string())?;
    parsed.with_view(|view| {
        let document = view.document();
        let marked = |name: &str| document.descendants().find(|node| node.attribute(name).is_some());
        let apex = marked(APEX).unwrap_or(document.root_element()).id();
        let below = |node: &Node<'_, '_>| node.id() != apex && node.ancestors().any(|above| above.id() == apex);
        let gone = marked(GONE).filter(below).map(|node| node.id());
        let visible = |node: Node<'_, '_>| {
            let within = |id| node.ancestors().any(|node| node.id() == id);
            within(apex) && !gone.is_some_and(within)
        };
        let octets = |form: &Form| {
            let algorithm = C14nAlgorithm::from_uri(form.algorithm)?.with_prefix_list(form.prefixes);
            let mut out = Vec::new();
            xml_sec::c14n::canonicalize(document, Some(&visible), &algorithm, &mut out).ok()?;
            Some(out)
        };
        Ok(forms.iter().map(octets).collect())
    })
}

/// libxml2, in a Python that calls it.
#[derive(Debug)]
pub struct Libxml2 {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Libxml2 {
    /// Starts it; `None` where there is no Python or no libxml2.
    #[must_use]
    pub fn start() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("libxml2.py");
        let mut command = Command::new("python3");
        command.arg("-B").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().ok()?;
        let questions = process.stdin.take()?;
        let mut answers = BufReader::new(process.stdout.take()?);
        let mut hello = String::new();
        let came = answers.read_line(&mut hello).is_ok() && hello.starts_with("libxml2 ");
        came.then(|| {
            print!("{hello}");
            Self { process, questions, answers }
        })
    }

    /// As the others.
    ///
    /// # Errors
    /// That it is no document.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn ask(&mut self, document: &[u8], forms: &[Form]) -> Verdict {
        let mut question = Base64::encode_string(document);
        for form in forms {
            let number = ALGORITHMS.iter().position(|known| *known == form.algorithm).expect("one of the six");
            question += &format!("\t{number} {}", form.prefixes);
        }
        writeln!(self.questions, "{question}").expect("libxml2 listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("libxml2 answers");
        match answer.trim_end_matches('\n') {
            "" => panic!("libxml2 is gone"),
            refused if refused.starts_with('!') => Err(refused[1..].to_owned()),
            octets => {
                Ok(octets.split('\t').map(|text| Base64::decode_vec(text).ok().filter(|it| !it.is_empty())).collect())
            }
        }
    }
}

impl Drop for Libxml2 {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}
