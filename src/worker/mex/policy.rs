//! What a client has to do at a port, in the words of WS-SecurityPolicy.

use super::Port;
use super::proof::Proof;
use super::version::Version;
use crate::wire::evidence::{AddressingHeader, KeyType};
use crate::xml::{Writer, names};

/// How CXF is told that its user says what a suite consists of: none that has a name seals by AES-GCM.
pub(super) const CXF_POLICY: &str = "http://cxf.apache.org/custom/security-policy";
/// How AD FS says that a client negotiates, in a policy.
pub(super) const HTTP_POLICY: &str = "http://schemas.microsoft.com/ws/06/2004/policy/http";

/// Writes the policy of a port.
pub(super) fn policy(writer: &mut Writer, port: &Port) {
    // AD FS describes windowstransport by the older version in both.
    let sp = if port.proof == Proof::Ticket { names::SP11 } else { port.version.policy };
    writer.open("wsp:Policy").attribute("wsu:Id", &format!("{}_policy", port.name));
    writer.open("wsp:ExactlyOne").open("wsp:All");
    if port.proof == Proof::Ticket {
        writer.open("http:NegotiateAuthentication").namespace("http", HTTP_POLICY).close();
    }

    match port.proof {
        Proof::Symmetric { .. } => symmetric(writer, sp),
        Proof::Asymmetric { seals, .. } => asymmetric(writer, sp, seals),
        _ => transport(writer, port, sp),
    }
    if port.proof.by_message() {
        // Where both sign, its signature is all that proves the client.
        if !matches!(port.proof, Proof::Asymmetric { .. }) {
            supporting(writer, port, sp);
        }
        standards(writer, port, sp);
    }
    writer.open("wsaw:UsingAddressing").close();
    writer.close().close().close();
}

/// TLS keeps the message.
fn transport(writer: &mut Writer, port: &Port, sp: &'static str) {
    writer.open("sp:TransportBinding").namespace("sp", sp).open("wsp:Policy");
    writer.open("sp:TransportToken").open("wsp:Policy").open("sp:HttpsToken");
    let asked = port.proof == Proof::Certificate;
    if sp == names::SP11 {
        writer.attribute("RequireClientCertificate", if asked { "true" } else { "false" });
    } else if asked {
        writer.open("wsp:Policy").open("sp:RequireClientCertificate").close().close();
    }
    writer.close().close().close();
    choice(writer, "sp:AlgorithmSuite", "sp:Basic256Sha256");
    choice(writer, "sp:Layout", "sp:Strict");
    if port.proof.by_message() {
        writer.open("sp:IncludeTimestamp").close();
    }
    writer.close().close();
}

/// A key that is sealed for us signs and seals in both directions; TLS is around it besides.
fn symmetric(writer: &mut Writer, sp: &'static str) {
    writer.open("sp:SymmetricBinding").namespace("sp", sp).open("wsp:Policy");
    writer.open("sp:ProtectionToken").open("wsp:Policy");
    included(writer, "sp:X509Token", sp, "Never");
    writer.open("wsp:Policy").open("sp:RequireThumbprintReference").close().open("sp:WssX509V3Token10").close();
    writer.close().close().close().close();
    custom_suite(writer);
    choice(writer, "sp:Layout", "sp:Lax");
    for property in ["sp:IncludeTimestamp", "sp:EncryptSignature", "sp:OnlySignEntireHeadersAndBody"] {
        writer.open(property).close();
    }
    writer.close().close();
    signed_parts(writer, sp);
    encrypted_body(writer, sp);
}

/// Its own key signs the request, and ours the answer; where both are sealed, they are for the other's certificate. TLS
/// is around it besides. Which certificate ours is its user knows: a worker has none.
fn asymmetric(writer: &mut Writer, sp: &'static str, seals: bool) {
    writer.open("sp:AsymmetricBinding").namespace("sp", sp).open("wsp:Policy");
    writer.open("sp:InitiatorToken").open("wsp:Policy");
    included(writer, "sp:X509Token", sp, "AlwaysToRecipient");
    choice_of(writer, "sp:WssX509V3Token10").close().close().close();
    writer.open("sp:RecipientToken").open("wsp:Policy");
    // It stands in each answer, for which the older version has no word.
    included(writer, "sp:X509Token", sp, if sp == names::SP11 { "Never" } else { "AlwaysToInitiator" });
    writer.open("wsp:Policy").open("sp:RequireThumbprintReference").close().open("sp:WssX509V3Token10").close();
    writer.close().close().close().close();
    if seals {
        custom_suite(writer);
    } else {
        choice(writer, "sp:AlgorithmSuite", "sp:Basic256Sha256");
    }
    choice(writer, "sp:Layout", "sp:Lax");
    for property in ["sp:IncludeTimestamp", "sp:OnlySignEntireHeadersAndBody"] {
        writer.open(property).close();
    }
    writer.close().close();
    signed_parts(writer, sp);
    if seals {
        encrypted_body(writer, sp);
    }
}

/// What nobody's suite with a name is: sealing by AES-GCM.
fn custom_suite(writer: &mut Writer) {
    writer.open("sp:AlgorithmSuite").open("wsp:Policy");
    writer.open("cxf:CustomAlgorithmSuite").namespace("cxf", CXF_POLICY).close().close().close();
}

fn encrypted_body(writer: &mut Writer, sp: &'static str) {
    writer.open("sp:EncryptedParts").namespace("sp", sp).open("sp:Body").close().close();
}

/// The body, and with it every header that speaks of the message (R-W042).
fn signed_parts(writer: &mut Writer, sp: &'static str) {
    writer.open("sp:SignedParts").namespace("sp", sp).open("sp:Body").close();
    for header in AddressingHeader::ALL {
        writer.open("sp:Header").attribute("Name", header.name()).attribute("Namespace", names::WSA).close();
    }
    writer.close();
}

/// A token, and when it is sent. What follows is within it.
fn included(writer: &mut Writer, token: &'static str, sp: &'static str, when: &str) {
    writer.open(token).attribute("sp:IncludeToken", &format!("{sp}/IncludeToken/{when}"));
}

/// The token that proves the client.
fn supporting(writer: &mut Writer, port: &Port, sp: &'static str) {
    let always = "AlwaysToRecipient";
    let how = match port.proof {
        Proof::Signature | Proof::TicketToken => "sp:EndorsingSupportingTokens",
        Proof::Issued(_) | Proof::Symmetric { .. } => "sp:SignedSupportingTokens",
        _ => port.version.supporting,
    };
    writer.open(how).namespace("sp", sp).open("wsp:Policy");
    match port.proof {
        Proof::Signature => {
            included(writer, "sp:X509Token", sp, always);
            choice_of(writer, "sp:WssX509V3Token10").close();
            // The timestamp is signed unsaid; with the body nobody changes what is asked for.
            signed_parts(writer, sp);
        }
        Proof::TicketToken => {
            included(writer, "sp:KerberosToken", sp, "Once");
            choice_of(writer, "sp:WssGssKerberosV5ApReqToken11").close();
            writer.open("sp:SignedParts").open("sp:Header").attribute("Name", "To").attribute("Namespace", names::WSA);
            writer.close().close();
        }
        Proof::Issued(kind) => {
            included(writer, "sp:IssuedToken", sp, always);
            writer.open("sp:RequestSecurityTokenTemplate");
            let Version { prefix, identifiers, .. } = port.version;
            if let Some(kind) = kind {
                writer.leaf_in(prefix, "TokenType", kind);
            }
            writer.leaf_in(prefix, "KeyType", identifiers.key_type_uri(KeyType::Bearer)).close();
            choice_of(writer, "sp:RequireInternalReference").close();
        }
        _ => {
            included(writer, "sp:UsernameToken", sp, always);
            choice_of(writer, "sp:WssUsernameToken10").close();
        }
    }
    writer.close().close();
}

/// What is understood of the standards around it.
fn standards(writer: &mut Writer, port: &Port, sp: &'static str) {
    writer.open("sp:Wss11").namespace("sp", sp).open("wsp:Policy").open("sp:MustSupportRefKeyIdentifier").close();
    let (references, confirms): (&[&'static str], bool) = match port.proof {
        Proof::Symmetric { confirms } => (&["sp:MustSupportRefThumbprint", "sp:MustSupportRefEncryptedKey"], confirms),
        Proof::Asymmetric { confirms, .. } => (&["sp:MustSupportRefThumbprint"], confirms),
        _ => (&[], false),
    };
    for reference in references {
        writer.open(reference).close();
    }
    if confirms {
        writer.open("sp:RequireSignatureConfirmation").close();
    }
    writer.close().close();
    writer.open(port.version.trust_assertion).namespace("sp", sp);
    choice_of(writer, "sp:MustSupportIssuedTokens").close();
}

/// A policy of one assertion.
fn choice_of<'w>(writer: &'w mut Writer, inside: &'static str) -> &'w mut Writer {
    writer.open("wsp:Policy").open(inside).close().close()
}

fn choice(writer: &mut Writer, assertion: &'static str, inside: &'static str) {
    choice_of(writer.open(assertion), inside).close();
}
