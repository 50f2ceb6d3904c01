//! The document as its readers look at it: by prefix, by place and by the words they know.

use super::policy::{CXF_POLICY, HTTP_POLICY};
use super::*;
use crate::config::worker::{ClientCertificates, Credential, Limits as Ceilings, Listener, Tls, TlsVersion};
use crate::xml::{Element, Limits, Tree, names};

fn config(endpoints: &[(&str, Profile, Trust)]) -> Worker {
    let endpoint = |(path, profile, trust): &(&str, Profile, Trust)| Endpoint {
        path: (*path).to_owned(),
        profile: *profile,
        trust: *trust,
        credential: Credential::Username,
        leniencies: None,
        encryption: false,
        signature_confirmation: false,
        replies: Replies::Plain,
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
    document(&config(endpoints), &metadata).wsdl
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
        let action = child(operation, names::WSDL_SOAP12, "operation").unwrap().attribute("", "soapAction").unwrap();
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
        let action = child(operation, names::WSDL_SOAP12, "operation").unwrap().attribute("", "soapAction").unwrap();
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
    document(&config, &metadata).wsdl
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
        let asked =
            if sp == names::SP11 { token.attribute("", "RequireClientCertificate") == Some("true") } else { nested };
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

#[test]
fn endpoints_for_tickets_in_messages_are_published_as_adfs_does_its_kerberosmixed() {
    let mut config = config(&[
        (V13_PATH, Profile::Adfs, Trust::V13),
        ("/adfs/services/trust/13/windowstransport", Profile::Adfs, Trust::V13),
        ("/adfs/services/trust/2005/windowstransport", Profile::Adfs, Trust::V2005),
        ("/adfs/services/trust/13/kerberosmixed", Profile::Adfs, Trust::V13),
        ("/adfs/services/trust/2005/kerberosmixed", Profile::Adfs, Trust::V2005),
        ("/more", Profile::Adfs, Trust::Any),
        ("/and/more", Profile::Adfs, Trust::Any),
    ]);
    for (index, credential) in [
        (1, Credential::Kerberos),
        (2, Credential::Kerberos),
        (3, Credential::KerberosToken),
        (4, Credential::KerberosToken),
        (5, Credential::Kerberos),
        (6, Credential::KerberosToken),
    ] {
        config.endpoints[index].credential = credential;
    }
    let metadata = Metadata { path: "/adfs/services/trust/mex".to_owned(), kind: MetadataKind::Mex };
    let text = document(&config, &metadata).wsdl;
    assert_eq!(as_msal_reads_it(&text).len(), 1, "passwords go elsewhere");
    let tree = tree(&text);
    let service = path(tree.root(), &[(names::WSDL, "service")]).unwrap();
    let ports: Vec<_> = service.children().filter_map(|port| port.attribute("", "name")).collect();
    let distinct: std::collections::HashSet<_> = ports.iter().collect();
    assert_eq!((ports.len(), distinct.len()), (9, 9), "{ports:?}");
    // The names of AD FS's own document (data/messages/adfs-mex-microsoft.xml).
    for (name, path_of, sp) in [
        ("CustomBinding_IWSTrustFeb2005Async1", "2005", names::SP11),
        ("CustomBinding_IWSTrust13Async", "13", names::SP12),
    ] {
        let id = format!("{name}_policy");
        let mut policies = tree.root().children().filter(|one| one.attribute(names::WSU, "Id") == Some(&id));
        let all = path(policies.next().unwrap(), &[(names::WSP04, "ExactlyOne"), (names::WSP04, "All")]).unwrap();
        assert!(child(all, HTTP_POLICY, "NegotiateAuthentication").is_none(), "{text}");
        assert!(path(all, &[(sp, "TransportBinding"), (names::WSP04, "Policy"), (sp, "IncludeTimestamp")]).is_some());
        let tokens = path(all, &[(sp, "EndorsingSupportingTokens"), (names::WSP04, "Policy")]).unwrap();
        let token = child(tokens, sp, "KerberosToken").unwrap();
        assert_eq!(token.attribute(sp, "IncludeToken"), Some(format!("{sp}/IncludeToken/Once").as_str()));
        assert!(path(token, &[(names::WSP04, "Policy"), (sp, "WssGssKerberosV5ApReqToken11")]).is_some());
        let header = path(tokens, &[(sp, "SignedParts"), (sp, "Header")]).unwrap();
        assert_eq!((header.attribute("", "Name"), header.attribute("", "Namespace")), (Some("To"), Some(names::WSA)));
        let address = format!("https://sts.example.com:8443/adfs/services/trust/{path_of}/kerberosmixed");
        let mut ports = service.children().filter(|port| port.attribute("", "name") == Some(name));
        let location = child(ports.next().unwrap(), names::WSDL_SOAP12, "address").unwrap();
        assert_eq!(location.attribute("", "location"), Some(address.as_str()));
    }
}

#[test]
fn endpoints_for_tickets_are_published_as_adfs_does_and_msal_passes_them_over() {
    let mut config = config(&[
        (V13_PATH, Profile::Adfs, Trust::V13),
        ("/adfs/services/trust/13/windowstransport", Profile::Adfs, Trust::V13),
        ("/adfs/services/trust/2005/windowstransport", Profile::Adfs, Trust::V2005),
    ]);
    config.endpoints[1].credential = Credential::Kerberos;
    config.endpoints[2].credential = Credential::Kerberos;
    let metadata = Metadata { path: "/adfs/services/trust/mex".to_owned(), kind: MetadataKind::Mex };
    let text = document(&config, &metadata).wsdl;
    assert_eq!(as_msal_reads_it(&text).len(), 1, "passwords go elsewhere");
    let tree = tree(&text);
    for (name, path_of) in [("CustomBinding_IWSTrustFeb2005Async", "2005"), ("CustomBinding_IWSTrust13Async1", "13")] {
        let id = format!("{name}_policy");
        let mut policies = tree.root().children().filter(|one| one.attribute(names::WSU, "Id") == Some(&id));
        let all = path(policies.next().unwrap(), &[(names::WSP04, "ExactlyOne"), (names::WSP04, "All")]).unwrap();
        assert!(child(all, HTTP_POLICY, "NegotiateAuthentication").is_some(), "{text}");
        let token = [
            (names::SP11, "TransportBinding"),
            (names::WSP04, "Policy"),
            (names::SP11, "TransportToken"),
            (names::WSP04, "Policy"),
            (names::SP11, "HttpsToken"),
        ];
        let token = path(all, &token).unwrap();
        assert_eq!(token.attribute("", "RequireClientCertificate"), Some("false"));
        let address = format!("https://sts.example.com:8443/adfs/services/trust/{path_of}/windowstransport");
        let port = path(tree.root(), &[(names::WSDL, "service")]).unwrap();
        let mut ports = port.children().filter(|port| port.attribute("", "name") == Some(name));
        let location = child(ports.next().unwrap(), names::WSDL_SOAP12, "address").unwrap();
        assert_eq!(location.attribute("", "location"), Some(address.as_str()));
    }
}

/// A document of endpoints for these credentials, at paths that are numbers, in version 1.3.
fn of(profile: Profile, kind: MetadataKind, credentials: &[Credential]) -> String {
    let paths: Vec<String> = (0..credentials.len()).map(|number| format!("/{number}")).collect();
    let endpoints: Vec<_> = paths.iter().map(|path| (path.as_str(), profile, Trust::V13)).collect();
    let mut config = config(&endpoints);
    for (endpoint, credential) in config.endpoints.iter_mut().zip(credentials) {
        endpoint.credential = *credential;
    }
    document(&config, &Metadata { path: "/mex".to_owned(), kind }).wsdl
}

/// The names of ports, with their paths.
fn ports_of(tree: &Tree) -> Vec<(String, String)> {
    let service = child(tree.root(), names::WSDL, "service").unwrap();
    let read = |port: Element<'_>| {
        let location = child(port, names::WSDL_SOAP12, "address").unwrap().attribute("", "location").unwrap();
        let path = location.strip_prefix("https://sts.example.com:8443").unwrap();
        (port.attribute("", "name").unwrap().to_owned(), path.to_owned())
    };
    service.children().map(read).collect()
}

/// What all have to be true of, of the policy of this port.
fn assertions<'t>(tree: &'t Tree, port: &str) -> Element<'t> {
    let id = format!("{port}_policy");
    let policy = *policies(tree).iter().find(|policy| policy.attribute(names::WSU, "Id") == Some(&id)).unwrap();
    path(policy, &[(names::WSP04, "ExactlyOne"), (names::WSP04, "All")]).unwrap()
}

#[test]
fn endpoints_that_sign_their_answers_are_described_by_an_asymmetric_binding() {
    let paths = ["/signed", "/confirming", "/sealed", "/sealed-one-way", "/plain"];
    let mut config = config(&paths.map(|path| (path, Profile::Generic, Trust::V13)));
    for (endpoint, (replies, confirms, encryption)) in config.endpoints.iter_mut().zip([
        (Replies::Signed, false, false),
        (Replies::Signed, true, true),
        (Replies::Sealed, false, true),
        (Replies::Sealed, false, false),
        (Replies::Plain, false, true),
    ]) {
        (endpoint.credential, endpoint.replies) = (Credential::Signature, replies);
        (endpoint.signature_confirmation, endpoint.encryption) = (confirms, encryption);
    }
    let kind = MetadataKind::Wsdl;
    let text = document(&config, &Metadata { path: "/wsdl".to_owned(), kind }).wsdl;
    let tree = tree(&text);
    let numbered = |number: &str| format!("{ASYMMETRIC}{number}");
    let described = [numbered(""), numbered("1"), numbered("2")];
    let [signed, confirming, sealed] = &described;
    let expected = [
        (SIGNATURE.to_owned(), "/plain".to_owned()),
        (signed.clone(), "/signed".to_owned()),
        (confirming.clone(), "/confirming".to_owned()),
        (sealed.clone(), "/sealed".to_owned()),
    ];
    assert_eq!(ports_of(&tree), expected, "nothing true can be said of one that seals in one direction");
    let policy = |port: &str, steps: &[(&str, &str)]| path(assertions(&tree, port), steps).is_some();
    for port in &described {
        let all = assertions(&tree, port);
        let any = |local| all.children().any(|one| one.local() == local);
        assert!(!any("TransportBinding") && !any("EndorsingSupportingTokens"), "{port}");
        let binding = path(all, &[(names::SP12, "AsymmetricBinding"), (names::WSP04, "Policy")]).unwrap();
        for (side, when) in [("InitiatorToken", "AlwaysToRecipient"), ("RecipientToken", "AlwaysToInitiator")] {
            let token = path(binding, &[(names::SP12, side), (names::WSP04, "Policy"), (names::SP12, "X509Token")]);
            let included = token.unwrap().attribute(names::SP12, "IncludeToken").unwrap();
            assert!(included.ends_with(&format!("/{when}")), "{included}");
        }
        assert!(child(binding, names::SP12, "IncludeTimestamp").is_some());
        let parts = child(all, names::SP12, "SignedParts").unwrap();
        let headers: Vec<_> = parts.children().filter_map(|part| part.attribute("", "Name")).collect();
        assert!(child(parts, names::SP12, "Body").is_some() && headers == HEADERS, "{headers:?}");
        let seals = port == sealed;
        assert_eq!(policy(port, &[(names::SP12, "EncryptedParts"), (names::SP12, "Body")]), seals, "{port}");
        let suite = [(names::SP12, "AlgorithmSuite"), (names::WSP04, "Policy")];
        let suite = path(binding, &suite).unwrap().children().next().unwrap().local();
        assert_eq!(suite, if seals { "CustomAlgorithmSuite" } else { "Basic256Sha256" }, "{port}");
        let confirms =
            [(names::SP12, "Wss11"), (names::WSP04, "Policy"), (names::SP12, "RequireSignatureConfirmation")];
        assert_eq!(policy(port, &confirms), port == confirming, "{port}");
        assert!(policy(port, &[(names::SP12, "Trust13")]), "{port}");
    }
}

/// What auth wants signed beside a body (R-W042).
const HEADERS: [&str; 7] = ["To", "From", "FaultTo", "ReplyTo", "MessageID", "RelatesTo", "Action"];
const SIGNATURE: &str = "CertificateWSTrustBinding_IWSTrust13Async";
const ISSUED: &str = "IssuedTokenWSTrustBinding_IWSTrust13Async";
const ASYMMETRIC: &str = "AsymmetricWSTrustBinding_IWSTrust13Async";
const SYMMETRIC: &str = "SymmetricWSTrustBinding_IWSTrust13Async";

#[test]
fn endpoints_for_signatures_and_issued_tokens_are_published_by_ad_fs_names_and_msal_passes_them_over() {
    use Credential::{Jwt, Saml, Signature, TlsCertificate, Username};
    let text = of(Profile::Adfs, MetadataKind::Mex, &[Jwt, Signature, Saml, TlsCertificate, Username, Signature]);
    assert_eq!(as_msal_reads_it(&text).len(), 1, "passwords go where they went");
    let tree = tree(&text);
    let named = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    assert_eq!(
        ports_of(&tree),
        [
            named("UserNameWSTrustBinding_IWSTrust13Async", "/4"),
            named(&format!("{SIGNATURE}1"), "/3"),
            named(SIGNATURE, "/1"),
            named(&format!("{SIGNATURE}2"), "/5"),
            named(ISSUED, "/0"),
            named(&format!("{ISSUED}1"), "/2"),
        ]
    );
    for port in [SIGNATURE, &format!("{SIGNATURE}2")] {
        let all = assertions(&tree, port);
        let binding = path(all, &[(names::SP12, "TransportBinding"), (names::WSP04, "Policy")]).unwrap();
        assert!(child(binding, names::SP12, "IncludeTimestamp").is_some(), "what is endorsed is a timestamp");
        let inside = path(all, &[(names::SP12, "EndorsingSupportingTokens"), (names::WSP04, "Policy")]).unwrap();
        let token = child(inside, names::SP12, "X509Token").unwrap();
        let always = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702/IncludeToken/AlwaysToRecipient";
        assert_eq!(token.attribute(names::SP12, "IncludeToken"), Some(always));
        let parts = child(inside, names::SP12, "SignedParts").unwrap();
        assert!(child(parts, names::SP12, "Body").is_some());
        let headers = parts.children().filter(|part| part.local() == "Header");
        let headers: Vec<_> = headers.map(|one| (one.attribute("", "Namespace"), one.attribute("", "Name"))).collect();
        assert_eq!(headers, HEADERS.map(|name| (Some(names::WSA), Some(name))));
    }
    for (port, kind) in [(ISSUED, Some("urn:ietf:params:oauth:token-type:jwt")), (&format!("{ISSUED}1"), None)] {
        let steps = [(names::SP12, "SignedSupportingTokens"), (names::WSP04, "Policy"), (names::SP12, "IssuedToken")];
        let token = path(assertions(&tree, port), &steps).unwrap();
        let template = child(token, names::SP12, "RequestSecurityTokenTemplate").unwrap();
        let said = |local| child(template, names::WST13, local).and_then(Element::text);
        assert_eq!(said("TokenType"), kind);
        assert_eq!(said("KeyType"), Some("http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer"));
    }
}

#[test]
fn an_endpoint_for_any_credential_has_the_port_of_the_user_name_alone() {
    let text = of(Profile::Generic, MetadataKind::Wsdl, &[Credential::Any]);
    assert_eq!(ports_of(&tree(&text)).len(), 1);
    assert!(text.contains("UserNameWSTrustBinding_IWSTrust13Async"));
}

#[test]
fn each_profile_has_a_document_of_its_own() {
    let adfs = [("/adfs", Profile::Adfs, Trust::V13), ("/sts", Profile::Generic, Trust::Any)];
    for (kind, theirs, target) in [
        (MetadataKind::Mex, &["/adfs"][..], TARGET),
        (MetadataKind::Wsdl, &["/sts", "/sts"], "http://docs.oasis-open.org/ws-sx/ws-trust/200512/"),
    ] {
        let metadata = Metadata { path: "/m".to_owned(), kind };
        let text = document(&config(&adfs), &metadata).wsdl;
        let tree = tree(&text);
        assert_eq!(ports_of(&tree).iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), theirs);
        assert_eq!(tree.root().attribute("", "targetNamespace"), Some(target));
        assert_eq!(tree.root().resolve("tns"), Some(target));
    }
}

#[test]
fn a_symmetric_binding_says_what_it_covers_and_is_no_place_for_a_bare_password() {
    let text = of(Profile::Generic, MetadataKind::Wsdl, &[Credential::UsernameSymmetric, Credential::Username]);
    assert_eq!(as_msal_reads_it(&text).len(), 1, "who knows no symmetric binding does not take it for TLS alone");
    let tree = tree(&text);
    let all = assertions(&tree, SYMMETRIC);
    assert!(child(all, names::SP12, "TransportBinding").is_none());
    let binding = path(all, &[(names::SP12, "SymmetricBinding"), (names::WSP04, "Policy")]).unwrap();
    let token = [(names::SP12, "ProtectionToken"), (names::WSP04, "Policy"), (names::SP12, "X509Token")];
    let token = path(binding, &token).unwrap();
    assert!(token.attribute(names::SP12, "IncludeToken").is_some_and(|when| when.ends_with("/Never")));
    let suite = [(names::SP12, "AlgorithmSuite"), (names::WSP04, "Policy"), (CXF_POLICY, "CustomAlgorithmSuite")];
    assert!(path(binding, &suite).is_some(), "a suite with a name would seal by CBC, which is refused");
    assert!(child(binding, names::SP12, "IncludeTimestamp").is_some());
    let parts = child(all, names::SP12, "SignedParts").unwrap();
    assert!(child(parts, names::SP12, "Body").is_some());
    let headers: Vec<_> = parts.children().filter_map(|part| part.attribute("", "Name")).collect();
    assert_eq!(headers, HEADERS);
    assert!(path(all, &[(names::SP12, "EncryptedParts"), (names::SP12, "Body")]).is_some());
    let confirmed = [(names::SP12, "Wss11"), (names::WSP04, "Policy"), (names::SP12, "RequireSignatureConfirmation")];
    assert!(path(all, &confirmed).is_none());
    let confirms = Proof::Symmetric { confirms: true };
    let port = Port { version: V13, proof: confirms, name: SYMMETRIC.to_owned(), address: String::new() };
    let written = self::tree(&wsdl(&[port], STANDARD)).elements().any(|one| one.is(names::SP12, confirmed[2].1));
    assert!(written);
}
