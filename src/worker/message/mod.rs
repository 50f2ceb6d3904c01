//! Type definitions of the message layer.
#![expect(missing_docs, reason = "replaced as a whole by the message layer")]

use crate::config;
use crate::wire::evidence::{Evidence, KeyType, Operation, Refusal, Timestamp, Wish};
use crate::wire::order::{Failure, Release};
use crate::wire::{Correlation, List, Millis, Secret, Text};

#[derive(Debug)]
pub struct Incoming<'a> {
    pub content_type: Option<&'a str>,
    pub soap_action: Option<&'a str>,
    pub body: &'a [u8],
}

#[derive(Debug)]
pub struct Request {
    pub evidence: Evidence,
    pub timestamp: Option<Timestamp>,
    pub wish: Wish,
}

impl Request {
    #[must_use]
    pub fn into_parts(self) -> (Shape, Evidence, Option<Timestamp>, Wish) {
        (Shape, self.evidence, self.timestamp, self.wish)
    }
}

#[derive(Debug)]
pub struct Shape;

impl Shape {
    #[must_use]
    pub fn released(&self, release: &Release, _: Millis) -> Reply {
        Reply {
            status: 200,
            content_type: "application/soap+xml; charset=utf-8",
            body: release.token.to_vec(),
            retry_after_s: None,
        }
    }

    #[must_use]
    pub fn fault(&self, fault: Fault, _: Correlation, _: Millis) -> Reply {
        let retry_after_s = if let Fault::Busy { retry_after_s } = fault { Some(retry_after_s) } else { None };
        Reply {
            status: 500,
            content_type: "application/soap+xml; charset=utf-8",
            body: format!("{fault:?}").into(),
            retry_after_s,
        }
    }
}

#[derive(Debug)]
pub struct Rejection;

impl Rejection {
    #[must_use]
    pub fn reply(&self, _: Correlation, _: Millis) -> Reply {
        Reply {
            status: 400,
            content_type: "application/soap+xml; charset=utf-8",
            body: b"rejected".to_vec(),
            retry_after_s: None,
        }
    }

    #[must_use]
    pub fn reason(&self) -> &'static str {
        "unreadable"
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    pub retry_after_s: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    FailedAuthentication,
    Busy { retry_after_s: u16 },
    RequestFailed,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy { retry_after_s } => Self::Busy { retry_after_s },
            Refusal::FailedAuthentication => Self::FailedAuthentication,
            _ => Self::RequestFailed,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable { retry_after_s } => Self::Busy { retry_after_s },
            _ => Self::RequestFailed,
        }
    }
}

/// # Errors
/// Anything that does not begin with `<`.
pub fn read(_: &config::worker::Endpoint, incoming: &Incoming<'_>) -> Result<Request, Rejection> {
    if !incoming.body.starts_with(b"<") {
        return Err(Rejection);
    }
    Ok(Request {
        evidence: Evidence::Password {
            username: Text::new("alice").map_err(|_| Rejection)?,
            password: Secret::new(*b"secret").map_err(|_| Rejection)?,
        },
        timestamp: None,
        wish: Wish {
            operation: Operation::Issue,
            applies_to: None,
            token_type: None,
            key_type: Some(KeyType::Bearer),
            key_size: None,
            claims: List::default(),
            lifetime: None,
        },
    })
//! SOAP and WS-Trust, as pure functions: octets in, a typed request out; a typed answer in, octets out. No
//! input or output, no clock, and no decision about who somebody is: every value goes on to auth as it came.
//!
//! What a client gets wrong and is let through with is a [`Leniency`], switched in the endpoint's
//! configuration and counted; everything else that is wrong is a [`Rejection`].
mod addressing;
mod envelope;
mod fault;
mod identifiers;
mod instant;
mod media;
mod rejection;
mod reply;
mod rst;
mod security;
mod shape;
#[cfg(test)]
mod tests;
pub use crate::config::worker::Leniency;
pub use fault::Fault;
pub use rejection::Rejection;
pub use shape::Shape;
use crate::config::worker::Endpoint;
use crate::wire::evidence::{Evidence, Timestamp, Wish};
use crate::xml::{Limits, Tree};
/// The largest message that is looked at. The front's own limit on a body is at most this.
const OCTETS: usize = 1024 * 1024;
/// What came over HTTP.
    /// `Content-Type`, as it came.
    /// `SOAPAction`, as it came, quotation marks included.
    /// The body.
/// A request for a token that keeps to the grammar. Nothing in it has been believed yet (R-T009).
    shape: Shape,
    evidence: Evidence,
    timestamp: Option<Timestamp>,
    wish: Wish,
    /// What the reply needs, and what auth needs.
        (self.shape, self.evidence, self.timestamp, self.wish)
/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
    /// The status code.
    /// `Content-Type`.
    /// `Retry-After`, seconds.
/// Reads one message sent to `endpoint`.
///
/// [`Rejection`], which knows how to answer in the client's own dialect as far as that was understood.
pub fn read(endpoint: &Endpoint, incoming: &Incoming<'_>) -> Result<Request, Rejection> {
    let mut shape = Shape::new(endpoint, incoming.content_type);
    match parts(endpoint, incoming, &mut shape) {
        Ok((evidence, timestamp, wish)) => Ok(Request { shape, evidence, timestamp, wish }),
        Err(problem) => Err(Rejection::new(shape, problem)),
fn parts(
    endpoint: &Endpoint,
    incoming: &Incoming<'_>,
    shape: &mut Shape,
) -> Result<(Evidence, Option<Timestamp>, Wish), rejection::Problem> {
    let media = media::read(incoming.content_type)?;
    let limits = Limits { octets: OCTETS, ..Limits::default() };
    let tree = Tree::parse(incoming.body, &limits).map_err(rejection::Problem::unreadable)?;
    let envelope = envelope::read(&tree, shape)?;
    media.agrees_with(endpoint, shape)?;
    let action = addressing::read(&envelope, endpoint, shape)?;
    let action = addressing::reconcile(action, &[incoming.soap_action, media.action()])?;
    let (evidence, timestamp) = security::read(&tree, &envelope, endpoint, shape)?;
    let wish = rst::read(envelope.body, action.as_deref(), endpoint, shape)?;
    Ok((evidence, timestamp, wish))
}
