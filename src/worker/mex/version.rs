//! What differs between the two versions of WS-Trust, as a description has it.

use crate::trust::identifiers;
use crate::xml::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) trust: &'static str,
    pub(super) identifiers: identifiers::Trust,
    pub(super) prefix: &'static str,
    pub(super) port_type: &'static str,
    pub(super) operation: &'static str,
    pub(super) answer: &'static str,
    pub(super) answer_action: &'static str,
    pub(super) policy: &'static str,
    /// How the user name is asked for: 1.3 clients look for the one, 2005 clients for the other.
    pub(super) supporting: &'static str,
    pub(super) trust_assertion: &'static str,
}

pub(super) const V2005: Version = Version {
    trust: names::WST05,
    identifiers: identifiers::Trust::V2005,
    prefix: "t",
    port_type: "IWSTrustFeb2005Async",
    operation: "TrustFeb2005IssueAsync",
    answer: "RequestSecurityTokenResponse",
    answer_action: "/RSTR/Issue",
    policy: names::SP11,
    supporting: "sp:SignedSupportingTokens",
    trust_assertion: "sp:Trust10",
};

pub(super) const V13: Version = Version {
    trust: names::WST13,
    identifiers: identifiers::Trust::V13,
    prefix: "trust",
    port_type: "IWSTrust13Async",
    operation: "Trust13IssueAsync",
    answer: "RequestSecurityTokenResponseCollection",
    answer_action: "/RSTRC/IssueFinal",
    policy: names::SP12,
    supporting: "sp:SignedEncryptedSupportingTokens",
    trust_assertion: "sp:Trust13",
};
