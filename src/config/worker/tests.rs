//! What of `worker.toml` is taken, and what is refused where it stands.

use super::*;

const GOOD: &str = r#"
public_url = "https://localhost:8443"
[tls]
certificate = "tls.pem"
[[endpoint]]
path = "/adfs/services/trust/13/usernamemixed"
profile = "adfs"
trust = "1.3"
credential = "username"
[[endpoint]]
path = "/sts"
credential = "username"
[[metadata]]
path = "/adfs/services/trust/mex"
kind = "mex"
"#;

fn loaded(text: &str) -> Result<Worker, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("worker.toml"), text).unwrap();
    read(directory.path()).map(|loaded| loaded.value).map_err(|error| error.to_string())
}

#[test]
fn the_shortest_file_has_safe_defaults() {
    let worker = loaded(GOOD).unwrap();
    assert_eq!(worker.tls.minimum, TlsVersion::V13);
    assert_eq!(worker.limits.body_kib, 256);
    let [adfs, generic] = &worker.endpoints[..] else { panic!("two endpoints") };
    assert_eq!((adfs.profile, adfs.trust), (Profile::Adfs, Trust::V13));
    assert_eq!((generic.profile, generic.trust), (Profile::Generic, Trust::Any));
    assert!(adfs.tolerates(Leniency::MessageIdCase) && !generic.tolerates(Leniency::MessageIdCase));
    assert!(worker.tls.certificate.is_absolute());
}

#[test]
fn listeners_are_those_of_the_file_and_the_usual_one() {
    let named = |text: &str| {
        let worker = loaded(&GOOD.replacen("[tls]", &format!("{text}[tls]"), 1)).unwrap();
        let all = worker.listeners().map(|listener| (listener.name, listener.client_certificates));
        (all.collect::<Vec<_>>(), worker.asking().is_some())
    };
    let (none, asked) = (ClientCertificates::None, ClientCertificates::Asked);
    let https = |certificates| (HTTPS.to_owned(), certificates);
    assert_eq!(named(""), (vec![https(none)], false));
    let other = "[[listener]]\nname = \"other\"\nclient_certificates = \"asked\"\n";
    assert_eq!(named(other), (vec![https(none), ("other".to_owned(), asked)], true));
    let only = "[[listener]]\nname = \"https\"\nclient_certificates = \"asked\"\n";
    assert_eq!(named(only), (vec![https(asked)], true));
}

#[test]
fn an_error_shows_its_line() {
    for (from, to, line, word) in [
        ("https://localhost:8443", "http://localhost", ":2:", "public_url"),
        ("https://localhost:8443", "https://localhost/sts", ":2:", "public_url"),
        ("path = \"/sts\"", "path = \"sts\"", ":11:", "must begin with /"),
        ("path = \"/sts\"", "path = \"/adfs/services/trust/mex\"", ":14:8:", "two"),
        ("profile = \"adfs\"", "profile = \"wcf\"", ":7:", "wcf"),
        ("kind = \"mex\"", "kind = \"mex\"\ncolour = 1", ":16:", "colour"),
        ("[tls]", "[limits]\nbody_kib = 100000\n[tls]", ":4:", "limits.body_kib"),
        ("[tls]", "# requests\n[limits]\nrequests_per_source = 1\nrequests = 0\n[tls]", ":6:12:", "limits.requests"),
    ] {
        let error = loaded(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(line) && error.contains(word), "{error}");
    }
}

#[test]
fn a_worker_without_an_endpoint_or_a_certificate_is_refused_with_its_line() {
    let text = "public_url = \"https://localhost\"\n[tls]\ncertificate = \"tls.pem\"\n";
    assert!(loaded(text).unwrap_err().contains("worker.toml:1:1: no [[endpoint]]"));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("worker.toml"), GOOD).unwrap();
    for certificate in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
        if let Some(pem) = certificate {
            std::fs::write(directory.path().join("tls.pem"), pem).unwrap();
        }
        let error = load(directory.path()).unwrap_err().to_string();
        assert!(error.contains("worker.toml:4:15: tls.certificate "), "{error}");
    }
}

#[test]
fn every_leniency_has_the_name_the_file_uses() {
    for leniency in Leniency::ALL {
        let text =
            GOOD.replacen("path = \"/sts\"", &format!("path = \"/sts\"\nleniencies = [\"{}\"]", leniency.name()), 1);
        assert!(loaded(&text).unwrap().endpoints[1].tolerates(leniency));
    }
}

#[test]
fn a_mac_needs_a_key_and_an_answer_by_the_standards() {
    let symmetric = GOOD.replacen(
        "path = \"/sts\"\ncredential = \"username\"",
        "path = \"/sts\"\nencryption = true\ncredential = \"username-symmetric\"",
        1,
    );
    assert_eq!(loaded(&symmetric).unwrap().endpoints[1].credential, Credential::UsernameSymmetric);
    for (from, to, word) in [
        ("encryption = true\n", "trust = \"1.3\"\n", "encryption = true"),
        ("encryption = true\n", "encryption = true\nprofile = \"adfs\"\n", "profile = \"generic\""),
    ] {
        let error = loaded(&symmetric.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(word) && error.contains("credential = \"username-symmetric\""), "{error}");
    }
    let careless =
        symmetric.replacen("encryption = true\n", "encryption = true\nleniencies = [\"timestamp-absent\"]\n", 1);
    assert!(loaded(&careless).unwrap_err().contains("a timestamp is under the MAC"));
    let confirms = symmetric.replacen("encryption = true\n", "encryption = true\nsignature_confirmation = true\n", 1);
    assert!(loaded(&confirms).unwrap().endpoints[1].signature_confirmation);
    let error = loaded(&confirms.replace("-symmetric", "")).unwrap_err();
    assert!(error.contains("signature_confirmation = true") && error.contains("confirm nothing elsewhere"), "{error}");
}

#[test]
fn answers_are_signed_to_requests_that_are_and_by_the_standards() {
    let signed = GOOD.replacen(
        "path = \"/sts\"\ncredential = \"username\"",
        "path = \"/sts\"\nreplies = \"signed\"\nsignature_confirmation = true\ncredential = \"signature\"",
        1,
    );
    let endpoint = &loaded(&signed).unwrap().endpoints[1];
    assert!(endpoint.replies == Replies::Signed && endpoint.signature_confirmation);
    let sealed = loaded(&signed.replacen("\"signed\"", "\"sealed\"", 1)).unwrap();
    assert_eq!(sealed.endpoints[1].replies, Replies::Sealed);
    for (from, to, word) in [
        ("credential = \"signature\"", "credential = \"username\"", "credential takes no signature"),
        ("signature_confirmation = true", "profile = \"adfs\"", "profile = \"generic\""),
    ] {
        let error = loaded(&signed.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(word) && error.contains("replies = \"signed\""), "{error}");
    }
    let error = loaded(&signed.replacen("replies = \"signed\"", "replies = \"plain\"", 1)).unwrap_err();
    assert!(error.contains("confirm nothing elsewhere"), "{error}");
}
