//! Answers that are signed, and sealed, against the whole service, real processes and a real token: a client that signs
//! with its certificate's key holds the answer against ours, and opens it with its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answer;
#[path = "../demo/service.rs"]
#[expect(dead_code, reason = "shared with tests/demo, which uses all of it")]
mod demo;
mod house;
mod sealed_first;
#[path = "../support"]
mod support {
    pub(crate) mod caller;
    #[expect(dead_code, reason = "shared with tests/canonical.rs, which uses all of it")]
    pub(crate) mod references;
    pub(crate) mod sealing;
    #[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
    pub(crate) mod signed;
}

use house::{CHAINED, CHAINED_SEALED, CONFIRMING, House, PLAIN, SEALED, SIGNED, STRICT};
use sealed_first::{LIST, Message, Sealer, plain};
use support::sealing::{self, By};
use support::signed::{Client, Part, WSSE};

#[test]
fn a_client_that_signs_is_answered_under_our_signature_and_opens_what_is_sealed_for_it() {
    if !demo::possible("asymmetric") {
        return;
    }
    let house = House::open();
    let (client, ours) = (&house.client, house.answers_with());
    for path in [SIGNED, CONFIRMING] {
        let (request, value) = house.request(client);
        let text = house.gets_a_token(path, &request);
        answer::holds(&ours, &text);
        assert_eq!(text.contains(&format!("Value=\"{value}\"")), path == CONFIRMING, "{text}");
        assert!(text.contains("machine@example.com"), "{text}");
        // Nor does it hold when anything of it is another.
        for (from, to) in [("machine@", "mallory@"), ("<wsu:Expires>2", "<wsu:Expires>3"), ("RSTRC/", "RSTR/")] {
            assert!(!answer::is_whole(&text.replacen(from, to, 1)), "{from}");
        }
        house.is_refused(path, &request, "InvalidSecurity");
    }
    let (request, _) = house.request(client);
    let text = house.gets_a_token(SEALED, &request);
    assert!(!text.contains("machine@example.com"), "{text}");
    let opened = answer::opened(client, &text);
    answer::holds(&ours, &opened);
    assert!(opened.contains("machine@example.com"), "{opened}");
    let plain = house.gets_a_token(PLAIN, &house.request(client).0);
    assert!(!plain.contains("chancery-answer-") && !plain.contains("BinarySecurityToken"), "{plain}");
    // Whoever gets no token is told so in the same way everywhere.
    let stranger = Client::rsa(false);
    for path in [SIGNED, CONFIRMING, SEALED, PLAIN] {
        let fault = house.is_refused(path, &house.request(&stranger).0, "FailedAuthentication");
        assert!(!fault.contains("chancery-answer-") && !fault.contains("Signature"), "{fault}");
    }
    let log = house.log();
    assert!(!log.contains("violation") && !log.contains("panicked"), "{log}");
    house.counts("chancery_reply_signatures_total{process=\"issuer\",result=\"signed\"}", 3);
}

#[test]
fn a_client_that_seals_and_then_signs_gets_a_token_and_who_changes_that_learns_nothing_r_w051_a_21() {
    if !demo::possible("asymmetric") {
        return;
    }
    let house = House::open();
    let (client, ours) = (&house.client, house.answers_with());
    let certificate = house.opens_with();
    let sealer = |by| Sealer::new(&certificate, by);
    let mut unwraps = 0;
    for by in By::ALL {
        let chained = matches!(by, By::Cbc(_));
        for path in [STRICT, CHAINED, CHAINED_SEALED] {
            if chained && path == STRICT {
                house.is_refused(path, &sealer(by).message(client).text(), "FailedCheck");
                continue;
            }
            let message = sealer(by).message(client).text();
            let text = house.gets_a_token(path, &message);
            unwraps += 1;
            match path {
                STRICT => assert!(text.contains("machine@example.com"), "{by:?}: {text}"),
                CHAINED => answer::holds(&ours, &text),
                // As the request was sealed; by CBC nothing leaves, whatever came.
                _ => {
                    assert!(!text.contains("machine@example.com"), "{by:?}: {text}");
                    answer::holds(&ours, &answer::opened(client, &text));
                }
            }
            house.is_refused(path, &message, "InvalidSecurity");
        }
    }
    unwraps += refused(&house, &certificate);
    let log = house.log();
    assert!(!log.contains("violation") && !log.contains("panicked"), "{log}");
    // What was changed, or signed by nobody who may be believed, cost no key; nor did CBC where it is not taken.
    house.counts("chancery_unwraps_total{process=\"issuer\",result=\"opened\"}", unwraps);
    house.counts("chancery_leniencies_total{process=\"auth\",leniency=\"aes-cbc\"}", 4);
}

#[test]
fn a_client_that_seals_then_signs_and_then_seals_the_signature_gets_a_token_for_what_it_signed_r_w051() {
    if !demo::possible("asymmetric") {
        return;
    }
    let house = House::open();
    let (client, ours) = (&house.client, house.answers_with());
    let certificate = house.opens_with();
    let sealer = |by| Sealer::new(&certificate, by);
    let whole = |by| {
        let sealer = sealer(by);
        sealer.sealing(sealer.message(client), str::to_owned)
    };
    for by in [By::Gcm(16), By::Gcm(24), By::Gcm(32)] {
        for path in [STRICT, CHAINED, CHAINED_SEALED] {
            let message = whole(by).text();
            let text = house.gets_a_token(path, &message);
            match path {
                STRICT => assert!(text.contains("machine@example.com"), "{by:?}: {text}"),
                CHAINED => answer::holds(&ours, &text),
                // So is its signature.
                _ => {
                    assert!(
                        !text.contains("machine@example.com") && !text.contains("SignatureValue"),
                        "{by:?}: {text}"
                    );
                    answer::holds(&ours, &answer::opened(client, &text));
                }
            }
            house.is_refused(path, &message, "FailedCheck");
        }
    }
    // Signed while it was plain, and all of it sealed then.
    let sealer = sealer(By::Gcm(32));
    let plain_first = sealer.around(client, Part::body("https://rp.example.com/", ""));
    let both = sealer.sealing(Message { body: sealer.body(&plain()).octets, ..plain_first }, str::to_owned);
    house.gets_a_token(CHAINED, &both.text());
    sealed_signatures_refused(&house, &certificate);
    let log = house.log();
    assert!(!log.contains("violation") && !log.contains("panicked"), "{log}");
}

fn sealed_signatures_refused(house: &House, certificate: &[u8]) {
    let (client, stranger) = (&house.client, Client::rsa(false));
    let sealer = || Sealer::new(certificate, By::Gcm(32));
    for by in [By::Cbc(16), By::Cbc(32)] {
        let sealer = Sealer::new(certificate, by);
        let message = sealer.sealing(sealer.message(client), str::to_owned);
        house.is_refused(CHAINED, &message.text(), "UnsupportedAlgorithm");
        // Nor the body alone, which a signature covers that nobody can see yet.
        let gcm = self::Sealer::new(certificate, By::Gcm(by.length()));
        let message = gcm.sealing(gcm.around(client, sealer.body(&plain())), str::to_owned);
        house.is_refused(CHAINED, &message.text(), "UnsupportedAlgorithm");
    }
    let sealer_of = sealer();
    let by_stranger = sealer_of.sealing(sealer_of.message(&stranger), str::to_owned);
    house.is_refused(CHAINED, &by_stranger.text(), "FailedAuthentication");
    let wrapped = |inside: &str| format!("<n:w xmlns:n='urn:n'>{inside}</n:w>");
    for (what, fault, made) in [
        ("two signatures", "InvalidSecurity", (&|signature: &str| signature.repeat(2)) as &dyn Fn(&str) -> String),
        ("a signature in something else", "InvalidSecurity", &wrapped),
        ("no signature", "InvalidSecurity", &|_| "<n:w xmlns:n='urn:n'/>".to_owned()),
        ("a certificate in its place", "InvalidSecurity", &|_| format!("<o:BinarySecurityToken xmlns:o='{WSSE}'/>")),
        ("a user name in its place", "UnsupportedSecurityToken", &|_| {
            format!("<o:UsernameToken xmlns:o='{WSSE}'><o:Username>machine</o:Username></o:UsernameToken>")
        }),
        ("another value", "FailedAuthentication", &|signature| {
            let at = signature.find("<ds:SignatureValue>").unwrap() + "<ds:SignatureValue>".len();
            let octet = if signature.as_bytes()[at] == b'A' { "B" } else { "A" };
            [&signature[..at], octet, &signature[at + 1..]].concat()
        }),
    ] {
        let sealer = sealer();
        let text = sealer.sealing(sealer.message(client), made).text();
        println!("{what}");
        house.is_refused(CHAINED, &text, fault);
    }
    for (what, fault, change) in [
        (
            "another body",
            "FailedAuthentication",
            (&|sealer: &Sealer<'_>, message: &mut Message| {
                message.body = sealer.body(&plain().replace("rp.example.com", "rp.example.org")).octets;
            }) as &dyn Fn(&Sealer<'_>, &mut Message),
        ),
        ("the body that was signed in a header", "InvalidSecurity", &|sealer, message| {
            let other = sealer.body(&plain()).octets.replace("\"b\"", "\"b2\"").replace("\"ed\"", "\"e2\"");
            message.headers += &wrapped(&std::mem::replace(&mut message.body, other));
        }),
        ("the body that was signed in a header, and the other listed", "InvalidSecurity", &|sealer, message| {
            let other = sealer.body(&plain()).octets.replace("\"b\"", "\"b2\"").replace("\"ed\"", "\"e2\"");
            message.key = message.key.replace("#ed", "#e2");
            message.headers += &wrapped(&std::mem::replace(&mut message.body, other));
        }),
        ("twice", "InvalidSecurity", &|_, message| message.more = message.more.repeat(2)),
        ("twice by two names", "UnsupportedSecurityToken", &|_, message| {
            let (list, data) = message.more.split_at(LIST.len());
            let both = list.replace("</", "<x:DataReference URI=\"#e3\"/></");
            message.more = format!("{both}{data}{}", data.replace("\"es\"", "\"e3\""));
        }),
        ("in a header of its own", "UnsupportedSecurityToken", &|_, message| {
            let data = message.more.split_off(LIST.len());
            message.headers += &wrapped(&data);
        }),
        ("beside the security header", "UnsupportedSecurityToken", &|_, message| {
            let data = message.more.split_off(LIST.len());
            message.headers += &data;
        }),
        ("not listed", "InvalidSecurity", &|_, message| _ = message.more.drain(..LIST.len())),
        ("three lists", "InvalidSecurity", &|_, message| message.more += &LIST.replace("#es", "#e3")),
        ("a list in a header of its own", "InvalidSecurity", &|_, message| {
            let data = message.more.split_off(LIST.len());
            message.headers += &wrapped(&std::mem::replace(&mut message.more, data));
        }),
        ("another one in clear beside it", "UnsupportedSecurityToken", &|sealer, message| {
            message.signature = sealer.message(&stranger).signature;
        }),
        ("another key", "FailedCheck", &|_, message| message.key = Sealer::new(certificate, By::Gcm(32)).key()),
    ] {
        let sealer = sealer();
        let mut message = sealer.sealing(sealer.message(client), str::to_owned);
        change(&sealer, &mut message);
        println!("{what}");
        house.is_refused(CHAINED, &message.text(), fault);
    }
}

/// Gives how many session keys it took.
fn refused(house: &House, certificate: &[u8]) -> u64 {
    let (client, stranger) = (&house.client, Client::rsa(false));
    let cbc = || Sealer::new(certificate, By::Cbc(32));
    let good = || cbc().message(client);
    let changed = |change: &dyn Fn(&mut Message)| {
        let mut message = good();
        change(&mut message);
        message.text()
    };
    let other = || {
        let sealer = cbc();
        (sealer.key(), sealer.body(&plain()).octets)
    };
    // Nobody's signature covers what is sealed, or not this: it is not looked at.
    let around = |message: &Message, holder: &str| format!("<n:w xmlns:n='urn:n'{holder}>{}</n:w>", message.body);
    let wrapped = |place: &dyn Fn(&mut Message, String)| {
        changed(&|message| {
            let wrapper = around(message, "");
            let (key, body) = other();
            (message.key, message.body) = (key, body.replace("u:Id=\"b\"", "u:Id=\"b2\""));
            place(message, wrapper.replace("Id=\"ed\"", "Id=\"ed0\""));
        })
    };
    // Signed while it was plain, which only what needs no signature may be.
    let signed_first = {
        let sealer = cbc();
        let signed = Part::body("https://rp.example.com/", "");
        let message = sealer.around(client, signed);
        Message { body: sealer.body(&plain()).octets, ..message }
    };
    for (what, fault, text) in [
        ("no signature", "UnsupportedSecurityToken", changed(&|message| message.signature.clear())),
        ("signed while it was plain", "UnsupportedAlgorithm", signed_first.text()),
        ("another body", "UnsupportedAlgorithm", changed(&|message| message.body = other().1)),
        ("another body and its key", "UnsupportedAlgorithm", changed(&|message| (message.key, message.body) = other())),
        (
            "another octet",
            "UnsupportedAlgorithm",
            changed(&|message| {
                let at = message.body.find("<x:CipherValue>").unwrap() + 30;
                let octet = if message.body.as_bytes()[at] == b'A' { "B" } else { "A" };
                message.body.replace_range(at..=at, octet);
            }),
        ),
        (
            "another cipher",
            "UnsupportedAlgorithm",
            changed(&|message| message.body = message.body.replace("aes256-cbc", "aes128-cbc")),
        ),
        (
            "what was signed in the header",
            "UnsupportedAlgorithm",
            wrapped(&|message, wrapper| message.headers += &wrapper),
        ),
        (
            "what was signed in the security header",
            "UnsupportedAlgorithm",
            wrapped(&|message, wrapper| message.more = wrapper),
        ),
        ("what was signed behind the body", "InvalidRequest", wrapped(&|message, wrapper| message.after = wrapper)),
        (
            "what was signed before the body",
            "InvalidRequest",
            wrapped(&|message, wrapper| message.body = wrapper + &message.body),
        ),
        (
            "two bodies",
            "InvalidRequest",
            changed(&|message| message.after = other().1.replace("\"b\"", "\"b2\"").replace("\"ed\"", "\"e2\"")),
        ),
        ("an id twice", "InvalidSecurity", changed(&|message| message.headers += &other().1)),
        (
            "more that is sealed in the header",
            "InvalidSecurity",
            changed(&|message| {
                message.more = sealing::data(&By::Gcm(32).algorithm(), &[7; 48]).replace("\"ed\"", "\"e2\"");
            }),
        ),
        (
            "more that is sealed elsewhere",
            "InvalidSecurity",
            changed(&|message| {
                let data = sealing::data(&By::Gcm(32).algorithm(), &[7; 48]).replace("\"ed\"", "\"e2\"");
                message.headers += &format!("<n:w xmlns:n='urn:n'>{data}</n:w>");
            }),
        ),
        ("two keys", "InvalidSecurity", changed(&|message| message.key += &other().0.replace("'ek'", "'ek2'"))),
        (
            "a key for something else",
            "InvalidSecurity",
            changed(&|message| message.key = message.key.replace("#ed", "#t")),
        ),
        ("no key", "BadRequest", changed(&|message| message.key.clear())),
        (
            "a key behind the body",
            "InvalidRequest",
            changed(&|message| message.after = std::mem::take(&mut message.key)),
        ),
        ("two signatures", "UnsupportedAlgorithm", changed(&|message| message.signature = message.signature.repeat(2))),
        (
            "a password beside it",
            "UnsupportedSecurityToken",
            changed(&|message| {
                message.more = format!(
                    "<o:UsernameToken xmlns:o='{WSSE}'><o:Username>alice</o:Username><o:Password>p</o:Password></o:UsernameToken>"
                );
            }),
        ),
    ] {
        println!("{what}");
        house.is_refused(CHAINED, &text, fault);
    }
    house.is_refused(CHAINED, &cbc().message(&stranger).text(), "FailedAuthentication");
    // By another key, whoever made it: nothing is told of what comes of that, and it is over with it.
    let swapped = changed(&|message| message.key = other().0);
    house.is_refused(CHAINED, &swapped, "FailedCheck");
    let mut unwraps = 1;
    // Under a good signature: a padding that is wrong is answered as a tag that is, or as what is no request at all.
    let mut answers = Vec::new();
    // But for the name of the request.
    let said = |text: &str| {
        let (before, after) = text.split_once("Body")?.1.split_once(" (")?;
        Some([before, after.split_once(')')?.1].concat())
    };
    for by in [By::Cbc(32), By::Gcm(32)] {
        let sealer = || Sealer::new(certificate, by);
        let spoilt = |at: usize| {
            let sealer = sealer();
            let mut octets = by.seal(&sealer.session, plain().as_bytes());
            let last = octets.len() - 1;
            octets[at.min(last)] ^= 0x80;
            sealer.around(client, sealer.body_of(&octets)).text()
        };
        let holding = |inside: &str| {
            let sealer = sealer();
            sealer.around(client, sealer.body(inside)).text()
        };
        for text in [
            spoilt(usize::MAX),
            spoilt(0),
            holding("no request"),
            holding("<!DOCTYPE a><a/>"),
            holding(&format!("{0}</s:Body><s:Body xmlns:s='urn:s'>{0}", plain())),
            holding(&format!("{0}{0}", plain())),
            holding(&sealing::data(&By::Cbc(32).algorithm(), &[7; 48])),
        ] {
            let answer = house.is_refused(CHAINED, &text, "FailedCheck");
            answers.push(said(&answer));
            unwraps += 1;
        }
    }
    answers.dedup();
    assert!(answers.len() == 1 && answers[0].is_some(), "{answers:?}");
    unwraps
}
