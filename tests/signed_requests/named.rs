//! A certificate that a signature covers and its message only names (R-W063): auth writes the token that was digested,
//! of the certificate that it knows.

use chancery::config::worker::{Credential, Endpoint as Front, Profile, Replies, Trust};
use chancery::wire::evidence::{Evidence, NamedToken, Refusal, SignedMessage, Submission};
use chancery::wire::order::RequestIntegrity;
use chancery::wire::{Millis, Text};
use chancery::worker::message::{Incoming, read};

use super::support::signed::{Client, Part};
use super::{ENDPOINT, Office, PARTY, auth, office, parts, submission};

/// Messages that WSS4J 4.0.0 signed, and the token with them, whose certificate is named by its thumbprint and by its
/// key identifier.
const BY_WSS4J: [&str; 2] = [include_str!("../wss4j/thumbprint.xml"), include_str!("../wss4j/identifier.xml")];
const SIGNER: &str = include_str!("../wss4j/named.pem");

/// What the worker makes of a message.
fn reading(octets: &str) -> Submission {
    let endpoint = Front {
        path: ENDPOINT.to_owned(),
        profile: Profile::Generic,
        trust: Trust::Any,
        credential: Credential::Signature,
        leniencies: None,
        encryption: false,
        signature_confirmation: false,
        replies: Replies::Plain,
    };
    let content_type = Some("application/soap+xml; charset=utf-8");
    let incoming = Incoming { content_type, soap_action: None, body: octets.as_bytes() };
    let (_, evidence, timestamp, wish) =
        read(&endpoint, &incoming).unwrap_or_else(|why| panic!("{}", why.reason())).into_parts();
    let Evidence::Signature(message) = evidence else { panic!("a signature") };
    Submission { timestamp, wish, ..submission(message, Millis(0)) }
}

#[test]
fn what_wss4j_signs_of_a_certificate_that_it_names_is_good_and_with_another_certificate_is_not_r_w063() {
    for octets in BY_WSS4J {
        let sent = reading(octets);
        let shift = sent.timestamp.unwrap().created.0 + 2_000 - Millis::now().0;
        let users = "[users.sam]\ncertificates = [\"sam.pem\"]\n";
        let office = Office::at(shift, &auth(""), users, PARTY, &[("sam.pem", SIGNER)]);
        let mut worker = office.worker();
        let Evidence::Signature(message) = &sent.evidence else { panic!("a signature") };
        let prefix = Text::new("wsse").unwrap();
        assert_eq!((message.parts.len(), &message.named), (5, &Some(NamedToken { reference: 5, prefix })));
        for (from, to) in
            [("<a:Action ", "<a:Action a=\"\" "), ("urn:office<", "urn:orifice<"), ("urn:uuid:5", "urn:uuid:6")]
        {
            assert_eq!(worker.refused(reading(&octets.replacen(from, to, 1))), Refusal::FailedAuthentication, "{from}");
        }
        worker.vouched(sent);
        assert_eq!(office.lodged().order.request, RequestIntegrity::Signed);
    }
}

#[test]
fn a_certificate_that_is_only_named_is_covered_when_it_is_the_one_that_signed_r_w063() {
    let client = Client::with(|parameters| parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let office = office(&client, "");
    let mut worker = office.worker();
    let now = Millis::now();
    let id = Part::message_id;
    let with = |parts: [Part; 3]| [&parts[..], &[id()]].concat();
    let naming = |key, prefix: &str| client.naming(key, prefix, &with(parts(now)));
    worker.vouched(submission(naming(client.thumbprint(), "wsse"), now));
    assert_eq!(office.lodged().order.request, RequestIntegrity::Signed);
    // Written with another prefix, in another place, where nothing is dereferenced, where there is none, or left out.
    let named = |reference, prefix: &str| Some(NamedToken { reference, prefix: Text::new(prefix).unwrap() });
    let failed = Refusal::FailedAuthentication;
    for (what, said, refusal) in [
        ("another prefix", named(4, "o"), failed),
        ("a prefix that is none", named(4, ""), failed),
        ("a part", named(0, "wsse"), Refusal::InvalidSecurity),
        ("beyond", named(5, "wsse"), failed),
        ("far beyond", named(255, "wsse"), failed),
        ("left out", None, failed),
    ] {
        let message = SignedMessage { named: said, ..naming(client.thumbprint(), "wsse") };
        assert_eq!(worker.refused(submission(message, now)), refusal, "{what}");
    }
    // The certificate that was found by the name, and not the one of whoever signs.
    let renewed = client.renewed();
    let message =
        SignedMessage { key: client.thumbprint(), ..renewed.naming(renewed.thumbprint(), "wsse", &with(parts(now))) };
    assert_eq!(worker.refused(submission(message, now)), failed);
    // Two certificates for one key have one identifier, and either may be the one that was covered.
    let old = Client::new();
    let new = old.renewed();
    let files = [("old.pem", &*old.certificate), ("new.pem", &*new.certificate)];
    let users = "[users.sam]\ncertificates = [\"old.pem\", \"new.pem\"]\n";
    let both = Office::with(&auth(""), users, PARTY, &files);
    for signer in [&old, &new] {
        let message = signer.naming(old.identifier(), "wsse", &with(parts(now)));
        both.worker().vouched(submission(message, now));
    }
    // Somebody else's token is a part, and none where the message has one.
    let plain = client.message(&with(parts(now)));
    let message = SignedMessage { key: client.thumbprint(), named: named(3, "wsse"), ..plain };
    assert_eq!(worker.refused(submission(message, now)), Refusal::InvalidSecurity);
    worker.vouched(submission(naming(client.reference(), "o"), now));
}
