//! A message that was refused before auth saw it: the fault the client gets, and the reason we log.

use super::fault::Fault;
use super::shape::Shape;
use super::{Leniency, Reply};
use crate::trust::{Kind, Wrong};
use crate::wire::{Correlation, Millis};
use crate::xml::Malformed;

/// Why a message was refused, without what is needed to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) fault: Fault,
    pub(super) reason: &'static str,
    /// The HTTP status, when it is not the one every fault has.
    pub(super) status: Option<u16>,
}

impl Problem {
    pub(super) fn new(fault: Fault, reason: &'static str) -> Self {
        Self { fault, reason, status: None }
    }

    /// Not XML as we take it. The client learns no more than that (R-T143).
    pub(super) fn unreadable(why: Malformed) -> Self {
        let reason = match why {
            Malformed::TooLarge(_) => "xml: too large",
            Malformed::Encoding => "xml: not utf-8",
            Malformed::DocumentType => "xml: document type declaration",
            Malformed::Instruction => "xml: processing instruction",
            Malformed::Reference => "xml: bad reference",
            Malformed::Namespace => "xml: bad namespace",
            Malformed::DuplicateAttribute => "xml: duplicate attribute",
            _ => "xml: not well-formed",
        };
        Self { fault: Fault::Malformed, reason, status: Some(400) }
    }

    pub(super) fn media(reason: &'static str) -> Self {
        Self { fault: Fault::Malformed, reason, status: Some(415) }
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        let fault = match wrong.kind {
            Kind::Invalid => Fault::InvalidRequest,
            Kind::Unsupported => Fault::BadRequest,
            Kind::Scope => Fault::InvalidScope,
            Kind::TimeRange => Fault::InvalidTimeRange,
            Kind::Security => Fault::InvalidSecurity,
        };
        Self::new(fault, wrong.reason)
    }
}

/// A refused message.
#[derive(Debug)]
pub struct Rejection {
    shape: Box<Shape>,
    problem: Problem,
}

impl Rejection {
    pub(super) fn new(shape: Shape, problem: Problem) -> Self {
        Self { shape: Box::new(shape), problem }
    }

    /// The answer, as far as possible in the versions the client used.
    #[must_use]
    pub fn reply(&self, correlation: Correlation, now: Millis) -> Reply {
        let reply = self.shape.fault(self.problem.fault, correlation, now);
        Reply { status: self.problem.status.unwrap_or(reply.status), ..reply }
    }

    /// For the log and the counter: one of a small fixed set, nothing of the client's wording.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.problem.reason
    }

    /// The fault in the answer.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.problem.fault
    }

    /// What the client called its message, cut to 128 octets, as far as the message was read: for the log.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.shape.logged_id()
    }

    /// What was tolerated before the refusal.
    #[must_use]
    pub fn leniencies(&self) -> &[Leniency] {
        self.shape.leniencies()
    }
}
