//! A certificate that a signature covers and its message only names. What is digested in the place of the reference is
//! a `wsse:BinarySecurityToken` that nobody sends: whoever knows the certificate writes it (WSS 1.1.1 8.3, R-W063). It
//! is written here as WSS4J does, in exclusive canonical form, and is never parsed.

use base64ct::{Base64, Encoding};

use crate::trust::binary::X509V3;
use crate::xml::names;

/// The token of this certificate (DER), by the prefix of the reference.
#[must_use]
pub fn token(prefix: &str, certificate: &[u8]) -> String {
    let (uri, octets) = (names::WSSE, Base64::encode_string(certificate));
    format!(
        "<{prefix}:BinarySecurityToken xmlns=\"\" xmlns:{prefix}=\"{uri}\" ValueType=\"{X509V3}\">{octets}\
         </{prefix}:BinarySecurityToken>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_written_as_wss4j_writes_it_r_w063() {
        assert_eq!(
            token("o", &[0, 1, 2]),
            "<o:BinarySecurityToken xmlns=\"\" xmlns:o=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity\
             -secext-1.0.xsd\" ValueType=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0\
             #X509v3\">AAEC</o:BinarySecurityToken>"
        );
    }
}
