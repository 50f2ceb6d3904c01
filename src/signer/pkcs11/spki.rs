//! `SubjectPublicKeyInfo` from the attributes of a token's public object: a DER writer of three tags, so
//! that what issuer verifies with is what the token holds and not what a file says.

/// Public keys that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RSA; octets of the modulus.
    Rsa {
        /// Octets of the modulus, at most 512.
        octets: usize,
    },
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
}

/// `CKA_EC_PARAMS` of P-256: the named curve's object identifier.
pub(crate) const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// `CKA_EC_PARAMS` of P-384.
pub(crate) const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
/// `id-ecPublicKey`.
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `rsaEncryption` with its NULL parameters.
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        Ok(octet) => der.extend([0x81, octet]),
        Err(_) => {
            let [high, low] = u16::try_from(length).expect("keys are far below 64 KiB").to_be_bytes();
            der.extend([0x82, high, low]);
        }
    }
    parts.iter().for_each(|part| der.extend_from_slice(part));
    der
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    &number[zeros..]
}

fn integer(number: &[u8]) -> Vec<u8> {
    let number = without_zeros(number);
    // Positive numbers only: a set high bit needs a zero in front.
    let pad: &[u8] = if number.first().is_none_or(|octet| octet & 0x80 != 0) { &[0] } else { &[] };
    tagged(INTEGER, &[pad, number])
}

/// From `CKA_MODULUS` and `CKA_PUBLIC_EXPONENT`; none when the key is not of a size that is served
/// (2048 to 4096 bits, an odd exponent of at least 65537 and at most 64 bits).
pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<(Kind, Vec<u8>)> {
    let modulus = without_zeros(modulus);
    let exponent = without_zeros(exponent);
    if !(256..=512).contains(&modulus.len()) || !(3..=8).contains(&exponent.len()) || exponent.last()? & 1 == 0 {
        return None;
    }
    let key = tagged(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    let spki = tagged(SEQUENCE, &[RSA_ENCRYPTION, &tagged(BIT_STRING, &[&[0], &key])]);
    Some((Kind::Rsa { octets: modulus.len() }, spki))
}

/// From `CKA_EC_PARAMS` and `CKA_EC_POINT`; none when the curve is not served or the point is not
/// uncompressed. The point comes wrapped in an OCTET STRING, and bare from modules that read 2.20 so.
pub(crate) fn ec(params: &[u8], point: &[u8]) -> Option<(Kind, Vec<u8>)> {
    let (kind, length) = match params {
        P256 => (Kind::P256, 65),
        P384 => (Kind::P384, 97),
        _ => return None,
    };
    let bare = match point {
        [OCTET_STRING, octets, rest @ ..] if usize::from(*octets) == rest.len() && rest.len() == length => rest,
        bare => bare,
    };
    if bare.len() != length || bare.first() != Some(&0x04) {
        return None;
    }
    let algorithm = tagged(SEQUENCE, &[EC_PUBLIC_KEY, params]);
    Some((kind, tagged(SEQUENCE, &[&algorithm, &tagged(BIT_STRING, &[&[0], bare])])))
}

/// The ECDSA signature r‖s as X.509 wants it: a SEQUENCE of two INTEGERs.
pub(crate) fn ecdsa_der(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    tagged(SEQUENCE, &[&integer(r), &integer(s)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(tagged(4, &[&[0; 127]])[..2], [4, 127]);
        assert_eq!(tagged(4, &[&[0; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(tagged(4, &[&[0; 256]])[..4], [4, 0x82, 1, 0]);
    }

    #[test]
    fn integers_are_positive_and_minimal() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0]), [2, 1, 0]);
    }

    #[test]
    fn keys_that_are_not_served_are_refused() {
        assert!(rsa(&[0xff; 128], &[1, 0, 1]).is_none(), "RSA-1024");
        assert!(rsa(&[0xff; 256], &[3]).is_none(), "exponent 3");
        assert!(ec(P256, &[4; 64]).is_none(), "short point");
        assert!(ec(&[0x06, 0x01, 0x00], &[4; 65]).is_none(), "another curve");
        assert!(ec(P256, &[2; 65]).is_none(), "not uncompressed");
    }

    #[test]
    fn a_point_is_taken_wrapped_or_bare() {
        let bare = [4; 65];
        let wrapped = tagged(OCTET_STRING, &[&bare]);
        assert_eq!(ec(P256, &bare), ec(P256, &wrapped));
        let bare = [4; 97];
        assert_eq!(ec(P384, &bare), ec(P384, &tagged(OCTET_STRING, &[&bare])));
    }
}
