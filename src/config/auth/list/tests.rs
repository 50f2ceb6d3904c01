//! Lists: whose signature counts, what is remembered of it, and for which certificates a part of a list speaks.

use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    CustomExtension, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams,
};

use super::*;

const HERE: &str = "http://pki.example/1.crl";

pub(in crate::config::auth) fn issuer(algorithm: &'static rcgen::SignatureAlgorithm) -> Issuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::CrlSign];
    Issuer::new(parameters, KeyPair::generate_for(algorithm).unwrap())
}

pub(in crate::config::auth) fn listed(
    issuer: &Issuer<'static, KeyPair>,
    change: impl FnOnce(&mut CertificateRevocationListParams),
) -> Vec<u8> {
    let now = time::OffsetDateTime::now_utc();
    let taken_back = |number: u64| RevokedCertParams {
        serial_number: number.into(),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    };
    let mut parameters = CertificateRevocationListParams {
        this_update: now - time::Duration::hours(1),
        next_update: now + time::Duration::hours(1),
        crl_number: 7.into(),
        issuing_distribution_point: None,
        revoked_certs: [5, 77].map(taken_back).into(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    change(&mut parameters);
    parameters.signed_by(issuer).unwrap().der().to_vec()
}

fn key(issuer: &Issuer<'static, KeyPair>) -> Vec<u8> {
    issuer.key().subject_public_key_info()
}

#[test]
fn a_list_counts_by_the_key_that_signed_it_and_by_no_other() {
    let algorithms = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    let issuers = algorithms.map(issuer);
    for (number, signer) in issuers.iter().enumerate() {
        let list = List::from_der(&listed(signer, |_| {})).unwrap();
        assert!(list.names(&[5]) && list.names(&[77]) && !list.names(&[6]) && !list.names(&[]));
        for (other, issuer) in issuers.iter().enumerate() {
            assert_eq!(list.is_signed_by(&key(issuer)), number == other, "{number} {other}");
        }
        assert!(!list.is_signed_by(&key(&issuer(algorithms[number]))));
        for broken in [Vec::new(), vec![0x30, 0], key(signer)[..20].to_vec(), [key(signer), vec![0]].concat()] {
            assert!(!list.is_signed_by(&broken));
        }
    }
}

#[test]
fn no_bit_of_a_list_or_its_signature_may_change() {
    let signer = issuer(&rcgen::PKCS_ED25519);
    let (der, key) = (listed(&signer, |_| {}), key(&signer));
    assert!(List::from_der(&der).unwrap().is_signed_by(&key));
    let mut read = 0;
    for bit in 0..der.len() * 8 {
        let mut other = der.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(list) = List::from_der(&other) {
            assert!(!list.is_signed_by(&key), "bit {bit}");
            read += 1;
        }
    }
    assert!(read > 512, "{read}: the signature alone has as many");
    for length in 0..der.len() {
        assert!(List::from_der(&der[..length]).is_err());
    }
    // Before it is read at all: by the name that it has, and by the same octets.
    let name = List::from_der(&der).unwrap().issuer().to_vec();
    let genuine = |der: &[u8], name: &[u8]| List::is_genuine(der, [(name.to_vec(), &key)]);
    assert!(genuine(&der, &name) && !genuine(&der, &name[1..]) && !genuine(&der, b""));
    for octet in 0..der.len() {
        let mut other = der.clone();
        other[octet] ^= 1;
        // What is around the signed octets is looked at when it is read.
        assert!(!genuine(&other, &name) || List::from_der(&other).is_err(), "{octet}");
        assert!(!genuine(&der[..octet], &name), "{octet}");
    }
    assert!(List::from_der(&[&der[..], &[0]].concat()).is_err());
}

#[test]
fn a_key_is_tried_once_and_keys_that_come_and_go_push_out_no_configured_one() {
    let signer = issuer(&rcgen::PKCS_ED25519);
    let list = List::from_der(&listed(&signer, |_| {})).unwrap();
    list.verify(&key(&signer));
    list.verify(&key(&signer));
    for _ in 0..BROUGHT + 3 {
        let stranger = key(&issuer(&rcgen::PKCS_ED25519));
        assert!(!list.is_signed_by(&stranger) && !list.is_signed_by(&stranger));
    }
    assert!(list.is_signed_by(&key(&signer)));
    let verdicts = list.lock();
    assert_eq!((verdicts.configured.len(), verdicts.brought.len()), (1, BROUGHT));
    drop(verdicts);
    // What is remembered is what is said: nothing is verified again.
    list.lock().configured[0].1 = false;
    assert!(!list.is_signed_by(&key(&signer)));
}

#[test]
fn a_list_holds_from_its_instant_until_the_next_ones() {
    let list = List::from_der(&listed(&issuer(&rcgen::PKCS_ED25519), |_| {})).unwrap();
    let (from, until) = (list.this_update, list.next_update);
    assert!(!list.is_early(from) && list.is_early(Millis(from.0 - 1)));
    assert!(list.is_past(until) && !list.is_past(Millis(until.0 - 1)));
    assert_eq!(until.0 - from.0, 7_200_000);
}

/// Does such a list speak for a leaf, and for an authority, with this extension?
fn speaks(scope: Option<CrlScope>, extension: Option<&[u8]>) -> (bool, bool) {
    let signer = issuer(&rcgen::PKCS_ED25519);
    let part = CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec!["http://pki.example/0.crl".to_owned(), HERE.to_owned()] },
        scope,
    };
    let list = List::from_der(&listed(&signer, |list| list.issuing_distribution_point = Some(part))).unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    if let Some(content) = extension {
        parameters.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 31], content.to_vec())];
    }
    let der = parameters.signed_by(&KeyPair::generate().unwrap(), &signer).unwrap().der().to_vec();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    (list.speaks_for(&certificate, Place::Leaf), list.speaks_for(&certificate, Place::Between))
}

fn value(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&[tag, u8::try_from(content.len()).unwrap()][..], &content].concat()
}

#[test]
fn a_part_of_a_list_speaks_for_its_own_certificates_only() {
    // Who says nothing of where his list is may stand in any part.
    assert_eq!(speaks(None, None), (false, false));
    assert_eq!(speaks(Some(CrlScope::UserCertsOnly), None), (false, false));
    for (flag, for_leaves, for_authorities) in [(0x81, true, false), (0x82, false, true)] {
        let placeless = Part::read(&value(0x30, &[&[flag, 1, 0xff]])).unwrap();
        let signer = issuer(&rcgen::PKCS_ED25519);
        let list = List { part: Some(placeless), ..List::from_der(&listed(&signer, |_| {})).unwrap() };
        let der = CertificateParams::new(Vec::new()).unwrap().signed_by(&KeyPair::generate().unwrap(), &signer);
        let der = der.unwrap().der().to_vec();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let speaks = (list.speaks_for(&certificate, Place::Leaf), list.speaks_for(&certificate, Place::Between));
        assert_eq!(speaks, (for_leaves, for_authorities));
    }

    let name = |tag, uri: &str| value(0xa0, &[&value(tag, &[&value(0x86, &[uri.as_bytes()])])]);
    let points = |points: &[&[&[u8]]]| {
        let points: Vec<_> = points.iter().map(|fields| value(0x30, fields)).collect();
        value(0x30, &points.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let (here, there) = (name(0xa0, HERE), name(0xa0, "http://pki.example/2.crl"));
    let (reasons, elsewhere) = (value(0x81, &[&[1, 0x60]]), value(0xa2, &[&value(0x82, &[b"x"])]));
    for (extension, speaks_for) in [
        (points(&[&[&here]]), true),
        (points(&[&[&there], &[&here]]), true),
        (points(&[&[&there]]), false),
        (points(&[]), false),
        // For some reasons only, by another issuer, relative to the issuer, of another kind, of no kind at all.
        (points(&[&[&here, &reasons]]), false),
        (points(&[&[&here, &elsewhere]]), false),
        (points(&[&[&name(0xa1, HERE)]]), false),
        (points(&[&[&value(0xa0, &[&value(0xa0, &[&value(0x82, &[HERE.as_bytes()])])])]]), false),
        (points(&[&[&here[1..]]]), false),
        (vec![0x30, 3, 1], false),
    ] {
        assert_eq!(speaks(None, Some(&extension)), (speaks_for, speaks_for), "{extension:x?}");
    }
    assert_eq!(speaks(Some(CrlScope::UserCertsOnly), Some(&points(&[&[&here]]))), (true, false));
}
