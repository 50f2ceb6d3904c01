//! Every refusal of `issuer.d` names its line.

use std::fs;
use std::path::Path;

use super::*;

const KEYS: &str = r#"issuer = "http://sts.example.com/adfs/services/trust"
[[key]]
name = "assertion-1"
purpose = "assertion"
id = "0a01"
certificate = "one.pem"
state = "active"
[[key]]
name = "tls-1"
purpose = "handshake"
id = "0a02"
certificate = "two.pem"
state = "active"
"#;

const PARTY: &str = r#"audience = ["urn:federation:MicrosoftOnline"]
token_types = ["saml11", "saml20"]
claims = ["http://schemas.xmlsoap.org/claims/UPN"]
confirmations = ["bearer"]
"#;

fn certificate(path: &Path, key: &rcgen::KeyPair) {
    let certificate = rcgen::CertificateParams::new(vec!["sts.example.com".into()]).unwrap().self_signed(key).unwrap();
    fs::write(path, certificate.pem()).unwrap();
}

fn with(issuer: &str, party: &str) -> Result<Issuer, String> {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("issuer.d");
    fs::create_dir_all(directory.join("relying-parties")).unwrap();
    for name in ["one.pem", "two.pem"] {
        certificate(&directory.join(name), &rcgen::KeyPair::generate().unwrap());
    }
    fs::write(directory.join("issuer.toml"), issuer).unwrap();
    fs::write(directory.join("relying-parties/office.toml"), party).unwrap();
    check(root.path()).map_err(|error| error.to_string().split_once("issuer.d/").unwrap().1.to_owned())
}

#[test]
fn a_good_configuration_has_safe_defaults() {
    let issuer = with(KEYS, PARTY).unwrap();
    let ceiling = &issuer.ceilings["office"];
    assert_eq!((issuer.skew_ms, issuer.voucher.as_secs(), ceiling.lifetime_ms), (60_000, 5, 3_600_000));
    let (key, algorithm) = issuer.assertion_key(ceiling).unwrap();
    assert_eq!((key.name.as_str(), algorithm), ("assertion-1", Algorithm::EcdsaSha256));
    assert_eq!(issuer.keys[1].certificate.as_ref().unwrap().kind, KeyKind::P256);
}

#[test]
fn an_id_is_hexadecimal_digits_and_nothing_else() {
    for id in ["", "0", "+a01", "0a+1", "0a 1", "0x01", &"00".repeat(33)] {
        let error = with(&KEYS.replace("0a01", id), PARTY).unwrap_err();
        assert!(error.starts_with("issuer.toml:5:6: id is 1 to 32 octets in hexadecimal"), "{id:?}: {error}");
    }
}

#[test]
fn a_key_or_certificate_with_two_purposes_is_refused_with_its_line() {
    let cases = [
        (KEYS.replace("0a02", "0a01"), "issuer.toml:11:6: the id of key \"tls-1\" is also key \"assertion-1\"'s"),
        (KEYS.replace("two.pem", "one.pem"), "issuer.toml:12:15: the certificate of key \"tls-1\" is also"),
        (KEYS.replace("tls-1", "assertion-1"), "issuer.toml:9:8: the name of key"),
    ];
    for (file, wanted) in cases {
        let error = with(&file, PARTY).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn another_certificate_for_the_same_key_is_still_the_same_key() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("issuer.d");
    fs::create_dir_all(&directory).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    for name in ["one.pem", "two.pem"] {
        certificate(&directory.join(name), &key);
    }
    fs::write(directory.join("issuer.toml"), KEYS).unwrap();
    let error = check(root.path()).unwrap_err().to_string();
    assert!(error.contains("issuer.toml:12:15: the") && error.contains("is also key \"assertion-1\"'s"), "{error}");
}

#[test]
fn a_broken_issuer_file_is_refused_with_its_line() {
    let cases = [
        (KEYS.replace("\"0a01\"", "\"0a0\""), "issuer.toml:5:6: id is"),
        (KEYS.replace("one.pem", "none.pem"), "issuer.toml:6:15: certificate"),
        (
            KEYS.replacen("certificate = \"one.pem\"\n", "", 1),
            "issuer.toml:3:8: key \"assertion-1\" has no certificate",
        ),
        (KEYS.replacen("active", "next", 1), "issuer.toml:7:9: no key has purpose"),
        (KEYS.replace("\"assertion\"", "\"message\""), "issuer.toml:2:1: no key has purpose"),
        ("issuer = \"urn:x\"\n".to_owned(), "issuer.toml:1:1: no key has purpose"),
        (KEYS.replace("\"handshake\"", "\"assertion\""), "issuer.toml:13:9: key \"assertion-1\" and key \"tls-1\""),
        (format!("voucher_seconds = 0\n{KEYS}"), "issuer.toml:1:19: voucher_seconds is from 1 to 60"),
        (format!("surprise = 0\n{KEYS}"), "issuer.toml:1:1: unknown field"),
        (KEYS.replace("\"http://sts.example.com/adfs/services/trust\"", "\"\""), "issuer.toml:1:10: issuer is"),
    ];
    for (file, wanted) in cases {
        let error = with(&file, PARTY).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn a_key_for_unwrap_is_one_that_clients_can_seal_for() {
    let file = format!("{KEYS}[[key]]\nname = \"unwrap-1\"\npurpose = \"unwrap\"\nid = \"0a03\"\nstate = \"active\"\n");
    let of = |key: &rcgen::KeyPair, usages: &[rcgen::KeyUsagePurpose]| {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("issuer.d");
        fs::create_dir_all(&directory).unwrap();
        for name in ["one.pem", "two.pem"] {
            certificate(&directory.join(name), &rcgen::KeyPair::generate().unwrap());
        }
        let mut params = rcgen::CertificateParams::new(vec!["sts.example.com".into()]).unwrap();
        params.key_usages = usages.to_vec();
        fs::write(directory.join("three.pem"), params.self_signed(key).unwrap().pem()).unwrap();
        fs::write(directory.join("issuer.toml"), format!("{file}certificate = \"three.pem\"\n")).unwrap();
        check(root.path()).map_err(|error| error.to_string())
    };
    use rcgen::KeyUsagePurpose::{DigitalSignature, KeyEncipherment};
    let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    for usages in [&[][..], &[KeyEncipherment], &[DigitalSignature, KeyEncipherment]] {
        let issuer = of(&rsa, usages).unwrap();
        assert_eq!((issuer.keys[2].purpose, issuer.unwraps_per_second), (Purpose::Unwrap, 50));
    }
    let error = of(&rsa, &[DigitalSignature]).unwrap_err();
    assert!(error.contains("issuer.toml:19:15: key \"unwrap-1\": the key usage"), "{error}");
    let error = of(&rcgen::KeyPair::generate().unwrap(), &[]).unwrap_err();
    assert!(error.contains("issuer.toml:19:15: key \"unwrap-1\": a key for unwrap is RSA"), "{error}");
    let error = with(&file, PARTY).unwrap_err();
    assert!(error.contains("issuer.toml:15:8: key \"unwrap-1\" has no certificate"), "{error}");
    let error = with(&format!("unwraps_per_second = 0\n{KEYS}"), PARTY).unwrap_err();
    assert!(error.starts_with("issuer.toml:1:22: unwraps_per_second is from 1 to 10000"), "{error}");
}

#[test]
fn two_keys_for_unwrap_that_clients_could_not_tell_apart_are_refused() {
    let pairs = [(); 2].map(|()| rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap());
    let of = |serials: [u64; 2], identifiers: [Option<u8>; 2], purpose: &str, state: &str| {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("issuer.d");
        fs::create_dir_all(&directory).unwrap();
        for name in ["one.pem", "two.pem"] {
            certificate(&directory.join(name), &rcgen::KeyPair::generate().unwrap());
        }
        let mut file = KEYS.to_owned();
        for (at, (name, purpose, state)) in
            [("three", "unwrap", "active"), ("four", purpose, state)].into_iter().enumerate()
        {
            let mut params = rcgen::CertificateParams::new(vec!["sts.example.com".into()]).unwrap();
            params.serial_number = Some(serials[at].into());
            if let Some(octet) = identifiers[at] {
                params.is_ca = rcgen::IsCa::ExplicitNoCa;
                params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![octet; 20]);
            }
            fs::write(directory.join(format!("{name}.pem")), params.self_signed(&pairs[at]).unwrap().pem()).unwrap();
            file += &format!(
                "[[key]]\nname = \"{name}\"\npurpose = \"{purpose}\"\nid = \"1{at}\"\ncertificate = \"{name}.pem\"\nstate = \"{state}\"\n"
            );
        }
        fs::write(directory.join("issuer.toml"), file).unwrap();
        check(root.path()).map_err(|error| error.to_string())
    };
    for state in ["active", "previous", "next"] {
        let error = of([7, 7], [None, None], "unwrap", state).unwrap_err();
        let wanted = "issuer.toml:24:15: the certificates of key \"three\" and key \"four\" have the same ";
        assert!(error.contains(&format!("{wanted}serial number")), "{error}");
        let error = of([7, 8], [Some(1), Some(1)], "unwrap", state).unwrap_err();
        assert!(error.contains(&format!("{wanted}subject key identifier")), "{error}");
        of([7, 8], [None, None], "unwrap", state).unwrap();
        of([7, 8], [Some(1), Some(2)], "unwrap", state).unwrap();
    }
    of([7, 7], [Some(1), Some(1)], "unwrap", "retired").unwrap();
    of([7, 7], [Some(1), Some(1)], "message", "active").unwrap();
}

#[test]
fn a_broken_relying_party_is_refused_with_its_line() {
    let cases = [
        (PARTY.replace("[\"urn:federation:MicrosoftOnline\"]", "[]"), "office.toml:1:12: audience names"),
        (PARTY.replace("saml20", "saml30"), "office.toml:2:26: token types are"),
        (PARTY.replace("http://schemas.xmlsoap.org/claims/UPN", "urn:upn"), "office.toml:3:11: claims and token_types"),
        (PARTY.replace("bearer", "holder"), "office.toml:4:18: confirmations are"),
        (format!("{PARTY}identifying_claims = [\"urn:upn\"]\n"), "office.toml:5:23: identifying_claims: not among"),
        (format!("{PARTY}lifetime_ceiling_min = 0\n"), "office.toml:5:24: lifetime_ceiling_min"),
        (format!("{PARTY}signature_algorithm = \"rsa-sha256\"\n"), "office.toml:5:23: signature_algorithm: no active"),
        (format!("{PARTY}signature_algorithm = \"rsa-sha1\"\n"), "office.toml:5:23: signature_algorithm is one of"),
        (format!("{PARTY}quota_per_minute = 0\n"), "office.toml:5:20:"),
    ];
    for (file, wanted) in cases {
        let error = with(KEYS, &file).unwrap_err();
        assert!(error.starts_with(&format!("relying-parties/{wanted}")), "{error}");
    }
}
