//! The question for a description by SOAP: Get of WS-Transfer, and GetMetadata of WS-MetadataExchange, both of 2004/09
//! (R-P020). Who asks proves nothing, so nothing is read but the few elements of the question, and the answer is the
//! document that GET has, as it was written when this process began.

use super::envelope::{self, Opened};
use super::fault::Fault;
use super::rejection::{Problem, Rejection};
use super::shape::Shape;
use super::{Incoming, Leniency, Reply, addressing, media, not_understood, reply};
use crate::config::worker::{Credential, Endpoint, Profile, Replies, Trust};
use crate::wire::{Correlation, Millis};
use crate::xml::chars::trim;
use crate::xml::{Element, Limits, Tree, names};

const GET: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
const GET_RESPONSE: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse";
const GET_METADATA: &str = "http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Request";
const GET_METADATA_RESPONSE: &str = "http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Response";

/// The largest question: some headers of addressing, and two names.
pub const OCTETS: usize = 16 * 1024;

/// A description, and how it is told from others.
#[derive(Debug, Clone)]
pub struct Description {
    /// A WSDL, without an XML declaration: it stands inside of a message, too.
    pub wsdl: String,
    /// Its target namespace.
    pub identifier: &'static str,
}

/// A question that keeps to the grammar.
#[derive(Debug)]
pub struct Inquiry {
    shape: Shape,
    wanted: Wanted,
}

/// What is asked for.
#[derive(Debug)]
enum Wanted {
    /// The description.
    All,
    /// What is of this dialect and has this name, where they are said.
    Some { dialect: Option<String>, identifier: Option<String> },
}

impl Wanted {
    fn action(&self) -> &'static str {
        match self {
            Self::All => GET_RESPONSE,
            Self::Some { .. } => GET_METADATA_RESPONSE,
        }
    }

    fn has(&self, description: &Description) -> bool {
        match self {
            Self::All => true,
            Self::Some { dialect, identifier } => {
                dialect.as_ref().is_none_or(|dialect| dialect == names::WSDL)
                    && identifier.as_ref().is_none_or(|identifier| identifier == description.identifier)
            }
        }
    }
}

impl Inquiry {
    /// The answer. It has no section where what we have is not what was asked for.
    #[must_use]
    pub fn answer(&self, description: &Description, correlation: Correlation, now: Millis) -> Reply {
        let section = self.wanted.has(description).then_some(description);
        reply::described(&self.shape, self.wanted.action(), section, correlation, now)
    }

    /// What was tolerated, for its counters.
    #[must_use]
    pub fn leniencies(&self) -> &[Leniency] {
        self.shape.leniencies()
    }
}

/// Reads a question for a description.
///
/// # Errors
/// [`Rejection`], which knows how to answer.
pub fn inquire(incoming: &Incoming<'_>) -> Result<Inquiry, Rejection> {
    let rules = rules();
    let mut shape = Shape::new(&rules, incoming.content_type);
    match wanted(&rules, incoming, &mut shape) {
        Ok(wanted) => Ok(Inquiry { shape, wanted }),
        Err(problem) => Err(Rejection::new(shape, problem)),
    }
}

/// A description has no endpoint of its own. The standards' clients ask, whatever it describes: an answer as AD FS
/// writes them would have a security header, which these do not expect. The action may be in the head alone.
fn rules() -> Endpoint {
    Endpoint {
        path: String::new(),
        profile: Profile::Generic,
        trust: Trust::Any,
        credential: Credential::Any,
        leniencies: Some(vec![Leniency::AddressingAbsent]),
        encryption: false,
        signature_confirmation: false,
        replies: Replies::Plain,
    }
}

fn wanted(rules: &Endpoint, incoming: &Incoming<'_>, shape: &mut Shape) -> Result<Wanted, Problem> {
    let media = media::read(incoming.content_type)?;
    let limits = Limits { octets: OCTETS, depth: 16, nodes: 256, value: 1024, ..Limits::default() };
    let tree = Tree::parse(incoming.body, &limits).map_err(Problem::unreadable)?;
    let opened = envelope::open(&tree, shape)?;
    media.agrees_with(rules, shape)?;
    unsecured(&opened, shape)?;
    let action = addressing::read(&opened.headers, rules, shape)?;
    let action = addressing::reconcile(action, &[incoming.soap_action, media.action()])?;
    let body = opened.body;
    match action.as_deref() {
        Some(GET) if body.children().next().is_none() && body.holds_only_elements() => Ok(Wanted::All),
        Some(GET) => Err(malformed("metadata: not an empty body")),
        Some(GET_METADATA) => filtered(body),
        Some(_) => Err(Problem::new(Fault::ActionNotSupported, "metadata: unknown action")),
        None => Err(Problem::new(Fault::AddressingRequired, "metadata: no action")),
    }
}

/// Nobody looks into a security header here, so none is understood.
fn unsecured(opened: &Opened<'_>, shape: &mut Shape) -> Result<(), Problem> {
    for block in opened.headers.iter().filter(|block| block.is(names::WSSE, "Security")) {
        if envelope::mandatory(*block, shape.soap)? {
            shape.not_understood = not_understood::named([*block]);
            return Err(Problem::new(Fault::MustUnderstand, "metadata: mandatory security header"));
        }
    }
    Ok(())
}

fn malformed(reason: &'static str) -> Problem {
    Problem::new(Fault::Malformed, reason)
}

/// `mex:GetMetadata`: a dialect, then an identifier, both of which may be left out.
fn filtered(body: Element<'_>) -> Result<Wanted, Problem> {
    let bad = || malformed("metadata: bad question");
    let question = envelope::only(body).filter(|question| question.is(names::MEX, "GetMetadata")).ok_or_else(bad)?;
    if !question.holds_only_elements() {
        return Err(bad());
    }
    let mut children = question.children().peekable();
    let mut one = |name| {
        let child = children.next_if(|child| child.is(names::MEX, name))?;
        Some(child.text().map(|text| trim(text).to_owned()).ok_or_else(bad))
    };
    let dialect = one("Dialect").transpose()?;
    let identifier = one("Identifier").transpose()?;
    match children.next() {
        None => Ok(Wanted::Some { dialect, identifier }),
        Some(_) => Err(bad()),
    }
}
