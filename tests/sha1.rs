//! auth as it is shipped, before messages that are signed by RSA with SHA-1 or digest their parts by SHA-1: what each
//! leniency of an endpoint lets pass, and what neither does. The test plays the worker.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
    pub(crate) mod refusals;
    pub(crate) mod sha1;
    #[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
    pub(crate) mod signed;
}

use std::process::Command;

use chancery::wire::evidence::{
    Evidence, KeyReference, Operation, Refusal, SignatureAlgorithm, SignedMessage, Submission, Timestamp, Wish,
};
use chancery::wire::links::AuthToWorker;
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::{Correlation, List, Millis, Octets, Secret, Text};

use support::office::{HOME, Office};
use support::refusals::{all_hear, all_refused};
use support::sha1::{self, By};
use support::signed::{Client, Part};

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
policy = '''permit(principal, action, resource);'''
"#;
const ENDPOINT: &str = "/signed";
const ADDRESS: &str = "https://sts.example.com/signed";
const BOTH: &str = "\"rsa-sha1\", \"reference-sha1\"";
/// How much of a message is by SHA-1.
const NOTHING: By = By { rsa: false, references: 0 };
const SIGNATURE: By = By { rsa: true, references: 0 };
const ONE_PART: By = By { rsa: false, references: 1 };
const PARTS: By = By { rsa: false, references: 4 };
const ALL: By = By { rsa: true, references: 4 };

/// `auth.toml` with an endpoint that has these leniencies.
fn auth(leniencies: &str) -> String {
    format!(
        "[store]\ndirectory = \"../../state\"\n[[endpoint]]\npath = \"{ENDPOINT}\"\ncredentials = [\"signature\"]\n\
         addresses = [\"{ADDRESS}\"]\nleniencies = [{leniencies}]\n"
    )
}

/// auth with this client registered for sam.
fn office(client: &Client, leniencies: &str) -> Office {
    let users = "[users.sam]\ncertificates = [\"sam.pem\"]\n";
    Office::with(&auth(leniencies), users, PARTY, &[("sam.pem", &client.certificate)])
}

fn parts(created: Millis) -> [Part; 4] {
    [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()]
}

fn submission(message: SignedMessage, created: Millis) -> Submission {
    Submission {
        correlation: Correlation::random(),
        endpoint: Text::new(ENDPOINT).unwrap(),
        source: HOME,
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::Signature(message),
        wish: Wish {
            operation: Operation::Issue,
            applies_to: Some(Text::new("urn:office").unwrap()),
            token_type: None,
            key_type: None,
            key_size: None,
            use_key: None,
            claims: List::default(),
            lifetime: None,
        },
    }
}

/// A good message of this client, but for that.
fn sent(client: &Client, by: By) -> Submission {
    let now = Millis::now();
    submission(sha1::message(client, &parts(now), by), now)
}

#[test]
fn each_leniency_lets_pass_what_it_names_and_is_counted_where_it_was_needed() {
    let client = Client::rsa(false);
    for (leniencies, taken, refused, counted) in [
        ("", vec![], vec![SIGNATURE, ONE_PART, PARTS, ALL], ["0", "0"]),
        ("\"rsa-sha1\"", vec![SIGNATURE], vec![ONE_PART, PARTS, ALL], ["1", "0"]),
        ("\"reference-sha1\"", vec![ONE_PART, PARTS], vec![SIGNATURE, ALL], ["0", "2"]),
        (BOTH, vec![SIGNATURE, ONE_PART, PARTS, ALL], vec![], ["2", "3"]),
    ] {
        let office = office(&client, leniencies);
        let mut worker = office.worker();
        for by in [vec![NOTHING], taken].concat() {
            match worker.ask(sent(&client, by)) {
                AuthToWorker::Vouched(_) => {}
                answer => panic!("{leniencies}: {by:?}: {answer:?}"),
            }
        }
        let order = office.lodged().order;
        assert_eq!((order.authentication.method, order.request), (Method::X509, RequestIntegrity::Signed));
        let refused = refused.into_iter().map(|by| ("by SHA-1", sent(&client, by), "sha1"));
        all_hear(&office, Refusal::UnsupportedAlgorithm, refused.collect());
        let labels = ["rsa-sha1", "reference-sha1"];
        assert_eq!(office.counted("chancery_leniencies_total", labels), counted, "{leniencies}");
    }
}

/// Or whoever has no key would learn which one is registered.
#[test]
fn what_is_refused_by_its_algorithm_says_nothing_about_its_key() {
    let (client, stranger) = (Client::rsa(false), Client::rsa(false));
    let office = office(&client, "\"reference-sha1\"");
    let now = Millis::now();
    let mut spoilt = sha1::message(&client, &parts(now), SIGNATURE);
    spoilt.value = Octets::new([7; 256]).unwrap();
    let cases = vec![
        ("ours", sent(&client, SIGNATURE), "sha1"),
        ("a stranger's", sent(&stranger, SIGNATURE), "sha1"),
        ("nobody's", submission(spoilt, now), "sha1"),
    ];
    all_hear(&office, Refusal::UnsupportedAlgorithm, cases);
}

#[test]
fn by_sha1_too_a_message_is_what_was_signed_and_good_once() {
    let client = Client::rsa(false);
    let office = office(&client, BOTH);
    let now = Millis::now();
    let parts = parts(now);
    let message = || sha1::message(&client, &parts, ALL);
    let changed = |change: &dyn Fn(&mut SignedMessage)| {
        let mut message = message();
        change(&mut message);
        submission(message, now)
    };
    let info = String::from_utf8(message().signed_info.to_vec()).unwrap();
    let by_sha1 = |method: &str| {
        let info = info.replace("http://www.w3.org/2000/09/xmldsig#rsa-sha1", method);
        submission(sha1::over(&client, &info, &parts), now)
    };
    let cases = vec![
        ("another signature", changed(&|message| message.value = Octets::new([7; 256]).unwrap()), "wrong-signature"),
        ("no signature", changed(&|message| message.value = Octets::default()), "wrong-signature"),
        (
            "another SignedInfo",
            changed(&|message| message.signed_info = Octets::new(info.replace("#to", "#tu").as_bytes()).unwrap()),
            "wrong-signature",
        ),
        (
            "another part",
            changed(&|message| {
                let body = Part::body("urn:elsewhere", "");
                let octets = [&parts[0], &parts[1], &body, &parts[3]];
                let octets = octets.map(|part| Secret::new(part.octets.as_bytes()).unwrap());
                message.parts = List::new(octets).unwrap();
            }),
            "wrong-digest",
        ),
        (
            "said to be by SHA-256",
            changed(&|message| message.algorithm = SignatureAlgorithm::RsaSha256),
            "wrong-signature",
        ),
        ("said to be by PSS", changed(&|message| message.algorithm = SignatureAlgorithm::PssSha256), "wrong-signature"),
        ("by SHA-256 under this name", submission(client.over(&info, &parts), now), "signature-algorithm"),
        (
            "under the name of SHA-256",
            by_sha1("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
            "signature-algorithm",
        ),
        (
            "under the name of PSS",
            by_sha1("http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"),
            "signature-algorithm",
        ),
        ("under the name of a MAC", by_sha1("http://www.w3.org/2000/09/xmldsig#hmac-sha1"), "signature-algorithm"),
    ];
    all_refused(&office, cases);
    office.worker().vouched(submission(message(), now));
    all_hear(&office, Refusal::InvalidSecurity, vec![("again", submission(message(), now), "replayed")]);
}

#[test]
fn no_other_kind_of_key_signs_by_sha1() {
    let now = Millis::now();
    let named = sha1::by_rsa(&Client::rsa(false).signed_info(&parts(now)));
    for client in [Client::new(), Client::ed25519()] {
        let office = office(&client, BOTH);
        let parts = parts(now);
        let mut said = client.over(&named, &parts);
        said.algorithm = SignatureAlgorithm::RsaSha1;
        all_refused(&office, vec![("said to be RSA", submission(said, now), "signature-algorithm")]);
        // Nobody reads what it is called for other keys.
        let called = |method: &str| {
            let info = named.replace("2000/09/xmldsig#rsa-sha1", method);
            submission(client.over(&info, &parts), now)
        };
        let cases = vec![
            ("ECDSA", called("2001/04/xmldsig-more#ecdsa-sha1"), "unreadable-signature"),
            ("DSA", called("2000/09/xmldsig#dsa-sha1"), "unreadable-signature"),
            ("PSS", called("2007/05/xmldsig-more#sha1-rsa-MGF1"), "unreadable-signature"),
        ];
        all_hear(&office, Refusal::InvalidSecurity, cases);
        // How the parts are digested is another matter.
        office.worker().vouched(sent(&client, PARTS));
    }
}

/// An authority whose key and certificates openssl makes: what the others are made with signs neither by SHA-1 nor by
/// 1024 bits.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        authority
            .openssl("req -x509 -newkey rsa:2048 -nodes -sha256 -subj /CN=root -days 2 -keyout ca.key -out ca.pem");
        std::fs::write(authority.0.path().join("ext"), "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
            .unwrap();
        authority
    }

    fn openssl(&self, words: &str) {
        let output = Command::new("openssl").args(words.split(' ')).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn octets(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(file)).unwrap()
    }

    /// A message by a new key of so many bits for sam, that it certified by this hash.
    fn sent(&self, bits: u32, hash: &str, by: By) -> Submission {
        self.openssl(&format!("req -newkey rsa:{bits} -nodes -subj /CN=sam -keyout sam.key -out sam.csr"));
        self.openssl("pkcs8 -topk8 -nocrypt -in sam.key -outform DER -out sam.p8");
        self.openssl(&format!(
            "x509 -req -in sam.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -{hash} -extfile ext -outform DER \
             -out sam.der"
        ));
        let now = Millis::now();
        let message = sha1::message(&Client::rsa(false), &parts(now), by);
        let value = sha1::signature(&self.octets("sam.p8"), &message.signed_info);
        let key = KeyReference::Certificate(Octets::new(self.octets("sam.der")).unwrap());
        submission(SignedMessage { key, value: Octets::new(value).unwrap(), ..message }, now)
    }
}

#[test]
fn no_certificate_is_signed_by_sha1_and_no_key_of_1024_bits_signs_whatever_the_endpoint_takes() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("SKIPPED sha1-certificates: openssl is not installed");
        return;
    }
    let authority = Authority::new();
    let more = "[[certificate_authority]]\nname = \"root\"\nanchors = [\"ca.pem\"]\nrevocation = \"none\"\n\
                extended_key_usages = [\"client-auth\"]\n[[certificate_authority.subject]]\nfrom = \"cn\"\n";
    let users = "[users.sam]\ncertificate_authority = \"root\"\n";
    let anchor = String::from_utf8(authority.octets("ca.pem")).unwrap();
    let office = Office::with(&(auth(BOTH) + more), users, PARTY, &[("ca.pem", &anchor)]);
    office.worker().vouched(authority.sent(2048, "sha256", ALL));
    all_refused(
        &office,
        vec![
            ("a certificate by SHA-1", authority.sent(2048, "sha1", ALL), "untrusted-issuer"),
            ("a key of 1024 bits", authority.sent(1024, "sha256", ALL), "unknown-certificate"),
        ],
    );
}
