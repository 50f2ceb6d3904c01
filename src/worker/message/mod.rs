//! SOAP and WS-Trust, as pure functions: octets in, a typed request out; a typed answer in, octets out. No
//! input or output, no clock, and no decision about who somebody is: every value goes on to auth as it came.
//!
//! What a client gets wrong and is let through with is a [`Leniency`], switched in the endpoint's
//! configuration and counted; everything else that is wrong is a [`Rejection`].

mod addressing;
mod asserted;
mod certified;
mod earlier;
mod envelope;
mod fault;
mod inquiry;
mod jwt;
mod keyed;
mod media;
mod not_understood;
mod opened;
mod outside;
mod protected;
mod rejection;
mod reply;
mod request;
mod sealed;
mod security;
mod session;
mod shape;
mod signed;
#[cfg(test)]
mod tests;
mod ticket;
mod written;

pub use crate::config::worker::Leniency;
pub use certified::Unsigned;
pub use fault::Fault;
pub use inquiry::{Description, Inquiry, OCTETS as INQUIRY, inquire};
pub use opened::{Were, Whole};
pub use protected::{Protected, Unanswerable};
pub use rejection::Rejection;
pub use sealed::{Question, Sealed, Within, sealed};
pub use shape::Shape;

use earlier::Before;

use crate::config::worker::{Credential, Endpoint, Replies};
use crate::trust::request::UNPROVEN;
use crate::wire::evidence::{ClientHandshake, Evidence, Negotiation, SignedMessage, Timestamp, Wish};
use crate::xml::{Limits, Tree};

/// The largest message that is looked at. The front's own limit on a body is at most this.
const OCTETS: usize = 1024 * 1024;

/// What came over HTTP.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// `Content-Type`, as it came.
    pub content_type: Option<&'a str>,
    /// `SOAPAction`, as it came, quotation marks included.
    pub soap_action: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// A request for a token that keeps to the grammar. Nothing in it has been believed yet (R-T009).
#[derive(Debug)]
pub struct Request {
    shape: Shape,
    evidence: Evidence,
    timestamp: Option<Timestamp>,
    wish: Wish,
}

impl Request {
    /// What the reply needs, and what auth needs.
    #[must_use]
    pub fn into_parts(self) -> (Shape, Evidence, Option<Timestamp>, Wish) {
        (self.shape, self.evidence, self.timestamp, self.wish)
    }

    /// The same, of which this was sealed.
    #[must_use]
    pub fn sealed(mut self, were: Were) -> Self {
        self.shape.were_sealed(were);
        self
    }

    /// What the client called its message, cut to 128 octets: for the log.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.shape.logged_id()
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// `Retry-After`, seconds.
    pub retry_after_s: Option<u16>,
}

/// Reads one message sent to `endpoint`.
///
/// # Errors
/// [`Rejection`], which knows how to answer in the client's own dialect as far as that was understood.
pub fn read(endpoint: &Endpoint, incoming: &Incoming<'_>) -> Result<Request, Rejection> {
    read_of(Around::default(), endpoint, incoming)
}

/// What proves a client and is not in the message.
#[derive(Debug, Default)]
pub struct Around<'a> {
    /// The handshake of the connection, where its client proved a certificate.
    pub client: Option<&'a ClientHandshake>,
    /// What the head of the request negotiates by.
    pub negotiation: Option<Negotiation>,
    /// SHA-256 of the certificate that the client was shown.
    pub server: [u8; 32],
    /// What was signed of the message as it came, where auth has verified that before it was opened.
    pub signed: Option<SignedMessage>,
    /// The message before its body was opened, where that was sealed and auth has verified nothing.
    pub earlier: Option<&'a str>,
}

/// Reads one message sent to `endpoint`, with what is around it.
///
/// # Errors
/// As [`read`].
pub fn read_of(around: Around<'_>, endpoint: &Endpoint, incoming: &Incoming<'_>) -> Result<Request, Rejection> {
    let mut shape = Shape::new(endpoint, incoming.content_type);
    match parts(around, endpoint, incoming, &mut shape) {
        Ok((evidence, timestamp, wish)) => Ok(Request { shape, evidence, timestamp, wish }),
        Err(problem) => Err(Rejection::new(shape, problem)),
    }
}

fn parts(
    around: Around<'_>,
    endpoint: &Endpoint,
    incoming: &Incoming<'_>,
    shape: &mut Shape,
) -> Result<(Evidence, Option<Timestamp>, Wish), rejection::Problem> {
    let media = media::read(incoming.content_type)?;
    let limits = Limits { octets: OCTETS, ..Limits::default() };
    let tree = Tree::parse(incoming.body, &limits).map_err(rejection::Problem::unreadable)?;
    let envelope = envelope::read(&tree, shape)?;
    media.agrees_with(endpoint, shape)?;
    let action = addressing::read(&envelope.headers, endpoint, shape)?;
    let action = addressing::reconcile(action, &[incoming.soap_action, media.action()])?;
    let (evidence, timestamp, signature) = match endpoint.credential {
        Credential::TlsCertificate => {
            let timestamp = outside::read(&tree, &envelope, endpoint, shape)?;
            (outside::connected(around.client)?, timestamp, None)
        }
        Credential::Kerberos => {
            let timestamp = outside::read(&tree, &envelope, endpoint, shape)?;
            (outside::negotiated(around.negotiation)?, timestamp, None)
        }
        Credential::UsernameSymmetric => {
            let (evidence, timestamp) = keyed::read(&tree, &envelope, endpoint, shape, around.earlier)?;
            (evidence, Some(timestamp), None)
        }
        _ => {
            let before = Before::of(around.signed, around.earlier, shape);
            security::read(&tree, &envelope, endpoint, shape, (around.client, around.server, before))?
        }
    };
    if let (Evidence::Signature(message), Replies::Signed | Replies::Sealed) = (&evidence, endpoint.replies) {
        let confirmed = endpoint.signature_confirmation.then(|| message.value.to_vec());
        let seals = endpoint.replies == Replies::Sealed;
        shape.certified = Some(Box::new(certified::Certified { confirmed, seals, were: Were::default() }));
    }
    let wish = request::read(envelope.body, action.as_deref(), endpoint, shape)?;
    if wish.use_key.as_deref().is_some_and(|id| signature.as_deref() != Some(id)) {
        return Err(UNPROVEN.into());
    }
    Ok((evidence, timestamp, wish))
}
