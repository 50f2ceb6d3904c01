//! Who asks, and by which names a request is known: ours, and the one the client gave it, so that an operator
//! finds in our log what a client's log speaks of. A client's name for it is believed nowhere; what could be
//! taken for anything else in a line of log is dropped.

use std::net::IpAddr;

use hyper::http::request::Parts;

use super::client::Client;
use crate::wire::Correlation;

/// The header, and the parameter, in which AD FS clients name a request.
const CLIENT_REQUEST_ID: &str = "client-request-id";
/// The longest such name that is taken; a UUID has 36.
const LONGEST: usize = 64;

/// Where a request comes from and what it is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'r> {
    /// The client's address.
    pub(super) source: IpAddr,
    /// Our name for the request.
    pub(super) correlation: Correlation,
    /// The client's.
    pub(super) client_request_id: Option<&'r str>,
    /// Who has proved a certificate on this connection.
    pub(super) client: Option<&'r Client>,
}

impl<'r> Asking<'r> {
    /// A request from `source`, newly named, over a connection of that client.
    pub(super) fn new(source: IpAddr, client: Option<&'r Client>, parts: &'r Parts) -> Self {
        let header = parts.headers.get(CLIENT_REQUEST_ID).and_then(|value| value.to_str().ok());
        // MSAL.NET appends it to the address.
        let parameters = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let mut named = parameters.filter(|(name, _)| *name == CLIENT_REQUEST_ID).map(|(_, value)| value);
        let client_request_id = header.into_iter().chain(named.next()).find(|id| is_plain(id));
        Self { source, correlation: Correlation::random(), client_request_id, client }
    }
}

fn is_plain(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(header: Option<&str>, address: &str) -> Option<String> {
        let mut request = hyper::Request::builder().uri(address);
        if let Some(header) = header {
            request = request.header(CLIENT_REQUEST_ID, header);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let asking = Asking::new("192.0.2.1".parse().unwrap(), None, &parts);
        asking.client_request_id.map(str::to_owned)
    }

    #[test]
    fn a_client_names_its_request_in_a_header_or_in_the_address() {
        let id = "7c1e5f0a-3b8e-4c52-9d0e-5c0f5a3c9a11";
        assert_eq!(named(Some(id), "/sts").as_deref(), Some(id));
        assert_eq!(named(None, &format!("/sts?a=b&client-request-id={id}")).as_deref(), Some(id));
        assert_eq!(named(Some("a b"), &format!("/sts?client-request-id={id}")).as_deref(), Some(id));
        assert_eq!(named(None, "/sts?client-request-id="), None);
    }

    #[test]
    fn a_name_that_is_no_plain_token_is_dropped() {
        for bad in ["", "a b", "a=b", "a\"b", "a\tb", "\u{e4}", &"0".repeat(65)] {
            assert_eq!(named(Some(bad), "/sts"), None, "{bad:?}");
        }
        assert!(named(Some(&"0".repeat(64)), "/sts").is_some());
    }
}
