//! Server handshakes of TLS. A worker gives what the handshake binds, issuer builds the octets (RFC 8446
//! 4.4.3, RFC 8422 5.4), so a worker can have nothing signed that is not a handshake of this server, and
//! none with a key or for a certificate that is not for handshakes.

use super::keys::{ActiveKey, Keys};
use crate::config::issuer::{KeyKind, Purpose};
use crate::wire::Octets;
use crate::wire::frame::Violation;
use crate::wire::links::{Handshake, Mechanism, Scheme, Transcript};

/// The octets of one handshake, and how they are to be signed.
#[derive(Debug)]
pub(super) struct ToSign<'a> {
    pub(super) key: &'a ActiveKey,
    pub(super) mechanism: Mechanism,
    pub(super) octets: Vec<u8>,
}

/// Builds the octets; none for a certificate of no key in use. A worker shows one that was renewed, or whose key is the
/// previous one, until it is started again, and every stranger that connects has it ask for that. One that is `remembered`
/// may not be signed by a scheme that says the same of the same octets, or an old one could be had signed again.
///
/// # Errors
/// [`Violation`]: an honest worker reads the certificate it shows and asks for what fits it.
pub(super) fn build<'a>(
    handshake: &Handshake,
    remembered: bool,
    keys: &'a Keys,
) -> Result<Option<ToSign<'a>>, Violation> {
    let Some(key) = keys.certified(&handshake.certificate) else { return Ok(None) };
    if key.purpose != Purpose::Handshake {
        return Err(Violation::Rule("handshake for a certificate that is not for handshakes"));
    }
    let mechanism = match (handshake.scheme, key.certificate.kind) {
        (Scheme::RsaPssSha256, KeyKind::Rsa) => Mechanism::RsaPssSha256,
        (Scheme::RsaPssSha384, KeyKind::Rsa) => Mechanism::RsaPssSha384,
        (Scheme::RsaPkcs1Sha256, KeyKind::Rsa) => Mechanism::RsaPkcs1Sha256,
        (Scheme::EcdsaP256Sha256, KeyKind::P256) => Mechanism::EcdsaP256Sha256,
        (Scheme::EcdsaP384Sha384, KeyKind::P384) => Mechanism::EcdsaP384Sha384,
        _ => return Err(Violation::Rule("handshake scheme that does not fit the key")),
    };
    if remembered && handshake.scheme == Scheme::RsaPkcs1Sha256 {
        return Err(Violation::Rule("handshake to remember, by a scheme that signs alike twice"));
    }
    let octets = match &handshake.transcript {
        Transcript::Tls13 { .. } if handshake.scheme == Scheme::RsaPkcs1Sha256 => {
            return Err(Violation::Rule("handshake scheme that TLS 1.3 does not have"));
        }
        Transcript::Tls13 { hash } => tls13(hash)?,
        Transcript::Tls12 { client_random, server_random, curve, point } => {
            tls12(client_random, server_random, *curve, point)?
        }
    };
    Ok(Some(ToSign { key, mechanism, octets }))
}

fn tls13(hash: &[u8]) -> Result<Vec<u8>, Violation> {
    if !matches!(hash.len(), 32 | 48) {
        return Err(Violation::Rule("handshake hash of no cipher suite"));
    }
    Ok([&[0x20; 64][..], b"TLS 1.3, server CertificateVerify", &[0], hash].concat())
}

/// `NamedCurve` and the length of its points, the first octet they begin with when it is fixed.
const CURVES: &[(u16, usize, Option<u8>)] = &[(23, 65, Some(4)), (24, 97, Some(4)), (29, 32, None)];
const NAMED_CURVE: u8 = 3;

fn tls12(client: &[u8; 32], server: &[u8; 32], curve: u16, point: &[u8]) -> Result<Vec<u8>, Violation> {
    let known = CURVES.iter().any(|(named, length, first)| {
        *named == curve && point.len() == *length && first.is_none_or(|first| point.first() == Some(&first))
    });
    let length = u8::try_from(point.len()).ok().filter(|_| known);
    let length = length.ok_or(Violation::Rule("handshake on a curve or point that is not allowed"))?;
    let [high, low] = curve.to_be_bytes();
    Ok([&client[..], server, &[NAMED_CURVE, high, low, length], point].concat())
}

/// The signature as TLS wants it: ECDSA in DER, anything else as it is.
pub(super) fn encode(mechanism: Mechanism, signature: &[u8]) -> Option<Octets<512>> {
    match mechanism {
        Mechanism::EcdsaP256Sha256 | Mechanism::EcdsaP384Sha384 => {
            let (r, s) = signature.split_at_checked(signature.len() / 2).filter(|(r, s)| r.len() == s.len())?;
            let body = [integer(r)?, integer(s)?].concat();
            // 2 x (2 + 49) octets at most: the short form of the length does.
            let length = u8::try_from(body.len()).ok().filter(|length| *length < 0x80)?;
            Octets::new([&[0x30, length][..], &body].concat()).ok()
        }
        _ => Octets::new(signature).ok(),
    }
}

/// An unsigned number as a DER `INTEGER`.
fn integer(number: &[u8]) -> Option<Vec<u8>> {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let number = number.get(zeros..).filter(|number| !number.is_empty())?;
    let sign: &[u8] = if number.first().is_some_and(|octet| *octet >= 0x80) { &[0] } else { &[] };
    let length = u8::try_from(sign.len() + number.len()).ok()?;
    Some([&[0x02, length][..], sign, number].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::examples::{HANDSHAKE, keys};

    fn handshake(transcript: Transcript) -> Handshake {
        let keys = keys();
        let key = keys.iter().find(|key| key.name == HANDSHAKE).unwrap();
        Handshake { serial: 1, certificate: key.certificate.sha256, scheme: Scheme::EcdsaP256Sha256, transcript }
    }

    fn hash(length: usize) -> Transcript {
        Transcript::Tls13 { hash: Octets::new(vec![7; length]).unwrap() }
    }

    fn params(curve: u16, point: Vec<u8>) -> Transcript {
        let point = Octets::new(point).unwrap();
        Transcript::Tls12 { client_random: [1; 32], server_random: [2; 32], curve, point }
    }

    #[test]
    fn the_octets_of_tls_1_3_are_those_of_rfc_8446() {
        let octets = tls13(&[0xAA; 32]).unwrap();
        assert_eq!(octets.len(), 64 + 33 + 1 + 32);
        assert!(octets[..64].iter().all(|octet| *octet == 0x20));
        assert_eq!(&octets[64..98], b"TLS 1.3, server CertificateVerify\0");
    }

    #[test]
    fn the_octets_of_tls_1_2_are_randoms_and_parameters() {
        let octets = tls12(&[1; 32], &[2; 32], 29, &[9; 32]).unwrap();
        assert_eq!(octets, [&[1; 32][..], &[2; 32], &[3, 0, 29, 32], &[9; 32]].concat());
    }

    #[test]
    fn what_no_handshake_has_is_a_violation() {
        let keys = keys();
        let mut uncompressed = vec![4; 65];
        for bad in [
            handshake(hash(31)),
            handshake(hash(0)),
            handshake(params(23, vec![2; 33])),
            handshake(params(25, vec![4; 133])),
            handshake(params(29, vec![9; 33])),
            handshake(params(23, vec![3; 65])),
            Handshake { scheme: Scheme::EcdsaP384Sha384, ..handshake(hash(32)) },
            Handshake { scheme: Scheme::RsaPssSha256, ..handshake(hash(32)) },
        ] {
            assert!(build(&bad, false, &keys).is_err(), "{bad:?}");
            assert!(build(&bad, true, &keys).is_err(), "{bad:?}");
        }
        assert!(matches!(build(&handshake(hash(48)), true, &keys), Ok(Some(_))));
        uncompressed[64] = 1;
        assert!(matches!(build(&handshake(params(23, uncompressed)), false, &keys), Ok(Some(_))));
    }

    #[test]
    fn for_a_certificate_of_no_key_in_use_nothing_is_signed_and_no_rule_is_broken() {
        use crate::config::issuer::KeyState;
        let mut issuer = crate::issuer::examples::configuration();
        issuer.keys.iter_mut().filter(|key| key.name == HANDSHAKE).for_each(|key| key.state = KeyState::Previous);
        let retiring = Keys::load(&issuer).unwrap();
        let renewed = Handshake { certificate: [0; 32], ..handshake(hash(32)) };
        for remembered in [false, true] {
            assert!(matches!(build(&renewed, remembered, &keys()), Ok(None)));
            assert!(matches!(build(&handshake(hash(32)), remembered, &retiring), Ok(None)));
        }
    }

    #[test]
    fn a_key_for_tokens_completes_no_handshake() {
        let keys = keys();
        for key in keys.iter().filter(|key| key.name != HANDSHAKE) {
            let wrong = Handshake { certificate: key.certificate.sha256, ..handshake(hash(32)) };
            assert!(build(&wrong, false, &keys).is_err());
        }
    }

    #[test]
    fn an_ecdsa_signature_becomes_der() {
        let mut pair = [0; 64];
        (pair[31], pair[32]) = (0x7F, 0x80);
        let der = encode(Mechanism::EcdsaP256Sha256, &pair).unwrap();
        let mut expected = vec![0x30, 0x26, 0x02, 0x01, 0x7F, 0x02, 0x21, 0x00, 0x80];
        expected.extend([0; 31]);
        assert_eq!(*der, expected[..]);
        assert!(encode(Mechanism::EcdsaP256Sha256, &[0; 64]).is_none());
        assert!(encode(Mechanism::EcdsaP256Sha256, &[1; 63]).is_none());
    }
}
