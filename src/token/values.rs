//! The small values assertions are made of: ids, instants, and the URIs that name formats and methods
//! (namespaces.md 1.11 to 1.13).

use std::fmt;

use base64ct::{Base64, Encoding};
use time::OffsetDateTime;

use crate::wire::order::{Method, NameFormat};
use crate::wire::{Millis, Text};
use crate::xml::{Writer, names};

/// The last millisecond `xs:dateTime` writes with four digits of year.
const LAST: i64 = 253_402_300_799_999;

/// `ID` / `AssertionID`: an underscore and 128 random bits in hexadecimal, so an `xs:ID` (R-S001).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// A fresh one, from the kernel.
    ///
    /// # Panics
    /// When the kernel has no randomness to give; no token may be made then.
    #[must_use]
    pub fn random() -> Self {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets).expect("the kernel's random number generator answers");
        Self::from_octets(octets)
    }

    pub(crate) fn from_octets(octets: [u8; 16]) -> Self {
        Self(format!("_{:032x}", u128::from_be_bytes(octets)))
    }

    /// The id as it stands in the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as it crosses to other processes.
    #[must_use]
    pub fn text(&self) -> Text<64> {
        Text::new(self.0.as_str()).expect("33 ASCII characters fit")
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An instant in UTC with milliseconds and `Z` (R-S002). Outside the years 1970 to 9999 the nearest end.
#[must_use]
pub fn instant(millis: Millis) -> String {
    let millis = millis.0.clamp(0, LAST);
    let at = OffsetDateTime::from_unix_timestamp(millis / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", millis % 1000)
}

/// `NameID/@Format`, `NameIdentifier/@Format` (R-S012).
#[must_use]
pub fn name_format(format: NameFormat) -> &'static str {
    match format {
        NameFormat::Unspecified => "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        NameFormat::EmailAddress => "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
        NameFormat::X509SubjectName => "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName",
        NameFormat::WindowsDomainQualifiedName => {
            "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName"
        }
        NameFormat::Persistent => "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        NameFormat::Transient => "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    }
}

/// `AuthnContextClassRef` of SAML 2.0.
#[must_use]
pub fn context_class(method: Method) -> &'static str {
    match method {
        Method::Password | Method::Digest => "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        Method::X509 => "urn:oasis:names:tc:SAML:2.0:ac:classes:X509",
        Method::TlsCertificate => "urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient",
        // How the partner knew is the partner's word, and not repeated as ours.
        Method::Saml | Method::Jwt => "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified",
        Method::Kerberos => "urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos",
    }
}

/// `AuthenticationMethod` of SAML 1.1.
#[must_use]
pub fn authentication_method(method: Method) -> &'static str {
    match method {
        Method::Password | Method::Digest => "urn:oasis:names:tc:SAML:1.0:am:password",
        Method::X509 => "urn:oasis:names:tc:SAML:1.0:am:X509-PKI",
        Method::TlsCertificate => "urn:ietf:rfc:2246",
        Method::Saml | Method::Jwt => "urn:oasis:names:tc:SAML:1.0:am:unspecified",
        Method::Kerberos => "urn:ietf:rfc:1510",
    }
}

/// `ds:KeyInfo` that names a key by its certificate, DER.
pub(super) fn key_info(xml: &mut Writer, certificate: &[u8]) {
    xml.open("ds:KeyInfo").namespace("ds", names::DS).open("ds:X509Data");
    xml.leaf("ds:X509Certificate", &Base64::encode_string(certificate)).close().close();
}

/// A claim type as SAML 1.1 names it: `AttributeNamespace`, then `AttributeName`, split at the last `/`
/// as AD FS and WIF do. None when either would be empty; such a claim does not fit into SAML 1.1.
#[must_use]
pub fn split_claim(uri: &str) -> Option<(&str, &str)> {
    uri.rsplit_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_begin_with_an_underscore_r_s001() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100_000 {
            let id = TokenId::random();
            assert!(id.as_str().len() == 33 && id.as_str().starts_with('_'));
            assert!(id.as_str()[1..].bytes().all(|octet| octet.is_ascii_hexdigit()));
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn instants_have_three_digits_and_a_z_r_s002() {
        assert_eq!(instant(Millis(1_384_484_905_001)), "2013-11-15T03:08:25.001Z");
        assert_eq!(instant(Millis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(Millis(i64::MIN)), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(Millis(i64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_claim_splits_at_its_last_slash() {
        assert_eq!(split_claim("http://a/b/c"), Some(("http://a/b", "c")));
        for bad in ["urn:a", "http://a/", "/a", "/"] {
            assert_eq!(split_claim(bad), None, "{bad}");
        }
    }
}
