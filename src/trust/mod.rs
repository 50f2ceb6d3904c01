//! What elements of WS-Trust and WS-Security say, as values. The worker reads a message with this, and auth
//! reads with the same code what a signature covers, so that the two cannot understand it differently.
//!
//! Nothing here knows who sends a message or whether any of it is true.

pub mod binary;
pub mod identifiers;
pub mod instant;
pub mod parts;
pub mod recipient;
pub mod request;
pub mod timestamp;
pub mod username;

/// What some client writes though the standards do not have it. Whoever reads says what is let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// An element or attribute of nobody's in a request.
    UnknownElement,
    /// `wst:Delegatable` true, taken for false.
    Delegatable,
    /// `Id` without its namespace on `wsu:Timestamp`.
    UnqualifiedTimestampId,
}

/// Says whether an oddity is let pass.
pub type Pass<'a> = &'a mut dyn FnMut(Oddity) -> bool;

/// What is wrong, as the standards divide it (R-T141).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `wst:InvalidRequest`.
    Invalid,
    /// `wst:BadRequest`: understood, and not offered.
    Unsupported,
    /// `wst:InvalidScope`.
    Scope,
    /// `wst:InvalidTimeRange`.
    TimeRange,
    /// `wsse:InvalidSecurity`.
    Security,
}

/// Why an element cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// What a client may know.
    pub kind: Kind,
    /// For our log: one of a small fixed set, nothing of the client's wording.
    pub reason: &'static str,
}

impl Wrong {
    pub(crate) const fn new(kind: Kind, reason: &'static str) -> Self {
        Self { kind, reason }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for Wrong {}

/// Lets an oddity pass or not.
fn tolerate(pass: Pass<'_>, oddity: Oddity, otherwise: Wrong) -> Result<(), Wrong> {
    if pass(oddity) { Ok(()) } else { Err(otherwise) }
}
