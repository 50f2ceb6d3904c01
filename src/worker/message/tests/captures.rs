//! What real clients sent, as they sent it.

use super::*;
use crate::wire::evidence::KeyType;
use crate::wire::order::TokenType;
use crate::wire::{Millis, Text};

/// Templates get values, so that they are messages.
fn filled(test: &str, path: &str) -> Option<Vec<u8>> {
    let text = std::fs::read_to_string(data(test)?.join("clients").join(path)).unwrap();
    let text = [
        ("%MESSAGE_ID%", "urn:uuid:2"),
        ("%WSTRUST_ENDPOINT%", "https://localhost/sts"),
        ("%CREATED%", "2026-11-22T06:22:07.000Z"),
        ("%EXPIRES%", "2026-11-22T06:32:07.000Z"),
        ("%USERNAME%", "user@example.com"),
        ("%PASSWORD%", "p&amp;&lt;&quot;&apos;w"),
        ("%APPLIES_TO%", "urn:federation:MicrosoftOnline"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to));
    Some(text.into_bytes())
}

#[test]
fn every_username_request_of_msal_and_adal_is_understood() {
    for (path, namespace) in [
        ("msal-python/rst13.xml", names::WST13),
        ("msal-python/rst2005.xml", names::WST05),
        ("adal-node/RST.xml", names::WST13),
        ("adal-node/RST2005.xml", names::WST05),
        ("adal-python/RST.xml", names::WST13),
    ] {
        let Some(body) = filled("captures-msal-adal", path) else { return };
        let action = format!("{namespace}/RST/Issue");
        for (content_type, soap_action) in [
            (Some(SOAP12), Some(action.clone())),
            (Some(SOAP12), Some(format!("\"{action}\""))),
            (Some(SOAP12), Some("\"\"".to_owned())),
            (Some("application/x-www-form-urlencoded"), None),
            (None, None),
        ] {
            let incoming = Incoming { content_type, soap_action: soap_action.as_deref(), body: &body };
            let request = read(&adfs(), &incoming).unwrap_or_else(|rejection| panic!("{path}: {}", rejection.reason()));
            let (shape, evidence, timestamp, wish) = request.into_parts();
            let Evidence::Password { username, password } = evidence else { panic!("a password") };
            assert_eq!(username, Text::new("user@example.com").unwrap(), "{path}");
            assert_eq!(password.expose(), b"p&<\"'w", "{path}");
            let timestamp = timestamp.unwrap();
            assert_eq!(timestamp.created, Millis(1_795_328_527_000), "{path}");
            assert_eq!(timestamp.expires, Some(Millis(1_795_329_127_000)), "{path}");
            assert_eq!(wish.applies_to.as_deref(), Some("urn:federation:MicrosoftOnline"), "{path}");
            assert_eq!((wish.token_type, wish.key_type), (None, Some(KeyType::Bearer)), "{path}");
            let misspelt = path.starts_with("adal");
            assert_eq!(shape.leniencies().contains(&Leniency::MessageIdCase), misspelt, "{path}");
            assert_eq!(shape.leniencies().contains(&Leniency::MediaType), content_type != Some(SOAP12), "{path}");
        }
    }
}

#[test]
fn the_bearer_requests_of_govmomi_and_pyvmomi_are_understood_where_their_ways_are_tolerated() {
    for path in ["govmomi/wire/bearer.xml", "pyvmomi/bearer.xml"] {
        let Some(body) = filled("captures-vmomi", path) else { return };
        let incoming = Incoming { content_type: Some(SOAP11), soap_action: None, body: &body };
        let request = read(&lenient(), &incoming).unwrap_or_else(|rejection| panic!("{path}: {}", rejection.reason()));
        let (shape, _, timestamp, wish) = request.into_parts();
        assert_eq!(shape.leniencies(), [Leniency::AddressingAbsent, Leniency::DelegatableIgnored], "{path}");
        assert_eq!((wish.token_type, wish.key_type), (Some(TokenType::Saml20), Some(KeyType::Bearer)), "{path}");
        assert!(timestamp.is_some() && wish.applies_to.is_none(), "{path}");
        let lifetime = wish.lifetime.unwrap();
        assert!(lifetime.expires > lifetime.created, "{path}");
        assert_eq!(read(&generic(), &incoming).unwrap_err().fault(), Fault::AddressingRequired, "{path}");
    }
}

#[test]
fn requests_with_other_credentials_are_refused_by_the_right_fault() {
    for (path, fault) in [
        ("govmomi/wire/hok.xml", Fault::UnsupportedSecurityToken),
        ("govmomi/wire/hok_actas.xml", Fault::UnsupportedSecurityToken),
        ("govmomi/wire/token_by_token.xml", Fault::UnsupportedSecurityToken),
        ("govmomi/wire/renew.xml", Fault::UnsupportedSecurityToken),
        ("pyvmomi/hok.xml", Fault::UnsupportedSecurityToken),
        ("pyvmomi/hok_actas.xml", Fault::UnsupportedSecurityToken),
        ("pyvmomi/token_by_token.xml", Fault::UnsupportedSecurityToken),
        // The builder's empty xmlns:wsse makes these no XML at all.
        ("msal-go/rst-0.xml", Fault::Malformed),
        ("msal-go/rst-1.xml", Fault::Malformed),
        // Replies, and documents that are no messages.
        ("adal-node/RSTR.xml", Fault::InvalidSecurity),
        ("picketlink/wst-issue.xml", Fault::Malformed),
    ] {
        let Some(body) = filled("captures-refused", path) else { return };
        let soap11 = path.contains("vmomi");
        let content_type = Some(if soap11 { SOAP11 } else { SOAP12 });
        let rejection = read(&lenient(), &Incoming { content_type, soap_action: None, body: &body }).unwrap_err();
        assert_eq!(rejection.fault(), fault, "{path}: {}", rejection.reason());
    }
}

#[test]
fn the_requests_of_picketlink_are_told_apart() {
    for (name, expected) in [
        ("wst-issue", Ok(None)),
        ("wst-issue-appliesto", Ok(None)),
        ("wst-issue-symmetric-key", Ok(Some(KeyType::Symmetric))),
        ("wst-issue-public-key", Err(Fault::InvalidRequest)),
        ("wst-issue-public-certificate", Err(Fault::InvalidRequest)),
        ("wst-issue-onbehalfof", Err(Fault::BadRequest)),
        ("wst-secondaryparameters", Err(Fault::InvalidRequest)),
        ("wst-rst-wsp15", Err(Fault::InvalidRequest)),
        ("wst-batch-issue", Err(Fault::BadRequest)),
        ("wst-cancel-saml", Err(Fault::InvalidRequest)),
        ("wst-renew-saml", Err(Fault::InvalidRequest)),
        ("wst-validate-saml", Err(Fault::InvalidRequest)),
        ("wst-response-assertion", Err(Fault::InvalidRequest)),
    ] {
        let Some(body) = filled("captures-picketlink", &format!("picketlink/{name}.xml")) else { return };
        let body = String::from_utf8(body).unwrap();
        let body = body.split_once("?>").map_or(body.as_str(), |(_, rest)| rest);
        let message = Message::default().xml();
        let (before, rest) = message.split_once("<s:Body>").unwrap();
        let (_, after) = rest.split_once("</s:Body>").unwrap();
        let message = format!("{before}<s:Body>{body}</s:Body>{after}");
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: message.as_bytes() };
        let found = read(&generic(), &incoming).map(|request| request.wish.key_type);
        assert_eq!(found.map_err(|rejection| rejection.fault()), expected, "{name}");
    }
}

#[test]
fn every_capture_is_decided_without_a_panic_and_real_mex_documents_are_xml() {
    let Some(data) = data("captures-decided") else { return };
    let mut folders = vec![data.join("clients"), data.join("messages")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                let body = std::fs::read(&path).unwrap();
                let name = path.to_string_lossy();
                if name.contains("mex") && !name.contains("syntax") {
                    assert!(Tree::parse(&body, &Limits::default()).is_ok(), "{}", path.display());
                }
                for endpoint in [adfs(), generic(), lenient()] {
                    drop(read(&endpoint, &Incoming { content_type: None, soap_action: None, body: &body }));
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}
