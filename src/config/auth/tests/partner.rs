//! Partners: whom their assertions mean, by which keys, and what of a table is refused.

use super::super::partner::{HolderProofs, NameOrigin, Partner};
use super::super::vouching::Bounds;
use super::{Tree, directory};
use crate::wire::evidence::SignatureAlgorithm;

/// A certificate for a new key, PEM, and another for the same key.
fn certificates() -> [String; 2] {
    let key = rcgen::KeyPair::generate().unwrap();
    [1_u64, 2].map(|serial| {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.serial_number = Some(serial.into());
        parameters.self_signed(&key).unwrap().pem()
    })
}

const PARTNER: &str = r#"[[saml_partner]]
name = "agency"
issuer = "https://idp.example/"
certificates = ["1.pem"]
audiences = ["urn:us"]
[[saml_partner.subject]]
from = "name-id"
capture = "(.*)"
"#;
const USERS: &str = "[users.sam]\nsaml_partner = \"agency\"\n";

fn with(toml: &str, users: &str) -> Tree {
    let [one, same] = certificates();
    let [other, _] = certificates();
    Tree::new()
        .with("auth.toml", toml)
        .with("users.toml", users)
        .with("1.pem", &one)
        .with("same.pem", &same)
        .with("2.pem", &other)
}

fn partner(toml: &str) -> Partner {
    with(toml, USERS).good().partners.pop().unwrap()
}

#[test]
fn a_partner_says_whom_its_assertions_mean_and_an_account_which_partner_may_mean_it() {
    let auth = with(PARTNER, USERS).good();
    assert_eq!(auth.users.find("sam").unwrap().partner.as_deref(), Some("agency"));
    let agency = partner(PARTNER);
    assert_eq!(agency.bounds, Bounds { skew_ms: 60_000, max_age_ms: 3_600_000, max_session_ms: 28_800_000 });
    assert_eq!((agency.algorithms.len(), agency.once), (10, false));
    assert_eq!(agency.subjects[0].from, NameOrigin::NameId);
    assert_eq!(agency.subjects[0].naming.name("x").as_deref(), Some("x"));
    let more = PARTNER.replace("audiences", "replay = \"once\"\nalgorithms = [\"rsa-pss-sha256\"]\naudiences");
    let agency = partner(&more.replace("from = \"name-id\"", "attribute = \"urn:x\""));
    assert_eq!((agency.algorithms.as_slice(), agency.once), (&[SignatureAlgorithm::PssSha256][..], true));
    assert_eq!(agency.subjects[0].from, NameOrigin::Attribute("urn:x".to_owned()));

    for (from, to, place, word) in [
        ("\"agency\"", "\"\"", "auth.toml:2:8", "1 to 64 ASCII letters"),
        ("https://idp.example/", " https://idp.example/", "auth.toml:3:10", "without white space"),
        ("\"https://idp.example/\"", "\"\"", "auth.toml:3:10", "1 to 1024 octets"),
        ("[\"1.pem\"]", "[]", "auth.toml:4:16", "1 to 4 PEM files"),
        ("\"1.pem\"", "\"none.pem\"", "auth.toml:4:17", "certificate none.pem"),
        ("\"1.pem\"", "\"../1.pem\"", "auth.toml:4:17", "../1.pem"),
        ("\"1.pem\"", "\"users.toml\"", "auth.toml:4:17", "certificate users.toml"),
        ("[\"urn:us\"]", "[]", "auth.toml:5:13", "may be for anybody"),
        ("\"urn:us\"", "\"urn: us\"", "auth.toml:5:14", "without white space"),
        ("[[saml_partner.subject]]\nfrom = \"name-id\"\ncapture = \"(.*)\"\n", "", "auth.toml:2:8", "mean nobody"),
        ("\"name-id\"", "\"subject\"", "auth.toml:7:8", "unknown variant"),
        ("from = \"name-id\"", "attribute = \"\"", "auth.toml:7:13", "1 to 1024 octets"),
        ("from = \"name-id\"", "from = \"name-id\"\nattribute = \"x\"", "auth.toml:8:13", "exclude each other"),
        ("from = \"name-id\"\n", "", "auth.toml:6:1", "needs from or attribute"),
        ("(.*)", "(.*", "auth.toml:8:11", "capture"),
        ("audiences", "skew_s = 301\naudiences", "auth.toml:5:10", "skew_s must be from 0 to 300"),
        ("audiences", "max_age_min = 0\naudiences", "auth.toml:5:15", "max_age_min must be from 1 to 1440"),
        ("audiences", "max_session_min = 0\naudiences", "auth.toml:5:19", "max_session_min must be"),
        ("audiences", "algorithms = []\naudiences", "auth.toml:5:14", "nothing would be taken"),
        ("audiences", "algorithms = [\"rsa-sha1\"]\naudiences", "auth.toml:5:15", "unknown variant"),
        (
            "audiences",
            "leniencies = [\"rsa-sha1\"]\naudiences",
            "auth.toml:5:15",
            "none of its certificates has an RSA key",
        ),
        ("audiences", "leniencies = [\"to-absent\"]\naudiences", "auth.toml:5:15", "unknown variant"),
        ("audiences", "replay = \"never\"\naudiences", "auth.toml:5:10", "unknown variant"),
        ("audiences", "keys = []\naudiences", "auth.toml:5:1", "unknown field"),
        ("audiences", "holder_proofs = []\naudiences", "auth.toml:5:17", "nobody could present"),
        ("audiences", "holder_proofs = [\"password\"]\naudiences", "auth.toml:5:18", "unknown variant"),
        (
            "audiences",
            "holder_proofs = [\"signature\", \"tls-certificate\"]\naudiences",
            "auth.toml:5:17",
            "server_certificates must say",
        ),
    ] {
        assert!(PARTNER.contains(from), "{from}");
        with(&PARTNER.replace(from, to), USERS).refused(&[place, word]);
    }
}

#[test]
fn how_a_holder_proves_his_key_is_a_partners_to_say_and_by_signature_where_nothing_is() {
    let proofs = |names: &str| {
        let partner = PARTNER.replace("audiences", &format!("{names}audiences"));
        let tree = with(&format!("server_certificates = [\"2.pem\"]\n{partner}"), USERS);
        let HolderProofs { signature, tls_certificate, mac } = tree.good().partners.pop().unwrap().proofs;
        (signature, tls_certificate, mac)
    };
    assert_eq!(proofs(""), (true, false, false));
    for (names, expected) in [
        ("\"signature\"", (true, false, false)),
        ("\"tls-certificate\"", (false, true, false)),
        ("\"tls-certificate\", \"signature\"", (true, true, false)),
        ("\"mac\"", (false, false, true)),
        ("\"signature\", \"mac\"", (true, false, true)),
    ] {
        assert_eq!(proofs(&format!("holder_proofs = [{names}]\n")), expected);
    }
}

#[test]
fn a_mac_by_sha1_is_a_leniency_where_some_partners_holders_prove_themselves_so() {
    let endpoint = "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/held\"\ncredentials = [\"saml\"]\n\
                    addresses = [\"https://sts.example.com/held\"]\nleniencies = [\"hmac-sha1\"]\n";
    let written = |proofs: &str| {
        let partner = PARTNER.replace("audiences", &format!("holder_proofs = [{proofs}]\naudiences"));
        with(&format!("{endpoint}{partner}"), USERS)
    };
    assert!(written("\"mac\"").good().endpoints["/held"].hmac_sha1);
    written("\"signature\"").refused(&["auth.toml:5:15", "no credential here comes with a MAC"]);
    // One that takes no assertions has nothing of it.
    let partner = PARTNER.replace("audiences", "holder_proofs = [\"mac\"]\naudiences");
    let elsewhere = format!("{}{partner}", endpoint.replace("\"saml\"", "\"password\""));
    with(&elsewhere, USERS).refused(&["auth.toml:5:15", "no credential here comes with a MAC"]);
}

#[test]
fn a_partner_signs_by_sha1_where_its_own_table_says_so() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let rsa = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    let both = "leniencies = [\"rsa-sha1\", \"reference-sha1\"]\n";
    for (more, algorithms, reference, doubts) in [
        ("", 10, false, 0),
        ("leniencies = [\"rsa-sha1\"]\n", 11, false, 1),
        ("leniencies = [\"reference-sha1\"]\n", 10, true, 1),
        (both, 11, true, 2),
        (&format!("algorithms = [\"rsa-sha256\"]\n{both}"), 2, true, 2),
    ] {
        let toml = PARTNER.replace("audiences", &format!("{more}audiences"));
        let mut auth = with(&toml, USERS).with("1.pem", &rsa).good();
        assert_eq!(auth.doubts.len(), doubts, "{more}");
        let partner = auth.partners.pop().unwrap();
        assert_eq!((partner.algorithms.len(), partner.reference_sha1), (algorithms, reference), "{more}");
        assert_eq!(partner.algorithms.contains(&SignatureAlgorithm::RsaSha1), algorithms % 10 > 0, "{more}");
    }
}

#[test]
fn two_partners_share_neither_name_nor_issuer_nor_key() {
    let second =
        PARTNER.replace("agency", "bank").replace("https://idp.example/", "urn:bank").replace("1.pem", "2.pem");
    let both = |second: &str| with(&format!("{PARTNER}{second}"), USERS);
    both(&second).good();
    both(&second.replace("bank\"", "agency\"").replace("urn:agency", "urn:bank")).refused(&["auth.toml:10:8", "twice"]);
    both(&second.replace("urn:bank", "https://idp.example/")).refused(&["auth.toml:11:10", "agency calls itself so"]);
    for same in ["1.pem", "same.pem"] {
        both(&second.replace("2.pem", same)).refused(&["auth.toml:12:17", same, "its key is that of agency already"]);
    }
}

#[test]
fn a_key_that_signs_assertions_is_no_users_key() {
    let users = format!("{USERS}[users.kim]\ncertificates = [\"same.pem\"]\n");
    with(PARTNER, &users).refused(&["users.toml:4:17", "same.pem", "agency signs assertions with its key"]);
    with(PARTNER, &users.replace("same.pem", "2.pem")).good();
}

#[test]
fn an_account_names_a_partner_that_there_is() {
    with(PARTNER, &USERS.replace("agency", "bank")).refused(&["users.toml:2:16", "no [[saml_partner]]", "\"bank\""]);
}

#[test]
fn an_endpoint_for_assertions_needs_a_partner_and_a_store() {
    let endpoint = "[[endpoint]]\npath = \"/saml\"\ncredentials = [\"saml\"]\n";
    let store = "[store]\ndirectory = \"../state\"\n";
    with(&format!("{store}{endpoint}"), "").refused(&["auth.toml:5:15", "without a [[saml_partner]]"]);
    with(&format!("{endpoint}{PARTNER}"), USERS).refused(&["auth.toml:3:15", "which assertions were used"]);
    let auth = with(&format!("{store}{endpoint}{PARTNER}"), USERS).good();
    assert!(auth.endpoints["/saml"].saml && !auth.endpoints["/saml"].password);
}

#[test]
fn a_store_whose_places_for_assertions_one_account_fills_is_doubted() {
    let doubts = |toml: &str| {
        let toml = format!("[store]\ndirectory = \"../state\"\n{toml}");
        with(&toml, USERS).good().doubts.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(doubts(PARTNER), "");
    // 6 000 at once and 6 000 in each of so many minutes, five of clocks and one of margin among them.
    let aged = |minutes: u32| PARTNER.replace("audiences", &format!("max_age_min = {minutes}\naudiences"));
    assert_eq!(doubts(&aged(76)), "");
    let said = doubts(&aged(77));
    assert!(said.contains("auth.toml:7:15") && said.contains("504000") && said.contains("500000"), "{said}");
    // An hour is remembered in any case.
    let said = doubts(&format!("most_rows = 700_000\n{}", aged(1)));
    assert!(said.contains("402000 assertions") && said.contains("66 minutes"), "{said}");
}

#[test]
fn what_a_partner_says_of_an_account_is_declared_and_nobody_elses_word() {
    let rule = "[[saml_partner.attribute]]\nfrom = \"urn:roles\"\nto = \"role\"\n";
    let toml = format!("{PARTNER}{rule}");
    let declared = format!("attributes = [\"role\"]\n{USERS}");
    let auth = with(&toml, &declared).good();
    assert_eq!(auth.partners[0].attributes[0].to, "role");
    with(&toml, USERS).refused(&["auth.toml:11:6", "does not name \"role\""]);
    with(&toml.replace("\"role\"", "\"groups\""), &declared).refused(&["auth.toml:11:6", "\"groups\""]);
    with(&toml.replace("urn:roles", ""), &declared).refused(&["auth.toml:10:8", "from: 1 to 1024"]);
    let own = format!("{USERS}attributes.role = [\"auditor\"]\n");
    with(&toml, &own).refused(&["users.toml:3:12", "agency says what \"role\" of this account is"]);
}

#[test]
fn an_attribute_that_others_have_too_is_shared_only_where_somebody_says_so() {
    let rule = "[[saml_partner.attribute]]\nfrom = \"urn:roles\"\nto = \"role\"\n";
    let toml = format!("{PARTNER}{rule}");
    let shared = |toml: &str| toml.replace("to = \"role\"", "to = \"role\"\nshared = true");
    let declared = format!("attributes = [\"role\"]\n{USERS}");
    let kim = format!("{USERS}[users.kim]\npassword = '{}'\nattributes.role = [\"a\"]\n", super::hash());
    with(&toml, &kim).refused(&["auth.toml:11:6", "account kim has \"role\" too", "shared = true"]);
    with(&shared(&toml), &kim).good();
    let bank = toml.replace("agency", "bank").replace("https://idp.example/", "urn:bank").replace("1.pem", "2.pem");
    let both = format!("{toml}{bank}");
    with(&both, &declared).refused(&["auth.toml:11:6", "bank has \"role\" too"]);
    with(&format!("{}{bank}", shared(&toml)), &declared).refused(&["auth.toml:23:6", "agency has \"role\" too"]);
    with(&shared(&both), &declared).good();
    let corp = directory::DIRECTORY.replace("name = \"guid\"", "name = \"role\"");
    let with_directory = |toml: &str| directory::files(with(&format!("{toml}{corp}"), &declared));
    with_directory(&toml).refused(&["auth.toml:11:6", "a directory has \"role\" too"]);
    with_directory(&shared(&toml)).good();
}

#[test]
fn an_intermediary_is_somebody_who_signs_and_vouches_for_accounts_of_that_partner() {
    let table = "[[saml_partner.intermediary]]\naccount = \"portal\"\nsubjects = [\"sam\"]\ngroups = [\"field\"]\n";
    let users = "[users.sam]\nsaml_partner = \"agency\"\ngroups = [\"field\"]\n[users.lea]\nsaml_partner = \"agency\"\n\
                 [users.portal]\ncertificates = [\"2.pem\"]\n[users.bob]\nsaml_partner = \"agency\"\n\
                 digest_secret = \"0123456789abcdef\"\ngroups = [\"desk\"]\n";
    let toml = format!("{PARTNER}{table}");
    let auth = with(&toml, users).good();
    let [portal] = &auth.partners[0].intermediaries[..] else { panic!("one intermediary") };
    assert_eq!(portal.account, "portal");
    let may = |name: &str| portal.may_vouch_for(auth.users.find(name).unwrap());
    assert_eq!(["sam", "lea", "portal", "bob"].map(may), [true, false, false, false]);
    for (from, to, place, word) in [
        ("\"portal\"", "\"none\"", "auth.toml:10:11", "users.toml has no \"none\""),
        ("\"portal\"", "\"bob\"", "auth.toml:10:11", "no certificate to sign with"),
        ("\"sam\"", "\"none\"", "auth.toml:11:13", "no \"none\" whose saml_partner is \"agency\""),
        ("\"sam\"", "\"portal\"", "auth.toml:11:13", "vouch for itself"),
        ("\"field\"", "\"sea\"", "auth.toml:12:11", "is in \"sea\""),
        ("subjects = [\"sam\"]\ngroups = [\"field\"]\n", "", "auth.toml:10:11", "vouch for nobody"),
        ("groups =", "group =", "auth.toml:12:1", "unknown field"),
    ] {
        assert!(toml.contains(from), "{from}");
        with(&toml.replace(from, to), users).refused(&[place, word]);
    }
    with(&format!("{toml}{table}"), users).refused(&["auth.toml:14:11", "intermediary of this partner already"]);
    let other = users.replace("[users.portal]\n", "[users.portal]\nsaml_partner = \"agency\"\n");
    with(&toml, &other.replace("[\"2.pem\"]", "[\"2.pem\"]\ngroups = [\"field\"]"))
        .refused(&["auth.toml:12:11", "portal is in \"field\" and would vouch for itself"]);
    with(&toml, &users.replace("saml_partner = \"agency\"\ngroups", "jwt_issuer = \"x\"\ngroups"))
        .refused(&["jwt_issuer"]);
}

#[test]
fn an_endpoint_where_somebody_vouches_needs_an_intermediary_an_address_and_a_store() {
    let table = "[[saml_partner.intermediary]]\naccount = \"portal\"\nsubjects = [\"sam\"]\n";
    let users = format!("{USERS}[users.portal]\ncertificates = [\"2.pem\"]\n");
    let endpoint = "[[endpoint]]\npath = \"/vouched\"\ncredentials = [\"sender-vouches\"]\n";
    let (store, address) = ("[store]\ndirectory = \"../state\"\n", "addresses = [\"https://sts.example.com/\"]\n");
    let all =
        |store: &str, address: &str, table: &str| with(&format!("{store}{endpoint}{address}{PARTNER}{table}"), &users);
    all(store, address, "").refused(&["auth.toml:5:15", "without a [[saml_partner.intermediary]]"]);
    all(store, "", table).refused(&["auth.toml:5:15", "addresses must say"]);
    all("", address, table).refused(&["auth.toml:3:15", "without [store]"]);
    let auth = all(store, address, table).good();
    assert!(auth.endpoints["/vouched"].sender_vouches && !auth.endpoints["/vouched"].saml);
}
