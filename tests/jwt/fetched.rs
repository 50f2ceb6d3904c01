//! Keys that an issuer publishes: fetched over TLS from the one place of the configuration, and nothing else is taken
//! for them.

use std::sync::Arc;

use chancery::wire::evidence::Refusal;
use chancery::wire::links::AuthToWorker;
use nix::sys::signal::{Signal, kill};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::house::{ADDRESS, PARTY, SUBJECTS, keys, sam, submission};
use crate::support::jwt::{CLOUD, US, handed_on, jwk, jwks};
use crate::support::office::{Office, hash};
use crate::support::processes::eventually;
use crate::support::publisher::{Publisher, found};
use crate::support::signed::Client;

/// Who certifies servers.
struct Web {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Web {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// A server of that name.
    fn server(&self, host: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

fn office(web: &Web, publisher: &Publisher) -> Office {
    let auth = format!(
        "[store]\ndirectory = \"../../state\"\n[[endpoint]]\npath = \"/jwt\"\ncredentials = [\"jwt\"]\n\
         addresses = [\"{ADDRESS}\"]\n[[jwt_issuer]]\nname = \"cloud\"\nissuer = \"{CLOUD}\"\naudiences = [\"{US}\"]\n\
         [jwt_issuer.jwks_source]\nurl = \"https://login.cloud.example/keys\"\naddress = \"{}\"\nanchors = \"web.pem\"\n\
         {SUBJECTS}[[jwt_issuer]]\nname = \"bank\"\nissuer = \"urn:bank\"\njwks = \"bank.json\"\naudiences = [\"{US}\"]\n\
         {SUBJECTS}",
        publisher.address
    );
    let users = format!(
        "attributes = [\"role\", \"floor\"]\n[users.sam]\njwt_issuer = \"cloud\"\n[users.eve]\ncertificates = [\"eve.pem\"]\n\
         [users.bob]\npassword = '{}'\n",
        hash("wonderland")
    );
    let (bank, eve) = (keys(&[(&Client::ed25519(), "")]), Client::new());
    let files = [("web.pem", web.pem.as_str()), ("bank.json", &bank), ("eve.pem", &eve.certificate)];
    Office::with(&auth, &users, PARTY, &files)
}

fn takes(office: &Office, by: &Client) -> bool {
    match office.worker().ask(submission(handed_on(&sam().signed(by), by))) {
        AuthToWorker::Vouched(_) => true,
        AuthToWorker::Refused(refused) => {
            assert_eq!(refused.refusal, Refusal::FailedAuthentication);
            false
        }
        AuthToWorker::Opened(_)
        | AuthToWorker::Sealed(_)
        | AuthToWorker::SealedFor(_)
        | AuthToWorker::Negotiated(_) => panic!("opened"),
    }
}

fn visited(office: &Office, publisher: &Publisher) {
    let before = publisher.heard().len();
    kill(office.auth().pid(), Signal::SIGHUP).unwrap();
    eventually("auth visits the issuer", || (publisher.heard().len() > before).then_some(()));
}

#[test]
fn the_keys_of_an_issuer_are_fetched_and_change_with_it() {
    let (web, old, new) = (Web::new(), Client::new(), Client::new());
    let set = |client: &Client| found(keys(&[(client, "")]));
    let publisher = Publisher::open(set(&old), Some(web.server("login.cloud.example")));
    let office = office(&web, &publisher);
    eventually("the keys are there", || takes(&office, &old).then_some(()));
    assert!(!takes(&office, &new));
    assert!(publisher.heard()[0].starts_with("GET /keys HTTP/1.1\r\n"));
    publisher.says(set(&new));
    visited(&office, &publisher);
    eventually("the new key is in force", || takes(&office, &new).then_some(()));
    assert!(!takes(&office, &old));
}

#[test]
fn a_set_that_is_none_or_somebody_elses_leaves_the_one_before() {
    let (web, ours, another) = (Web::new(), Client::new(), Client::new());
    let publisher = Publisher::open(found(keys(&[(&ours, "")])), Some(web.server("login.cloud.example")));
    let office = office(&web, &publisher);
    eventually("the keys are there", || takes(&office, &ours).then_some(()));
    let registered = Client::new();
    office.write("eve.pem", &registered.certificate);
    let bank = Client::ed25519();
    office.write("bank.json", &keys(&[(&bank, "")]));
    for (what, says) in [
        ("no set", found("{}")),
        ("an empty one", found("{\"keys\":[]}")),
        ("one with nothing for us", found("{\"keys\":[{\"kty\":\"AKP\",\"alg\":\"ML-DSA-65\",\"pub\":\"AAEC\"}]}")),
        ("a page", found("<html>")),
        ("with a key that is shared", found("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAEC\"}]}")),
        ("with a key of the bank's only", found(keys(&[(&bank, "")]))),
        ("with a key that is registered for eve", found(keys(&[(&registered, "")]))),
        ("not there", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("too much", found(keys(&[(&another, "")]) + &" ".repeat(300 * 1024))),
    ] {
        publisher.says(says);
        visited(&office, &publisher);
        let before = publisher.heard().len();
        eventually("auth comes again, as it has taken nothing", || (publisher.heard().len() > before).then_some(()));
        assert!(takes(&office, &ours) && !takes(&office, &another), "{what}");
    }
}

#[test]
fn of_a_set_what_is_not_for_us_is_left_out_and_the_rest_counts() {
    let (web, ours, new) = (Web::new(), Client::new(), Client::new());
    let publisher = Publisher::open(found(keys(&[(&ours, "")])), Some(web.server("login.cloud.example")));
    let office = office(&web, &publisher);
    eventually("the keys are there", || takes(&office, &ours).then_some(()));
    let (registered, bank) = (Client::new(), Client::ed25519());
    office.write("eve.pem", &registered.certificate);
    office.write("bank.json", &keys(&[(&bank, "")]));
    let tomorrow = [
        "{\"kty\":\"AKP\",\"alg\":\"ML-DSA-65\",\"pub\":\"AAEC\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AAEC\",\"y\":\"AAEC\"}",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AAEC\",\"alg\":\"RSA-OAEP\"}",
        "17",
    ];
    // One key by two names, too, of which a JWT may give either.
    let named = |name: &str| jwk(&new, &format!(",\"kid\":\"{name}\",\"alg\":\"ES256\""));
    let others = [jwk(&registered, ""), jwk(&bank, ""), named("newer"), named("new")];
    let set = tomorrow.iter().map(ToString::to_string).chain(others).collect::<Vec<_>>();
    publisher.says(found(jwks(&set)));
    visited(&office, &publisher);
    eventually("the new key is in force", || takes(&office, &new).then_some(()));
    assert!(!takes(&office, &ours) && !takes(&office, &registered));
    for (name, taken) in [("new", true), ("newer", true), ("newest", false)] {
        let jwt = sam().headed("kid", format!("\"{name}\"")).signed(&new);
        let answer = office.worker().ask(submission(handed_on(&jwt, &new)));
        assert_eq!(matches!(answer, AuthToWorker::Vouched(_)), taken, "{name}");
    }
    let as_cloud = handed_on(&sam().signed(&bank), &bank);
    assert!(matches!(office.worker().ask(submission(as_cloud)), AuthToWorker::Refused(_)));
    // A key that is registered for a user from now on is the issuer's no more, at the very reload.
    office.write("eve.pem", &new.certificate);
    publisher.says(found("{}"));
    visited(&office, &publisher);
    eventually("it signs for nobody else", || (!takes(&office, &new)).then_some(()));
}

#[test]
fn a_key_that_is_published_by_two_names_signs_as_the_one_that_is_named_says_a_12() {
    let (web, ours, new) = (Web::new(), Client::new(), Client::rsa(false));
    let publisher = Publisher::open(found(keys(&[(&ours, "")])), Some(web.server("login.cloud.example")));
    let office = office(&web, &publisher);
    eventually("the keys are there", || takes(&office, &ours).then_some(()));
    let named = |name: &str, algorithm: &str| jwk(&new, &format!(",\"kid\":\"{name}\",\"alg\":\"{algorithm}\""));
    let both = [named("pkcs1", "RS256"), named("pss", "PS256")];
    for set in [both.to_vec(), both.iter().rev().cloned().collect()] {
        publisher.says(found(jwks(&[set, vec![jwk(&ours, "")]].concat())));
        visited(&office, &publisher);
        eventually("the new key is in force", || takes(&office, &new).then_some(()));
        for (name, taken) in [("pkcs1", true), ("pss", false)] {
            let jwt = sam().headed("kid", format!("\"{name}\"")).signed(&new);
            let answer = office.worker().ask(submission(handed_on(&jwt, &new)));
            assert_eq!(matches!(answer, AuthToWorker::Vouched(_)), taken, "{name}");
        }
        publisher.says(found(keys(&[(&ours, "")])));
        visited(&office, &publisher);
        eventually("the new key is gone", || (!takes(&office, &new)).then_some(()));
    }
}

#[test]
fn what_came_from_elsewhere_or_under_other_trust_is_not_kept() {
    let (web, key) = (Web::new(), Client::new());
    let publisher = Publisher::open(found(keys(&[(&key, "")])), Some(web.server("login.cloud.example")));
    let office = office(&web, &publisher);
    eventually("the keys are there", || takes(&office, &key).then_some(()));
    office.write("web.pem", &Web::new().pem);
    kill(office.auth().pid(), Signal::SIGHUP).unwrap();
    eventually("they count no more", || (!takes(&office, &key)).then_some(()));
}

#[test]
fn who_does_not_prove_to_be_the_host_gives_nobody_a_key() {
    let (web, key) = (Web::new(), Client::new());
    for identity in [Some(web.server("login.cloud.invalid")), Some(Web::new().server("login.cloud.example")), None] {
        let publisher = Publisher::open(found(keys(&[(&key, "")])), identity);
        let office = office(&web, &publisher);
        eventually("auth was there", || (publisher.visits() > 0).then_some(()));
        assert!(!takes(&office, &key));
        assert!(publisher.heard().is_empty(), "nothing is asked of somebody else");
    }
}
