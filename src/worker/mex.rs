//! The document that AD FS clients fetch before anything else: a WSDL with a policy for each endpoint, written
//! from the endpoints' own configuration (R-P020, R-P030), so that it never promises what is not served.
//!
//! Its readers are not WSDL tools. They want one operation a binding, bindings for issuing only, the literal
//! attribute `wsu:Id`, `sp` declared on `sp:TransportBinding` itself, and AD FS's own names (clients.md 2.0).
//!
//! What clients of the standards read, Apache CXF's among them, is the same for endpoints of the generic profile.

use std::iter::StepBy;
use std::ops::RangeFrom;

use super::message::Description;
use crate::config::worker::{Credential, Endpoint, Metadata, MetadataKind, Profile, Replies, Trust, Worker};
use crate::trust::identifiers;
use crate::wire::evidence::{AddressingHeader, KeyType};
use crate::xml::{Writer, names};

const TARGET: &str = "http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice";
/// The name that clients of WS-Trust look for the service by.
const STANDARD: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/";
/// How CXF is told that its user says what a suite consists of: none that has a name seals by AES-GCM.
const CXF_POLICY: &str = "http://cxf.apache.org/custom/security-policy";
const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// How AD FS says that a client negotiates, in a policy.
const HTTP_POLICY: &str = "http://schemas.microsoft.com/ws/06/2004/policy/http";
const WSAW: &str = "http://www.w3.org/2006/05/addressing/wsdl";

/// What differs between the two versions of WS-Trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    trust: &'static str,
    identifiers: identifiers::Trust,
    prefix: &'static str,
    port_type: &'static str,
    operation: &'static str,
    answer: &'static str,
    answer_action: &'static str,
    policy: &'static str,
    /// How the user name is asked for: 1.3 clients look for the one, 2005 clients for the other.
    supporting: &'static str,
    trust_assertion: &'static str,
}

const V2005: Version = Version {
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

const V13: Version = Version {
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

/// What proves a client at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
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
}

impl Proof {
    /// At this endpoint. One that takes any is known by the user name: which others it takes is auth's to say, and
    /// clients choose a port by its address.
    fn of(endpoint: &Endpoint) -> Self {
        match endpoint.credential {
            Credential::Username | Credential::Any => Self::UserName,
            Credential::TlsCertificate => Self::Certificate,
            Credential::Kerberos => Self::Ticket,
            Credential::KerberosToken => Self::TicketToken,
            Credential::Signature => Self::Signature,
            Credential::Saml => Self::Issued(None),
            Credential::Jwt => Self::Issued(Some("urn:ietf:params:oauth:token-type:jwt")),
            Credential::UsernameSymmetric => Self::Symmetric { confirms: endpoint.signature_confirmation },
        }
    }

    /// A name, and the numbers behind it for one endpoint after the other; 0 is none. The first has one where the
    /// certificate is the connection's, for without one that is the name of AD FS's certificatemixed. AD FS has one name
    /// for both ways that a ticket comes: its windowstransport is without a number in 2005, and its kerberosmixed in 1.3,
    /// and each has every other number.
    fn named(self, version: &Version) -> (&'static str, StepBy<RangeFrom<usize>>) {
        let (name, first, step) = match self {
            Self::UserName => ("UserNameWSTrust", 0, 1),
            Self::Certificate => ("CertificateWSTrust", 1, 1),
            Self::Ticket => ("Custom", usize::from(*version == V13), 2),
            Self::TicketToken => ("Custom", usize::from(*version == V2005), 2),
            Self::Signature => ("CertificateWSTrust", 0, 1),
            Self::Issued(_) => ("IssuedTokenWSTrust", 0, 1),
            Self::Symmetric { .. } => ("SymmetricWSTrust", 0, 1),
        };
        (name, (first..).step_by(step))
    }

    /// Is it in the message, and with it a timestamp?
    fn by_message(self) -> bool {
        !matches!(self, Self::Certificate | Self::Ticket)
    }
}

/// One endpoint in one version.
struct Port {
    version: Version,
    proof: Proof,
    /// `UserNameWSTrustBinding_IWSTrust13Async`: one client picks the port by this very name.
    name: String,
    address: String,
}

/// The document, XML without a declaration. It changes only with the configuration.
#[must_use]
pub fn document(config: &Worker, metadata: &Metadata) -> Description {
    let (profile, identifier) = match metadata.kind {
        MetadataKind::Mex => (Profile::Adfs, TARGET),
        MetadataKind::Wsdl => (Profile::Generic, STANDARD),
    };
    Description { wsdl: wsdl(&ports(config, profile), identifier), identifier }
}

/// The ports, the older version first.
fn ports(config: &Worker, profile: Profile) -> Vec<Port> {
    let asking = config.asking().and_then(|listener| listener.public_url.as_deref()).unwrap_or(&config.public_url);
    let mut ports: Vec<Port> = Vec::new();
    for (trust, version) in [(Trust::V2005, V2005), (Trust::V13, V13)] {
        // Who is answered under a signature needs to know our certificate, and no description has it.
        let speaks = |endpoint: &&Endpoint| {
            let trust = endpoint.trust == trust || endpoint.trust == Trust::Any;
            endpoint.profile == profile && trust && endpoint.replies == Replies::Plain
        };
        let mut offered: Vec<(Proof, &Endpoint)> =
            config.endpoints.iter().filter(speaks).map(|endpoint| (Proof::of(endpoint), endpoint)).collect();
        // Passwords first: what clients look for, and what they found first always.
        offered.sort_by_key(|(proof, _)| match proof {
            Proof::UserName => 0,
            Proof::Certificate => 1,
            Proof::Ticket => 2,
            Proof::TicketToken => 3,
            Proof::Signature => 4,
            Proof::Issued(_) => 5,
            Proof::Symmetric { .. } => 6,
        });
        for (proof, endpoint) in offered {
            let (name, mut numbers) = proof.named(&version);
            let name = format!("{name}Binding_{}", version.port_type);
            let taken = |name: &String| ports.iter().any(|port| port.name == *name);
            let numbered = |index| if index == 0 { name.clone() } else { format!("{name}{index}") };
            let name =
                numbers.find_map(|number| Some(numbered(number)).filter(|name| !taken(name))).unwrap_or_default();
            let url = if proof == Proof::Certificate { asking } else { config.public_url.as_str() };
            ports.push(Port { version, proof, name, address: format!("{url}{}", endpoint.path) });
        }
    }
    ports
}

fn wsdl(ports: &[Port], target: &'static str) -> String {
    let versions: Vec<Version> =
        [V2005, V13].into_iter().filter(|version| ports.iter().any(|port| port.version == *version)).collect();
    let mut writer = Writer::for_envelope();
    writer.open("wsdl:definitions").attribute("name", "SecurityTokenService").attribute("targetNamespace", target);
    for (prefix, uri) in [
        ("wsdl", names::WSDL),
        ("xsd", XSD),
        ("tns", target),
        ("soap12", names::WSDL_SOAP12),
        ("wsa10", names::WSA),
        ("wsaw", WSAW),
        ("wsp", names::WSP04),
        ("wsu", names::WSU),
        ("t", names::WST05),
        ("trust", names::WST13),
    ] {
        writer.namespace(prefix, uri);
    }
    ports.iter().for_each(|port| policy(&mut writer, port));
    types(&mut writer, &versions);
    for version in &versions {
        for (suffix, part, element) in [
            ("Input", "request".to_owned(), "RequestSecurityToken"),
            ("Output", format!("{}Result", version.operation), version.answer),
        ] {
            let name = format!("{}_{}_{suffix}Message", version.port_type, version.operation);
            writer.open("wsdl:message").attribute("name", &name);
            writer.open("wsdl:part").attribute("name", &part);
            writer.attribute("element", &format!("{}:{element}", version.prefix)).close().close();
        }
    }
    versions.iter().for_each(|version| port_type(&mut writer, version));
    ports.iter().for_each(|port| binding(&mut writer, port));
    writer.open("wsdl:service").attribute("name", "SecurityTokenService");
    for port in ports {
        writer.open("wsdl:port").attribute("name", &port.name).attribute("binding", &format!("tns:{}", port.name));
        writer.open("soap12:address").attribute("location", &port.address).close();
        writer.open("wsa10:EndpointReference").leaf("wsa10:Address", &port.address).close().close();
    }
    writer.close().close();
    writer.finish()
}

fn policy(writer: &mut Writer, port: &Port) {
    // AD FS describes windowstransport by the older version in both.
    let sp = if port.proof == Proof::Ticket { names::SP11 } else { port.version.policy };
    writer.open("wsp:Policy").attribute("wsu:Id", &format!("{}_policy", port.name));
    writer.open("wsp:ExactlyOne").open("wsp:All");
    if port.proof == Proof::Ticket {
        writer.open("http:NegotiateAuthentication").namespace("http", HTTP_POLICY).close();
    }

    match port.proof {
        Proof::Symmetric { .. } => symmetric(writer, sp),
        _ => transport(writer, port, sp),
    }
    if port.proof.by_message() {
        supporting(writer, port, sp);
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
    writer.open("sp:AlgorithmSuite").open("wsp:Policy");
    writer.open("cxf:CustomAlgorithmSuite").namespace("cxf", CXF_POLICY).close().close().close();
    choice(writer, "sp:Layout", "sp:Lax");
    for property in ["sp:IncludeTimestamp", "sp:EncryptSignature", "sp:OnlySignEntireHeadersAndBody"] {
        writer.open(property).close();
    }
    writer.close().close();
    signed_parts(writer, sp);
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

/// The token that proves the client, and what is understood of the standards around it.
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

    writer.open("sp:Wss11").namespace("sp", sp).open("wsp:Policy").open("sp:MustSupportRefKeyIdentifier").close();
    if let Proof::Symmetric { confirms } = port.proof {
        for reference in ["sp:MustSupportRefThumbprint", "sp:MustSupportRefEncryptedKey"] {
            writer.open(reference).close();
        }
        if confirms {
            writer.open("sp:RequireSignatureConfirmation").close();
        }
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

/// The elements the messages name. Their content is the standards' schema's matter, not this document's.
fn types(writer: &mut Writer, versions: &[Version]) {
    writer.open("wsdl:types");
    for version in versions {
        writer.open("xsd:schema").attribute("targetNamespace", version.trust);
        for element in ["RequestSecurityToken", version.answer] {
            writer.open("xsd:element").attribute("name", element).open("xsd:complexType").open("xsd:sequence");
            writer.open("xsd:any").attribute("minOccurs", "0").attribute("maxOccurs", "unbounded");
            writer.attribute("namespace", "##any").attribute("processContents", "lax").close().close();
            writer.open("xsd:anyAttribute").attribute("namespace", "##any").attribute("processContents", "lax");
            writer.close().close().close();
        }
        writer.close();
    }
    writer.close();
}

fn port_type(writer: &mut Writer, version: &Version) {
    writer.open("wsdl:portType").attribute("name", version.port_type);
    writer.open("wsdl:operation").attribute("name", version.operation);
    for (element, suffix, action) in
        [("wsdl:input", "Input", "/RST/Issue"), ("wsdl:output", "Output", version.answer_action)]
    {
        let message = format!("tns:{}_{}_{suffix}Message", version.port_type, version.operation);
        writer.open(element).attribute("message", &message);
        writer.attribute("wsaw:Action", &format!("{}{action}", version.trust)).close();
    }
    writer.close().close();
}

fn binding(writer: &mut Writer, port: &Port) {
    let version = &port.version;
    writer.open("wsdl:binding").attribute("name", &port.name);
    writer.attribute("type", &format!("tns:{}", version.port_type));
    writer.open("wsp:PolicyReference").attribute("URI", &format!("#{}_policy", port.name)).close();
    writer.open("soap12:binding").attribute("transport", "http://schemas.xmlsoap.org/soap/http").close();
    writer.open("wsdl:operation").attribute("name", version.operation);
    writer.open("soap12:operation").attribute("soapAction", &format!("{}/RST/Issue", version.trust));
    writer.attribute("style", "document").close();
    for element in ["wsdl:input", "wsdl:output"] {
        writer.open(element).open("soap12:body").attribute("use", "literal").close().close();
    }
    writer.close().close();
}

#[cfg(test)]
mod tests;
