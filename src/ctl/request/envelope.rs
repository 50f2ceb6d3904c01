//! The request's octets: SOAP 1.1 or 1.2, WS-Trust 1.3 or 2005/02, a UsernameToken and a Timestamp. Text in,
//! text out; every value is escaped.

use std::fmt::Write;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// SOAP, by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Soap {
    /// SOAP 1.1
    #[value(name = "1.1")]
    V11,
    /// SOAP 1.2
    #[value(name = "1.2")]
    V12,
}

/// WS-Trust, by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Trust {
    /// WS-Trust 1.3
    #[value(name = "1.3")]
    V13,
    /// WS-Trust of February 2005
    #[value(name = "2005")]
    V2005,
}

/// Tokens a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TokenType {
    /// SAML 1.1
    Saml11,
    /// SAML 2.0
    Saml20,
}

/// One Issue request.
#[derive(Debug)]
pub(super) struct Issue<'a> {
    pub(super) url: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) applies_to: &'a str,
    pub(super) token_type: Option<TokenType>,
    pub(super) lifetime_min: Option<u32>,
    pub(super) soap: Soap,
    pub(super) trust: Trust,
}

impl Trust {
    fn namespace(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust",
        }
    }

    /// The action of an Issue request.
    pub(super) fn action(self) -> String {
        format!("{}/RST/Issue", self.namespace())
    }

    fn bearer(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
        }
    }
}

impl TokenType {
    fn uri(self) -> &'static str {
        match self {
            Self::Saml11 => "urn:oasis:names:tc:SAML:1.0:assertion",
            Self::Saml20 => "urn:oasis:names:tc:SAML:2.0:assertion",
        }
    }
}

impl Soap {
    fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// The HTTP headers that say which SOAP this is; `action` with quotes.
    pub(super) fn headers(self, action: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::V11 => {
                vec![("Content-Type", "text/xml; charset=utf-8".to_owned()), ("SOAPAction", format!("\"{action}\""))]
            }
            Self::V12 => {
                vec![("Content-Type", format!("application/soap+xml; charset=utf-8; action=\"{action}\""))]
            }
        }
    }
}

impl Issue<'_> {
    /// The envelope, created at `now`.
    pub(super) fn envelope(&self, now: OffsetDateTime) -> String {
        let (s, t) = (self.soap.namespace(), self.trust.namespace());
        let action = self.trust.action();
        let (url, user, password, applies_to) =
            (escaped(self.url), escaped(self.user), escaped(self.password), escaped(self.applies_to));
        let token_type =
            self.token_type.map_or_else(String::new, |kind| format!("<t:TokenType>{}</t:TokenType>", kind.uri()));
        let lifetime = self.lifetime_min.map_or_else(String::new, |minutes| {
            let (from, to) = (instant(now), instant(now + Duration::minutes(i64::from(minutes))));
            format!("<t:Lifetime><u:Created>{from}</u:Created><u:Expires>{to}</u:Expires></t:Lifetime>")
        });
        let (created, expires) = (instant(now), instant(now + Duration::minutes(5)));
        let message = identifier();
        let bearer = self.trust.bearer();
        format!(
            r#"<s:Envelope xmlns:s="{s}" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action><a:MessageID>urn:uuid:{message}</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo><a:To s:mustUnderstand="1">{url}</a:To><o:Security s:mustUnderstand="1" xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><u:Timestamp u:Id="_0"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp><o:UsernameToken u:Id="_1"><o:Username>{user}</o:Username><o:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText">{password}</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t="{t}">{token_type}<t:RequestType>{t}/Issue</t:RequestType><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>{applies_to}</a:Address></a:EndpointReference></p:AppliesTo>{lifetime}<t:KeyType>{bearer}</t:KeyType></t:RequestSecurityToken></s:Body></s:Envelope>"#
        )
    }
}

/// `2026-01-02T15:04:05Z`.
fn instant(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// A random UUID (version 4).
fn identifier() -> String {
    let mut octets = crate::wire::ids::Correlation::random().0;
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, octet) in octets.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_element() {
        let issue = Issue {
            url: "https://sts/",
            user: "a</o:Username><o:Username>b",
            password: "&<>\r",
            applies_to: "urn:x",
            token_type: Some(TokenType::Saml20),
            lifetime_min: Some(5),
            soap: Soap::V12,
            trust: Trust::V2005,
        };
        let text = issue.envelope(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(text.matches("<o:Username>").count(), 1);
        assert!(text.contains("&amp;&lt;&gt;&#xD;</o:Password>"));
        assert!(text.contains("<u:Created>1970-01-01T00:00:00Z</u:Created><u:Expires>1970-01-01T00:05:00Z"));
        assert!(text.contains("NoProofKey"));
    }

    #[test]
    fn message_ids_are_version_4_uuids() {
        let id = identifier();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert_ne!(id, identifier());
    }
}
