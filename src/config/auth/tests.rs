//! One broken configuration a test: each is refused with the file, the line and the reason.

mod authority;
mod directory;
mod jwt;
mod kerberos;
mod partner;
mod store;

use super::certificate::Certificate;
use super::endpoint::Endpoint;
use super::*;
use crate::wire::evidence::KeyReference;
use crate::wire::order::TokenType;

const NOW: crate::wire::Millis = crate::wire::Millis(1_800_000_000_000);

/// `correct horse`, cheap.
const HASH: &str = "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$";

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(tree.0.path().join("auth.d/relying-parties")).unwrap();
        tree.with("auth.toml", "").with("users.toml", &users("")).with("relying-parties/office.toml", &party(""))
    }

    fn with(self, file: &str, text: &str) -> Self {
        std::fs::write(self.0.path().join("auth.d").join(file), text).unwrap();
        self
    }

    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        let message = check(self.0.path()).expect_err("is refused").to_string();
        for word in words {
            assert!(message.contains(word), "{word:?} is missing in:\n{message}");
        }
        message
    }

    fn good(&self) -> Auth {
        check(self.0.path()).unwrap_or_else(|error| panic!("{error}"))
    }
}

fn hash() -> String {
    format!("{HASH}{}", "A".repeat(43))
}

fn users(more: &str) -> String {
    format!(
        "{more}\n[users.alice]\npassword = '{}'\ngroups = [\"staff\"]\n[users.alice.attributes]\nmail = [\"alice@example.com\"]\n",
        hash()
    )
}

fn party(more: &str) -> String {
    format!(
        "applies_to = [\"urn:office\"]\ntoken_types = [\"saml11\", \"saml20\"]\n\
         policy = '''permit(principal, action, resource);'''\n{more}\n"
    )
}

fn with_policy(policy: &str) -> String {
    format!("applies_to = [\"urn:office\"]\ntoken_types = [\"saml20\"]\npolicy = '''\n{policy}\n'''\n")
}

#[test]
fn a_good_configuration_has_the_defaults_of_the_requirements() {
    let auth = Tree::new().good();
    assert_eq!((auth.timestamp.ttl_ms, auth.timestamp.future_ms), (300_000, 60_000));
    let party = auth.parties.find(Some("urn:office")).unwrap();
    assert_eq!((party.lifetime_default_ms, party.lifetime_ceiling_ms), (15 * 60_000, 60 * 60_000));
    assert!(auth.parties.find(None).is_none());
    assert_eq!(auth.users.count(), 1);
    assert_eq!(auth.users.dummy.cost(), auth.users.find("alice").unwrap().hash.as_ref().unwrap().cost());
}

#[test]
fn an_address_is_found_only_octet_for_octet() {
    let auth =
        Tree::new().with("relying-parties/b.toml", &party("").replace("urn:office", "https://b.example/x")).good();
    assert!(auth.parties.find(Some(" https://b.example/x\n")).is_some());
    for near in [
        "https://b.example/x/",
        "https://B.example/x",
        "https://b.example/./x",
        "https://b.example/%78",
        "https://b.example:443/x",
        "https://u@b.example/x",
        "https://b.example/x#",
        "https://b.example/",
        "",
    ] {
        assert!(auth.parties.find(Some(near)).is_none(), "{near}");
    }
}

#[test]
fn an_unknown_key_is_shown_with_its_line() {
    Tree::new().with("auth.toml", "\nendpoints = []\n").refused(&["auth.toml:2:1", "unknown field `endpoints`"]);
    Tree::new().with("users.toml", &users("colour = 1")).refused(&["users.toml:1:1", "unknown field"]);
    let tree = Tree::new().with("relying-parties/office.toml", &party("[[claim]]\nuri='urn:x'\nfrm='mail'"));
    tree.refused(&["office.toml:6:1", "unknown field `frm`"]);
}

#[test]
fn a_number_out_of_range_is_shown_with_its_key_and_bounds() {
    let tree = Tree::new().with("auth.toml", "[password]\nqueue = 8\ncache_s = 61\n");
    tree.refused(&["auth.toml:3:11", "password.cache_s must be from 0 to 60", "cache_s = 61"]);
}

#[test]
fn a_hash_that_is_not_argon2id_is_refused_without_being_shown() {
    for bad in ["plain", "$argon2i$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$AAAA", "$2y$10$abcdefghijklmnopqrstuv"] {
        let tree = Tree::new().with("users.toml", &format!("[users.bob]\npassword = '{bad}'\n"));
        let message = tree.refused(&["users.toml:2:12", "password of bob: not "]);
        assert!(!message.contains(bad), "{message}");
    }
    let dear = hash().replace("m=1024", "m=9999999");
    Tree::new().with("users.toml", &format!("[users.bob]\npassword = '{dear}'\n")).refused(&["costs more"]);
}

#[test]
fn a_claim_from_an_attribute_nobody_has_is_refused_with_the_ones_there_are() {
    let tree = Tree::new().with("relying-parties/office.toml", &party("[[claim]]\nuri='urn:x'\nfrom='email'"));
    tree.refused(&["office.toml:6:6", "no user has an attribute \"email\"", "username, groups, mail"]);
    let declared = users("attributes = ['email']");
    Tree::new()
        .with("users.toml", &declared)
        .with("relying-parties/office.toml", &party("[[claim]]\nuri='urn:x'\nfrom='email'"))
        .good();
}

#[test]
fn a_claim_has_one_origin_and_a_whole_pattern() {
    let office = |more: &str| {
        Tree::new().with("relying-parties/office.toml", &party(&format!("[[claim]]\nuri='urn:x'\n{more}")))
    };
    office("from='mail'\nconst='x'").refused(&["office.toml:7:7", "exclude each other"]);
    office("").refused(&["office.toml:4", "needs from or const"]);
    office("from='mail'\nfilter='('").refused(&["office.toml:7:8", "filter:"]);
    office("from='mail'\nfilter='a)|(b'").refused(&["office.toml:7:8"]);
    office("from='mail'\ncapture='.*'").refused(&["office.toml:7:9", "exactly one group"]);
}

#[test]
fn a_policy_that_does_not_parse_or_validate_is_shown_with_its_line() {
    let office = |policy: &str| Tree::new().with("relying-parties/office.toml", &with_policy(policy));
    office("permit(principal, action, resource)\nwhen { ;").refused(&["office.toml:5:", "policy:"]);
    office("permit(principal, action, resource)\nwhen { principal.shoe.contains(\"46\") };").refused(&[
        "office.toml:5:",
        "shoe",
        "when { principal.shoe",
    ]);
    office("permit(principal, action == Action::\"Renew\", resource);").refused(&["office.toml:4:", "Renew"]);
    office("permit(principal == ?principal, action, resource);").refused(&["template"]);
    office("").refused(&["permits nothing"]);
    office(
        "@id(\"staff\")\npermit(principal in Group::\"staff\", action, resource)\n\
            when { principal.mail.contains(\"a@example.com\") && context.source.isIpv4() };",
    )
    .good();
}

#[test]
fn two_policies_with_one_id_are_refused() {
    let policy = "@id(\"a\") permit(principal, action, resource);\n@id(\"a\") permit(principal, action, resource);";
    Tree::new().with("relying-parties/office.toml", &with_policy(policy)).refused(&["policy:", "a"]);
}

#[test]
fn two_parties_with_one_address_name_both_files() {
    let tree = Tree::new().with("relying-parties/other.toml", &party(""));
    tree.refused(&["other.toml:1:15", "office.toml", "applies_to"]);
}

#[test]
fn a_default_lifetime_above_the_ceiling_names_both_keys() {
    let tree = Tree::new().with("relying-parties/office.toml", &party("lifetime_default_min = 90"));
    tree.refused(&["office.toml:4:24", "lifetime_default_min = 90", "lifetime_ceiling_min = 60"]);
    let more = "lifetime_default_min = 90\nlifetime_ceiling_min = 120";
    Tree::new().with("relying-parties/office.toml", &party(more)).good();
}

#[test]
fn a_token_type_nobody_writes_is_refused() {
    let tree = Tree::new().with("relying-parties/office.toml", &party("").replace("saml20", "saml30"));
    tree.refused(&["office.toml:2:26", "saml11 and saml20"]);
}

#[test]
fn a_default_party_must_exist() {
    Tree::new().with("auth.toml", "default_relying_party = 'shop'").refused(&["auth.toml:1:25", "no such file"]);
    let auth = Tree::new().with("auth.toml", "default_relying_party = 'office'").good();
    assert!(auth.parties.find(None).is_some());
}

#[test]
fn a_store_lies_beside_the_file_or_where_it_says() {
    assert_eq!(Tree::new().good().store, None);
    let tree = Tree::new().with("auth.toml", "[store]\ndirectory = '../../store'");
    let beside = tree.0.path().join("auth.d/../../store");
    assert_eq!(tree.good().store, Some(StoreRules { place: StorePlace::Sqlite(beside), most_rows: 1_000_000 }));
    let tree = Tree::new().with("auth.toml", "[store]\ndirectory = '/var/x'\nmost_rows = 50_000_000");
    assert_eq!(
        tree.good().store,
        Some(StoreRules { place: StorePlace::Sqlite("/var/x".into()), most_rows: 50_000_000 })
    );
}

#[test]
fn a_store_that_one_account_fills_in_a_quarter_of_an_hour_is_doubted() {
    let doubts = |store: &str, throttle: &str| {
        let toml = format!("[store]\ndirectory = '/x'\n{store}\n[throttle]\n{throttle}\n");
        let doubts = Tree::new().with("auth.toml", &toml).good().doubts;
        doubts.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(doubts("", ""), "");
    // 6 000 at once and 6 000 in each of sixteen minutes.
    assert_eq!(doubts("most_rows = 408_000", ""), "");
    let said = doubts("most_rows = 407_999", "");
    assert!(
        said.contains("auth.toml:3:13") && said.contains("102000") && said.contains("account_per_minute"),
        "{said}"
    );
    let said =
        doubts("most_rows = 408_000\n[[endpoint]]\npath = '/x'\ncredentials = ['password']\nencryption = true", "");
    assert!(said.contains("204000"), "a key and what is sealed with it: {said}");
    assert_eq!(doubts("most_rows = 1_000", "account_per_minute = 10\naccount_burst = 90"), "");
    let said = doubts("", "account_burst = 1\naccount_per_minute = 100_000");
    assert!(said.contains("auth.toml:6:22") && said.contains("most_rows"), "{said}");
    let said = doubts("", "account_burst = 1_000_000");
    assert!(said.contains("auth.toml:5:17"), "{said}");
    let toml = "[throttle]\naccount_burst = 1_000_000\n";
    assert!(Tree::new().with("auth.toml", toml).good().doubts.is_empty(), "nothing is kept");
}

#[test]
fn a_store_that_says_too_little_or_too_much_names_its_line() {
    let store = |text: &str| Tree::new().with("auth.toml", &format!("[store]\n{text}"));
    store("most_rows = 5000").refused(&["auth.toml:1:", "directory"]);
    store("directory = '/x'\nrows = 5000").refused(&["auth.toml:3:1", "rows"]);
    for most in ["999", "50_000_001"] {
        let words = ["auth.toml:3:13", "store.most_rows must be from 1000 to 50000000"];
        store(&format!("directory = '/x'\nmost_rows = {most}")).refused(&words);
    }
}

#[test]
fn the_configuration_that_is_shipped_is_a_good_one() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/etc/auth.d/auth.toml");
    let auth = Tree::new().with("auth.toml", &std::fs::read_to_string(shipped).unwrap()).good();
    assert_eq!(auth.store.unwrap().place, StorePlace::Sqlite("/var/lib/chancery/auth".into()));
}

#[test]
fn a_missing_directory_or_file_is_named() {
    let empty = tempfile::tempdir().unwrap();
    assert!(check(empty.path()).unwrap_err().to_string().contains("auth.d"));
    std::fs::create_dir(empty.path().join("auth.d")).unwrap();
    assert!(check(empty.path()).unwrap_err().to_string().contains("auth.toml"));
}

#[test]
fn an_endpoint_says_what_proves_a_requestor_and_what_it_means_by_default() {
    let usual = Tree::new().good().endpoints;
    let adfs = &usual["/adfs/services/trust/13/usernamemixed"];
    assert_eq!(
        (adfs.token_type, adfs.password, adfs.digest, adfs.signature),
        (Some(TokenType::Saml11), true, false, false)
    );
    assert_eq!(usual["/sts"].token_type, None);

    let signed = "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/signed\"\ncredentials = [\"signature\"]\n\
                  addresses = [\"https://sts.example.com/signed\"]\ntoken_type = \"saml20\"\nleniencies = [\"to-absent\"]\n";
    let endpoints = Tree::new().with("auth.toml", signed).good().endpoints;
    assert_eq!(
        endpoints["/signed"],
        Endpoint {
            token_type: Some(TokenType::Saml20),
            password: false,
            digest: false,
            signature: true,
            tls_certificate: false,
            saml: false,
            sender_vouches: false,
            jwt: false,
            password_symmetric: false,
            kerberos: false,
            kerberos_token: false,
            unbound_ticket: false,
            addresses: vec!["https://sts.example.com/signed".to_owned()],
            to_absent: true,
            enveloped_transform: false,
            unsigned_addressing: false,
            hmac_sha1: false,
            rsa_sha1: false,
            reference_sha1: false,
            encryption: false,
            aes_cbc: false,
            signed_replies: false,
            sealed_replies: false,
        }
    );
    let both = signed.replace("\"to-absent\"", "\"to-absent\", \"enveloped-transform\"");
    assert!(Tree::new().with("auth.toml", &both).good().endpoints["/signed"].enveloped_transform);
    let outside = signed.replace("to-absent", "unsigned-addressing");
    let endpoint = &Tree::new().with("auth.toml", &outside).good().endpoints["/signed"];
    assert!(endpoint.unsigned_addressing && !endpoint.to_absent);
    let nothing_signed = outside.replace("[\"signature\"]", "[\"password\"]");
    let why = "leniencies names \"unsigned-addressing\", and no credential here comes with a signature or a MAC";
    Tree::new().with("auth.toml", &nothing_signed).refused(&["auth.toml:5:15", why]);
    let answered = signed.replace("token_type", "replies = \"signed\"\ntoken_type");
    assert!(Tree::new().with("auth.toml", &answered).good().endpoints["/signed"].signed_replies);
    let sealed = Tree::new().with("auth.toml", &answered.replace("\"signed\"\ntoken", "\"sealed\"\ntoken")).good();
    assert!(sealed.endpoints["/signed"].signed_replies && sealed.endpoints["/signed"].sealed_replies);
    let none = answered.replace("[\"signature\"]", "[\"password\"]");
    Tree::new().with("auth.toml", &none).refused(&["auth.toml:7:11", "replies: answers are signed"]);
    for (from, to, place, word) in [
        ("token_type", "replies = \"sealed?\"\ntoken_type", "auth.toml:7:11", "unknown variant"),
        ("\"/signed\"", "\"signed\"", "auth.toml:4:8", "beginning with /"),
        ("token_type", "encryption = 1\ntoken_type", "auth.toml:7:14", "boolean"),
        ("[\"signature\"]", "[]", "auth.toml:5:15", "nothing would prove anybody"),
        ("[\"signature\"]", "[\"ntlm\"]", "auth.toml:5:16", "unknown variant"),
        ("addresses = [\"https://sts.example.com/signed\"]", "", "auth.toml:5:15", "addresses must say"),
        ("https://sts.example.com/signed", "/signed", "auth.toml:6:14", "absolute URI"),
        ("saml20", "saml3", "auth.toml:7:14", "no kind of token"),
        ("to-absent", "to-any", "auth.toml:8:15", "unknown variant"),
        ("to-absent", "ecdsa-sha1", "auth.toml:8:15", "unknown variant"),
        ("[store]\ndirectory = \"../state\"\n", "", "auth.toml:3:15", "[store]"),
        ("leniencies = [\"to-absent\"]", "[[endpoint]]\npath = \"/signed\"", "auth.toml:9:8", "twice"),
    ] {
        Tree::new().with("auth.toml", &signed.replace(from, to)).refused(&[place, word]);
    }
}

#[test]
fn sha1_is_let_pass_by_name_where_something_is_signed_and_is_doubted() {
    let endpoint = |credential: &str, leniencies: &str| {
        format!(
            "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/old\"\ncredentials = [\"{credential}\"]\n\
             addresses = [\"https://sts.example.com/old\"]\nleniencies = [{leniencies}]\n"
        )
    };
    for (leniencies, expected, places) in [
        ("", (false, false), &[][..]),
        ("\"rsa-sha1\"", (true, false), &["auth.toml:7:15"]),
        ("\"to-absent\", \"reference-sha1\"", (false, true), &["auth.toml:7:28"]),
        ("\"rsa-sha1\", \"reference-sha1\"", (true, true), &["auth.toml:7:15", "auth.toml:7:27"]),
    ] {
        let auth = Tree::new().with("auth.toml", &endpoint("signature", leniencies)).good();
        let old = &auth.endpoints["/old"];
        assert_eq!((old.rsa_sha1, old.reference_sha1), expected, "{leniencies}");
        let said: Vec<String> = auth.doubts.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), places.len(), "{said:?}");
        for (said, place) in said.iter().zip(places) {
            assert!(said.contains(place) && said.contains("two texts can be made that have one SHA-1"), "{said}");
        }
    }
    let symmetric = |leniencies: &str| {
        endpoint("password-symmetric", leniencies).replace("leniencies", "encryption = true\nleniencies")
    };
    let auth = Tree::new().with("auth.toml", &symmetric("\"reference-sha1\"")).good();
    assert!(auth.endpoints["/old"].reference_sha1 && auth.doubts.len() == 1, "{:?}", auth.doubts);
    // A MAC is no signature by RSA.
    let toml = symmetric("\"reference-sha1\", \"rsa-sha1\"");
    Tree::new().with("auth.toml", &toml).refused(&["auth.toml:8:33", "no credential here comes with a signature"]);
    for (credential, leniency) in [("password", "rsa-sha1"), ("digest", "reference-sha1")] {
        let toml = endpoint(credential, &format!("\"to-absent\", \"{leniency}\""));
        Tree::new().with("auth.toml", &toml).refused(&["auth.toml:7:28", "no credential here comes with a signature"]);
    }
}

#[test]
fn a_password_under_a_mac_stands_alone_and_needs_a_key_a_store_and_an_address() {
    let symmetric = "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/symmetric\"\n\
                     credentials = [\"password-symmetric\"]\naddresses = [\"https://sts.example.com/symmetric\"]\n\
                     encryption = true\nleniencies = [\"hmac-sha1\"]\n";
    let endpoint = &Tree::new().with("auth.toml", symmetric).good().endpoints["/symmetric"];
    assert!(endpoint.password_symmetric && endpoint.hmac_sha1 && endpoint.encryption && !endpoint.password);
    let strict = symmetric.replace("leniencies = [\"hmac-sha1\"]", "");
    assert!(!Tree::new().with("auth.toml", &strict).good().endpoints["/symmetric"].hmac_sha1);
    for (from, to, place, word) in [
        ("symmetric\"]", "symmetric\", \"password\"]", "auth.toml:5:15", "stands alone"),
        ("symmetric\"]", "symmetric\", \"signature\"]", "auth.toml:5:15", "stands alone"),
        ("[\"https://sts.example.com/symmetric\"]", "[]", "auth.toml:5:15", "addresses must say"),
        ("encryption = true", "", "auth.toml:5:15", "encryption = true"),
        ("encryption = true", "encryption = false", "auth.toml:5:15", "encryption = true"),
        ("[\"password-symmetric\"]", "[\"password\"]", "auth.toml:5:15", "no credential here comes with a MAC"),
        ("[store]\ndirectory = \"../state\"\n", "", "auth.toml:3:15", "[store]"),
    ] {
        Tree::new().with("auth.toml", &symmetric.replacen(from, to, 1)).refused(&[place, word]);
    }
}

#[test]
fn cbc_is_a_leniency_where_a_signature_comes_before_it_a_21() {
    let chained = "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/chained\"\n\
                   credentials = [\"password\", \"signature\"]\naddresses = [\"https://sts.example.com/chained\"]\n\
                   encryption = true\nleniencies = [\"aes-cbc\"]\n";
    assert!(Tree::new().with("auth.toml", chained).good().endpoints["/chained"].aes_cbc);
    let strict = chained.replace("[\"aes-cbc\"]", "[]");
    assert!(!Tree::new().with("auth.toml", &strict).good().endpoints["/chained"].aes_cbc);
    for (from, to) in [
        ("encryption = true", "encryption = false"),
        ("encryption = true\n", ""),
        (", \"signature\"", ""),
        (", \"signature\"", ", \"digest\""),
    ] {
        let broken = Tree::new().with("auth.toml", &chained.replacen(from, to, 1));
        broken.refused(&["auth.toml:5:15", "aes-cbc", "encryption = true"]);
    }
}

#[test]
fn a_secret_for_digests_stands_alone_and_is_not_shown() {
    let secret = "a secret of some length";
    let users = format!("[users.bob]\ndigest_secret = \"{secret}\"\n");
    let with = |from: &str, to: &str| Tree::new().with("users.toml", &users.replacen(from, to, 1));
    let users = with("", "").good().users;
    let bob = users.find("bob").unwrap();
    assert_eq!(bob.digest_secret.as_ref().unwrap().expose(), secret.as_bytes());
    assert!(bob.hash.is_none());
    assert!(!format!("{users:?}").contains(secret));
    for (from, to, place, word) in [
        ("[users.bob]", &*format!("[users.bob]\npassword = '{}'", hash()), "users.toml:3:17", "exclude each other"),
        (secret, "fifteen octets.", "users.toml:2:17", "16 to 256 octets"),
        (secret, &"s".repeat(257), "users.toml:2:17", "16 to 256 octets"),
        ("\"\n", "\\q\"\n", "users.toml:2:", "escape"),
        ("\"a secret of some length\"", "1234567890123456", "users.toml:2:17", "a secret is a string"),
        ("digest_secret", "digest_secrets", "users.toml:2:1", "unknown field"),
    ] {
        let message = with(from, to).refused(&[place, word]);
        for secret in [secret, "fifteen", "sss", "1234"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}

#[test]
fn nobodys_digest_is_compared_with_a_secret_as_long_as_most() {
    assert_eq!(Tree::new().good().users.dummy_secret.expose().len(), 32);
    let user = |name: &str, letter: &str, length: usize| {
        format!("[users.{name}]\ndigest_secret = '{}'\n", letter.repeat(length))
    };
    let users = user("ann", "s", 20) + &user("bob", "s", 40) + &user("eve", "t", 20);
    let users = Tree::new().with("users.toml", &users).good().users;
    assert_eq!(users.dummy_secret.expose().len(), 20);
    assert!(![[b's'; 20], [b't'; 20]].contains(&users.dummy_secret.expose().try_into().unwrap()));
}

#[test]
fn two_accounts_have_two_secrets_and_which_they_share_is_not_shown() {
    let user = |name: &str, secret: &str| format!("[users.{name}]\ndigest_secret = '{secret}'\n");
    let secret = "a secret of some length";
    for (first, second) in [("ann", "bob"), ("bob", "ann")] {
        let users = user(first, secret) + &user("eve", "a secret of some other") + &user(second, secret);
        let tree = Tree::new().with("users.toml", &users);
        let message = tree.refused(&["users.toml:6:17", &format!("of {second}: {first} has the same")]);
        assert!(!message.contains("secret of some"), "{message}");
    }
}

#[test]
fn digests_need_a_store_and_no_addresses() {
    let endpoint = "[[endpoint]]\npath = \"/d\"\ncredentials = [\"digest\"]\n";
    Tree::new().with("auth.toml", endpoint).refused(&["auth.toml:3:15", "which nonces were used"]);
    let auth = Tree::new().with("auth.toml", &format!("[store]\ndirectory = \"../state\"\n{endpoint}")).good();
    assert_eq!(auth.endpoints["/d"], Endpoint { digest: true, ..Endpoint::default() });
}

/// A certificate for a key of that kind, PEM.
fn certificate(algorithm: &'static rcgen::SignatureAlgorithm, usages: Vec<rcgen::KeyUsagePurpose>) -> String {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.key_usages = usages;
    parameters.self_signed(&key).unwrap().pem()
}

#[test]
fn a_registered_certificate_can_verify_and_belongs_to_one_account() {
    use rcgen::KeyUsagePurpose::{DigitalSignature, KeyEncipherment};
    let good = certificate(&rcgen::PKCS_ECDSA_P256_SHA256, vec![DigitalSignature]);
    let with = |text: &str, file: &str| Tree::new().with("users.toml", text).with("bob.pem", file);
    let bob = "[users.bob]\ncertificates = [\"bob.pem\"]\n";
    let auth = with(bob, &good).good();
    let der = x509_parser::pem::parse_x509_pem(good.as_bytes()).unwrap().1.contents;
    let named = KeyReference::Certificate(crate::wire::Octets::new(der).unwrap());
    let (account, found) = auth.users.signer(&named, NOW).unwrap();
    assert_eq!(account.name.as_str(), "bob");
    let thumbprint = KeyReference::Thumbprint(found.thumbprint);
    assert!(auth.users.signer(&thumbprint, NOW).is_some());
    assert!(auth.users.signer(&KeyReference::Thumbprint([0; 20]), NOW).is_none());

    for (file, word) in [
        (String::new(), "no certificate"),
        (format!("{good}{good}"), "more than one"),
        (good.replace("CERTIFICATE", "PUBLIC KEY"), "not a certificate"),
        (certificate(&rcgen::PKCS_ECDSA_P256_SHA256, vec![KeyEncipherment]), "key usage"),
    ] {
        with(bob, &file).refused(&["users.toml:2:17", "bob.pem", word]);
    }
    for (text, place, word) in [
        ("[users.bob]\ngroups = []\n", "users.toml:1:8", "neither password nor digest_secret nor certificates"),
        ("[users.bob]\ncertificates = [\"../bob.pem\"]\n", "users.toml:2:17", "../bob.pem"),
        ("[users.bob]\ncertificates = [\"none.pem\"]\n", "users.toml:2:17", "none.pem"),
        (
            "[users.ann]\ncertificates = [\"bob.pem\"]\n[users.bob]\ncertificates = [\"bob.pem\"]\n",
            "users.toml:4:17",
            "registered for ann",
        ),
    ] {
        with(text, &good).refused(&[place, word]);
    }
}

/// Two certificates for a key, the first of which has run out, and their key identifier.
fn renewed() -> ([String; 2], KeyReference) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = |serial: u64, until: i32| {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.serial_number = Some(serial.into());
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.self_signed(&key).unwrap().pem()
    };
    let pems = [certificate(1, 2020), certificate(2, 2999)];
    let der = x509_parser::pem::parse_x509_pem(pems[0].as_bytes()).unwrap().1.contents;
    let identifier = Certificate::from_der(der).unwrap().key_identifier;
    (pems, KeyReference::KeyIdentifier(crate::wire::Octets::new(identifier).unwrap()))
}

#[test]
fn of_two_certificates_for_a_key_the_one_that_holds_is_meant() {
    let ([old, new], identifier) = renewed();
    let users = "[users.ann]\ncertificates = [\"1.pem\", \"2.pem\"]\n";
    let users = Tree::new().with("users.toml", users).with("1.pem", &old).with("2.pem", &new).good().users;
    let (account, certificate) = users.signer(&identifier, NOW).unwrap();
    assert_eq!(account.name.as_str(), "ann");
    assert!(certificate.holds(NOW));
}

#[test]
fn the_ninth_certificate_with_one_serial_number_is_doubted() {
    let with = |count: usize| {
        let mut tree = Tree::new();
        let mut users = String::new();
        for number in 0..count {
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
            parameters.serial_number = Some(1.into());
            let pem = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
            tree = tree.with(&format!("{number}.pem"), &pem);
            users += &format!("[users.u{number}]\ncertificates = [\"{number}.pem\"]\n");
        }
        let doubts = tree.with("users.toml", &users).good().doubts;
        doubts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(with(8).is_empty());
    // Of one key the one that holds is found, however many are past.
    let key = rcgen::KeyPair::generate().unwrap();
    let (mut tree, mut paths) = (Tree::new(), Vec::new());
    for number in 0..9_u64 {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.serial_number = Some((number + 1).into());
        parameters.not_after = rcgen::date_time_ymd(if number == 8 { 2999 } else { 2020 }, 1, 1);
        tree = tree.with(&format!("{number}.pem"), &parameters.self_signed(&key).unwrap().pem());
        paths.push(format!("\"{number}.pem\""));
    }
    let auth = tree.with("users.toml", &format!("[users.sam]\ncertificates = [{}]\n", paths.join(", "))).good();
    assert!(auth.doubts.len() == 1 && auth.doubts[0].to_string().contains("key identifier"), "{:?}", auth.doubts);
    let ninth = KeyReference::Serial(crate::wire::Octets::new([9]).unwrap());
    let identifier = auth.users.signer(&ninth, NOW).unwrap().1.key_identifier.clone();
    let identifier = KeyReference::KeyIdentifier(crate::wire::Octets::new(identifier).unwrap());
    assert!(auth.users.signer(&identifier, NOW).unwrap().1.holds(NOW));
    let doubts = with(9);
    assert!(
        doubts.len() == 1 && doubts[0].contains("users.toml:") && doubts[0].contains("serial number"),
        "{doubts:?}"
    );
}

#[test]
fn a_key_proves_one_account_whatever_certificate_is_around_it() {
    let ([old, new], _) = renewed();
    let users = "[users.ann]\ncertificates = [\"1.pem\"]\n[users.bob]\ncertificates = [\"2.pem\"]\n";
    let tree = Tree::new().with("users.toml", users).with("1.pem", &old).with("2.pem", &new);
    tree.refused(&["users.toml:4:17", "2.pem", "its key is registered for ann"]);
}

#[test]
fn a_key_on_a_curve_is_known_by_one_form_of_its_point() {
    let good = certificate(&rcgen::PKCS_ECDSA_P256_SHA256, vec![rcgen::KeyUsagePurpose::DigitalSignature]);
    let der = x509_parser::pem::parse_x509_pem(good.as_bytes()).unwrap().1.contents;
    assert!(Certificate::from_der(der.clone()).is_ok());
    // 03 42 00 04: a BIT STRING of 66 octets whose point is written out.
    let at = der.windows(4).position(|octets| octets == [0x03, 0x42, 0x00, 0x04]).unwrap() + 3;
    for form in [0x02, 0x03, 0x06, 0x07] {
        let mut other = der.clone();
        other[at] = form;
        assert!(Certificate::from_der(other).unwrap_err().contains("not written out"), "{form}");
    }
}
