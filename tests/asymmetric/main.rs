//! Answers that are signed, and sealed, against the whole service, real processes and a real token: a client that signs with
//! its certificate's key holds the answer against ours, and opens it with its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answer;
#[path = "../demo/service.rs"]
#[expect(dead_code, reason = "shared with tests/demo, which uses all of it")]
mod demo;
mod house;
#[path = "../support"]
mod support {
    pub(crate) mod caller;
    #[expect(dead_code, reason = "shared with tests/canonical.rs, which uses all of it")]
    pub(crate) mod references;
    #[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
    pub(crate) mod signed;
}

use house::{CONFIRMING, House, PLAIN, SEALED, SIGNED};
use support::signed::Client;

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
