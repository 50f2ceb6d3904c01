//! Issuers of JWTs: whom their JWTs mean, by which keys, and what of a table is refused.

use std::time::{Duration, Instant};

use super::super::jwks::tests::{ED25519, P256, P521, RSA};
use super::super::jwt::{JwtIssuer, Keys};
use super::super::vouching::Bounds;
use super::{Tree, directory};
use crate::wire::evidence::SignatureAlgorithm;

const ISSUER: &str = r#"[[jwt_issuer]]
name = "cloud"
issuer = "https://login.cloud.example/"
jwks = "1.json"
audiences = ["urn:us"]
[[jwt_issuer.subject]]
claim = "sub"
capture = "(.*)"
"#;
const USERS: &str = "[users.sam]\njwt_issuer = \"cloud\"\n";

fn set(keys: &[&str]) -> String {
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

fn with(toml: &str, users: &str) -> Tree {
    Tree::new()
        .with("auth.toml", toml)
        .with("users.toml", users)
        .with("1.json", &set(&[RSA, P256]))
        .with("2.json", &set(&[ED25519]))
        .with("same.json", &set(&[P521, P256]))
        .with("private.json", &set(&[&RSA.replacen('{', "{\"d\":\"AQAB\",", 1)]))
}

fn issuer(toml: &str) -> JwtIssuer {
    with(toml, USERS).good().issuers.pop().unwrap()
}

#[test]
fn the_keys_of_an_issuer_may_come_from_where_it_publishes_them() {
    const SOURCE: &str = "jwks_source = { url = \"https://login.cloud.example/keys\", address = \"192.0.2.9:443\", anchors = \"web.pem\" }\n";
    let fetched = ISSUER.replace("jwks = \"1.json\"\n", SOURCE);
    let (web, _) = super::authority::authority(|_| {}, 0);
    let tree = |toml: &str| with(toml, USERS).with("web.pem", &web);
    let cloud = tree(&fetched.replace("audiences", "jwks_kept_h = 2\naudiences")).good().issuers.pop().unwrap();
    let source = &cloud.keys.source().unwrap().source;
    assert_eq!((source.authority.as_str(), source.path.as_str()), ("login.cloud.example", "/keys"));
    assert!(source.tls.is_some() && cloud.keys.now().is_empty());
    assert!(matches!(cloud.keys, Keys::Fetched(_, kept) if kept == Duration::from_secs(7200)));
    let usual = tree(&fetched).good().issuers.pop().unwrap();
    assert!(matches!(usual.keys, Keys::Fetched(_, kept) if kept == Duration::from_secs(86_400)));

    for (from, to, place, word) in [
        ("https:", "http:", "auth.toml:4:23", "https, for nothing but TLS says"),
        (", anchors = \"web.pem\"", "", "auth.toml:4:23", "anchors are missing"),
        ("web.pem", "1.json", "auth.toml:4:96", "certificate 1.json"),
        ("audiences", "jwks_kept_h = 0\naudiences", "auth.toml:5:15", "jwks_kept_h must be from 1 to 168"),
        ("audiences", "jwks = \"1.json\"\naudiences", "auth.toml:4:15", "jwks and jwks_source exclude each other"),
        ("audiences", "algorithms = []\naudiences", "auth.toml:5:14", "no key would sign so"),
        (SOURCE, "", "auth.toml:2:8", "jwks or jwks_source is missing"),
        (SOURCE, "jwks = \"1.json\"\njwks_kept_h = 2\n", "auth.toml:5:15", "for what jwks_source gives"),
    ] {
        tree(&fetched.replace(from, to)).refused(&[place, word]);
    }
}

#[test]
fn keys_that_were_fetched_run_out_and_count_again_when_they_come_anew() {
    let anchors = "jwks_source = { url = \"https://login.cloud.example/keys\", address = \"192.0.2.9:443\", anchors = \"web.pem\" }\n";
    let (web, _) = super::authority::authority(|_| {}, 0);
    let auth = with(&ISSUER.replace("jwks = \"1.json\"\n", anchors), USERS).with("web.pem", &web).good();
    let mut cloud = with(ISSUER, USERS).good().issuers.pop().unwrap();
    let (fetched, kept) = match auth.issuers.into_iter().next().unwrap().keys {
        Keys::Fetched(fetched, _) => (fetched, Duration::from_millis(200)),
        Keys::Written(_) => panic!("they come from a place"),
    };
    cloud.keys = Keys::Fetched(fetched, kept);
    let take = |since: Instant| {
        let source = cloud.keys.source().unwrap();
        cloud.take(source, set(&[RSA, P256]).into_bytes(), (&[], &auth.users), since).unwrap()
    };
    let begun = Instant::now();
    assert_eq!(take(begun), (true, 0));
    assert_eq!(cloud.keys.now().len(), 2);
    std::thread::sleep(kept + Duration::from_millis(20));
    assert!(cloud.keys.now().is_empty(), "the same set is held, and counts no more");
    assert!(cloud.keys.source().unwrap().held().is_some());
    // What a visit brought that began before is as old as that.
    assert_eq!(take(begun), (false, 0));
    assert!(cloud.keys.now().is_empty());
    assert_eq!(take(Instant::now()), (false, 0));
    assert_eq!(cloud.keys.now().len(), 2);
}

#[test]
fn an_issuer_says_whom_its_jwts_mean_and_an_account_which_issuer_may_mean_it() {
    let auth = with(ISSUER, USERS).good();
    assert_eq!(auth.users.find("sam").unwrap().issuer.as_deref(), Some("cloud"));
    let cloud = issuer(ISSUER);
    assert_eq!(cloud.bounds, Bounds { skew_ms: 60_000, max_age_ms: 3_600_000, max_session_ms: 28_800_000 });
    assert_eq!((cloud.keys.now().len(), cloud.once, cloud.sole_audience, cloud.kind), (2, false, false, None));
    assert_eq!(cloud.subjects[0].claim, "sub");
    let more =
        "replay = \"once\"\nsole_audience = true\ntyp = \"application/AT+JWT\"\nalgorithms = [\"PS256\", \"ES512\"]\n";
    let cloud = issuer(&ISSUER.replace("audiences", &format!("{more}audiences")));
    assert_eq!((cloud.once, cloud.sole_audience, cloud.kind.as_deref()), (true, true, Some("at+jwt")));
    assert_eq!(cloud.keys.now().len(), 1, "the other one signs in another way");
    assert_eq!(cloud.keys.now()[0].algorithms, [SignatureAlgorithm::PssSha256]);

    for (from, to, place, word) in [
        ("\"cloud\"", "\"\"", "auth.toml:2:8", "1 to 64 ASCII letters"),
        ("https://login.cloud.example/", " https://login.cloud.example/", "auth.toml:3:10", "without white space"),
        ("\"https://login.cloud.example/\"", "\"\"", "auth.toml:3:10", "1 to 1024 octets"),
        ("1.json", "none.json", "auth.toml:4:8", "jwks none.json"),
        ("1.json", "../1.json", "auth.toml:4:8", "jwks ../1.json"),
        ("1.json", "https://login.cloud.example/keys", "auth.toml:4:8", "jwks https"),
        ("1.json", "users.toml", "auth.toml:4:8", "jwks users.toml: not JSON"),
        ("1.json", "private.json", "auth.toml:4:8", "jwks private.json: key 1: \"d\" belongs to a private"),
        ("[\"urn:us\"]", "[]", "auth.toml:5:13", "may be for anybody"),
        ("\"urn:us\"", "\"urn: us\"", "auth.toml:5:14", "without white space"),
        ("[[jwt_issuer.subject]]\nclaim = \"sub\"\ncapture = \"(.*)\"\n", "", "auth.toml:2:8", "mean nobody"),
        ("\"sub\"", "\"\"", "auth.toml:7:9", "1 to 1024 octets"),
        ("claim = \"sub\"\n", "", "auth.toml:6:1", "missing field `claim`"),
        ("(.*)", "(.*", "auth.toml:8:11", "capture"),
        ("audiences", "skew_s = 61\naudiences", "auth.toml:5:10", "skew_s must be from 0 to 60"),
        ("audiences", "max_age_min = 1441\naudiences", "auth.toml:5:15", "max_age_min must be from 1 to 1440"),
        ("audiences", "max_session_min = 0\naudiences", "auth.toml:5:19", "max_session_min must be"),
        ("audiences", "algorithms = []\naudiences", "auth.toml:5:14", "no key of jwks signs so"),
        ("audiences", "algorithms = [\"ES384\"]\naudiences", "auth.toml:5:14", "no key of jwks signs so"),
        ("audiences", "algorithms = [\"HS256\"]\naudiences", "auth.toml:5:15", "\"HS256\" is no signature algorithm"),
        ("audiences", "algorithms = [\"none\"]\naudiences", "auth.toml:5:15", "\"none\" is no signature algorithm"),
        ("audiences", "typ = \"dpop+jwt\"\naudiences", "auth.toml:5:7", "says nothing about anybody"),
        ("audiences", "typ = \"\"\naudiences", "auth.toml:5:7", "1 to 64 printable"),
        ("audiences", "replay = \"never\"\naudiences", "auth.toml:5:10", "unknown variant"),
        ("audiences", "jwks_uri = \"https://x\"\naudiences", "auth.toml:5:1", "unknown field"),
    ] {
        assert!(ISSUER.contains(from), "{from}");
        with(&ISSUER.replace(from, to), USERS).refused(&[place, word]);
    }
}

#[test]
fn two_issuers_share_neither_name_nor_issuer_nor_key() {
    let second = ISSUER.replace("cloud\"", "bank\"").replace("https://login.cloud.example/", "urn:bank");
    let second = second.replace("1.json", "2.json");
    let both = |second: &str| with(&format!("{ISSUER}{second}"), USERS);
    both(&second).good();
    both(&second.replace("bank\"", "cloud\"").replace("urn:cloud", "urn:bank")).refused(&["auth.toml:10:8", "twice"]);
    both(&second.replace("urn:bank", "https://login.cloud.example/"))
        .refused(&["auth.toml:11:10", "cloud calls itself so"]);
    for same in ["1.json", "same.json"] {
        both(&second.replace("2.json", same)).refused(&[
            "auth.toml:12:8",
            same,
            "one of its keys is that of cloud already",
        ]);
    }
}

#[test]
fn a_key_that_signs_jwts_is_no_users_key() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let own = super::super::certificate::Certificate::from_der(certificate.der().to_vec()).unwrap();
    let (x, y) = own.key.parts().1[1..].split_at(32);
    let encode = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string;
    let jwk = format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{}\",\"y\":\"{}\"}}", encode(x), encode(y));
    let users = format!("{USERS}[users.kim]\ncertificates = [\"kim.pem\"]\n");
    let tree = |toml: &str| with(toml, &users).with("kim.pem", &certificate.pem()).with("own.json", &set(&[&jwk]));
    tree(ISSUER).good();
    tree(&ISSUER.replace("1.json", "own.json")).refused(&[
        "users.toml:4:17",
        "kim.pem",
        "cloud signs JWTs with its key",
    ]);
}

#[test]
fn an_account_names_an_issuer_that_there_is() {
    with(ISSUER, &USERS.replace("cloud", "bank")).refused(&["users.toml:2:14", "no [[jwt_issuer]]", "\"bank\""]);
}

#[test]
fn an_endpoint_for_jwts_needs_an_issuer_and_a_store() {
    let endpoint = "[[endpoint]]\npath = \"/jwt\"\ncredentials = [\"jwt\"]\n";
    let store = "[store]\ndirectory = \"../state\"\n";
    with(&format!("{store}{endpoint}"), "").refused(&["auth.toml:5:15", "without a [[jwt_issuer]]"]);
    with(&format!("{endpoint}{ISSUER}"), USERS).refused(&["auth.toml:3:15", "which JWTs were used"]);
    let auth = with(&format!("{store}{endpoint}{ISSUER}"), USERS).good();
    assert!(auth.endpoints["/jwt"].jwt && !auth.endpoints["/jwt"].saml && !auth.endpoints["/jwt"].password);
}

#[test]
fn a_store_whose_places_one_account_fills_with_jwts_is_doubted() {
    let doubts = |minutes: u32| {
        let aged = ISSUER.replace("audiences", &format!("max_age_min = {minutes}\naudiences"));
        let toml = format!("[store]\ndirectory = \"../state\"\n{aged}");
        with(&toml, USERS).good().doubts.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(doubts(76), "");
    let said = doubts(77);
    assert!(said.contains("auth.toml:7:15") && said.contains("504000 JWTs") && said.contains("500000"), "{said}");
}

#[test]
fn what_an_issuer_says_of_an_account_is_declared_and_nobody_elses_word() {
    let rule = "[[jwt_issuer.attribute]]\nfrom = \"groups\"\nto = \"role\"\n";
    let toml = format!("{ISSUER}{rule}");
    let declared = format!("attributes = [\"role\"]\n{USERS}");
    let auth = with(&toml, &declared).good();
    assert_eq!(
        (auth.issuers[0].attributes[0].from.as_str(), auth.issuers[0].attributes[0].to.as_str()),
        ("groups", "role")
    );
    with(&toml, USERS).refused(&["auth.toml:11:6", "does not name \"role\""]);
    let own = format!("{USERS}attributes.role = [\"auditor\"]\n");
    with(&toml, &own).refused(&["users.toml:3:12", "cloud says what \"role\" of this account is"]);
    let shared = |toml: &str| toml.replace("to = \"role\"", "to = \"role\"\nshared = true");
    let kim = format!("{USERS}[users.kim]\npassword = '{}'\nattributes.role = [\"a\"]\n", super::hash());
    with(&toml, &kim).refused(&["auth.toml:11:6", "account kim has \"role\" too", "shared = true"]);
    with(&shared(&toml), &kim).good();
    // A partner's word, also of one that has the same name, and a directory's.
    let partner = format!(
        "[[saml_partner]]\nname = \"cloud\"\nissuer = \"urn:agency\"\ncertificates = [\"1.pem\"]\naudiences = [\"urn:us\"]\n\
         [[saml_partner.subject]]\nfrom = \"name-id\"\n{}",
        rule.replace("jwt_issuer", "saml_partner")
    );
    let pem = rcgen::generate_simple_self_signed(Vec::new()).unwrap().cert.pem();
    let both = |toml: String| with(&toml, &declared).with("1.pem", &pem);
    both(format!("{}{partner}", shared(&toml))).refused(&["auth.toml:22:6", "cloud has \"role\" too"]);
    both(format!("{toml}{}", shared(&partner))).refused(&["auth.toml:11:6", "cloud has \"role\" too"]);
    both(shared(&format!("{toml}{partner}"))).good();
    let corp = directory::DIRECTORY.replace("name = \"guid\"", "name = \"role\"");
    let with_directory = |toml: &str| directory::files(with(&format!("{toml}{corp}"), &declared));
    with_directory(&toml).refused(&["auth.toml:11:6", "a directory has \"role\" too"]);
    with_directory(&shared(&toml)).good();
}
