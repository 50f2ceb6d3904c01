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
}
