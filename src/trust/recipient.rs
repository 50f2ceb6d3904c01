//! For whom a session key is sealed: one certificate, named in one way, as value. Whose it is, auth knows.

use aws_lc_rs::digest::{SHA256, digest};

use super::binary::{self, X509V3};
use super::identifiers::{KEY_IDENTIFIER, THUMBPRINT};
use crate::wire::Octets;
use crate::wire::unwrap::Recipient;
use crate::xml::chars::trim;
use crate::xml::signature::base64;
use crate::xml::{Element, names};

/// Octets of a certificate, at most.
const LARGEST_CERTIFICATE: usize = 16 * 1024;

/// Why it is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// Not of the grammar.
    Malformed,
    /// Named in another way than by a certificate.
    Unsupported,
    /// By a token that is not there.
    Absent,
}

/// Reads the `ds:KeyInfo` of a sealed key: one way of naming a certificate, and nothing that has to be fetched. `token`
/// is the binary token with an id, where there may be any.
///
/// # Errors
/// [`Unnamed`].
pub fn read<'t>(info: Element<'t>, token: impl FnOnce(&str) -> Option<Element<'t>>) -> Result<Recipient, Unnamed> {
    let bad = Unnamed::Malformed;
    let named = info.only_child().ok_or(bad)?;
    let reference = match (named.uri(), named.local()) {
        (names::DS, "X509Data") => named,
        (names::WSSE, "SecurityTokenReference") => named.only_child().ok_or(bad)?,
        _ => return Err(Unnamed::Unsupported),
    };
    match (reference.uri(), reference.local()) {
        (names::WSSE, "Reference") => {
            let id = reference.attribute("", "URI").and_then(|uri| uri.strip_prefix('#')).ok_or(bad)?;
            let token = token(id).ok_or(Unnamed::Absent)?;
            match token.attribute("", "ValueType") {
                Some(X509V3) => binary::octets(token, LARGEST_CERTIFICATE).map(|der| certificate(&der)).ok_or(bad),
                _ => Err(Unnamed::Unsupported),
            }
        }
        (names::WSSE, "KeyIdentifier") => {
            let octets = binary::octets(reference, 64).ok_or(bad)?;
            match reference.attribute("", "ValueType") {
                Some(THUMBPRINT) => Ok(Recipient::Thumbprint(octets.try_into().map_err(|_| bad)?)),
                Some(KEY_IDENTIFIER) => Ok(Recipient::KeyIdentifier(Octets::new(octets).map_err(|_| bad)?)),
                _ => Err(Unnamed::Unsupported),
            }
        }
        (names::DS, "X509Data") => from_data(reference).ok_or(bad),
        _ => Err(Unnamed::Unsupported),
    }
}

/// `ds:X509Data` that says one thing.
fn from_data(data: Element<'_>) -> Option<Recipient> {
    let said = data.only_child()?;
    match (said.uri(), said.local()) {
        (names::DS, "X509Certificate") => Some(certificate(&base64(said.text()?, LARGEST_CERTIFICATE)?)),
        (names::DS, "X509SKI") => Some(Recipient::KeyIdentifier(Octets::new(base64(said.text()?, 64)?).ok()?)),
        (names::DS, "X509IssuerSerial") => serial(said).map(Recipient::Serial),
        _ => None,
    }
}

/// The number in a `ds:X509IssuerSerial`, big-endian without leading zeros.
#[must_use]
pub fn serial(said: Element<'_>) -> Option<Octets<20>> {
    let mut children = said.children();
    let (name, number) = (children.next()?, children.next()?);
    let fit = name.is(names::DS, "X509IssuerName") && number.is(names::DS, "X509SerialNumber");
    if !fit || children.next().is_some() || !said.holds_only_elements() {
        return None;
    }
    Octets::new(decimal(trim(number.text()?))?).ok()
}

fn certificate(der: &[u8]) -> Recipient {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, der).as_ref());
    Recipient::Certificate(name)
}

/// A number of at most 160 bits, big-endian without leading zeros.
fn decimal(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > 49 || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut octets: Vec<u8> = vec![0; 21];
    for digit in text.bytes() {
        let mut carry = u32::from(digit - b'0');
        for octet in octets.iter_mut().rev() {
            carry += u32::from(*octet) * 10;
            *octet = u8::try_from(carry & 0xFF).ok()?;
            carry >>= 8;
        }
    }
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    Some(octets.split_off(first)).filter(|octets| octets.len() <= 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_read_in_decimal_and_bounded() {
        assert_eq!(decimal("0"), Some(vec![]));
        assert_eq!(decimal("255"), Some(vec![255]));
        assert_eq!(decimal("0000256"), Some(vec![1, 0]));
        // The one of W3C's vector for RSA-2048.
        assert_eq!(decimal("3945509604227456005"), Some(3_945_509_604_227_456_005_u64.to_be_bytes().to_vec()));
        let most = "1461501637330902918203684832716283019655932542975";
        assert_eq!(decimal(most), Some(vec![0xFF; 20]));
        for bad in ["", "-1", "+1", "0x10", "1 2", "1461501637330902918203684832716283019655932542976", &"9".repeat(50)]
        {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}
