//! Passwords under a MAC against the whole service, real processes and a real token: a client that seals a session key,
//! makes a MAC with it and seals what it will gets a token, and whoever has no password does not, though he can make
//! the MAC.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answer;
#[path = "../demo/service.rs"]
#[expect(dead_code, reason = "shared with tests/demo, which uses all of it")]
mod demo;
mod house;
mod message;
mod sealed_first;
#[path = "../support"]
mod support {
    pub(crate) mod caller;
    #[expect(dead_code, reason = "shared with tests/keyed_requests.rs, which uses all of it")]
    pub(crate) mod keyed;
    #[expect(dead_code, reason = "shared with tests/canonical.rs, which uses all of it")]
    pub(crate) mod references;
    #[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
    pub(crate) mod signed;
}

use chancery::wire::evidence::MacAlgorithm;
use chancery::xml::names;

use house::{CONFIRMING, House};
use message::{Client, Form, Sealing};

#[test]
fn a_client_that_makes_a_mac_with_what_it_seals_gets_tokens_and_nobody_else() {
    if !demo::possible("symmetric") {
        return;
    }
    let house = House::open();
    served(&house);
    refused(&house);
    sealed_first::served(&house);
    sealed_first::refused(&house);
    let log = house.log();
    assert!(!log.contains(&house.password) && !log.contains("violation") && !log.contains("panicked"), "{log}");
}

fn served(house: &House) {
    for sealing in Sealing::ALL {
        for length in [16, 24, 32] {
            for form in [Form::Direct, Form::Sha1] {
                let client = Client { form, ..house.client(length) };
                let text = client.message(sealing);
                let answer = house.gets_a_token(&format!("{sealing:?} {length} {form:?}"), &text);
                answered(&client, sealing, &answer);
                house.is_refused("a replay", &text, "FailedCheck");
            }
        }
    }
    for namespace in [names::WSC13, names::WSC05] {
        for sealing in Sealing::ALL {
            for form in [Form::Direct, Form::Sha1] {
                let client = Client { form, derives: Some(namespace), ..house.client(32) };
                let answer = house.gets_a_token(&format!("derived, {sealing:?} {form:?}"), &client.message(sealing));
                answered(&client, sealing, &answer);
            }
        }
    }
    for sealing in Sealing::ALL {
        confirmed(&house.client(32), sealing, house);
        confirmed(&Client { derives: Some(names::WSC13), ..house.client(16) }, sealing, house);
    }
    for algorithm in [MacAlgorithm::HmacSha384, MacAlgorithm::HmacSha512] {
        let client = Client { algorithm, ..house.client(32) };
        let answer = house.gets_a_token("another hash", &client.message(Sealing::Both));
        answered(&client, Sealing::Both, &answer);
    }
}

/// What was sealed in the request is sealed in the answer, and the MAC holds.
fn answered(client: &Client, sealing: Sealing, answer: &str) {
    let (text, mut around) = answer::opened(client, answer);
    around.sort();
    let expected: &[&str] = match sealing {
        Sealing::Nothing | Sealing::Token => &[],
        Sealing::Body => &["Body"],
        Sealing::Both => &["Body", "Security"],
    };
    assert_eq!(around, expected, "{sealing:?}: {answer}");
    assert!(text.contains("alice@example.com"), "{text}");
    assert_eq!(answer.contains("alice@example.com"), !around.contains(&"Body".to_owned()));
    answer::holds(client, &text);
}

/// The answer repeats the MAC, under its own, and sealed where the signature is (R-W044).
fn confirmed(client: &Client, sealing: Sealing, house: &House) {
    let request = client.message(sealing);
    let (status, answer) = house.post(CONFIRMING, &request);
    assert_eq!(status, 200, "{answer}");
    let (text, around) = answer::opened(client, &answer);
    answer::holds(client, &text);
    let value = answer::mac(&answer::opened(client, &request).0);
    let confirmation = format!("<wsse11:SignatureConfirmation xmlns:wsse11=\"{}\" Value=\"{value}\"", names::WSSE11);
    assert_eq!(text.matches(&confirmation).count(), 1, "{text}");
    let sealed = around.iter().filter(|local| *local == "Security").count();
    assert_eq!((sealed, answer.contains(&value)), if sealing == Sealing::Both { (2, false) } else { (0, true) });
}

fn refused(house: &House) {
    let client = || house.client(32);
    let all = Sealing::ALL;
    // Whoever seals for us can make a MAC, and has no password.
    for sealing in all {
        let guess = Client { password: "another".to_owned(), ..client() };
        house.is_refused("a guess", &guess.message(sealing), "FailedAuthentication");
        let other = Client { by: vec![7; 32], ..client() };
        house.is_refused("another key", &other.message(sealing), "FailedCheck");
        let weak = Client { algorithm: MacAlgorithm::HmacSha1, ..client() };
        house.is_refused("SHA-1", &weak.message(sealing), "FailedCheck");
        let derives = Client { by: vec![7; 32], derives: Some(names::WSC13), ..client() };
        house.is_refused("derived from another key", &derives.message(sealing), "FailedCheck");
    }
    // What is not covered could be anybody's.
    for left_out in ["t", "to", "b", "ut", "m", "Action"] {
        let mut client = client();
        client.covered.retain(|id| *id != left_out);
        for sealing in all {
            house.is_refused(left_out, &client.sealed_anew().message(sealing), "InvalidSecurity");
        }
    }
    // Changed on the way, whatever it is.
    for (what, from, to, code) in [
        ("the request", "https://rp.example.com/", "https://rp.example.org/", "FailedAuthentication"),
        // The password is right, and then the token is not what was covered.
        ("the token", "<o:UsernameToken ", "<o:UsernameToken a=\"\" ", "FailedAuthentication"),
        ("the address", "com/symmetric", "org/symmetric", "FailedAuthentication"),
        ("the method", "hmac-sha256", "hmac-sha512", "FailedCheck"),
        ("the name of the key", "URI='#ek'", "URI='#ut'", "SecurityTokenUnavailable"),
    ] {
        let text = client().message(Sealing::Nothing);
        assert!(text.contains(from), "{what}");
        house.is_refused(what, &text.replace(from, to), code);
    }
    // Of what is derived, too.
    for (what, from, to) in [
        ("another nonce", "AQEBAQEBAQEBAQEBAQEBAQ==", "AQEBAQEBAQEBAQEBAQEBAA=="),
        ("another key to open with", "AgICAgICAgICAgICAgICAg==", "AgICAgICAgICAgICAgICAA=="),
        ("another offset", "<c:Offset>0<", "<c:Offset>8<"),
    ] {
        let text = Client { derives: Some(names::WSC13), ..client() }.message(Sealing::Both);
        assert!(text.contains(from), "{what}");
        house.is_refused(what, &text.replace(from, to), "FailedCheck");
    }
    // Nothing but this is taken there.
    let client = client();
    let alone = client.envelope("", &client.token(), "");
    house.is_refused("a password alone", &alone, "InvalidSecurity");
}
