//! The examples of README.md are read by the daemons' own code, so that what a newcomer copies works.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;

/// The TOML blocks by the file that their first line names.
fn examples() -> BTreeMap<String, String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut examples = BTreeMap::new();
    for block in readme.split("```toml\n").skip(1) {
        let text = block.split_once("\n```").unwrap().0;
        let file = text.lines().next().unwrap().strip_prefix("# ").unwrap();
        assert!(examples.insert(file.to_owned(), text.to_owned()).is_none(), "{file} stands there twice");
    }
    examples
}

#[test]
fn every_example_of_the_readme_is_taken() {
    let examples = examples();
    assert_eq!(
        examples.keys().collect::<Vec<_>>(),
        ["auth.d/auth.toml", "auth.d/users.toml", "kerberos.d/kerberos.toml", "worker.d/worker.toml"],
        "an example that nothing reads"
    );
    let root = tempfile::tempdir().unwrap();
    for (file, text) in &examples {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for file in ["auth.d/billing.pem", "auth.d/tls.pem", "worker.d/tls.pem", "auth.d/agency.pem"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        std::fs::write(root.path().join(file), certificate.pem()).unwrap();
    }
    let jwk = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
    std::fs::write(root.path().join("auth.d/cloud.jwks.json"), format!("{{\"keys\":[{jwk}]}}")).unwrap();
    authority(root.path());
    std::fs::write(root.path().join("auth.d/corp.password"), "search and find").unwrap();
    let auth = chancery::config::auth::check(root.path()).unwrap_or_else(|error| panic!("{error}"));
    let (worker, _) = chancery::config::worker::load(&root.path().join("worker.d")).unwrap();
    let endpoint = &auth.endpoints[&worker.endpoints[0].path];
    assert!(endpoint.password && endpoint.digest && endpoint.signature && endpoint.saml && endpoint.jwt);
    assert!(auth.endpoints[&worker.endpoints[1].path].tls_certificate && worker.asking().is_some());
    assert_eq!(auth.servers.len(), 1);
    assert!(auth.users.find("scanner").unwrap().digest_secret.is_some());
    assert_eq!(auth.users.count(), 7);
    assert_eq!((auth.authorities.len(), auth.partners.len(), auth.directories.len()), (1, 1, 1));
    assert_eq!(auth.issuers.len(), 1);
    assert!(auth.endpoints[&worker.endpoints[2].path].kerberos && auth.kerberos.bound);
    assert_eq!(worker.endpoints[3].credential, chancery::config::worker::Credential::KerberosToken);
    let mixed = &auth.endpoints[&worker.endpoints[3].path];
    assert!(mixed.kerberos_token && !mixed.kerberos && !mixed.unbound_ticket);
    assert_eq!(auth.realms[0].account("Dispatcher").as_deref(), Some("dispatcher"));
    // Of that one only the keys are missing.
    let kerberos = chancery::config::kerberos::Kerberos::load(root.path()).unwrap_err().to_string();
    assert!(kerberos.contains("keytab") && kerberos.contains("No such file"), "{kerberos}");
}

/// The files of the authority: what stands in them is not the point.
fn authority(root: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&key).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(2099, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&rcgen::Issuer::new(parameters, key)).unwrap();
    for name in ["corporate-root", "corporate-issuing"] {
        std::fs::write(root.join(format!("auth.d/{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(root.join(format!("auth.d/{name}.crl")), list.pem().unwrap()).unwrap();
    }
}
