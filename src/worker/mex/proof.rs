//! What proves a client at a port, and by which name clients look for such a port.

use std::iter::StepBy;
use std::ops::RangeFrom;

use super::version::{V13, V2005, Version};
use crate::config::worker::{Credential, Endpoint, Replies};

/// What proves a client at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// A user name token.
    UserName,
    /// The certificate of the TLS connection.
    Certificate,
    /// A ticket of Kerberos, by HTTP Negotiate.
    Ticket,
    /// A ticket of Kerberos in the message, and a MAC by its key.
    TicketToken,
    /// A signature of the message, by the key of a certificate.
    Signature,
    /// What somebody else issued: an assertion, or a token of this type.
    Issued(Option<&'static str>),
    /// A user name token under a MAC, by a key that is sealed for us.
    Symmetric {
        /// Does the answer repeat the MAC?
        confirms: bool,
    },
    /// A signature of the message, where the answer has one of ours.
    Asymmetric {
        /// Does the answer repeat the client's?
        confirms: bool,
        /// Are both sealed for the other?
        seals: bool,
    },
}

impl Proof {
    /// At this endpoint. One that takes any is known by the user name: which others it takes is auth's to say, and
    /// clients choose a port by its address.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        match endpoint.credential {
            Credential::Username | Credential::Any => Self::UserName,
            Credential::TlsCertificate => Self::Certificate,
            Credential::Kerberos => Self::Ticket,
            Credential::KerberosToken => Self::TicketToken,
            Credential::Signature if endpoint.replies == Replies::Plain => Self::Signature,
            Credential::Signature => Self::Asymmetric {
                confirms: endpoint.signature_confirmation,
                seals: endpoint.replies == Replies::Sealed,
            },
            Credential::Saml => Self::Issued(None),
            Credential::Jwt => Self::Issued(Some("urn:ietf:params:oauth:token-type:jwt")),
            Credential::UsernameSymmetric => Self::Symmetric { confirms: endpoint.signature_confirmation },
        }
    }

    /// A name, and the numbers behind it for one endpoint after the other; 0 is none. The first has one where the
    /// certificate is the connection's, for without one that is the name of AD FS's certificatemixed. AD FS has one
    /// name for both ways that a ticket comes: its windowstransport is without a number in 2005, and its kerberosmixed
    /// in 1.3, and each has every other number.
    pub(super) fn named(self, version: &Version) -> (&'static str, StepBy<RangeFrom<usize>>) {
        let (name, first, step) = match self {
            Self::UserName => ("UserNameWSTrust", 0, 1),
            Self::Certificate => ("CertificateWSTrust", 1, 1),
            Self::Ticket => ("Custom", usize::from(*version == V13), 2),
            Self::TicketToken => ("Custom", usize::from(*version == V2005), 2),
            Self::Signature => ("CertificateWSTrust", 0, 1),
            Self::Issued(_) => ("IssuedTokenWSTrust", 0, 1),
            Self::Symmetric { .. } => ("SymmetricWSTrust", 0, 1),
            Self::Asymmetric { .. } => ("AsymmetricWSTrust", 0, 1),
        };
        (name, (first..).step_by(step))
    }

    /// Is it in the message, and with it a timestamp?
    pub(super) fn by_message(self) -> bool {
        !matches!(self, Self::Certificate | Self::Ticket)
    }
}
