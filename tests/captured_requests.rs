//! Signed requests of real clients, captured when they were sent, before auth as it was at that moment: each gets its
//! voucher, once, bound to the key that signed it, and with any octet of it another one it gets nothing. The worker is
//! the real reader of messages; auth is the real process, whose clock alone is set.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    #[expect(dead_code, reason = "shared with tests/vectors.rs, which uses all of it")]
    pub(crate) mod data;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
}

use chancery::config::worker::{Credential, Endpoint, Profile, Trust};
use chancery::wire::evidence::{Evidence, Refusal, Submission, Timestamp, Wish};
use chancery::wire::links::AuthToWorker;
use chancery::wire::order::{Confirmation, Method, RequestIntegrity, TokenType};
use chancery::wire::{Correlation, Millis, Text};
use chancery::worker::message::{Incoming, Leniency, read};
use chancery::xml::signature::{Family, Hash, Signature};
use chancery::xml::{Element, Ids, Limits, Tree, names};

use support::data::data;
use support::office::{HOME, Office};

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
confirmations = ["holder-of-key"]
policy = '''permit(principal, action, resource);'''
"#;
const AUTH: &str = r#"
default_relying_party = "office"
[store]
directory = "../../state"
[throttle]
account_burst = 100000
[[endpoint]]
path = "/vcenter"
credentials = ["signature"]
addresses = ["https://vcenter.example.com/sts/STSService"]
leniencies = ["to-absent"]
"#;
/// Those of the captured requests that ask for what is offered: a token for whoever signed.
const CAPTURES: [&str; 2] = ["govmomi/wire/hok.xml", "pyvmomi/hok.xml"];

/// What the worker makes of a message.
fn reading(octets: &[u8]) -> Option<(Evidence, Option<Timestamp>, Wish)> {
    reading_for(Credential::Signature, octets)
}

fn reading_for(credential: Credential, octets: &[u8]) -> Option<(Evidence, Option<Timestamp>, Wish)> {
    let endpoint = Endpoint {
        path: "/vcenter".to_owned(),
        profile: Profile::Generic,
        trust: Trust::Any,
        credential,
        leniencies: Some(Leniency::ALL.to_vec()),
        encryption: false,
        signature_confirmation: false,
        replies: chancery::config::worker::Replies::Plain,
    };
    let incoming = Incoming { content_type: Some("text/xml; charset=utf-8"), soap_action: None, body: octets };
    let (_, evidence, timestamp, wish) = read(&endpoint, &incoming).ok()?.into_parts();
    Some((evidence, timestamp, wish))
}

fn submission((evidence, timestamp, wish): (Evidence, Option<Timestamp>, Wish)) -> Submission {
    Submission {
        correlation: Correlation::random(),
        endpoint: Text::new("/vcenter").unwrap(),
        source: HOME,
        timestamp,
        evidence,
        wish,
    }
}

/// What is said to auth, as octets.
fn said(read: &(Evidence, Option<Timestamp>, Wish)) -> Vec<u8> {
    borsh::to_vec(read).unwrap()
}

#[test]
fn what_a_client_signed_is_good_when_it_signed_it_and_with_no_octet_another_one() {
    let Some(data) = data("captured-requests") else { return };
    let certificate = std::fs::read_to_string(data.join("clients/test-client-cert.pem")).unwrap();
    for capture in CAPTURES {
        let octets = std::fs::read(data.join("clients").join(capture)).unwrap();
        let good = reading(&octets).unwrap_or_else(|| panic!("{capture} cannot be read"));
        let sent = good.1.unwrap().created;
        let shift = sent.0 + 2_000 - Millis::now().0;
        let users = "[users.sam]\ncertificates = [\"client.pem\"]\n";
        let office = Office::at(shift, AUTH, users, PARTY, &[("client.pem", &certificate)]);
        let mut worker = office.worker();

        let (mut by_worker, mut by_auth, mut the_same) = (0, 0, 0);
        for at in 0..octets.len() {
            let mut changed = octets.clone();
            // Another character of the same kind, mostly.
            changed[at] ^= 1;
            match reading(&changed) {
                None => by_worker += 1,
                // Outside what was signed, and of no meaning: the same is said to auth.
                Some(read) if said(&read) == said(&good) => the_same += 1,
                Some(read) => {
                    let place = String::from_utf8_lossy(&changed[at.saturating_sub(30)..(at + 30).min(changed.len())]);
                    match worker.ask(submission(read)) {
                        AuthToWorker::Refused(_) => by_auth += 1,
                        AuthToWorker::Vouched(_)
                        | AuthToWorker::Opened(_)
                        | AuthToWorker::Sealed(_)
                        | AuthToWorker::SealedFor(_)
                        | AuthToWorker::Negotiated(_) => {
                            panic!("{capture}: vouched with octet {at} changed: {place}")
                        }
                    }
                }
            }
        }
        println!("{capture}: {by_worker} refused by the worker, {by_auth} by auth, {the_same} mean the same");
        assert!(by_auth > octets.len() / 4 && office.decisions().is_empty(), "{capture}: {by_auth}");

        worker.vouched(submission(reading(&octets).unwrap()));
        let order = office.lodged().order;
        assert_eq!(order.subject.account.as_str(), "sam", "{capture}");
        assert_eq!((order.authentication.method, order.request), (Method::X509, RequestIntegrity::Signed), "{capture}");
        assert_eq!(order.token_type, TokenType::Saml20, "{capture}");
        assert!(matches!(order.confirmation, Confirmation::HolderOfKey { .. }), "{capture}");
        assert_eq!(worker.refused(submission(good)), Refusal::InvalidSecurity, "{capture}: a second time");
    }
}

#[test]
fn the_same_messages_are_too_old_an_hour_later() {
    let Some(data) = data("captured-requests") else { return };
    let certificate = std::fs::read_to_string(data.join("clients/test-client-cert.pem")).unwrap();
    for capture in CAPTURES {
        let read = reading(&std::fs::read(data.join("clients").join(capture)).unwrap()).unwrap();
        // The certificate still holds then.
        let shift = read.1.unwrap().created.0 + 3_600_000 - Millis::now().0;
        let users = "[users.sam]\ncertificates = [\"client.pem\"]\n";
        let office = Office::at(shift, AUTH, users, PARTY, &[("client.pem", &certificate)]);
        assert_eq!(office.worker().refused(submission(read)), Refusal::MessageExpired, "{capture}");
    }
}

/// Answers of an AD FS of 2014, which signed its assertions by RSA with SHA-1: what is written out was not changed
/// since.
const OLD_ANSWERS: [&str; 2] = ["adal-node/common.rstr.xml", "adal-python/common.rstr.xml"];

/// auth at that instant, with that AD FS as a partner that has these leniencies.
fn office_of_2014(shift: i64, certificate: &str, leniencies: &str) -> Office {
    let auth = format!(
        "default_relying_party = \"office\"\n[store]\ndirectory = \"../../state\"\n\
         [throttle]\naccount_burst = 100000\n[[endpoint]]\npath = \"/vcenter\"\ncredentials = [\"saml\"]\n\
         [[saml_partner]]\nname = \"adfs\"\nissuer = \"http://fs.naturalcauses.com/adfs/services/trust\"\n\
         certificates = [\"adfs.pem\"]\naudiences = [\"urn:federation:MicrosoftOnline\"]\n\
         leniencies = [{leniencies}]\n[[saml_partner.subject]]\nattribute = \"http://schemas.xmlsoap.org/claims/UPN\"\n\
         capture = '([a-z]+)@naturalcauses\\.com'\n"
    );
    let users = "[users.frizzo]\nsaml_partner = \"adfs\"\n";
    Office::at(shift, &auth, users, &PARTY.replace("holder-of-key", "bearer"), &[("adfs.pem", certificate)])
}

#[test]
fn an_assertion_that_ad_fs_signed_by_sha1_is_taken_by_the_leniencies_of_its_partner_and_with_no_octet_another_one() {
    let Some(data) = data("captured-assertions") else { return };
    for capture in OLD_ANSWERS {
        let answer = std::fs::read_to_string(data.join("clients").join(capture)).unwrap();
        let between = |from: &str, to: &str| {
            let begin = answer.find(from).unwrap();
            let length = answer[begin..].find(to).unwrap();
            (begin, begin + length)
        };
        let (begin, end) = between("<saml:Assertion ", "</saml:Assertion>");
        let assertion = &answer[begin..end + "</saml:Assertion>".len()];
        let (begin, end) = between("<X509Certificate>", "</X509Certificate>");
        let text = &answer.as_bytes()[begin + "<X509Certificate>".len()..end];
        let lines: Vec<&str> = text.chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        let message = |assertion: &[u8]| {
            let trust = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
            let before = format!(
                "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Header><o:Security xmlns:o=\"{}\">",
                names::WSSE
            );
            let after = format!(
                "</o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t=\"{trust}\">\
                 <t:RequestType>{trust}/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>"
            );
            let octets = [before.as_bytes(), assertion, after.as_bytes()].concat();
            reading_for(Credential::Saml, &octets)
        };
        let good = || message(assertion.as_bytes()).unwrap_or_else(|| panic!("{capture} cannot be read"));
        let issued = chancery::trust::instant::parse("2014-01-27T08:15:45.003Z").unwrap();
        let shift = issued.0 + 2_000 - Millis::now().0;

        for leniencies in ["", "\"rsa-sha1\"", "\"reference-sha1\""] {
            let office = office_of_2014(shift, &certificate, leniencies);
            assert_eq!(office.worker().refused(submission(good())), Refusal::FailedAuthentication, "{leniencies}");
        }
        let office = office_of_2014(shift, &certificate, "\"rsa-sha1\", \"reference-sha1\"");
        let mut worker = office.worker();
        let (good_octets, mut by_auth) = (said(&good()), 0);
        for at in (0..assertion.len()).step_by(7) {
            let mut changed = assertion.as_bytes().to_vec();
            changed[at] ^= 1;
            // What is not signed, as the certificate in it, is not even handed on.
            let Some(read) = message(&changed).filter(|read| said(read) != good_octets) else { continue };
            assert!(matches!(worker.ask(submission(read)), AuthToWorker::Refused(_)), "{capture}: octet {at}");
            by_auth += 1;
        }
        println!("{capture}: {by_auth} refused by auth");
        assert!(by_auth > 100 && office.decisions().is_empty(), "{capture}: {by_auth}");
        worker.vouched(submission(good()));
        let order = office.lodged().order;
        assert_eq!(
            (order.subject.account.as_str(), order.authentication.method),
            ("frizzo", Method::Saml),
            "{capture}"
        );
        let labels = ["assertion-rsa-sha1", "assertion-reference-sha1"];
        assert_eq!(office.counted("chancery_leniencies_total", labels), ["1", "1"]);
    }
}

/// What the signature of the security header says of these octets: every reference to what it means, and the value by
/// the client's key. Read by the grammar that worker and auth read by.
fn holds(octets: &[u8], key: &[u8]) -> bool {
    const MOST: usize = 256 * 1024;
    let Ok(tree) = Tree::parse(octets, &Limits::default()) else { return false };
    let Ok(ids) = Ids::of(&tree) else { return false };
    let header = |element: &Element<'_>| element.parent().is_some_and(|parent| parent.is(names::WSSE, "Security"));
    let mut signatures = tree.elements().filter(|element| element.is(names::DS, "Signature")).filter(header);
    let (Some(element), None) = (signatures.next(), signatures.next()) else { return false };
    let Ok(signature) = Signature::read(element) else { return false };
    let covered = signature.info.references.iter().all(|reference| {
        let Ok(target) = signature.target(reference, &ids) else { return false };
        let digested = signature.digested(reference, target, MOST).unwrap();
        let algorithm = match reference.hash {
            Hash::Sha256 => &aws_lc_rs::digest::SHA256,
            Hash::Sha512 => &aws_lc_rs::digest::SHA512,
            _ => return false,
        };
        aws_lc_rs::digest::digest(algorithm, digested.as_bytes()).as_ref() == reference.digest
    });
    let algorithm = match (signature.info.method.family, signature.info.method.hash) {
        (Family::RsaPkcs1, Hash::Sha256) => &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        (Family::RsaPkcs1, Hash::Sha512) => &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return false,
    };
    let signed = signature.signed_octets(MOST).unwrap();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, key);
    covered && key.verify(signed.as_bytes(), &signature.value).is_ok()
}

/// Also those that ask for what is not offered yet, or name their key in an assertion of a partner that is gone:
/// whoever offers it one day finds that they verify.
#[test]
fn every_captured_signature_holds_and_none_with_an_octet_of_what_it_covers_changed() {
    let Some(data) = data("captured-signatures") else { return };
    let pem = std::fs::read(data.join("clients/test-client-cert.pem")).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let key = certificate.public_key().subject_public_key.data.to_vec();
    let mut seen = 0;
    for client in ["govmomi/wire", "pyvmomi"] {
        for entry in std::fs::read_dir(data.join("clients").join(client)).unwrap() {
            let path = entry.unwrap().path();
            let octets = std::fs::read(&path).unwrap();
            let text = std::str::from_utf8(&octets).unwrap();
            // A password signs nothing.
            let header = text.split_once("Body").unwrap().0;
            if !header.contains("SignedInfo") || !header.contains("KeyInfo") || text.contains("UsernameToken") {
                continue;
            }
            seen += 1;
            assert!(holds(&octets, &key), "{}", path.display());
            // Every octet of the body and of the signed times; each costs a verification, so some of the long values.
            let body = text.rfind("Body").and_then(|end| text[..end].find("Body").map(|begin| begin..end)).unwrap();
            let times = text.find("Created>").map(|at| at + 8..at + 32).unwrap();
            for at in times.chain(body.skip("Body".len()).step_by(17)) {
                // A namespace that nothing uses is not covered, and means nothing.
                let word = text[..at].rfind(' ').map_or(0, |space| space + 1);
                if text[word..].starts_with("xmlns:") {
                    continue;
                }
                let mut changed = octets.clone();
                changed[at] ^= 1;
                assert!(!holds(&changed, &key), "{}: octet {at}", path.display());
            }
        }
    }
    assert_eq!(seen, 7);
}
