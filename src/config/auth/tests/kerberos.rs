//! Realms: whom their tickets mean, what tickets are bound to, and what of a table is refused.

use std::time::Duration;

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

use super::Tree;

const REALM: &str = r#"server_certificates = ["server.pem"]
[store]
directory = "../state"
[[endpoint]]
path = "/windows"
credentials = ["kerberos"]
[kerberos]
channel_binding = "when-sent"
deadline_ms = 500
[[kerberos_realm]]
name = "corp"
realm = "CORP.EXAMPLE"
[[kerberos_realm.subject]]
capture = '([a-z]+)'
[[kerberos_realm.subject]]
capture = '([A-Z]+)/desk'
case = "lower"
"#;
const USERS: &str = "[users.sam]\nkerberos_realm = \"corp\"\n";

fn certificate(kind: &'static rcgen::SignatureAlgorithm) -> rcgen::Certificate {
    let key = rcgen::KeyPair::generate_for(kind).unwrap();
    rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap()
}

fn with(toml: &str, users: &str, certificate: &rcgen::Certificate) -> Tree {
    Tree::new().with("auth.toml", toml).with("users.toml", users).with("server.pem", &certificate.pem())
}

#[test]
fn a_realm_says_whom_its_tickets_mean_and_an_account_which_realm_may_mean_it() {
    let own = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let auth = with(REALM, USERS, &own).good();
    assert_eq!(auth.users.find("sam").unwrap().realm.as_deref(), Some("corp"));
    assert!(auth.endpoints["/windows"].kerberos && !auth.endpoints["/windows"].password);
    assert_eq!((auth.kerberos.bound, auth.kerberos.deadline), (false, Duration::from_millis(500)));
    let means = |principal: &str| auth.realms[0].account(principal);
    assert_eq!((means("sam").as_deref(), means("SAM/desk").as_deref()), (Some("sam"), Some("sam")));
    for nobody in ["Sam", "sam/admin", "sam@x", "", "SAM"] {
        assert_eq!(means(nobody), None, "{nobody}");
    }
    let usual = REALM.replace("channel_binding = \"when-sent\"\ndeadline_ms = 500\n", "");
    let auth = with(&usual, USERS, &own).good();
    assert_eq!((auth.kerberos.bound, auth.kerberos.deadline), (true, Duration::from_secs(2)));

    for (from, to, place, word) in [
        ("[\"server.pem\"]", "[]", "auth.toml:6:15", "so server_certificates must say"),
        ("[store]\ndirectory = \"../state\"\n", "", "auth.toml:4:15", "which tickets were used"),
        ("when-sent", "never", "auth.toml:8:19", "unknown variant"),
        ("= 500", "= 10", "auth.toml:9:15", "deadline_ms must be from 50"),
        ("deadline_ms", "deadline_s", "auth.toml:9:1", "unknown field"),
        ("\"corp\"", "\"c o\"", "auth.toml:11:8", "1 to 64 ASCII letters"),
        ("CORP.EXAMPLE", "CORP EXAMPLE", "auth.toml:12:9", "without white space"),
        ("CORP.EXAMPLE", "CORP/EXAMPLE", "auth.toml:12:9", "without '/'"),
        ("([a-z]+)", "[a-z]+", "auth.toml:14:11", "capture"),
        ("\"lower\"", "\"none\"", "auth.toml:17:8", "unknown variant"),
        ("case", "claim = \"sub\"\ncase", "auth.toml:17:1", "unknown field"),
    ] {
        with(&REALM.replacen(from, to, 1), USERS, &own).refused(&[place, word]);
    }
    let nobody = &REALM[..REALM.find("[[kerberos_realm.subject]]").unwrap()];
    with(nobody, USERS, &own).refused(&["auth.toml:11:8", "mean nobody"]);
    let none = &REALM[..REALM.find("[[kerberos_realm]]").unwrap()];
    with(none, "", &own).refused(&["auth.toml:6:15", "without a [[kerberos_realm]]"]);
    let subject = "[[kerberos_realm.subject]]\n";
    let twice = format!("{REALM}[[kerberos_realm]]\nname = \"corp\"\nrealm = \"X\"\n{subject}");
    with(&twice, USERS, &own).refused(&["auth.toml:19:8", "stands here twice"]);
    let same = format!("{REALM}[[kerberos_realm]]\nname = \"other\"\nrealm = \"CORP.EXAMPLE\"\n{subject}");
    with(&same, USERS, &own).refused(&["auth.toml:20:9", "corp is that one already"]);
    with(REALM, "[users.sam]\nkerberos_realm = \"corporate\"\n", &own)
        .refused(&["users.toml:2:18", "no [[kerberos_realm]] of auth.toml is called"]);
}

#[test]
fn an_endpoint_takes_tickets_in_messages_and_unbound_ones_only_where_it_says_so() {
    let own = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    let addresses = "credentials = [\"kerberos-token\"]\naddresses = [\"https://sts.example.com/x\"]\n";
    let strict = REALM.replacen("credentials = [\"kerberos\"]\n", addresses, 1);
    let auth = with(&strict, USERS, &own).good();
    let endpoint = &auth.endpoints["/windows"];
    assert!(endpoint.kerberos_token && !endpoint.kerberos && !endpoint.unbound_ticket && !endpoint.hmac_sha1);
    assert_eq!(auth.kerberos.servers.len(), 1);
    let lenient = strict.replacen("addresses", "leniencies = [\"unbound-ticket\", \"hmac-sha1\"]\naddresses", 1);
    let auth = with(&lenient, USERS, &own).good();
    assert!(auth.endpoints["/windows"].unbound_ticket && auth.endpoints["/windows"].hmac_sha1);
    let negotiated = REALM.replacen("[kerberos]", "leniencies = [\"unbound-ticket\"]\n[kerberos]", 1);
    assert!(with(&negotiated, USERS, &own).good().endpoints["/windows"].unbound_ticket);

    for (from, to, place, word) in [
        ("addresses = [\"https://sts.example.com/x\"]\n", "", "auth.toml:6:15", "so addresses must say"),
        ("[\"server.pem\"]", "[]", "auth.toml:6:15", "so server_certificates must say"),
        ("[store]\ndirectory = \"../state\"\n", "", "auth.toml:4:15", "which tickets were used"),
        ("\"kerberos-token\"", "\"kerberos_token\"", "auth.toml:6:16", "unknown variant"),
    ] {
        with(&strict.replacen(from, to, 1), USERS, &own).refused(&[place, word]);
    }
    let none = &strict[..strict.find("[[kerberos_realm]]").unwrap()];
    with(none, "", &own).refused(&["auth.toml:6:15", "\"kerberos-token\", and without a [[kerberos_realm]]"]);
    let password = lenient.replacen("kerberos-token", "password", 1);
    with(&password, USERS, &own).refused(&["auth.toml:6:15", "no credential here"]);
    let no_mac = password.replacen(", \"hmac-sha1\"", "", 1);
    with(&no_mac, USERS, &own).refused(&["auth.toml:6:15", "no credential here is a ticket"]);
    let ed25519 = certificate(&rcgen::PKCS_ED25519);
    with(&strict, USERS, &ed25519).refused(&["auth.toml:1:24", "server.pem: nothing says"]);
}

#[test]
fn a_ticket_is_bound_to_a_certificate_by_the_hash_in_its_signature() {
    let kinds: [(&rcgen::SignatureAlgorithm, &Algorithm); 4] = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, &SHA256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, &SHA384),
        (&rcgen::PKCS_RSA_SHA256, &SHA256),
        (&rcgen::PKCS_RSA_SHA512, &SHA512),
    ];
    for (kind, hash) in kinds {
        let own = certificate(kind);
        let auth = with(REALM, USERS, &own).good();
        let expected = [b"tls-server-end-point:", digest(hash, own.der()).as_ref()].concat();
        assert_eq!(*auth.kerberos.servers[0].bindings, expected, "{kind:?}");
        assert_eq!(auth.kerberos.servers[0].certificate, digest(&SHA256, own.der()).as_ref());
    }
    let own = certificate(&rcgen::PKCS_ED25519);
    with(REALM, USERS, &own).refused(&["auth.toml:1:24", "server.pem: nothing says"]);
    // Where no ticket is taken it need not be said.
    with(&REALM.replace("[\"kerberos\"]", "[\"tls-certificate\"]"), USERS, &own).good();
}
