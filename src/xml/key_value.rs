//! `ds:KeyValue`: a public key itself, in the two forms that clients write, an RSA key and a point on a curve that has
//! a name. Parameters of a curve of one's own are read nowhere. This gives the numbers as they stand there and says
//! nothing about whether they are a key, and less whose.

use super::signature::base64;
use super::{Element, grammar, names};

/// The octets of a modulus, an exponent and a point, at most.
const MOST_MODULUS: usize = 2048;
const MOST_EXPONENT: usize = 8;
const MOST_POINT: usize = 133;

/// The numbers of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// `ds:RSAKeyValue`: both numbers are big-endian.
    Rsa {
        /// `Modulus`.
        modulus: Vec<u8>,
        /// `Exponent`.
        exponent: Vec<u8>,
    },
    /// `dsig11:ECKeyValue`.
    Point {
        /// `NamedCurve`.
        curve: NamedCurve,
        /// `PublicKey`, as X9.62 writes it.
        octets: Vec<u8>,
    },
}

/// The curves that are known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedCurve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

impl NamedCurve {
    /// By its object identifier (RFC 5480 2.1.1.1).
    fn named(uri: &str) -> Option<Self> {
        Some(match uri {
            "urn:oid:1.2.840.10045.3.1.7" => Self::P256,
            "urn:oid:1.3.132.0.34" => Self::P384,
            "urn:oid:1.3.132.0.35" => Self::P521,
            _ => return None,
        })
    }
}

/// Reads one. None for a key of another kind, or what is not of the grammar.
#[must_use]
pub fn read(element: Element<'_>) -> Option<KeyValue> {
    let [inside] = grammar::elements(element, names::DS, "KeyValue", &[])?[..] else { return None };
    if inside.is(names::DS, "RSAKeyValue") { rsa(inside) } else { point(inside) }
}

fn rsa(element: Element<'_>) -> Option<KeyValue> {
    let [modulus, exponent] = grammar::elements(element, names::DS, "RSAKeyValue", &[])?[..] else { return None };
    let modulus = octets(modulus, names::DS, "Modulus", MOST_MODULUS)?;
    Some(KeyValue::Rsa { modulus, exponent: octets(exponent, names::DS, "Exponent", MOST_EXPONENT)? })
}

fn point(element: Element<'_>) -> Option<KeyValue> {
    let [curve, point] = grammar::elements(element, names::DS11, "ECKeyValue", &["Id"])?[..] else { return None };
    if !grammar::elements(curve, names::DS11, "NamedCurve", &["URI"])?.is_empty() {
        return None;
    }
    let curve = NamedCurve::named(curve.attribute("", "URI")?)?;
    Some(KeyValue::Point { curve, octets: octets(point, names::DS11, "PublicKey", MOST_POINT)? })
}

/// The octets that an element with this name and no attribute holds in base64.
fn octets(element: Element<'_>, uri: &str, local: &str, most: usize) -> Option<Vec<u8>> {
    let plain = element.is(uri, local) && grammar::has_only(element, &[]);
    base64(element.text().filter(|_| plain)?, most)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};

    use super::*;
    use crate::xml::{Limits, Tree};

    const RSA: &str = "<ds:KeyValue xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:RSAKeyValue><ds:Modulus>\n AAEC\n\
                       </ds:Modulus> <ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>";
    const POINT: &str = "<KeyValue xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><k:ECKeyValue Id=\"k\" \
                         xmlns:k=\"http://www.w3.org/2009/xmldsig11#\"><k:NamedCurve \
                         URI=\"urn:oid:1.2.840.10045.3.1.7\"/><k:PublicKey>BAEC</k:PublicKey></k:ECKeyValue></KeyValue>";

    fn of(text: &str) -> Option<KeyValue> {
        read(Tree::parse(text.as_bytes(), &Limits::default()).unwrap().root())
    }

    #[test]
    fn a_key_of_either_form_is_read_as_it_stands() {
        assert_eq!(of(RSA), Some(KeyValue::Rsa { modulus: vec![0, 1, 2], exponent: vec![1, 0, 1] }));
        for (oid, curve) in [
            ("1.2.840.10045.3.1.7", NamedCurve::P256),
            ("1.3.132.0.34", NamedCurve::P384),
            ("1.3.132.0.35", NamedCurve::P521),
        ] {
            let text = POINT.replace("1.2.840.10045.3.1.7", oid);
            assert_eq!(of(&text), Some(KeyValue::Point { curve, octets: vec![4, 1, 2] }), "{oid}");
        }
    }

    #[test]
    fn nothing_else_is_read_as_one() {
        let (modulus, exponent) = ("<ds:Modulus>\n AAEC\n</ds:Modulus>", "<ds:Exponent>AQAB</ds:Exponent>");
        let long = Base64::encode_string(&[1; MOST_MODULUS + 1]);
        let nine = Base64::encode_string(&[1; MOST_EXPONENT + 1]);
        for (from, to) in [
            ("ds:KeyValue", "ds:KeyInfo"),
            ("xmldsig#", "xmldsig#x"),
            ("<ds:RSAKeyValue>", "<ds:RSAKeyValue Id=\"a\">"),
            ("<ds:RSAKeyValue>", "x<ds:RSAKeyValue>"),
            ("<ds:RSAKeyValue>", "<!-- --><ds:RSAKeyValue>"),
            ("</ds:RSAKeyValue>", "</ds:RSAKeyValue><ds:RSAKeyValue/>"),
            ("RSAKeyValue", "DSAKeyValue"),
            (modulus, ""),
            (exponent, ""),
            (exponent, "<ds:Exponent>AQAB</ds:Exponent><ds:Exponent>AQAB</ds:Exponent>"),
            (exponent, "<ds:Exponent></ds:Exponent>"),
            (exponent, "<ds:Exponent>AQA</ds:Exponent>"),
            (exponent, "<ds:Exponent>AQ=B</ds:Exponent>"),
            (exponent, "<ds:Exponent>AQ<!-- -->AB</ds:Exponent>"),
            (exponent, "<ds:Exponent>AQ<x/>AB</ds:Exponent>"),
            (exponent, "<ds:Exponent x=\"y\">AQAB</ds:Exponent>"),
            (exponent, &format!("<ds:Exponent>{nine}</ds:Exponent>")),
            (modulus, &format!("<ds:Modulus>{long}</ds:Modulus>")),
        ] {
            assert!(RSA.contains(from), "{from}");
            assert_eq!(of(&RSA.replace(from, to)), None, "{from} {to}");
        }
        let named = "<k:NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"/>";
        for (from, to) in [
            (named, "<k:ECParameters><k:FieldID/></k:ECParameters>"),
            (named, ""),
            (named, "<k:NamedCurve/>"),
            (named, "<k:NamedCurve URI=\"\"/>"),
            (named, "<k:NamedCurve URI=\"1.2.840.10045.3.1.7\"/>"),
            (named, "<k:NamedCurve URI=\"urn:oid:1.3.132.0.10\"/>"),
            (named, "<k:NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"><k:x/></k:NamedCurve>"),
            (named, "<k:NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"/><k:ECParameters/>"),
            ("2009/xmldsig11#", "2001/04/xmldsig-more#"),
            ("<k:PublicKey>BAEC</k:PublicKey>", "<k:PublicKey></k:PublicKey>"),
            ("<k:PublicKey>BAEC</k:PublicKey>", ""),
        ] {
            assert!(POINT.contains(from), "{from}");
            assert_eq!(of(&POINT.replace(from, to)), None, "{from} {to}");
        }
    }
}
