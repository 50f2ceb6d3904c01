//! HTTP Negotiate (RFC 4559), one round of it: a request brings its token in its head, or is asked for one. The token
//! is decoded and not looked into; whom it means is auth's to say. Nothing is remembered of a connection: its next
//! request brings a token of its own.

use base64ct::{Base64, Encoding};
use hyper::header::{self, HeaderMap, HeaderValue};

use crate::wire::Secret;
use crate::wire::evidence::{MOST_NEGOTIATED_OCTETS, Negotiation};

/// The scheme.
pub(super) const SCHEME: &str = "Negotiate";

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// None came, or something else: the client is asked for one.
    Token,
    /// What came is not base64, or too large.
    Unreadable,
    /// More than one came.
    Twice,
}

/// The token in the head of a request to a server with that certificate.
pub(super) fn offered(headers: &HeaderMap, server: [u8; 32]) -> Result<Negotiation, Missing> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Missing::Token)?;
    if values.next().is_some() {
        return Err(Missing::Twice);
    }
    let value = value.to_str().map_err(|_| Missing::Unreadable)?;
    let (scheme, token) = value.split_once(' ').ok_or(Missing::Token)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(Missing::Token);
    }
    if token.len() > MOST_NEGOTIATED_OCTETS.div_ceil(3) * 4 {
        return Err(Missing::Unreadable);
    }
    let token = Base64::decode_vec(token).map_err(|_| Missing::Unreadable)?;
    Ok(Negotiation { token: Secret::new(token).map_err(|_| Missing::Unreadable)?, server })
}

/// The header of the answer that tells the client who we are.
pub(super) fn answer(token: &[u8]) -> HeaderValue {
    let text = format!("{SCHEME} {}", Base64::encode_string(token));
    HeaderValue::try_from(text).expect("base64 is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Vec<u8>, Missing> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::try_from(*value).unwrap());
        }
        offered(&headers, [7; 32]).map(|offered| {
            assert_eq!(offered.server, [7; 32]);
            offered.token.expose().to_vec()
        })
    }

    #[test]
    fn a_token_is_the_base64_behind_the_scheme() {
        assert_eq!(read(&["Negotiate YWJj"]).unwrap(), b"abc");
        assert_eq!(read(&["nEGOTIATE YWI="]).unwrap(), b"ab");
        assert_eq!(answer(b"abc"), "Negotiate YWJj");
    }

    #[test]
    fn whoever_brings_none_is_asked_for_one_and_what_is_none_is_refused() {
        for values in [&[][..], &["Negotiate"], &["Basic YWJj"], &["NTLM TlRMTVNTUAAB"]] {
            assert_eq!(read(values), Err(Missing::Token), "{values:?}");
        }
        for value in ["Negotiate  YWJj", "Negotiate YWJ", "Negotiate YW-_", "Negotiate YWJj ", "Negotiate YWJj, x"] {
            assert_eq!(read(&[value]), Err(Missing::Unreadable), "{value:?}");
        }
        assert_eq!(read(&["Negotiate YWJj", "Negotiate YWJj"]), Err(Missing::Twice));
    }

    #[test]
    fn a_token_is_no_larger_than_its_type_says() {
        let of = |size| format!("Negotiate {}", Base64::encode_string(&vec![7; size]));
        assert_eq!(read(&[&of(MOST_NEGOTIATED_OCTETS)]).unwrap().len(), MOST_NEGOTIATED_OCTETS);
        assert_eq!(read(&[&of(MOST_NEGOTIATED_OCTETS + 1)]), Err(Missing::Unreadable));
    }
}
