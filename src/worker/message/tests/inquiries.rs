//! Questions for a description, and what is none.

use super::*;
use crate::wire::{Correlation, Millis};
use crate::xml::{Element, Limits, Tree};

const GET: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
const GET_METADATA: &str = "http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Request";
const WSDL: &str = "<wsdl:definitions xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:tns=\"urn:of-ours\">\
                    </wsdl:definitions>";

fn description() -> Description {
    Description { wsdl: WSDL.to_owned(), identifier: "urn:of-ours" }
}

/// An envelope with this action and this body.
fn envelope(soap: &str, addressing: &str, headers: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='{soap}' xmlns:a='{addressing}' xmlns:m='{}'><s:Header>{headers}</s:Header>\
         <s:Body>{body}</s:Body></s:Envelope>",
        names::MEX
    )
}

fn asking(action: &str, body: &str) -> String {
    let headers = format!("<a:Action>{action}</a:Action><a:MessageID>urn:uuid:7</a:MessageID>");
    envelope(names::SOAP12, names::WSA, &headers, body)
}

fn of<'a>(content_type: &'a str, soap_action: Option<&'a str>, body: &'a str) -> Incoming<'a> {
    Incoming { content_type: Some(content_type), soap_action, body: body.as_bytes() }
}

fn answered(incoming: &Incoming<'_>) -> String {
    let reply = inquire(incoming).unwrap().answer(&description(), Correlation([7; 16]), Millis(0));
    assert_eq!(reply.status, 200);
    String::from_utf8(reply.body).unwrap()
}

fn refused(body: &str) -> (Fault, &'static str) {
    let rejection = inquire(&of(SOAP12, None, body)).unwrap_err();
    let reply = rejection.reply(Correlation([7; 16]), Millis(0));
    let text = String::from_utf8(reply.body).unwrap();
    assert!(reply.status >= 400 && text.contains("Fault>") && !text.contains("definitions"), "{text}");
    (rejection.fault(), rejection.reason())
}

fn has(text: &str, name: &str) -> bool {
    let tree = Tree::parse(text.as_bytes(), &Limits::default()).unwrap();
    tree.elements().any(|element: Element<'_>| element.local() == name)
}

#[test]
fn the_description_is_in_the_answer_as_it_was_written_in_each_version_that_asks_r_p020() {
    for (soap, content_type) in [(names::SOAP11, SOAP11), (names::SOAP12, SOAP12)] {
        for addressing in [names::WSA, names::WSA04] {
            let headers = format!(
                "<a:Action s:mustUnderstand='1'>{GET}</a:Action><a:MessageID>urn:uuid:7</a:MessageID>\
                 <a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>"
            );
            let text = answered(&of(content_type, Some(GET), &envelope(soap, addressing, &headers, "")));
            let section = format!(
                "<mex:Metadata xmlns:mex=\"{}\"><mex:MetadataSection Dialect=\"http://schemas.xmlsoap.org/wsdl/\" \
                 Identifier=\"urn:of-ours\">{WSDL}</mex:MetadataSection></mex:Metadata>",
                names::MEX
            );
            assert!(text.contains(&section), "{text}");
            for part in [soap, addressing, &format!(">{GET}Response</wsa:Action>"), ">urn:uuid:7</wsa:RelatesTo>"] {
                assert!(text.contains(part), "{part} in {text}");
            }
            assert!(has(&text, "definitions") && !has(&text, "Security"), "{text}");
        }
    }
}

#[test]
fn the_action_may_be_in_the_head_alone_and_is_refused_where_two_do_not_agree() {
    let body = format!("<s:Envelope xmlns:s='{}'><s:Body> </s:Body></s:Envelope>", names::SOAP11);
    let text = answered(&of(SOAP11, Some(&format!("\"{GET}\"")), &body));
    assert!(has(&text, "definitions") && !has(&text, "Action"), "{text}");
    let body = body.replace(names::SOAP11, names::SOAP12);
    let content_type = format!("{SOAP12}; action=\"{GET}\"");
    assert!(has(&answered(&of(&content_type, None, &body)), "definitions"));
    assert_eq!(inquire(&of(SOAP12, None, &body)).unwrap_err().fault(), Fault::AddressingRequired);
    let both = asking(GET_METADATA, "<m:GetMetadata/>");
    assert_eq!(inquire(&of(&content_type, None, &both)).unwrap_err().fault(), Fault::ActionMismatch);
    assert_eq!(inquire(&of(SOAP12, Some(GET), &both)).unwrap_err().fault(), Fault::ActionMismatch);
}

#[test]
fn who_asks_for_another_dialect_or_name_gets_no_section() {
    let dialect = |uri| format!("<m:Dialect>{uri}</m:Dialect>");
    let named = |uri| format!("<m:Identifier> {uri} </m:Identifier>");
    for (inside, given) in [
        (String::new(), true),
        (dialect(names::WSDL), true),
        (named("urn:of-ours"), true),
        (dialect(names::WSDL) + &named("urn:of-ours"), true),
        (dialect("http://www.w3.org/2001/XMLSchema"), false),
        (dialect(""), false),
        (named("urn:of-others"), false),
        (dialect(names::WSDL) + &named("urn:of-others"), false),
        (dialect(names::WSP04) + &named("urn:of-ours"), false),
    ] {
        let body = asking(GET_METADATA, &format!("<m:GetMetadata>{inside}</m:GetMetadata>"));
        let text = answered(&of(SOAP12, None, &body));
        assert!(text.contains(">http://schemas.xmlsoap.org/ws/2004/09/mex/GetMetadata/Response<"), "{text}");
        assert!(has(&text, "Metadata"), "{text}");
        assert_eq!((has(&text, "MetadataSection"), has(&text, "definitions")), (given, given), "{inside}");
    }
}

#[test]
fn another_action_is_not_supported() {
    for action in [
        "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put",
        "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete",
        "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse",
        "http://www.w3.org/2009/09/ws-mex/GetMetadata",
        "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue",
        "urn:x",
    ] {
        assert_eq!(refused(&asking(action, "")), (Fault::ActionNotSupported, "metadata: unknown action"), "{action}");
    }
    // A password that went astray is not looked at.
    assert_eq!(refused(&Message::default().xml()).1, "metadata: mandatory security header");
}

#[test]
fn a_body_that_is_not_the_question_is_refused() {
    for body in ["<x/>", "text", "<m:GetMetadata/>", "<!-- --><x/>"] {
        assert_eq!(refused(&asking(GET, body)), (Fault::Malformed, "metadata: not an empty body"), "{body}");
    }
    let dialect = "<m:Dialect>urn:x</m:Dialect>";
    let named = "<m:Identifier>urn:x</m:Identifier>";
    for body in [
        "",
        "<x/>",
        "<GetMetadata/>",
        "text<m:GetMetadata/>",
        "<m:GetMetadata/><m:GetMetadata/>",
        "<m:GetMetadata>text</m:GetMetadata>",
        "<m:GetMetadata><x/></m:GetMetadata>",
        "<m:GetMetadata><m:Dialect><x/></m:Dialect></m:GetMetadata>",
        &format!("<m:GetMetadata>{dialect}{dialect}</m:GetMetadata>"),
        &format!("<m:GetMetadata>{named}{dialect}</m:GetMetadata>"),
        &format!("<m:GetMetadata>{dialect}{named}{named}</m:GetMetadata>"),
    ] {
        assert_eq!(refused(&asking(GET_METADATA, body)), (Fault::Malformed, "metadata: bad question"), "{body}");
    }
    let two = asking(GET, "").replace("<s:Body>", "<s:Body/><s:Body>");
    assert_eq!(refused(&two), (Fault::Malformed, "soap: malformed envelope"));
}

#[test]
fn what_is_not_xml_as_we_take_it_or_large_is_refused() {
    let good = asking(GET, "");
    let declared = format!("<!DOCTYPE x [<!ENTITY a 'b'>]>{good}");
    assert_eq!(refused(&declared), (Fault::Malformed, "xml: document type declaration"));
    assert_eq!(refused(&good.replace("</s:Header>", "&a;</s:Header>")), (Fault::Malformed, "xml: bad reference"));
    let deep = asking(GET_METADATA, &("<x>".repeat(20) + &"</x>".repeat(20)));
    let many = asking(GET_METADATA, &"<x/>".repeat(300));
    let long =
        asking(GET_METADATA, &format!("<m:GetMetadata><m:Dialect>{}</m:Dialect></m:GetMetadata>", "x".repeat(1025)));
    let large = good.clone() + &" ".repeat(INQUIRY + 1 - good.len());
    for body in [deep, many, long, large] {
        assert_eq!(refused(&body), (Fault::Malformed, "xml: too large"));
    }
    assert!(inquire(&of(SOAP12, None, &(good.clone() + &" ".repeat(INQUIRY - good.len())))).is_ok());
    for content_type in ["multipart/related", "text/xml", "text/plain", "application/soap+xml; charset=utf-16"] {
        let rejection = inquire(&of(content_type, None, &good)).unwrap_err();
        assert_eq!(rejection.reply(Correlation([7; 16]), Millis(0)).status, 415, "{content_type}");
    }
}

#[test]
fn headers_are_held_to_as_in_any_message() {
    let with = |more: &str| asking(GET, "").replace("</s:Header>", &format!("{more}</s:Header>"));
    let security = |mandatory| format!("<o:Security xmlns:o='{}'{mandatory}><x/></o:Security>", names::WSSE);
    assert_eq!(refused(&with(&security(" s:mustUnderstand='true'"))).0, Fault::MustUnderstand);
    let rejection = inquire(&of(SOAP12, None, &with(&security(" s:mustUnderstand='1'")))).unwrap_err();
    let reply = String::from_utf8(rejection.reply(Correlation([7; 16]), Millis(0)).body).unwrap();
    let named = format!("NotUnderstood xmlns:q=\"{}\" qname=\"q:Security\">", names::WSSE);
    assert!(reply.contains(&named), "{reply}");
    assert!(inquire(&of(SOAP12, None, &with(&security("")))).is_ok());
    assert_eq!(refused(&with("<x s:mustUnderstand='1'/>")).0, Fault::MustUnderstand);
    assert_eq!(refused(&with("<a:Action>urn:x</a:Action>")).0, Fault::InvalidAddressingHeader);
    let elsewhere = "<a:ReplyTo><a:Address>https://elsewhere.example.com/</a:Address></a:ReplyTo>";
    assert_eq!(refused(&with(elsewhere)).0, Fault::OnlyAnonymousAddressSupported);
}
