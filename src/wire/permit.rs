//! The one table of what may be sent: link, message, in which state, how large. A message without a row
//! here cannot be received by anybody.

/// One direction of a channel. The receiver knows it from the socket it accepted or connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// worker → auth.
    WorkerToAuth,
    /// auth → worker.
    AuthToWorker,
    /// worker → issuer.
    WorkerToIssuer,
    /// issuer → worker.
    IssuerToWorker,
    /// auth → issuer.
    AuthToIssuer,
    /// issuer → auth.
    IssuerToAuth,
    /// issuer → signer.
    IssuerToSigner,
    /// signer → issuer.
    SignerToIssuer,
    /// issuer → audit.
    IssuerToAudit,
    /// audit → issuer.
    AuditToIssuer,
    /// auth → audit.
    AuthToAudit,
    /// audit → auth.
    AuditToAuth,
    /// auth → kerberos.
    AuthToKerberos,
    /// kerberos → auth.
    KerberosToAuth,
}

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing has come yet.
    Opening,
    /// The opening message, where the link has one, has come.
    Open,
}

/// One row.
#[derive(Debug)]
pub struct Permit {
    /// Over which link.
    pub link: Link,
    /// The variant's number in the link's enum.
    pub tag: u8,
    /// Its name, for logs.
    pub name: &'static str,
    /// In which states.
    pub states: &'static [State],
    /// The state afterwards, when it changes.
    pub then: Option<State>,
    /// Octets of the whole message, at most.
    pub cap: usize,
}

const ANY: &[State] = &[State::Opening, State::Open];
const OPENING: &[State] = &[State::Opening];
const OPEN: &[State] = &[State::Open];
const KIB: usize = 1024;

const fn row(link: Link, tag: u8, name: &'static str, states: &'static [State], cap: usize) -> Permit {
    Permit { link, tag, name, states, then: None, cap }
}

const fn opens(link: Link, tag: u8, name: &'static str, cap: usize) -> Permit {
    Permit { link, tag, name, states: OPENING, then: Some(State::Open), cap }
}

/// Every message anybody may send.
pub const PERMITS: &[Permit] = &[
    row(Link::WorkerToAuth, 0, "submit", ANY, KIB * KIB),
    row(Link::AuthToWorker, 0, "vouched", ANY, KIB),
    row(Link::AuthToWorker, 1, "refused", ANY, KIB),
    row(Link::WorkerToIssuer, 0, "redeem", ANY, KIB),
    row(Link::WorkerToIssuer, 1, "handshake", ANY, KIB),
    row(Link::IssuerToWorker, 0, "released", ANY, 260 * KIB),
    row(Link::IssuerToWorker, 1, "failed", ANY, KIB),
    row(Link::IssuerToWorker, 2, "handshake-signed", ANY, KIB),
    row(Link::IssuerToWorker, 3, "handshake-failed", ANY, KIB),
    row(Link::AuthToIssuer, 0, "lodge", ANY, 256 * KIB),
    row(Link::AuthToIssuer, 1, "withdraw", ANY, KIB),
    row(Link::IssuerToAuth, 0, "lodged", ANY, KIB),
    row(Link::IssuerToAuth, 1, "declined", ANY, KIB),
    row(Link::IssuerToSigner, 0, "sign", ANY, KIB),
    row(Link::IssuerToSigner, 1, "draw", ANY, KIB),
    opens(Link::SignerToIssuer, 0, "ready", 256 * KIB),
    row(Link::SignerToIssuer, 1, "signed", OPEN, KIB),
    row(Link::SignerToIssuer, 2, "sign-failed", OPEN, KIB),
    row(Link::SignerToIssuer, 3, "drawn", OPEN, KIB),
    row(Link::SignerToIssuer, 4, "health", OPEN, KIB),
    row(Link::IssuerToAudit, 0, "append", ANY, 256 * KIB),
    opens(Link::AuditToIssuer, 0, "head", KIB),
    row(Link::AuditToIssuer, 1, "durable", OPEN, KIB),
    row(Link::AuditToIssuer, 2, "not-durable", OPEN, KIB),
    row(Link::AuthToAudit, 0, "append", ANY, 64 * KIB),
    opens(Link::AuditToAuth, 0, "head", KIB),
    row(Link::AuditToAuth, 1, "durable", OPEN, KIB),
    row(Link::AuditToAuth, 2, "not-durable", OPEN, KIB),
    row(Link::IssuerToAuth, 2, "redeemed", ANY, KIB),
    row(Link::WorkerToIssuer, 2, "remembered-handshake", ANY, KIB),
    row(Link::AuthToIssuer, 2, "confirm", ANY, KIB),
    row(Link::IssuerToAuth, 3, "confirmed", ANY, KIB),
    row(Link::AuthToIssuer, 3, "unwrap", ANY, KIB),
    row(Link::IssuerToAuth, 4, "unwrapped", ANY, KIB),
    row(Link::IssuerToAuth, 5, "not-unwrapped", ANY, KIB),
    row(Link::WorkerToAuth, 1, "open", ANY, 400 * KIB),
    row(Link::AuthToWorker, 2, "opened", ANY, 400 * KIB),
    row(Link::WorkerToAuth, 2, "seal", ANY, 592 * KIB),
    row(Link::AuthToWorker, 3, "sealed", ANY, 608 * KIB),
    row(Link::IssuerToSigner, 2, "unwrap", ANY, KIB),
    row(Link::SignerToIssuer, 5, "unwrapped", OPEN, KIB),
    row(Link::SignerToIssuer, 6, "unwrap-failed", OPEN, KIB),
    row(Link::AuthToWorker, 4, "negotiated", ANY, 5 * KIB),
    row(Link::AuthToKerberos, 0, "accept", ANY, 65 * KIB),
    row(Link::KerberosToAuth, 0, "accepted", ANY, 8 * KIB),
    row(Link::KerberosToAuth, 1, "not-accepted", ANY, KIB),
    row(Link::WorkerToIssuer, 3, "sign-reply", ANY, KIB),
    row(Link::IssuerToWorker, 4, "reply-signed", ANY, 49 * KIB),
    row(Link::IssuerToWorker, 5, "reply-failed", ANY, KIB),
    row(Link::WorkerToAuth, 3, "seal-for", ANY, 592 * KIB),
    row(Link::AuthToWorker, 5, "sealed-for", ANY, 608 * KIB),
    row(Link::WorkerToAuth, 4, "open-signed", ANY, 320 * KIB),
];

impl Permit {
    /// The row for a variant of a link, if there is one.
    #[must_use]
    pub fn find(link: Link, tag: u8) -> Option<&'static Self> {
        PERMITS.iter().find(|permit| permit.link == link && permit.tag == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_speak_of_the_same_message() {
        for (index, permit) in PERMITS.iter().enumerate() {
            let twin = PERMITS[index + 1..].iter().any(|other| (other.link, other.tag) == (permit.link, permit.tag));
            assert!(!twin, "{permit:?}");
        }
    }
}
