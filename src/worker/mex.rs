//! The document that AD FS clients fetch before anything else: a WSDL with a policy for each endpoint, written
//! from the endpoints' own configuration (R-P020, R-P030), so that it never promises what is not served.
//!
//! Its readers are not WSDL tools. They want one operation a binding, bindings for issuing only, the literal
//! attribute `wsu:Id`, `sp` declared on `sp:TransportBinding` itself, and AD FS's own names (clients.md 2.0).

use crate::config::worker::{Credential, Endpoint, Metadata, MetadataKind, Profile, Trust, Worker};
use crate::xml::{Writer, names};

const TARGET: &str = "http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice";
const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// How AD FS says that a client negotiates, in a policy.
const HTTP_POLICY: &str = "http://schemas.microsoft.com/ws/06/2004/policy/http";
const WSAW: &str = "http://www.w3.org/2006/05/addressing/wsdl";

/// What differs between the two versions of WS-Trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    trust: &'static str,
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
}

/// One endpoint in one version.
struct Port {
    version: Version,
    proof: Proof,
    /// `UserNameWSTrustBinding_IWSTrust13Async`: one client picks the port by this very name.
    name: String,
    address: String,
}

/// The document, UTF-8 XML. It changes only with the configuration.
#[must_use]
pub fn document(config: &Worker, metadata: &Metadata) -> Vec<u8> {
    match metadata.kind {
        MetadataKind::Mex => wsdl(&ports(config)).into_bytes(),
    }
}

/// The ports, the older version first. A second endpoint of a kind has a number after its name. So has the first where
/// the certificate is the connection's, for without one that is the name of AD FS's certificatemixed. AD FS has one name
/// for both ways that a ticket comes: its windowstransport is without a number in 2005, and its kerberosmixed in 1.3.
fn ports(config: &Worker) -> Vec<Port> {
    let offers = |endpoint: &&Endpoint, version: Trust, proof: Proof| {
        let proves = match proof {
            Proof::UserName => endpoint.credential.takes_username(),
            Proof::Certificate => endpoint.credential == Credential::TlsCertificate,
            Proof::Ticket => endpoint.credential == Credential::Kerberos,
            Proof::TicketToken => endpoint.credential == Credential::KerberosToken,
        };
        endpoint.profile == Profile::Adfs && proves && (endpoint.trust == version || endpoint.trust == Trust::Any)
    };
    let asking = config.asking().and_then(|listener| listener.public_url.as_deref()).unwrap_or(&config.public_url);
    let mut ports = Vec::new();
    for (trust, version) in [(Trust::V2005, V2005), (Trust::V13, V13)] {
        for (proof, name, first, url) in [
            (Proof::UserName, "UserNameWSTrust", 0, config.public_url.as_str()),
            (Proof::Certificate, "CertificateWSTrust", 1, asking),
            (Proof::Ticket, "Custom", usize::from(trust == Trust::V13), config.public_url.as_str()),
            (Proof::TicketToken, "Custom", usize::from(trust == Trust::V2005), config.public_url.as_str()),
        ] {
            let offered = config.endpoints.iter().filter(|endpoint| offers(endpoint, trust, proof));
            // Of two kinds with one name each has every other number.
            let step = if name == "Custom" { 2 } else { 1 };
            for (index, endpoint) in (first..).step_by(step).zip(offered) {
                let number = if index == 0 { String::new() } else { index.to_string() };
                ports.push(Port {
                    version,
                    proof,
                    name: format!("{name}Binding_{}{number}", version.port_type),
                    address: format!("{url}{}", endpoint.path),
                });
            }
        }
    }
    ports
}

fn wsdl(ports: &[Port]) -> String {
    let versions: Vec<Version> =
        [V2005, V13].into_iter().filter(|version| ports.iter().any(|port| port.version == *version)).collect();
    let mut writer = Writer::for_envelope();
    writer.open("wsdl:definitions").attribute("name", "SecurityTokenService").attribute("targetNamespace", TARGET);
    for (prefix, uri) in [
        ("wsdl", names::WSDL),
        ("xsd", XSD),
        ("tns", TARGET),
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
    let by_message = matches!(port.proof, Proof::UserName | Proof::TicketToken);
    if by_message {
        writer.open("sp:IncludeTimestamp").close();
    }
    writer.close().close();
    match port.proof {
        Proof::UserName => supporting(writer, port, sp),
        Proof::TicketToken => endorsing(writer, port, sp),
        Proof::Certificate | Proof::Ticket => {}
    }
    writer.open("wsaw:UsingAddressing").close();
    writer.close().close().close();
}

/// The user name token, and what is understood of the standards around it.
fn supporting(writer: &mut Writer, port: &Port, sp: &'static str) {
    writer.open(port.version.supporting).namespace("sp", sp).open("wsp:Policy");
    writer.open("sp:UsernameToken").attribute("sp:IncludeToken", &format!("{sp}/IncludeToken/AlwaysToRecipient"));
    writer.open("wsp:Policy").open("sp:WssUsernameToken10").close().close().close().close().close();

    understood(writer, port, sp);
}

/// The ticket, and a MAC by its key over the timestamp and `wsa:To`.
fn endorsing(writer: &mut Writer, port: &Port, sp: &'static str) {
    writer.open("sp:EndorsingSupportingTokens").namespace("sp", sp).open("wsp:Policy");
    writer.open("sp:KerberosToken").attribute("sp:IncludeToken", &format!("{sp}/IncludeToken/Once"));
    writer.open("wsp:Policy").open("sp:WssGssKerberosV5ApReqToken11").close().close().close();
    writer.open("sp:SignedParts").open("sp:Header").attribute("Name", "To").attribute("Namespace", names::WSA);
    writer.close().close().close().close();

    understood(writer, port, sp);
}

fn understood(writer: &mut Writer, port: &Port, sp: &'static str) {
    for (assertion, inside) in
        [("sp:Wss11", "sp:MustSupportRefKeyIdentifier"), (port.version.trust_assertion, "sp:MustSupportIssuedTokens")]
    {
        writer.open(assertion).namespace("sp", sp).open("wsp:Policy").open(inside).close().close().close();
    }
}

fn choice(writer: &mut Writer, assertion: &'static str, inside: &'static str) {
    writer.open(assertion).open("wsp:Policy").open(inside).close().close().close();
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
