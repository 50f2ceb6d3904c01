//! The document that AD FS clients fetch before anything else: a WSDL with a policy for each endpoint, written
//! from the endpoints' own configuration (R-P020, R-P030), so that it never promises what is not served.
//!
//! Its readers are not WSDL tools. They want one operation a binding, bindings for issuing only, the literal
//! attribute `wsu:Id`, `sp` declared on `sp:TransportBinding` itself, and AD FS's own names (clients.md 2.0).

use crate::config::worker::{Credential, Endpoint, Metadata, MetadataKind, Profile, Trust, Worker};
use crate::xml::{Writer, names};

const TARGET: &str = "http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice";
const XSD: &str = "http://www.w3.org/2001/XMLSchema";
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

/// The ports in AD FS's order, the older version first. A second endpoint of a kind has a number after its name. So has
/// the first where the certificate is the connection's: without one that is the name of AD FS's certificatemixed.
fn ports(config: &Worker) -> Vec<Port> {
    let offers = |endpoint: &&Endpoint, version: Trust, proof: Proof| {
        let proves = match proof {
            Proof::UserName => endpoint.credential.takes_username(),
            Proof::Certificate => endpoint.credential == Credential::TlsCertificate,
        };
        endpoint.profile == Profile::Adfs && proves && (endpoint.trust == version || endpoint.trust == Trust::Any)
    };
    let asking = config.asking().and_then(|listener| listener.public_url.as_deref()).unwrap_or(&config.public_url);
    let mut ports = Vec::new();
    for (trust, version) in [(Trust::V2005, V2005), (Trust::V13, V13)] {
        for (proof, name, first, url) in [
            (Proof::UserName, "UserName", 0, config.public_url.as_str()),
            (Proof::Certificate, "Certificate", 1, asking),
        ] {
            let offered = config.endpoints.iter().filter(|endpoint| offers(endpoint, trust, proof));
            for (index, endpoint) in (first..).zip(offered) {
                let number = if index == 0 { String::new() } else { index.to_string() };
                ports.push(Port {
                    version,
                    proof,
                    name: format!("{name}WSTrustBinding_{}{number}", version.port_type),
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
    let sp = port.version.policy;
    writer.open("wsp:Policy").attribute("wsu:Id", &format!("{}_policy", port.name));
    writer.open("wsp:ExactlyOne").open("wsp:All");

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
    if !asked {
        writer.open("sp:IncludeTimestamp").close();
    }
    writer.close().close();
    if !asked {
        supporting(writer, port, sp);
    }
    writer.open("wsaw:UsingAddressing").close();
    writer.close().close().close();
}

/// The user name token, and what is understood of the standards around it.
fn supporting(writer: &mut Writer, port: &Port, sp: &'static str) {
    writer.open(port.version.supporting).namespace("sp", sp).open("wsp:Policy");
    writer.open("sp:UsernameToken").attribute("sp:IncludeToken", &format!("{sp}/IncludeToken/AlwaysToRecipient"));
    writer.open("wsp:Policy").open("sp:WssUsernameToken10").close().close().close().close().close();

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
mod tests {
    use super::*;
    use crate::config::worker::{ClientCertificates, Limits as Ceilings, Listener, Tls, TlsVersion};
    use crate::xml::{Element, Limits, Tree};

    fn config(endpoints: &[(&str, Profile, Trust)]) -> Worker {
        let endpoint = |(path, profile, trust): &(&str, Profile, Trust)| Endpoint {
            path: (*path).to_owned(),
            profile: *profile,
            trust: *trust,
            credential: Credential::Username,
            leniencies: None,
            encryption: false,
        };
        Worker {
            public_url: "https://sts.example.com:8443".to_owned(),
            tls: Tls { certificate: "tls.pem".into(), minimum: TlsVersion::V13 },
            limits: Ceilings::default(),
            listeners: Vec::new(),
            endpoints: endpoints.iter().map(endpoint).collect(),
            metadata: Vec::new(),
        }
    }

    fn published(endpoints: &[(&str, Profile, Trust)]) -> String {
        let metadata = Metadata { path: "/adfs/services/trust/mex".to_owned(), kind: MetadataKind::Mex };
        String::from_utf8(document(&config(endpoints), &metadata)).unwrap()
    }

    const V13_PATH: &str = "/adfs/services/trust/13/usernamemixed";
    const V2005_PATH: &str = "/adfs/services/trust/2005/usernamemixed";

    fn both() -> String {
        published(&[(V13_PATH, Profile::Adfs, Trust::V13), (V2005_PATH, Profile::Adfs, Trust::V2005)])
    }

    fn tree(text: &str) -> Tree {
        Tree::parse(text.as_bytes(), &Limits::default()).unwrap()
    }

    fn child<'t>(element: Element<'t>, uri: &str, local: &str) -> Option<Element<'t>> {
        element.children().find(|child| child.is(uri, local))
    }

    fn path<'t>(element: Element<'t>, steps: &[(&str, &str)]) -> Option<Element<'t>> {
        steps.iter().try_fold(element, |element, (uri, local)| child(element, uri, local))
    }

    /// Policies, bindings and ports as MSAL for Python finds them: (address, action) of each username port.
    fn as_msal_reads_it(text: &str) -> Vec<(String, String)> {
        let tree = tree(text);
        let root = tree.root();
        fn username(policy: Element<'_>) -> Option<&str> {
            let all = [(names::WSP04, "ExactlyOne"), (names::WSP04, "All")];
            let all = path(policy, &all)?;
            [(names::SP12, "SignedEncryptedSupportingTokens"), (names::SP11, "SignedSupportingTokens")]
                .into_iter()
                .find_map(|(sp, supporting)| {
                    let steps = [
                        (sp, supporting),
                        (names::WSP04, "Policy"),
                        (sp, "UsernameToken"),
                        (names::WSP04, "Policy"),
                        (sp, "WssUsernameToken10"),
                    ];
                    path(all, &steps).and(child(all, sp, "TransportBinding"))
                })
                .and(policy.attribute(names::WSU, "Id"))
        }
        let policies: Vec<&str> =
            root.children().filter(|element| element.is(names::WSP04, "Policy")).filter_map(username).collect();
        let mut bindings = Vec::new();
        for binding in root.children().filter(|element| element.is(names::WSDL, "binding")) {
            // A binding without these makes the client stop with an exception.
            let transport = child(binding, names::WSDL_SOAP12, "binding").unwrap().attribute("", "transport");
            let operation = child(binding, names::WSDL, "operation").unwrap();
            let action =
                child(operation, names::WSDL_SOAP12, "operation").unwrap().attribute("", "soapAction").unwrap();
            let reference = child(binding, names::WSP04, "PolicyReference").unwrap().attribute("", "URI").unwrap();
            assert_eq!(transport, Some("http://schemas.xmlsoap.org/soap/http"));
            if policies.contains(&&reference[1..]) {
                bindings.push((binding.attribute("", "name").unwrap(), action));
            }
        }
        let service = child(root, names::WSDL, "service").unwrap();
        let mut ports = Vec::new();
        for port in service.children() {
            let (_, name) = port.attribute("", "binding").unwrap().split_once(':').unwrap();
            let address =
                path(port, &[(names::WSA, "EndpointReference"), (names::WSA, "Address")]).unwrap().text().unwrap();
            if let Some((_, action)) = bindings.iter().find(|(binding, _)| *binding == name) {
                ports.push((address.to_owned(), (*action).to_owned()));
            }
        }
        ports
    }

    #[test]
    fn msal_finds_both_endpoints_r_p010() {
        let expected =
            |path: &str, trust: &str| (format!("https://sts.example.com:8443{path}"), format!("{trust}/RST/Issue"));
        assert_eq!(as_msal_reads_it(&both()), [expected(V2005_PATH, names::WST05), expected(V13_PATH, names::WST13)]);
    }

    #[test]
    fn the_reader_used_here_also_reads_ad_fs() {
        let Some(data) = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|above| above.join("shared/data/clients/msal-python/microsoft.mex.xml"))
            .find(|path| path.is_file())
        else {
            println!("SKIPPED mex-of-ad-fs: no documents of real servers here");
            return;
        };
        let ports = as_msal_reads_it(&std::fs::read_to_string(data).unwrap());
        assert!(ports.iter().any(|(address, _)| address.ends_with(V13_PATH)));
        assert!(ports.iter().any(|(address, _)| address.ends_with(V2005_PATH)));
    }

    /// Two endpoints of each version, so that what holds for every policy is seen to.
    fn four() -> String {
        let adfs = |path, trust| (path, Profile::Adfs, trust);
        published(&[adfs("/a", Trust::Any), adfs("/b", Trust::V13), adfs("/c", Trust::V2005)])
    }

    fn policies(tree: &Tree) -> Vec<Element<'_>> {
        tree.root().children().filter(|element| element.local() == "Policy").collect()
    }

    #[test]
    fn the_document_is_one_wsdl_without_a_wrapper() {
        let text = both();
        assert!(text.starts_with("<wsdl:definitions "), "{text}");
        assert!(tree(&text).root().is("http://schemas.xmlsoap.org/wsdl/", "definitions"));
    }

    #[test]
    fn sp_is_declared_on_the_transport_binding_itself() {
        let text = four();
        let declared = |sp| text.matches(&format!("<sp:TransportBinding xmlns:sp=\"{sp}\">")).count();
        assert_eq!((declared(names::SP11), declared(names::SP12)), (2, 2));
        let root = text.split_once("><").unwrap().0;
        assert!(!root.contains("xmlns:sp="), "{root}");
    }

    #[test]
    fn the_policy_of_a_1_3_binding_is_200702_and_that_of_a_2005_binding_2005_07() {
        let text = four();
        let tree = tree(&text);
        let mut seen = Vec::new();
        for binding in tree.root().children().filter(|element| element.is(names::WSDL, "binding")) {
            let operation = child(binding, names::WSDL, "operation").unwrap();
            let action =
                child(operation, names::WSDL_SOAP12, "operation").unwrap().attribute("", "soapAction").unwrap();
            let reference = child(binding, names::WSP04, "PolicyReference").unwrap().attribute("", "URI").unwrap();
            let policy = *policies(&tree)
                .iter()
                .find(|policy| policy.attribute(names::WSU, "Id") == reference.strip_prefix('#'))
                .unwrap();
            let (sp, supporting) = match action {
                "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue" => {
                    ("http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702", "SignedEncryptedSupportingTokens")
                }
                "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue" => {
                    ("http://schemas.xmlsoap.org/ws/2005/07/securitypolicy", "SignedSupportingTokens")
                }
                other => panic!("{other}"),
            };
            let all = path(policy, &[(names::WSP04, "ExactlyOne"), (names::WSP04, "All")]).unwrap();
            assert!(child(all, sp, supporting).is_some() && child(all, sp, "TransportBinding").is_some(), "{action}");
            let within = |element: &Element<'_>| {
                std::iter::successors(Some(*element), |element| element.parent()).any(|above| above == policy)
            };
            let spaces = tree.elements().filter(|element| element.prefix() == "sp").filter(within);
            assert!(spaces.into_iter().all(|element| element.uri() == sp), "{action}");
            seen.push(sp);
        }
        seen.dedup();
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn the_policy_id_is_the_literal_attribute_wsu_id() {
        let text = four();
        let tree = tree(&text);
        let policies = policies(&tree);
        assert_eq!(policies.len(), 4);
        for policy in policies {
            assert_eq!(policy.uri(), "http://schemas.xmlsoap.org/ws/2004/09/policy");
            let id = policy.attribute(names::WSU, "Id").unwrap();
            assert_eq!(text.matches(&format!("<wsp:Policy wsu:Id=\"{id}\">")).count(), 1, "{id}");
        }
    }

    #[test]
    fn ports_and_bindings_have_the_names_of_ad_fs() {
        let text = both();
        for name in ["UserNameWSTrustBinding_IWSTrust13Async", "UserNameWSTrustBinding_IWSTrustFeb2005Async"] {
            assert!(text.contains(&format!("<wsdl:port binding=\"tns:{name}\" name=\"{name}\">")), "{text}");
            assert!(text.contains(&format!("<wsdl:binding name=\"{name}\" ")));
        }
    }

    #[test]
    fn every_binding_has_one_operation_and_it_issues() {
        let text = both();
        let tree = tree(&text);
        for binding in tree.root().children().filter(|element| element.is(names::WSDL, "binding")) {
            assert_eq!(binding.children().filter(|element| element.local() == "operation").count(), 1);
        }
        assert_eq!(text.matches("soapAction=").count(), text.matches("/RST/Issue\" style=").count());
    }

    #[test]
    fn an_address_has_no_white_space_around_it_and_comes_from_the_configuration() {
        let text = both();
        assert!(text.contains(&format!("<wsa10:Address>https://sts.example.com:8443{V13_PATH}</wsa10:Address>")));
    }

    #[test]
    fn what_is_referred_to_is_there() {
        let text = both();
        let tree = tree(&text);
        let mut named = std::collections::HashSet::new();
        for element in tree.elements().filter(|element| element.uri() == names::WSDL) {
            if let Some(name) = element.attribute("", "name") {
                named.insert((element.local(), name));
            }
        }
        for element in tree.elements() {
            for (attribute, kind) in [("binding", "binding"), ("type", "portType"), ("message", "message")] {
                if let Some(name) = element.attribute("", attribute) {
                    assert!(named.contains(&(kind, name.strip_prefix("tns:").unwrap())), "{kind} {name}");
                }
            }
        }
    }

    #[test]
    fn endpoints_of_other_profiles_are_not_published_and_none_leaves_no_ports() {
        let text = published(&[("/sts", Profile::Generic, Trust::Any)]);
        assert!(as_msal_reads_it(&text).is_empty() && !text.contains("/sts\""));
    }

    /// The demo's endpoints, and two where a TLS certificate proves the client.
    fn with_certificates() -> String {
        let mut config = config(&[
            (V13_PATH, Profile::Adfs, Trust::V13),
            (V2005_PATH, Profile::Adfs, Trust::V2005),
            ("/adfs/services/trust/13/certificatetransport", Profile::Adfs, Trust::V13),
            ("/adfs/services/trust/2005/certificatetransport", Profile::Adfs, Trust::V2005),
        ]);
        config.endpoints[2..].iter_mut().for_each(|endpoint| endpoint.credential = Credential::TlsCertificate);
        config.listeners = vec![Listener {
            name: "certificates".to_owned(),
            client_certificates: ClientCertificates::Asked,
            public_url: Some("https://sts.example.com:49443".to_owned()),
        }];
        let metadata = Metadata { path: "/adfs/services/trust/mex".to_owned(), kind: MetadataKind::Mex };
        String::from_utf8(document(&config, &metadata)).unwrap()
    }

    #[test]
    fn endpoints_for_tls_certificates_are_published_where_clients_are_asked_and_msal_passes_them_over() {
        let text = with_certificates();
        assert_eq!(as_msal_reads_it(&text), as_msal_reads_it(&both()));
        for (version, port_type, sp) in
            [("13", "IWSTrust13Async", names::SP12), ("2005", "IWSTrustFeb2005Async", names::SP11)]
        {
            let name = format!("CertificateWSTrustBinding_{port_type}1");
            assert!(text.contains(&format!("<wsdl:binding name=\"{name}\" ")), "{text}");
            let address = format!("https://sts.example.com:49443/adfs/services/trust/{version}/certificatetransport");
            assert!(text.contains(&format!("<wsa10:Address>{address}</wsa10:Address>")), "{text}");
            let tree = tree(&text);
            let id = format!("{name}_policy");
            let policies = policies(&tree);
            let policy = *policies.iter().find(|policy| policy.attribute(names::WSU, "Id") == Some(&id)).unwrap();
            let steps = [
                (names::WSP04, "ExactlyOne"),
                (names::WSP04, "All"),
                (sp, "TransportBinding"),
                (names::WSP04, "Policy"),
                (sp, "TransportToken"),
                (names::WSP04, "Policy"),
                (sp, "HttpsToken"),
            ];
            let token = path(policy, &steps).unwrap();
            let nested = path(token, &[(names::WSP04, "Policy"), (sp, "RequireClientCertificate")]).is_some();
            let asked = if sp == names::SP11 {
                token.attribute("", "RequireClientCertificate") == Some("true")
            } else {
                nested
            };
            assert!(asked, "{text}");
            assert_eq!(path(policy, &steps[..2]).unwrap().children().count(), 2, "{text}");
        }
        assert_eq!(text.matches("RequireClientCertificate=\"false\"").count(), 1);
    }

    #[test]
    fn one_endpoint_for_both_versions_has_two_ports_and_a_second_one_a_number() {
        let text = published(&[("/a", Profile::Adfs, Trust::Any), ("/b", Profile::Adfs, Trust::V13)]);
        assert_eq!(as_msal_reads_it(&text).len(), 3);
        assert!(text.contains("name=\"UserNameWSTrustBinding_IWSTrust13Async1\""));
    }
}
