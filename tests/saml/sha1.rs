//! Assertions that a partner signs by RSA with SHA-1 or digests by SHA-1: what the leniencies in its own table let
//! pass, and that neither they nor those of an endpoint help anybody else.

use chancery::wire::evidence::{KeyReference, Refusal, SignatureAlgorithm, SignedAssertion, Submission};
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::{Millis, Octets, Secret, Text};

use crate::holder::{beside, held_by};
use crate::house::{ADDRESS, House, all_refused, old_sam, sam, submission};
use crate::support::asserted::Words;
use crate::support::refusals::all_hear;
use crate::support::sha1::{self, By};
use crate::support::signed::{Client, Part};

const RSA: &str = "leniencies = [\"rsa-sha1\"]";
const REFERENCE: &str = "leniencies = [\"reference-sha1\"]";
const BOTH: &str = "leniencies = [\"rsa-sha1\", \"reference-sha1\"]";
const LABELS: [&str; 4] = ["assertion-rsa-sha1", "assertion-reference-sha1", "rsa-sha1", "reference-sha1"];
const FAMILY: &str = "chancery_leniencies_total";

/// An assertion of which this is by SHA-1: the signature, what it digests.
fn signed(words: &Words, by: &Client, (rsa, reference): (bool, bool)) -> SignedAssertion {
    let info = words.signed_info(by);
    let info = if reference { sha1::digesting(&info, &words.octets) } else { info };
    if !rsa {
        return words.signed_as(by, &info);
    }
    let info = sha1::by_rsa(&info);
    let value = Octets::new(sha1::signature(by.secret(), info.as_bytes())).unwrap();
    SignedAssertion { algorithm: SignatureAlgorithm::RsaSha1, value, ..words.signed_as(by, &info) }
}

/// Beside a message of this client, of which that is by SHA-1.
fn held(house: &House, words: &Words, asserted: (bool, bool), client: &Client, by: By) -> Submission {
    let created = Millis::now();
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
    let mut message = sha1::message(client, &parts, by);
    message.key = KeyReference::Assertion;
    beside(signed(words, &house.agency, asserted), message, created)
}

#[test]
fn each_leniency_of_a_partner_lets_pass_what_it_names_and_is_counted() {
    let all = [(true, false), (false, true), (true, true)];
    for (leniencies, taken, counted) in [
        ("", &[][..], ["0", "0", "0", "0"]),
        (RSA, &all[..1], ["2", "0", "0", "0"]),
        (REFERENCE, &all[1..2], ["0", "2", "0", "0"]),
        (BOTH, &all[..], ["4", "4", "0", "0"]),
        // Those of an algorithm are besides.
        ("algorithms = [\"ecdsa-sha256\"]\nleniencies = [\"rsa-sha1\"]", &all[..1], ["2", "0", "0", "0"]),
    ] {
        let house = House::of(Client::rsa(false), leniencies);
        let mut worker = house.office.worker();
        let mut refused = Vec::new();
        for by in all {
            for words in [sam(), old_sam()] {
                let sent = submission(signed(&words, &house.agency, by));
                if !taken.contains(&by) {
                    refused.push(("by SHA-1", sent, "signature-algorithm"));
                    continue;
                }
                worker.vouched(sent);
                let order = house.office.lodged().order;
                assert_eq!((order.subject.account.as_str(), order.authentication.method), ("sam", Method::Saml));
            }
        }
        all_refused(&house.office, refused);
        assert_eq!(house.office.counted(FAMILY, LABELS), counted, "{leniencies}");
    }
}

/// An endpoint takes messages so and a partner makes assertions so, each by its own word.
#[test]
fn the_leniency_of_an_endpoint_helps_no_assertion_and_that_of_a_partner_no_message() {
    let holder = Client::rsa(false);
    let (words, whole) = (held_by(&holder), By { rsa: true, references: 4 });
    let (sha1, sha256) = ((true, true), (false, false));
    let plain = By { rsa: false, references: 0 };

    let house = House::at(Client::rsa(false), BOTH, "");
    house.office.worker().vouched(held(&house, &words, sha256, &holder, whole));
    assert_eq!(house.office.lodged().order.request, RequestIntegrity::Signed);
    assert_eq!(house.office.counted(FAMILY, LABELS), ["0", "0", "1", "1"]);
    let cases = vec![
        ("held", held(&house, &words, sha1, &holder, whole), "signature-algorithm"),
        ("held, digested so", held(&house, &words, (false, true), &holder, whole), "signature-algorithm"),
        ("borne", submission(signed(&sam(), &house.agency, sha1)), "signature-algorithm"),
    ];
    all_refused(&house.office, cases);

    let house = House::of(Client::rsa(false), BOTH);
    house.office.worker().vouched(held(&house, &words, sha1, &holder, plain));
    assert_eq!(house.office.counted(FAMILY, LABELS), ["1", "1", "0", "0"]);
    let stranger = Client::rsa(false);
    let cases = vec![
        ("signed so", held(&house, &words, sha1, &holder, whole), "sha1"),
        ("digested so", held(&house, &words, sha1, &holder, By { rsa: false, ..whole }), "sha1"),
        // Nobody learns by it whether the assertion is good.
        ("beside nobody's", held(&house, &sam().but("sam@", "eve@"), sha1, &stranger, whole), "sha1"),
    ];
    all_hear(&house.office, Refusal::UnsupportedAlgorithm, cases);

    let house = House::at(Client::rsa(false), BOTH, BOTH);
    house.office.worker().vouched(held(&house, &words, sha1, &holder, whole));
    assert_eq!(house.office.counted(FAMILY, LABELS), ["1", "1", "1", "1"]);
}

#[test]
fn one_partners_leniency_is_not_the_others_and_no_other_key_is_rsa() {
    let house = House::of(Client::rsa(false), BOTH);
    let bank = &house.bank;
    let of_the_bank =
        |asserted: SignedAssertion| submission(SignedAssertion { issuer: Text::new("urn:bank").unwrap(), ..asserted });
    let words = sam().but("https://idp.agency.example/saml", "urn:bank");
    let digested = words.signed_as(bank, &sha1::digesting(&words.signed_info(bank), &words.octets));
    let said = |algorithm| SignedAssertion { algorithm, ..signed(&sam(), &house.agency, (true, true)) };
    let mut changed = signed(&sam(), &house.agency, (true, true));
    changed.octets = Secret::new(sam().octets.as_bytes()).unwrap();
    let cases = vec![
        ("the bank's", of_the_bank(digested), "signature-algorithm"),
        (
            "the bank's, said to be RSA",
            of_the_bank(SignedAssertion { algorithm: SignatureAlgorithm::RsaSha1, ..words.signed(bank) }),
            "signature-algorithm",
        ),
        ("said to be by SHA-256", submission(said(SignatureAlgorithm::RsaSha256)), "wrong-signature"),
        ("with something else in it", submission(changed), "wrong-digest"),
        ("by a stranger", submission(signed(&sam(), &Client::rsa(false), (true, true))), "wrong-signature"),
    ];
    all_refused(&house.office, cases);
    house.office.worker().vouched(submission(signed(&sam(), &house.agency, (true, true))));
}
