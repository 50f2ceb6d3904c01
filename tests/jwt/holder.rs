//! JWTs for the holder of a key: presented by whoever has signed the message with it, and by others.

use aws_lc_rs::digest::{SHA256, digest};
use chancery::auth::store::Store;
use chancery::config::auth::{StorePlace, StoreRules};
use chancery::trust::binary::JWT;
use chancery::wire::evidence::{
    Evidence, KeyReference, KeyType, Presenter, Refusal, SignatureAlgorithm, SignedJwt, SignedMessage, Submission,
    Timestamp,
};
use chancery::wire::order::{Confirmation, Method, RequestIntegrity};
use chancery::wire::{Millis, Octets, Secret, Text};

use crate::house::{ADDRESS, House, all_refused, sam, submission, with};
use crate::support::jwt::{Words, encoded, handed_on, jwk, text};
use crate::support::processes::eventually;
use crate::support::refusals::all_hear;
use crate::support::sha1::{self, By};
use crate::support::signed::{Client, Part, TRUST};

fn der(client: &Client) -> Octets<{ 16 * 1024 }> {
    let KeyReference::Certificate(der) = client.reference() else { panic!("a certificate") };
    der
}

fn sha256(octets: &[u8]) -> String {
    encoded(digest(&SHA256, octets))
}

/// For whoever has the key of this client's certificate (RFC 8705).
pub(crate) fn by_certificate(der: &[u8]) -> Words {
    sam().but("cnf", format!("{{\"x5t#S256\":\"{}\"}}", sha256(der)))
}

fn held_by(client: &Client) -> Words {
    by_certificate(&der(client))
}

/// For whoever has a key of this thumbprint. The members of a P-256 key are in the order of RFC 7638 but for the first
/// two.
fn by_thumbprint(client: &Client) -> Words {
    let members = jwk(client, "").replace("\"kty\":\"EC\",\"crv\":\"P-256\"", "\"crv\":\"P-256\",\"kty\":\"EC\"");
    sam().but("cnf", format!("{{\"jkt\":\"{}\"}}", sha256(members.as_bytes())))
}

/// For whoever has this key.
fn by_key(client: &Client) -> Words {
    sam().but("cnf", format!("{{\"jwk\":{}}}", jwk(client, ",\"kid\":\"x\"")))
}

fn parts(created: Millis, more: &str) -> [Part; 4] {
    [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", more), Part::message_id()]
}

fn beside(house: &House, words: &Words, message: SignedMessage, created: Millis) -> Submission {
    let signed = handed_on(&words.signed(&house.cloud), &house.cloud);
    let timestamp = Some(Timestamp { created, expires: None });
    Submission { timestamp, ..with(signed, Presenter::Signed(message)) }
}

fn now(house: &House, words: &Words, client: &Client) -> Submission {
    let created = Millis::now();
    beside(house, words, client.message(&parts(created, "")), created)
}

#[test]
fn whoever_signs_with_the_key_that_a_jwt_confirms_is_its_subject_r_j041() {
    let (house, holder) = (House::new(), Client::new());
    let mut worker = house.office.worker();
    for words in [held_by(&holder), by_thumbprint(&holder), by_key(&holder)] {
        worker.vouched(now(&house, &words, &holder));
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
        assert_eq!((order.authentication.method, order.confirmation), (Method::Jwt, Confirmation::Bearer));
    }
    for holder in [Client::rsa(false), Client::rsa(true), Client::ed25519()] {
        for words in [held_by(&holder), by_key(&holder)] {
            worker.vouched(now(&house, &words, &holder));
        }
    }
    // By another certificate of the same key, where it is the key that is named.
    let renewed = holder.renewed();
    worker.vouched(now(&house, &by_key(&holder), &renewed));
    assert_eq!(worker.refused(now(&house, &held_by(&holder), &renewed)), Refusal::FailedAuthentication);
    let created = Millis::now();
    let bare = [Part::timestamp(created, None), Part::to(ADDRESS), Part::message_id()];
    worker.vouched(beside(&house, &held_by(&holder), holder.message(&bare), created));
    assert_eq!(house.office.lodged().order.request, RequestIntegrity::Transport, "the body is not signed");
}

#[test]
fn a_token_is_bound_to_the_key_that_the_jwt_confirms_and_the_message_proves() {
    let (house, holder) = (House::new(), Client::new());
    let created = Millis::now();
    let key_type = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    let mut worker = house.office.worker();
    let asked = |words: &Words| {
        let mut sent = beside(&house, words, holder.message(&parts(created, &key_type)), created);
        sent.wish.key_type = Some(KeyType::Public);
        sent
    };
    worker.vouched(asked(&held_by(&holder)));
    let expected = Confirmation::HolderOfKey { certificate: der(&holder) };
    assert_eq!(house.office.lodged().order.confirmation, expected);
    // A certificate that nobody vouches for, with whatever its holder calls himself in it, goes into no token.
    for words in [by_thumbprint(&holder), by_key(&holder)] {
        let created = Millis::now().plus(-1000);
        let mut sent = beside(&house, &words, holder.message(&parts(created, &key_type)), created);
        sent.wish.key_type = Some(KeyType::Public);
        assert_eq!(worker.refused(sent), Refusal::InvalidRequest);
    }
}

#[test]
fn a_jwt_for_the_holder_of_a_key_gets_nobody_else_anything_a_27() {
    let (house, holder, stranger) = (House::new(), Client::new(), Client::new());
    let past = Client::with(|parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let presented = |words: &Words| now(&house, words, &holder);
    let cnf = |cnf: &str| sam().but("cnf", cnf);
    let bare = |words: &Words| submission(handed_on(&words.signed(&house.cloud), &house.cloud));
    let changed = |change: &dyn Fn(&mut SignedMessage)| {
        let created = Millis::now();
        let mut message = holder.message(&parts(created, ""));
        change(&mut message);
        beside(&house, &held_by(&holder), message, created)
    };
    let padded = format!("{}=", sha256(&der(&holder)));
    all_refused(
        &house.office,
        vec![
            ("without a signature", bare(&held_by(&holder)), "confirmation"),
            ("by a thumbprint, without one", bare(&by_thumbprint(&holder)), "confirmation"),
            ("by a key, without one", bare(&by_key(&holder)), "confirmation"),
            ("signed by somebody else", now(&house, &held_by(&holder), &stranger), "confirmation"),
            ("by a thumbprint, by somebody else", now(&house, &by_thumbprint(&holder), &stranger), "confirmation"),
            ("by a key, by somebody else", now(&house, &by_key(&holder), &stranger), "confirmation"),
            ("signed by its issuer", now(&house, &held_by(&holder), &house.cloud), "confirmation"),
            ("for whoever has it, and signed by somebody", presented(&sam()), "confirmation"),
            (
                "the certificate of the holder, without his key",
                {
                    let created = Millis::now();
                    let message = SignedMessage { key: holder.reference(), ..stranger.message(&parts(created, "")) };
                    beside(&house, &held_by(&holder), message, created)
                },
                "wrong-signature",
            ),
            ("a certificate that is only named", changed(&|message| message.key = holder.thumbprint()), "confirmation"),
            (
                "a certificate that an assertion would bring",
                changed(&|message| message.key = KeyReference::Assertion),
                "confirmation",
            ),
            (
                "what is no certificate",
                changed(&|message| message.key = KeyReference::Certificate(Octets::new([0, 1]).unwrap())),
                "confirmation",
            ),
            ("whose certificate is past", now(&house, &held_by(&past), &past), "certificate-dates"),
            ("what nobody can prove", presented(&cnf("{\"kid\":\"new\"}")), "unknown-confirmation"),
            ("what nobody can prove, borne", bare(&cnf("{\"kid\":\"new\"}")), "unknown-confirmation"),
            ("nothing", bare(&cnf("{}")), "unknown-confirmation"),
            ("an encrypted key", presented(&cnf("{\"jwe\":\"AAEC\"}")), "unknown-confirmation"),
            (
                "two of them",
                presented(&cnf(&format!("{{\"x5t#S256\":\"{0}\",\"jkt\":\"{0}\"}}", sha256(&der(&holder))))),
                "unknown-confirmation",
            ),
            (
                "a private key",
                presented(&cnf(&format!("{{\"jwk\":{}}}", jwk(&holder, ",\"d\":\"AAEC\"")))),
                "unknown-confirmation",
            ),
            ("a shared key", presented(&cnf("{\"jwk\":{\"kty\":\"oct\",\"k\":\"AAEC\"}}")), "unknown-confirmation"),
            ("no object", bare(&cnf("null")), "unreadable-jwt"),
            ("a hash that is padded", presented(&cnf(&format!("{{\"x5t#S256\":\"{padded}\"}}"))), "unreadable-jwt"),
            ("a hash that is cut", presented(&cnf("{\"x5t#S256\":\"AAEC\"}")), "unreadable-jwt"),
            (
                "with another body than was signed",
                changed(&|message| {
                    let mut parts: Vec<_> = message.parts.iter().map(|part| part.expose().to_vec()).collect();
                    parts[2] = Part::body("urn:elsewhere", "").octets.into_bytes();
                    let parts = parts.into_iter().map(|part| Secret::new(part).unwrap()).collect::<Vec<_>>();
                    message.parts = chancery::wire::List::new(parts).unwrap();
                }),
                "wrong-digest",
            ),
            ("with no signature value", changed(&|message| message.value = Octets::default()), "wrong-signature"),
        ],
    );
}

#[test]
fn a_message_beside_a_jwt_is_fresh_for_us_and_good_once() {
    let (house, holder) = (House::new(), Client::new());
    let mut worker = house.office.worker();
    let words = held_by(&holder).but("jti", text("one"));
    let created = Millis::now().plus(-400_000);
    let stale = beside(&house, &words, holder.message(&parts(created, "")), created);
    // Only as far as the worker says is it fresh.
    let lying = Submission { timestamp: Some(Timestamp { created: Millis::now(), expires: None }), ..stale };
    assert_eq!(worker.refused(lying), Refusal::MessageExpired);
    let created = Millis::now();
    let elsewhere = [Part::timestamp(created, None), Part::to("https://other.example/"), Part::message_id()];
    let misaddressed = beside(&house, &words, holder.message(&elsewhere), created);
    assert_eq!(worker.refused(misaddressed), Refusal::InvalidSecurity);
    // Neither of these used the JWT up. This does.
    worker.vouched(now(&house, &words, &holder));
    assert_eq!(worker.refused(now(&house, &words, &holder)), Refusal::InvalidSecurity);
    // And a message is good once, whatever the JWT is.
    let words = held_by(&holder);
    let parts = parts(created, "");
    let again = || beside(&house, &words, holder.message(&parts), created);
    worker.vouched(again());
    assert_eq!(worker.refused(again()), Refusal::InvalidSecurity);
}

#[test]
fn a_key_that_is_registered_for_one_account_presents_no_jwt_of_anothers() {
    let house = House::new();
    let nina = held_by(&house.sam).but("sub", text("nina@cloud.example"));
    all_refused(
        &house.office,
        vec![
            ("sam's message beside nina's JWT", now(&house, &nina, &house.sam), "no-account"),
            ("with the key of somebody who is disabled", now(&house, &held_by(&house.eve), &house.eve), "no-account"),
        ],
    );
    house.office.worker().vouched(now(&house, &held_by(&house.sam), &house.sam));
}

#[test]
fn what_an_issuer_confirms_and_says_leaves_room_in_the_store() {
    let (mut house, holder) = (House::new(), Client::new());
    let store = tempfile::tempdir().unwrap();
    drop(
        Store::open(&StoreRules { place: StorePlace::Sqlite(store.path().to_owned()), most_rows: 1_000 }, None)
            .unwrap(),
    );
    let file = rusqlite::Connection::open(store.path().join("auth.sqlite")).unwrap();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 749)
        INSERT INTO first_seen SELECT randomblob(32), 1 << 62 FROM n";
    file.execute(rows, []).unwrap();
    drop(file);
    let toml = house.office.run().parent().unwrap().join("etc/auth.d/auth.toml");
    let toml = std::fs::read_to_string(toml).unwrap();
    let own = format!("directory = \"{}\"\nmost_rows = 1_000", store.path().display());
    assert!(toml.contains("directory = \"../../state\""));
    house.office.write("auth.toml", &toml.replace("directory = \"../../state\"", &own));
    house.office.start();
    let mut worker = house.office.worker();
    assert!(matches!(worker.refused(house.presented(&sam().but("jti", text("one")))), Refusal::Busy { .. }));
    // One without an id takes no place.
    worker.vouched(house.presented(&sam()));
    worker.vouched(now(&house, &held_by(&holder), &holder));
    assert!(matches!(worker.refused(now(&house, &held_by(&holder), &holder)), Refusal::Busy { .. }));
}

#[test]
fn a_worker_that_says_something_else_than_a_holder_of_a_jwt_signed_loses_its_channel() {
    let (house, holder) = (House::new(), Client::new());
    let mut sent = now(&house, &held_by(&holder), &holder);
    sent.wish.applies_to = Some(Text::new("urn:elsewhere").unwrap());
    assert!(matches!(sent.evidence, Evidence::Jwt(_, Presenter::Signed(_))));
    let mut worker = house.office.worker();
    worker.submit(sent);
    eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
}

/// Left out, or another in its place, it would be the worker's choice who asks.
#[test]
fn a_worker_that_leaves_out_the_jwt_that_was_signed_loses_its_channel() {
    let house = House::new();
    let created = Millis::now();
    let presented = handed_on(&held_by(&house.sam).signed(&house.cloud), &house.cloud);
    let again = || SignedJwt {
        issuer: presented.issuer.clone(),
        algorithm: presented.algorithm,
        octets: Secret::new(presented.octets.expose().to_vec()).unwrap(),
    };
    let other = handed_on(&held_by(&house.sam).but("jti", "\"other\"").signed(&house.cloud), &house.cloud);
    let message = || {
        let mut parts = Vec::from(parts(created, ""));
        parts.push(Part::token(JWT, presented.octets.expose()));
        house.sam.message(&parts)
    };
    let (endpoint, timestamp) = (Text::new("/either").unwrap(), Some(Timestamp { created, expires: None }));
    let sent = |signed, presenter| Submission { endpoint: endpoint.clone(), timestamp, ..with(signed, presenter) };
    let left_out = Evidence::Signature(message());
    let left_out = Submission { evidence: left_out, ..sent(again(), Presenter::Anybody) };
    for contradicting in [left_out, sent(other, Presenter::Signed(message()))] {
        let mut worker = house.office.worker();
        worker.submit(contradicting);
        eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
    }
    assert_eq!(house.office.decisions(), vec![(false, "contradicted".to_owned()); 2]);
    house.office.worker().vouched(sent(again(), Presenter::Signed(message())));
}

/// How the message beside it is signed, is the endpoint's to take; a JWT itself nobody signs by SHA-1.
#[test]
fn a_message_beside_a_jwt_is_signed_by_sha1_where_the_endpoint_takes_it_and_the_jwt_nowhere() {
    let holder = Client::rsa(false);
    let sent = |house: &House, words: &Words| {
        let created = Millis::now();
        let message = sha1::message(&holder, &parts(created, ""), By { rsa: true, references: 4 });
        beside(house, words, message, created)
    };
    let house = House::new();
    let cases = vec![("a good one", sent(&house, &held_by(&holder)), "sha1"), ("none", sent(&house, &sam()), "sha1")];
    all_hear(&house.office, Refusal::UnsupportedAlgorithm, cases);

    let house = House::at("leniencies = [\"rsa-sha1\", \"reference-sha1\"]", "");
    house.office.worker().vouched(sent(&house, &held_by(&holder)));
    // By the cloud's key that is RSA, whatever the header says of it.
    let jwt = |header: &str| {
        let signed = format!("{}.{}", encoded(header), encoded(sam().claims()));
        let value = sha1::signature(house.old.secret(), signed.as_bytes());
        let jwt = handed_on(&format!("{signed}.{}", encoded(value)), &house.old);
        submission(SignedJwt { algorithm: SignatureAlgorithm::RsaSha1, ..jwt })
    };
    let cases = vec![
        ("by SHA-1 as RS1", jwt("{\"alg\":\"RS1\"}"), "signature-algorithm"),
        ("by SHA-1 as RS256", jwt("{\"alg\":\"RS256\"}"), "signature-algorithm"),
    ];
    all_refused(&house.office, cases);
}
