//! Assertions for the holder of a shared key, through the front door of the whole service, also where messages may be
//! sealed, and one that is sealed itself.

use std::path::Path;

use base64ct::{Base64, Encoding};
use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use chancery::auth::derive::derived;
use chancery::wire::Millis;
use chancery::wire::derivation::Derivation;
use chancery::wire::evidence::MacAlgorithm;
use chancery::wire::record::{HeldKey, Proof};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::asserted::Words;
use crate::assertions::{GENERIC, SAML20, between, envelope, let_in, post};
use crate::interop::reconfigured;
use crate::keyed;
use crate::sealing::By;
use crate::service;
use crate::shared_keys::{held, sealed_for};
use crate::signed::{Client, DS, Part, SOAP, WSSE, WSU};

const ADDRESS: &str = "https://sts.example.com/saml";
const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const KEY: [u8; 32] = [7; 32];

/// A request under a MAC by that key, which this names, beside an assertion and what else there is.
fn under_mac(assertion: &str, more: &str, named: &str, key: &[u8]) -> String {
    let body = Part::body(GENERIC, "");
    let parts = [Part::timestamp(Millis::now(), None), Part::to(ADDRESS), body, Part::action(), Part::message_id()];
    let [stamp, to, body, action, id] = [0, 1, 2, 3, 4].map(|at: usize| parts[at].octets.as_str());
    let message = keyed::message(key, MacAlgorithm::HmacSha256, &parts);
    let info = std::str::from_utf8(&message.signed_info).unwrap();
    let value = Base64::encode_string(&message.value);
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\"><s:Header>{action}{id}{to}<o:Security xmlns:o=\"{WSSE}\">{stamp}{assertion}{more}\
         <ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>{named}\
         </ds:KeyInfo></ds:Signature></o:Security></s:Header>{body}</s:Envelope>"
    )
}

/// What names an assertion.
fn by_id(id: &str) -> String {
    let kind = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID";
    format!(
        "<o:SecurityTokenReference><o:KeyIdentifier ValueType=\"{kind}\">{id}</o:KeyIdentifier></o:SecurityTokenReference>"
    )
}

/// An element that is sealed, with its key in it.
fn sealed(element: &str, certificate: &[u8]) -> String {
    let (by, key) = (By::Gcm(32), [9; 32]);
    let value = Base64::encode_string(&by.seal(&key, element.as_bytes()));
    format!(
        "<e:EncryptedAssertion xmlns:e=\"{SAML20}\"><x:EncryptedData xmlns:x=\"{XENC}\" Type=\"{XENC}Element\">\
         <x:EncryptionMethod Algorithm=\"{}\"/>{}<x:CipherData><x:CipherValue>{value}</x:CipherValue></x:CipherData>\
         </x:EncryptedData></e:EncryptedAssertion>",
        by.algorithm(),
        sealed_for(certificate, &key)
    )
}

#[test]
fn the_holder_of_a_shared_key_gets_a_token_and_the_record_says_how_he_proved_it() {
    if !service::possible("demo-shared") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let agency = Client::rsa(false);
    let demo = reconfigured(directory.path(), |config| {
        let_in(config, &agency.certificate);
        for (file, from, to) in [
            ("auth.d/auth.toml", "name = \"agency\"\n", "name = \"agency\"\nholder_proofs = [\"mac\"]\n"),
            ("auth.d/auth.toml", "credentials = [\"saml\"]\n", "credentials = [\"saml\"]\nencryption = true\n"),
            (
                "worker.d/worker.toml",
                "credential = \"saml\" # kept\n",
                "credential = \"saml\" # kept\nencryption = true\n",
            ),
        ] {
            let text = std::fs::read_to_string(config.join(file)).unwrap();
            assert!(text.contains(from), "{from:?} is not in {text}");
            std::fs::write(config.join(file), text.replace(from, to)).unwrap();
        }
    });
    let config = directory.path().join("demo/etc");
    let certificate = CertificateDer::from_pem_file(config.join("issuer.d/unwrap-1.pem")).unwrap();
    let words = |key: &[u8]| held(Words::saml20("sam@agency.example"), &sealed_for(&certificate, key));
    let sent = |body: &str| post(&demo, &config, "/saml", body);
    let log = || std::fs::read_to_string(directory.path().join("log")).unwrap();
    let good = words(&KEY);
    let derivation = Derivation::new(None, [3; 16], 0, 24).unwrap();
    let token = format!(
        "<c:DerivedKeyToken xmlns:c=\"http://docs.oasis-open.org/ws-sx/ws-secureconversation/200512\" xmlns:u=\"{WSU}\" \
         u:Id=\"d\">{}<c:Offset>0</c:Offset><c:Length>24</c:Length><c:Nonce>{}</c:Nonce></c:DerivedKeyToken>",
        by_id(&good.id),
        Base64::encode_string(&[3; 16])
    );
    let of_derived = "<o:SecurityTokenReference><o:Reference URI=\"#d\"/></o:SecurityTokenReference>";
    let xml = good.xml(&agency);
    let mut last = String::new();
    for (what, body) in [
        ("by its key", under_mac(&xml, "", &by_id(&good.id), &KEY)),
        ("by its key again", under_mac(&xml, "", &by_id(&good.id), &KEY)),
        ("by one derived from it", under_mac(&xml, &token, of_derived, &derived(&KEY, &derivation))),
        ("sealed itself", under_mac(&sealed(&xml, &certificate), "", &by_id(&good.id), &KEY)),
    ] {
        let answer = sent(&body);
        let taken = answer.starts_with("HTTP/1.1 200") && answer.contains(">sam@example.com<");
        assert!(taken, "{what}: {answer}\n{}", log());
        last = between(&answer.to_ascii_lowercase(), "x-correlation-id: ", "\r").to_owned();
    }
    let other = words(&[8; 32]);
    for (what, body) in [
        ("by the key of another", under_mac(&xml, "", &by_id(&good.id), &[8; 32])),
        ("of another, by his key", under_mac(&other.xml(&agency), "", &by_id(&other.id), &KEY)),
        ("that nobody made", under_mac(&good.xml(&Client::rsa(false)), "", &by_id(&good.id), &KEY)),
        ("without a MAC", envelope(&xml, GENERIC, SAML20)),
        (
            "with another body",
            under_mac(&xml, "", &by_id(&good.id), &KEY).replace(GENERIC, "urn:federation:MicrosoftOnline"),
        ),
    ] {
        let answer = sent(&body);
        assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("Assertion"), "{what}: {answer}");
    }
    let mut explain = std::process::Command::new(service::CHANCERY);
    let told = explain.args(["explain", &last, "--directory", demo.fact("record")]).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    for said in ["proof=mac", "holder_sealed_key=", "allowed=true", "was proven by a MAC over this very message"] {
        assert!(told.contains(said), "{said:?} is not in {told}");
    }
    assert!(!log().contains("violation"), "{}", log());
    let record = Path::new(demo.fact("record")).to_owned();
    assert_eq!(demo.stop().code(), Some(0));
    let held = Entries::open(&record).filter_map(|entry| match entry.unwrap().leaf.public {
        Public::Held(decision, held) => Some((decision.allowed, held.proof, matches!(held.key, HeldKey::Sealed(_)))),
        _ => None,
    });
    assert_eq!(held.collect::<Vec<_>>(), [(true, Proof::Mac, true); 4]);
}
