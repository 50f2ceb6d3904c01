//! What the service answered: the token, cut out octet for octet, or the fault. The token is handed on and
//! not judged; whoever relies on it verifies its signature.

use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

/// WS-Trust 1.3 and 2005/02.
const TRUST: [&str; 2] =
    ["http://docs.oasis-open.org/ws-sx/ws-trust/200512", "http://schemas.xmlsoap.org/ws/2005/02/trust"];
/// SOAP 1.1 and 1.2.
const SOAP: [&str; 2] = ["http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"];

/// An answer that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The content of `RequestedSecurityToken`.
    Token(String),
    /// A SOAP fault.
    Fault {
        /// Local name of the innermost code (`FailedAuthentication`).
        code: String,
        /// The text for people.
        reason: String,
    },
}

/// Reads an answer.
///
/// # Errors
/// One clause, when it is neither token nor fault.
pub(super) fn read(octets: &[u8]) -> Result<Answer, String> {
    let text = std::str::from_utf8(octets).map_err(|_| "the answer is not UTF-8".to_owned())?;
    let mut reader = NsReader::from_str(text);
    let mut path: Vec<(String, String)> = Vec::new();
    let mut token: Option<(usize, usize)> = None;
    let (mut code, mut reason) = (None::<String>, None::<String>);
    loop {
        let before = position(&reader);
        let (namespace, event) =
            reader.read_resolved_event().map_err(|error| format!("the answer is not XML: {error}"))?;
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.0.to_owned(),
            _ => String::new(),
        };
        match event {
            Event::Start(start) => {
                path.push((namespace, start.local_name().into_inner().to_owned()));
                let is_token = (path.last())
                    .is_some_and(|(space, name)| TRUST.contains(&space.as_str()) && name == "RequestedSecurityToken");
                if is_token && token.is_none() {
                    token = Some((position(&reader), 0));
                }
            }
            Event::End(_) => {
                if let (Some((_, name)), Some((_, end @ 0))) = (path.pop(), &mut token)
                    && name == "RequestedSecurityToken"
                {
                    *end = before;
                }
            }
            Event::Text(content) => {
                let content = content.xml10_content();
                let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
                let in_fault = path.iter().any(|(space, name)| SOAP.contains(&space.as_str()) && name == "Fault");
                match names.as_slice() {
                    _ if !in_fault || content.trim().is_empty() => {}
                    // SOAP 1.2: the innermost Subcode comes last.
                    [.., "Code" | "Subcode", "Value"] | [.., "faultcode"] => code = Some(local(&content)),
                    [.., "Reason", "Text"] | [.., "faultstring"] => {
                        reason.get_or_insert_with(String::new).push_str(&content);
                    }
                    _ => {}
                }
            }
            Event::DocType(_) => return Err("the answer has a document type".to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    if !path.is_empty() {
        return Err("the answer ends in the middle".to_owned());
    }
    match (token, code) {
        (Some((start, end)), None) if end > start => {
            Ok(Answer::Token(text.get(start..end).unwrap_or_default().to_owned()))
        }
        (None, Some(code)) => Ok(Answer::Fault { code, reason: reason.unwrap_or_default() }),
        _ => Err("the answer is neither a token nor a fault".to_owned()),
    }
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn local(code: &str) -> String {
    let code = code.trim();
    code.rsplit_once(':').map_or(code, |(_, local)| local).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_comes_out_octet_for_octet() {
        let token =
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\" A='1'>é&amp;</saml:Assertion>";
        let answer = format!(
            "<s:Envelope xmlns:s=\"{}\"><s:Body><trust:RSTRC xmlns:trust=\"{}\"><trust:RequestedSecurityToken>{token}\
             </trust:RequestedSecurityToken></trust:RSTRC></s:Body></s:Envelope>",
            SOAP[1], TRUST[0]
        );
        assert_eq!(read(answer.as_bytes()), Ok(Answer::Token(token.to_owned())));
        assert!(read(&answer.as_bytes()[..answer.len() - 9]).is_err());
        assert!(read(answer.replace(TRUST[0], "urn:other").as_bytes()).is_err());
    }

    #[test]
    fn both_kinds_of_fault_are_read() {
        let new = format!(
            "<s:Envelope xmlns:s=\"{}\"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>\
             t:FailedAuthentication</s:Value></s:Subcode></s:Code><s:Reason><s:Text>no</s:Text></s:Reason></s:Fault>\
             </s:Body></s:Envelope>",
            SOAP[1]
        );
        let old = format!(
            "<s:Envelope xmlns:s=\"{}\"><s:Body><s:Fault><faultcode>t:FailedAuthentication</faultcode>\
             <faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>",
            SOAP[0]
        );
        let fault = Answer::Fault { code: "FailedAuthentication".into(), reason: "no".into() };
        assert_eq!(read(new.as_bytes()).as_ref(), Ok(&fault));
        assert_eq!(read(old.as_bytes()), Ok(fault));
        assert!(read(b"<!DOCTYPE a><a/>").is_err());
        assert!(read(b"hello").is_err());
    }
}
