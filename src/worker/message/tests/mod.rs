//! What the message layer takes, refuses and answers.

mod asserted;
mod captures;
mod certified;
mod connections;
mod envelopes;
mod inquiries;
mod jwt;
mod keyed;
mod mutations;
mod replies;
mod requests;
mod sealed;
mod sealed_first;
mod shared;
mod signed;
mod ticket;

use super::*;
use crate::config::worker::{Credential, Profile, Replies, Trust};
use crate::xml::names;

#[path = "../../../../tests/support/data.rs"]
#[expect(dead_code, reason = "shared with tests/vectors.rs, which uses all of it")]
mod others;

pub(super) use others::data;

pub(super) const SOAP12: &str = "application/soap+xml; charset=utf-8";
pub(super) const SOAP11: &str = "text/xml; charset=utf-8";

pub(super) fn endpoint(profile: Profile, trust: Trust) -> Endpoint {
    Endpoint {
        path: "/sts".to_owned(),
        profile,
        trust,
        credential: Credential::Username,
        leniencies: None,
        encryption: false,
        signature_confirmation: false,
        replies: Replies::Plain,
    }
}

pub(super) fn adfs() -> Endpoint {
    endpoint(Profile::Adfs, Trust::Any)
}

pub(super) fn generic() -> Endpoint {
    endpoint(Profile::Generic, Trust::Any)
}

/// A generic endpoint that tolerates everything.
pub(super) fn lenient() -> Endpoint {
    Endpoint { leniencies: Some(Leniency::ALL.to_vec()), ..generic() }
}

/// A request in pieces, each of which a test may replace.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) soap: &'static str,
    pub(super) content_type: Option<String>,
    pub(super) soap_action: Option<String>,
    pub(super) addressing: String,
    pub(super) timestamp: String,
    pub(super) username: String,
    pub(super) more_headers: String,
    pub(super) trust: &'static str,
    pub(super) attributes: String,
    pub(super) request_type: String,
    pub(super) applies_to: String,
    pub(super) key_type: String,
    pub(super) more: String,
}

pub(super) const CREATED: &str = "2026-11-22T06:22:07Z";

impl Default for Message {
    fn default() -> Self {
        Self {
            soap: names::SOAP12,
            content_type: Some(SOAP12.to_owned()),
            soap_action: None,
            addressing: format!(
                "<a:Action s:mustUnderstand='1'>{0}/RST/Issue</a:Action><a:MessageID>urn:uuid:1</a:MessageID>\
                 <a:ReplyTo><a:Address>{1}/anonymous</a:Address></a:ReplyTo>\
                 <a:To s:mustUnderstand='1'>https://localhost/sts</a:To>",
                names::WST13,
                names::WSA
            ),
            timestamp: format!("<u:Timestamp u:Id='_0'><u:Created>{CREATED}</u:Created></u:Timestamp>"),
            username: "<o:UsernameToken u:Id='u1'><o:Username>alice</o:Username>\
                       <o:Password>s&amp;cret</o:Password></o:UsernameToken>"
                .to_owned(),
            more_headers: String::new(),
            trust: names::WST13,
            attributes: String::new(),
            request_type: format!("<t:RequestType>{}/Issue</t:RequestType>", names::WST13),
            applies_to: "<p:AppliesTo><a:EndpointReference><a:Address> urn:rp </a:Address></a:EndpointReference>\
                         </p:AppliesTo>"
                .to_owned(),
            key_type: format!("<t:KeyType>{}/Bearer</t:KeyType>", names::WST13),
            more: String::new(),
        }
    }
}

impl Message {
    pub(super) fn of_2005() -> Self {
        let new = Self::default();
        Self {
            trust: names::WST05,
            addressing: new.addressing.replace(names::WST13, names::WST05),
            request_type: new.request_type.replace(names::WST13, names::WST05),
            key_type: format!("<t:KeyType>{}/NoProofKey</t:KeyType>", names::IDENTITY),
            ..new
        }
    }

    pub(super) fn in_soap11(self) -> Self {
        Self { soap: names::SOAP11, content_type: Some(SOAP11.to_owned()), ..self }
    }

    pub(super) fn with(more: impl Into<String>) -> Self {
        Self { more: more.into(), ..Self::default() }
    }

    pub(super) fn xml(&self) -> String {
        format!(
            "<s:Envelope xmlns:s='{}' xmlns:a='{}' xmlns:u='{}' xmlns:o='{}' xmlns:p='{}' xmlns:t='{}'><s:Header>{}\
             <o:Security s:mustUnderstand='1'>{}{}</o:Security>{}</s:Header><s:Body>\
             <t:RequestSecurityToken{}>{}{}{}{}</t:RequestSecurityToken></s:Body></s:Envelope>",
            self.soap,
            names::WSA,
            names::WSU,
            names::WSSE,
            names::WSP04,
            self.trust,
            self.addressing,
            self.timestamp,
            self.username,
            self.more_headers,
            self.attributes,
            self.request_type,
            self.applies_to,
            self.key_type,
            self.more
        )
    }

    pub(super) fn read(&self, endpoint: &Endpoint) -> Result<Request, Rejection> {
        let body = self.xml();
        read(
            endpoint,
            &Incoming {
                content_type: self.content_type.as_deref(),
                soap_action: self.soap_action.as_deref(),
                body: body.as_bytes(),
            },
        )
    }

    pub(super) fn accepted(&self, endpoint: &Endpoint) -> Request {
        self.read(endpoint).unwrap_or_else(|rejection| panic!("{}: {}", rejection.reason(), self.xml()))
    }

    pub(super) fn refused(&self, endpoint: &Endpoint) -> Fault {
        self.read(endpoint).map(|_| panic!("accepted: {}", self.xml())).unwrap_err().fault()
    }
}
