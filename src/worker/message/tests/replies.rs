//! Answers, held to what each client was seen to need (clients.md 2.0). Where a client uses a regular
//! expression or a fixed place, so does the test.

use super::*;
use crate::wire::order::{Release, TokenType};
use crate::wire::{Correlation, Millis, Octets, Text};
use crate::xml::Element;

const TOKEN: &str = "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\"> <saml:Conditions></saml:Conditions>\n</saml:Assertion>";
const NOW: Millis = Millis(1_795_328_527_486);

fn release(token_type: TokenType) -> Release {
    Release {
        correlation: Correlation([0xAB; 16]),
        token: Octets::new(TOKEN.as_bytes()).unwrap(),
        token_type,
        token_id: Text::new("_t1").unwrap(),
        created: NOW,
        expires: NOW.plus(3_600_000),
    }
}

fn answer(message: &Message, endpoint: &Endpoint) -> String {
    let kind = message.accepted(endpoint).wish.token_type.unwrap_or(TokenType::Saml11);
    let reply = message.accepted(endpoint).shape.released(&release(kind), NOW);
    assert_eq!((reply.status, reply.retry_after_s), (200, None));
    let text = String::from_utf8(reply.body).unwrap();
    Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
    text
}

fn fault(message: &Message, endpoint: &Endpoint, fault: Fault) -> (Reply, String) {
    let reply = message.accepted(endpoint).shape.fault(fault, Correlation([0xAB; 16]), NOW);
    let text = String::from_utf8(reply.body.clone()).unwrap();
    Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
    (reply, text)
}

fn matrix() -> impl Iterator<Item = (Message, Endpoint)> {
    let messages =
        [Message::default(), Message::of_2005(), Message::default().in_soap11(), Message::of_2005().in_soap11()];
    messages.into_iter().flat_map(|message| [(message.clone(), adfs()), (message, generic())])
}

/// The text of the element at this path of local names below the root.
fn at<'t>(tree: &'t Tree, path: &str) -> Option<Element<'t>> {
    path.split('/').try_fold(tree.root(), |element, local| element.children().find(|child| child.local() == local))
}

fn text_at(xml: &str, path: &str) -> Option<String> {
    let tree = Tree::parse(xml.as_bytes(), &Limits::default()).unwrap();
    at(&tree, path)?.text().map(str::to_owned)
}

#[test]
fn the_adfs_reply_to_1_3_is_this_to_the_byte() {
    assert_eq!(
        answer(&Message::default(), &adfs()),
        format!(
            "<s:Envelope xmlns:a=\"http://www.w3.org/2005/08/addressing\" \
             xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:u=\"{wsu}\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">{wst}/RSTRC/IssueFinal</a:Action><a:RelatesTo>urn:uuid:1</a:RelatesTo>\
             <o:Security xmlns:o=\"{wsse}\" s:mustUnderstand=\"1\"><u:Timestamp u:Id=\"_0\">\
             <u:Created>2026-11-22T06:22:07.486Z</u:Created><u:Expires>2026-11-22T06:27:07.486Z</u:Expires>\
             </u:Timestamp></o:Security></s:Header><s:Body>\
             <trust:RequestSecurityTokenResponseCollection xmlns:trust=\"{wst}\"><trust:RequestSecurityTokenResponse>\
             <trust:Lifetime><wsu:Created xmlns:wsu=\"{wsu}\">2026-11-22T06:22:07.486Z</wsu:Created>\
             <wsu:Expires xmlns:wsu=\"{wsu}\">2026-11-22T07:22:07.486Z</wsu:Expires></trust:Lifetime>\
             <wsp:AppliesTo xmlns:wsp=\"http://schemas.xmlsoap.org/ws/2004/09/policy\">\
             <wsa:EndpointReference xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">\
             <wsa:Address>urn:rp</wsa:Address></wsa:EndpointReference></wsp:AppliesTo>\
             <trust:RequestedSecurityToken>{TOKEN}</trust:RequestedSecurityToken>\
             <trust:RequestedAttachedReference>{reference}</trust:RequestedAttachedReference>\
             <trust:RequestedUnattachedReference>{reference}</trust:RequestedUnattachedReference>\
             <trust:TokenType>urn:oasis:names:tc:SAML:1.0:assertion</trust:TokenType>\
             <trust:RequestType>{wst}/Issue</trust:RequestType><trust:KeyType>{wst}/Bearer</trust:KeyType>\
             </trust:RequestSecurityTokenResponse></trust:RequestSecurityTokenResponseCollection></s:Body></s:Envelope>",
            wsu = names::WSU,
            wst = names::WST13,
            wsse = names::WSSE,
            reference = format_args!(
                "<o:SecurityTokenReference xmlns:k=\"{}\" xmlns:o=\"{}\" \
                 k:TokenType=\"http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1\">\
                 <o:KeyIdentifier ValueType=\"http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID\">\
                 _t1</o:KeyIdentifier></o:SecurityTokenReference>",
                names::WSSE11,
                names::WSSE
            ),
        )
    );
}

#[test]
fn the_adfs_reply_to_2005_is_a_bare_rstr_with_the_prefix_t() {
    let text = answer(&Message::of_2005(), &adfs());
    assert!(text.contains(&format!("<s:Body><t:RequestSecurityTokenResponse xmlns:t=\"{}\">", names::WST05)));
    assert!(!text.contains("Collection"));
    assert!(text.contains(&format!("<a:Action s:mustUnderstand=\"1\">{}/RSTR/Issue</a:Action>", names::WST05)));
    assert!(text.contains("<t:KeyType>http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey</t:KeyType>"));
}

#[test]
fn a_reply_is_in_the_versions_of_its_request_r_t003() {
    for (message, endpoint) in matrix() {
        let reply = message.accepted(&endpoint).shape.released(&release(TokenType::Saml20), NOW);
        let tree = Tree::parse(&reply.body, &Limits::default()).unwrap();
        assert!(tree.root().is(message.soap, "Envelope"));
        assert_eq!(reply.content_type, if message.soap == names::SOAP12 { SOAP12 } else { SOAP11 });
        let rstr = if message.trust == names::WST13 {
            "RequestSecurityTokenResponseCollection"
        } else {
            "RequestSecurityTokenResponse"
        };
        assert!(at(&tree, "Body").unwrap().children().next().unwrap().is(message.trust, rstr));
        let old = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
        let submission =
            Message { addressing: message.addressing.replace("<a:", "<b:").replace("</a:", "</b:"), ..message };
        let xml = submission.xml().replacen("<s:Envelope", &format!("<s:Envelope xmlns:b='{old}'"), 1);
        let xml = xml.replace(&format!("{}/anonymous", names::WSA), &format!("{old}/role/anonymous"));
        let incoming =
            Incoming { content_type: submission.content_type.as_deref(), soap_action: None, body: xml.as_bytes() };
        let (shape, ..) = read(&endpoint, &incoming).unwrap().into_parts();
        let reply = shape.released(&release(TokenType::Saml20), NOW);
        let tree = Tree::parse(&reply.body, &Limits::default()).unwrap();
        assert_eq!(at(&tree, "Header/Action").unwrap().uri(), old);
    }
}

#[test]
fn there_is_no_white_space_between_elements() {
    for (message, endpoint) in matrix() {
        let text = answer(&message, &endpoint).replace(TOKEN, "");
        assert!(!text.contains("> ") && !text.contains(">\n") && !text.contains(" <"), "{text}");
    }
}

#[test]
fn the_token_is_found_by_the_regular_expressions_of_msal_and_sharepy_and_is_verbatim_r_t062() {
    for (message, endpoint) in matrix() {
        let text = answer(&message, &endpoint);
        // <\w+:RequestedSecurityToken[^>]*>(.*?)</\w+:RequestedSecurityToken>
        let (before, rest) = text.split_once(":RequestedSecurityToken>").unwrap();
        let prefix = &before[before.rfind('<').unwrap() + 1..];
        assert!(!prefix.is_empty() && prefix.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{prefix}");
        let (token, _) = rest.split_once(&format!("</{prefix}:RequestedSecurityToken>")).unwrap();
        assert_eq!(token, TOKEN);
        assert_eq!(text.matches(&format!("</{prefix}:RequestSecurityTokenResponse>")).count(), 1);
    }
}

#[test]
fn the_adfs_prefixes_are_literal() {
    for message in [Message::default(), Message::of_2005()] {
        let text = answer(&message, &adfs());
        for literal in
            ["<s:Envelope", "<s:Body>", "<a:Action s:mustUnderstand=\"1\">", "<o:Security", "<u:Timestamp u:Id=\"_0\">"]
        {
            assert!(text.contains(literal), "{literal}");
        }
        assert!(text.contains(if message.trust == names::WST13 { "<trust:TokenType>" } else { "<t:TokenType>" }));
    }
}

#[test]
fn the_token_type_is_the_clients_own_spelling_and_has_no_padding() {
    let profile = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV";
    for asked in [format!("{profile}1.1"), format!("{profile}2.0"), "urn:oasis:names:tc:SAML:1.1:assertion".to_owned()]
    {
        let message = Message::with(format!("<t:TokenType>\n {asked} </t:TokenType>"));
        for endpoint in [adfs(), generic()] {
            assert!(answer(&message, &endpoint).contains(&format!(":TokenType>{asked}</")));
        }
    }
}

#[test]
fn the_token_type_is_the_tokens_own_when_another_came_than_was_asked_for_or_none_was() {
    let asked = Message::with(format!("<t:TokenType>{}</t:TokenType>", names::SAML20)).accepted(&adfs());
    let (shape, ..) = asked.into_parts();
    let text = String::from_utf8(shape.released(&release(TokenType::Saml11), NOW).body).unwrap();
    assert!(text.contains("<trust:TokenType>urn:oasis:names:tc:SAML:1.0:assertion</trust:TokenType>"));
    let text = String::from_utf8(
        Message::default().accepted(&generic()).shape.released(&release(TokenType::Saml20), NOW).body,
    );
    assert!(
        text.unwrap()
            .contains("<wst:TokenType>http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0<")
    );
}

#[test]
fn the_context_comes_back_escaped_r_t004() {
    let message = Message { attributes: " Context='urn:x&amp;&quot;&lt;'".to_owned(), ..Message::default() };
    for endpoint in [adfs(), generic()] {
        assert!(answer(&message, &endpoint).contains("TokenResponse Context=\"urn:x&amp;&quot;&lt;\">"));
    }
}

#[test]
fn what_the_client_wrote_is_escaped_when_it_is_echoed() {
    let message = Message {
        addressing: Message::default().addressing.replace("urn:uuid:1", "urn:&lt;x&gt;&amp;"),
        applies_to: Message::default().applies_to.replace(" urn:rp ", "urn:&lt;y/&gt;"),
        ..Message::default()
    };
    let text = answer(&message, &adfs());
    assert!(text.contains("<a:RelatesTo>urn:&lt;x&gt;&amp;</a:RelatesTo>"));
    assert!(text.contains("<wsa:Address>urn:&lt;y/&gt;</wsa:Address>"));
}

#[test]
fn a_generic_reply_has_addressing_and_a_timestamp_only_when_the_request_had() {
    let text = answer(&Message::default(), &generic());
    assert!(text.contains("<wsa:MessageID>urn:uuid:abababab-abab-4bab-abab-abababababab</wsa:MessageID>"));
    assert!(text.contains("<wsa:To>http://www.w3.org/2005/08/addressing/anonymous</wsa:To>"));
    assert!(text.contains("<wsa:RelatesTo>urn:uuid:1</wsa:RelatesTo>") && text.contains("<wsu:Timestamp"));
    let bare = Message { addressing: String::new(), timestamp: String::new(), ..Message::default() };
    assert!(
        answer(&bare, &lenient()).contains("soap-envelope\"><soap:Body><wst:RequestSecurityTokenResponseCollection")
    );
    let (_, text) = fault(&bare, &lenient(), Fault::InvalidScope);
    assert!(text.contains("soap-envelope\"><soap:Body><soap:Fault>"), "{text}");
}

#[test]
fn a_soap_1_2_fault_has_one_subcode_and_a_reason_r_t141() {
    let faults = [
        (Fault::FailedAuthentication, names::WSSE, "FailedAuthentication"),
        (Fault::MessageExpired, names::WSU, "MessageExpired"),
        (Fault::InvalidScope, names::WST13, "InvalidScope"),
        (Fault::RequestFailed, names::WST13, "RequestFailed"),
        (Fault::ActionMismatch, names::WSA, "ActionMismatch"),
        (Fault::MustUnderstand, names::WST13, "InvalidRequest"),
        (Fault::Malformed, names::WST13, "InvalidRequest"),
    ];
    for (kind, namespace, code) in faults {
        let (reply, text) = fault(&Message::default(), &adfs(), kind);
        assert_eq!((reply.status, reply.content_type), (500, SOAP12));
        assert_eq!(text.matches("<s:Subcode>").count(), 1);
        let subcode = text_at(&text, "Body/Fault/Code/Subcode/Value").unwrap();
        assert_eq!(subcode.split(':').collect::<Vec<_>>(), ["a", code]);
        assert!(text.contains(&format!("<s:Subcode><s:Value xmlns:a=\"{namespace}\">")), "{text}");
        assert!(text_at(&text, "Body/Fault/Reason/Text").unwrap().ends_with(" (abababababababababababababababab)"));
    }
}

#[test]
fn the_adfs_fault_is_this_to_the_byte() {
    let (_, text) = fault(&Message::default(), &adfs(), Fault::RequestFailed);
    assert_eq!(
        text,
        format!(
            "<s:Envelope xmlns:a=\"http://www.w3.org/2005/08/addressing\" \
             xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:u=\"{wsu}\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">http://www.w3.org/2005/08/addressing/soap/fault</a:Action>\
             <a:RelatesTo>urn:uuid:1</a:RelatesTo><o:Security xmlns:o=\"{wsse}\" s:mustUnderstand=\"1\">\
             <u:Timestamp u:Id=\"_0\"><u:Created>2026-11-22T06:22:07.486Z</u:Created>\
             <u:Expires>2026-11-22T06:27:07.486Z</u:Expires></u:Timestamp></o:Security></s:Header><s:Body><s:Fault>\
             <s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:a=\"{wst}\">a:RequestFailed</s:Value>\
             </s:Subcode></s:Code><s:Reason><s:Text xml:lang=\"en-US\">The specified request failed \
             (abababababababababababababababab)</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>",
            wsu = names::WSU,
            wsse = names::WSSE,
            wst = names::WST13,
        )
    );
}

#[test]
fn a_soap_1_1_fault_has_a_qualified_code_and_no_detail_r_t140() {
    for endpoint in [adfs(), generic()] {
        let (reply, text) = fault(&Message::of_2005().in_soap11(), &endpoint, Fault::InvalidScope);
        assert_eq!((reply.status, reply.content_type), (500, SOAP11));
        let prefix = if endpoint.profile == Profile::Adfs { "a" } else { "code" };
        assert!(text.contains(&format!(
            "Fault><faultcode xmlns:{prefix}=\"{}\">{prefix}:InvalidScope</faultcode><faultstring>The request scope is \
             invalid or unsupported (abababababababababababababababab)</faultstring></",
            names::WST05
        )), "{text}");
    }
    let (_, text) = fault(&Message::default().in_soap11(), &generic(), Fault::MustUnderstand);
    assert!(text.contains("<faultcode>soap:MustUnderstand</faultcode>"));
}

/// The names that the header of an answer says in elements of that name of SOAP 1.2's, each once resolved.
fn names_in(reply: &Reply, local: &str) -> Vec<(String, String)> {
    let tree = Tree::parse(&reply.body, &Limits::default()).unwrap();
    let header = tree.root().children().find(|child| child.is(names::SOAP12, "Header"));
    let within = |element: &Element<'_>| {
        std::iter::successors(element.parent(), |element| element.parent()).any(|around| Some(around) == header)
    };
    let named = tree.elements().filter(|element| element.is(names::SOAP12, local)).inspect(|e| assert!(within(e)));
    let resolved = named.map(|element| {
        let (prefix, local) = element.attribute("", "qname").unwrap().split_once(':').unwrap();
        (element.resolve(prefix).unwrap().to_owned(), local.to_owned())
    });
    resolved.collect()
}

fn refused_with(headers: &str, message: Message, endpoint: &Endpoint) -> Reply {
    let message = Message { more_headers: headers.to_owned(), ..message };
    message.read(endpoint).unwrap_err().reply(Correlation([0xAB; 16]), NOW)
}

#[test]
fn headers_that_are_not_understood_are_named_by_soap_1_2() {
    let pair = |uri: &str, local: &str| (uri.to_owned(), local.to_owned());
    let headers = "<x:First xmlns:x='urn:x?a&amp;b' s:mustUnderstand='1'/><y:Passed xmlns:y='urn:y'/>\
         <q:Second xmlns:q='urn:q' s:mustUnderstand='true'><q:Within s:mustUnderstand='1'/></q:Second>\
         <z:Another xmlns:z='urn:z' s:mustUnderstand='1' s:role='urn:proxy'/>\
         <z:Wrong xmlns:z='urn:z' s:mustUnderstand='perhaps'/>";
    let both = [pair("urn:x?a&b", "First"), pair("urn:q", "Second")];
    let bare = Message { addressing: String::new(), timestamp: String::new(), ..Message::default() };
    for (message, endpoint) in [
        (Message::default(), adfs()),
        (Message::default(), generic()),
        (Message::of_2005(), generic()),
        (bare, lenient()),
    ] {
        let reply = refused_with(headers, message, &endpoint);
        assert_eq!(names_in(&reply, "NotUnderstood"), both, "{}", String::from_utf8_lossy(&reply.body));
    }
    // What SOAP 1.1 has no word for, and faults that are about something else.
    let old = refused_with(headers, Message::default().in_soap11(), &generic());
    for reply in [old, fault(&Message::default(), &generic(), Fault::InvalidRequest).0] {
        assert!(!String::from_utf8_lossy(&reply.body).contains("Understood"), "{reply:?}");
    }
}

#[test]
fn no_more_of_a_clients_names_goes_back_than_a_few_short_ones() {
    let block = |local: &str, uri: &str| format!("<x:{local} xmlns:x='{uri}' s:mustUnderstand='1'/>");
    let named = |headers: &str| names_in(&refused_with(headers, Message::default(), &generic()), "NotUnderstood").len();
    let (fits, long) = (format!("urn:{}", "a".repeat(252)), format!("urn:{}", "a".repeat(253)));
    assert_eq!(named(&block(&"a".repeat(256), &fits)), 1);
    for alone in [
        &block(&"a".repeat(257), "urn:x"),
        &block("A", &long),
        "<Unnamed s:mustUnderstand='1'/>",
        "<xml:A s:mustUnderstand='1'/>",
    ] {
        assert_eq!(named(alone), 0, "{alone}");
        assert_eq!(named(&format!("{alone}{}", block("A", "urn:x"))), 1, "{alone}");
    }
    let many: String = (0..60).map(|number| block(&format!("A{number}"), "urn:x")).collect();
    assert_eq!(named(&many), 4);
}

#[test]
fn an_unknown_version_of_soap_is_told_which_are_read() {
    let other = |content_type: &str| Message {
        soap: "urn:soap-1.3",
        content_type: Some(content_type.to_owned()),
        ..Message::default()
    };
    let envelopes = [names::SOAP12, names::SOAP11].map(|uri| (uri.to_owned(), "Envelope".to_owned()));
    for endpoint in [adfs(), generic()] {
        let reply = refused_with("", other(SOAP12), &endpoint);
        assert_eq!(names_in(&reply, "SupportedEnvelope"), envelopes);
        let tree = Tree::parse(&reply.body, &Limits::default()).unwrap();
        let upgrade = at(&tree, "Header/Upgrade").unwrap();
        assert!(upgrade.is(names::SOAP12, "Upgrade") && upgrade.children().count() == 2);
        let reply = refused_with("", other(SOAP11), &endpoint);
        assert!(!String::from_utf8_lossy(&reply.body).contains("Upgrade"), "{reply:?}");
    }
}

#[test]
fn the_faults_of_addressing_are_nested_where_the_standard_is_kept() {
    let (_, text) = fault(&Message::default(), &generic(), Fault::ActionMismatch);
    assert_eq!(text_at(&text, "Body/Fault/Code/Subcode/Value").as_deref(), Some("code:InvalidAddressingHeader"));
    assert_eq!(text_at(&text, "Body/Fault/Code/Subcode/Subcode/Value").as_deref(), Some("code:ActionMismatch"));
    assert!(text.contains("http://www.w3.org/2005/08/addressing/fault</wsa:Action>"));
}

#[test]
fn two_faults_of_a_kind_differ_only_by_their_id_r_t142() {
    let shape = Message::default().accepted(&adfs()).shape;
    let one = shape.fault(crate::wire::evidence::Refusal::FailedAuthentication.into(), Correlation([1; 16]), NOW);
    let other = shape.fault(Fault::FailedAuthentication, Correlation([2; 16]), NOW);
    let replaced = String::from_utf8(one.body).unwrap().replace(&"01".repeat(16), &"02".repeat(16));
    assert_eq!(replaced.as_bytes(), other.body);
}

#[test]
fn a_fault_of_ours_says_when_to_come_back() {
    let busy: Fault = crate::wire::order::Failure::Unavailable { retry_after_s: 7 }.into();
    let (reply, text) = fault(&Message::default(), &adfs(), busy);
    assert_eq!((reply.status, reply.retry_after_s), (500, Some(7)));
    assert!(text.contains("<s:Value>s:Receiver</s:Value>") && text.contains("a:RequestFailed"));
}

#[test]
fn every_fault_is_well_formed_in_every_version_and_profile() {
    let every = [
        Fault::Malformed,
        Fault::VersionMismatch,
        Fault::MustUnderstand,
        Fault::InvalidAddressingHeader,
        Fault::ActionMismatch,
        Fault::OnlyAnonymousAddressSupported,
        Fault::AddressingRequired,
        Fault::ActionNotSupported,
        Fault::UnsupportedSecurityToken,
        Fault::UnsupportedAlgorithm,
        Fault::SecurityTokenUnavailable,
        Fault::InvalidSecurity,
        Fault::FailedAuthentication,
        Fault::MessageExpired,
        Fault::InvalidRequest,
        Fault::BadRequest,
        Fault::InvalidScope,
        Fault::InvalidTimeRange,
        Fault::RequestFailed,
        Fault::Busy { retry_after_s: 1 },
    ];
    for (message, endpoint) in matrix() {
        for kind in every {
            fault(&message, &endpoint, kind);
        }
    }
}

#[test]
fn a_reply_has_the_elements_of_a_real_ad_fs_reply_in_their_order() {
    let Some(data) = data("reply-of-ad-fs") else { return };
    for (capture, message) in [("RSTR.xml", Message::default()), ("RSTR2005.xml", Message::of_2005())] {
        let real = std::fs::read(data.join("clients/adal-node").join(capture)).unwrap();
        let real = Tree::parse(&real, &Limits::default()).unwrap();
        let ours = answer(&message, &adfs());
        let ours = Tree::parse(ours.as_bytes(), &Limits::default()).unwrap();
        let outline = |tree: &Tree| -> Vec<String> {
            let within = |element: &Element<'_>, name: &str| {
                std::iter::successors(Some(*element), |element| element.parent()).any(|above| above.local() == name)
            };
            tree.elements()
                .filter(|element| !within(element, "Assertion") && !element.is(names::WSA, "RelatesTo"))
                .map(|element| format!("{}:{element:?}", element.prefix()))
                .collect()
        };
        assert_eq!(outline(&ours), outline(&real), "{capture}");
    }
}
