//! Public keys of their numbers, as a JWK or a `ds:KeyValue` has them. What is weak, of a kind that nobody here
//! verifies with, or no key at all is refused; of what is taken there is one spelling, by which it is known.

use aws_lc_rs::signature::ParsedPublicKey;

use super::certificate::{LEAST_EXPONENT, VerifyingKey};
use crate::wire::evidence::SignatureAlgorithm as By;
use crate::wire::key::{Curve, PublicKey};

/// The key of these numbers, as strong as one of a certificate at least, and in the one spelling there is.
///
/// # Errors
/// A clause for the operator.
pub fn of(key: &PublicKey) -> Result<VerifyingKey, String> {
    match key {
        PublicKey::Rsa { modulus, exponent } => rsa(modulus, exponent, LEAST_EXPONENT),
        PublicKey::Point { curve, octets } => point(*curve, octets.to_vec()),
    }
}

/// RSA, with an exponent of at least that.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8], least: u32) -> Result<VerifyingKey, String> {
    let Some((first, last)) = modulus.first().zip(modulus.last()) else { return Err("no modulus".to_owned()) };
    let bits = modulus.len() * 8 - first.leading_zeros() as usize;
    if *first == 0 || exponent.first() == Some(&0) {
        return Err("a number with zeros before it".to_owned());
    }
    if !(2048..=8192).contains(&bits) || last & 1 == 0 {
        return Err(format!("an RSA key of {bits} bits; 2048 to 8192 are allowed, and it is odd"));
    }
    let value = exponent.iter().try_fold(0_u32, |value, octet| Some(value.checked_mul(256)? | u32::from(*octet)));
    if !value.is_some_and(|value| value >= least && value & 1 == 1) {
        return Err(format!("an RSA key whose exponent is not odd, below {least} or above 32 bits"));
    }
    usable(VerifyingKey::Rsa(der(0x30, &[integer(modulus), integer(exponent)].concat())))
}

/// A point, as X9.62 writes it, in full.
pub(super) fn point(curve: Curve, octets: Vec<u8>) -> Result<VerifyingKey, String> {
    // One key is known by one form of its point.
    if octets.len() != 1 + 2 * curve.coordinate() || octets.first() != Some(&4) {
        return Err("a point on its curve that is not written out".to_owned());
    }
    usable(match curve {
        Curve::P256 => VerifyingKey::P256(octets),
        Curve::P384 => VerifyingKey::P384(octets),
        Curve::P521 => VerifyingKey::P521(octets),
    })
}

/// The key, if what verifies by such keys takes it: a point that is not on its curve is none.
pub(super) fn usable(key: VerifyingKey) -> Result<VerifyingKey, String> {
    let by = match key {
        VerifyingKey::Rsa(_) => By::RsaSha256,
        VerifyingKey::P256(_) => By::EcdsaSha256,
        VerifyingKey::P384(_) => By::EcdsaSha384,
        VerifyingKey::P521(_) => By::EcdsaSha512,
        VerifyingKey::Ed25519(_) => By::Ed25519,
    };
    let (check, octets) = key.verifier(by).ok_or("no usable key")?;
    ParsedPublicKey::new(check, octets).map_err(|_| "no usable key".to_owned())?;
    Ok(key)
}

/// An INTEGER that is positive.
fn integer(octets: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if octets.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    der(2, &[sign, octets].concat())
}

/// A value of DER, of at most 65 535 octets.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("two numbers of 8192 bits at most").to_be_bytes();
    let head = match length {
        [0, one] if one < 0x80 => vec![tag, one],
        [0, one] => vec![tag, 0x81, one],
        [one, two] => vec![tag, 0x82, one, two],
    };
    [&head[..], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Octets;

    fn rsa_of(modulus: &[u8], exponent: &[u8]) -> Result<VerifyingKey, String> {
        of(&PublicKey::Rsa { modulus: Octets::new(modulus).unwrap(), exponent: Octets::new(exponent).unwrap() })
    }

    fn point_of(curve: Curve, octets: &[u8]) -> Result<VerifyingKey, String> {
        of(&PublicKey::Point { curve, octets: Octets::new(octets).unwrap() })
    }

    #[test]
    fn a_key_that_is_written_out_is_the_one_that_its_certificate_has() {
        for kind in [
            &rcgen::PKCS_RSA_SHA256,
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ECDSA_P521_SHA512,
        ] {
            let pair = rcgen::KeyPair::generate_for(kind).unwrap();
            let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
            let certified = super::super::certificate::Certificate::from_pem(&certificate.pem()).unwrap().key;
            let octets = pair.public_key_raw();
            let written = match certified {
                // It ends with the modulus and an INTEGER of three octets.
                VerifyingKey::Rsa(_) => rsa_of(&octets[octets.len() - 261..octets.len() - 5], &[1, 0, 1]),
                VerifyingKey::P256(_) => point_of(Curve::P256, octets),
                VerifyingKey::P384(_) => point_of(Curve::P384, octets),
                VerifyingKey::P521(_) => point_of(Curve::P521, octets),
                VerifyingKey::Ed25519(_) => Err("another kind".to_owned()),
            };
            assert_eq!(written, Ok(certified));
        }
    }

    #[test]
    fn numbers_that_are_no_key_are_none_and_it_is_said_why() {
        let modulus = [0xFF; 256];
        let long = [&[1][..], &[0xFF; 1024]].concat();
        let padded = [&[0][..], &modulus].concat();
        for (modulus, exponent, why) in [
            (&modulus[..128], &[1, 0, 1][..], "of 1024 bits"),
            (&[0x7F; 256], &[1, 0, 1], "of 2047 bits"),
            (&long, &[1, 0, 1], "of 8193 bits"),
            (&[0xFE; 256], &[1, 0, 1], "and it is odd"),
            (&padded, &[1, 0, 1], "zeros before it"),
            (&[], &[1, 0, 1], "no modulus"),
            (&modulus, &[], "below 65537"),
            (&modulus, &[1], "below 65537"),
            (&modulus, &[3], "below 65537"),
            (&modulus, &[0xFF, 0xFF], "below 65537"),
            (&modulus, &[1, 0, 2], "not odd"),
            (&modulus, &[0, 1, 0, 1], "zeros before it"),
            (&modulus, &[1, 0, 0, 0, 1], "above 32 bits"),
        ] {
            let said = rsa_of(modulus, exponent).unwrap_err();
            assert!(said.contains(why), "{why:?} is not in {said:?}");
        }
        let mut on_no_curve = [7; 65];
        on_no_curve[0] = 4;
        assert_eq!(point_of(Curve::P256, &on_no_curve).unwrap_err(), "no usable key");
        for octets in [&[0][..], &[4; 33], &[2; 33], &[4; 64], &[4; 97], &[6; 65]] {
            assert!(point_of(Curve::P256, octets).unwrap_err().contains("written out"), "{octets:?}");
        }
    }
}
