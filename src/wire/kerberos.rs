//! What auth and kerberos tell each other of a client's ticket. kerberos is asked about one request at a time and says
//! what its library found; whether that is enough, and for whom, is auth's to say.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{Octets, Text};
use super::evidence::MOST_NEGOTIATED_OCTETS;
use super::ids::Millis;
use super::unwrap::SessionKey;

/// A client's `AP-REQ` (RFC 4120 5.5.1), and what it should be bound to.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Presented {
    /// Chosen by auth, comes back in the answer.
    pub question: u64,
    /// DER.
    pub request: Octets<MOST_NEGOTIATED_OCTETS>,
    /// The application data of the channel bindings (RFC 4121 4.1.1.2).
    pub bindings: Octets<128>,
    /// May it be made for anybody and not for GSS-API, so that it says nothing of channel bindings?
    pub bare: bool,
    /// Is the key asked for that the client shares with us by it?
    pub keyed: bool,
}

/// A ticket for one of our services that proves whoever sent it.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct AcceptedTicket {
    /// The client's name, its components with a stroke between them. No component has one, nor an `@`.
    pub name: Text<256>,
    /// The client's realm.
    pub realm: Text<256>,
    /// When the client proved himself to his KDC.
    pub authenticated: Millis,
    /// When the ticket ends.
    pub expires: Millis,
    /// Is it bound to the connection, by the bindings that were given? Where the client has bound it to something else,
    /// it is not accepted.
    pub bound: bool,
    /// `AP-REP`, DER, where the client wants to know who we are.
    pub reply: Option<Octets<2048>>,
    /// The sub-session key that the client has chosen, else the session key of the ticket; where it was asked for.
    pub key: Option<SessionKey>,
}

/// Why a ticket is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum NotAccepted {
    /// The library's replay cache knows it.
    Replayed,
    /// The ticket, or what was made with it, is past or of the future.
    Dates,
    /// For a service, or by a key, that is not ours.
    OtherService,
    /// Bound to another connection.
    Binding,
    /// Anything else.
    Refused,
}
