//! Assertions as a credential, through the front door of the whole service: our own, got with a password, and those
//! of a partner who was written here.

use std::path::Path;

use base64ct::{Base64, Encoding};
use chancery::audit::format::{Private, Public};
use chancery::audit::reader::{Entries, PrivatePart};
use chancery::wire::Millis;
use chancery::wire::evidence::KeyReference;
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::record::Proof;

use crate::asserted::{AUDIENCE, ISSUER, Words};
use crate::caller::Caller;
use crate::interop::{append, only_endpoints, reconfigured};
use crate::service::{self, Demo};
use crate::signed::{Client, DS, Part, SOAP, TRUST, WSA, WSU, dereferenced};

const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const ADDRESS: &str = "https://sts.example.com/saml";
pub(crate) const GENERIC: &str = "https://rp.example.com/";
pub(crate) const SAML20: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SAML11: &str = "urn:oasis:names:tc:SAML:1.0:assertion";
const OURSELVES: &str = "https://sts.example.com/";

/// How an operator lets in whom we ourselves or a partner vouch for: we are a relying party of our own then.
pub(crate) fn let_in(config: &Path, agency: &str) {
    let both = "confirmations = [\"bearer\", \"holder-of-key\"]";
    let generic = |owner: &str| {
        let parties = config.join(owner).join("relying-parties");
        let text = std::fs::read_to_string(parties.join("generic.toml")).unwrap();
        let text = match owner {
            "auth.d" => format!("{both}\n{text}"),
            _ => text.replace("confirmations = [\"bearer\"]", both),
        };
        std::fs::write(parties.join("generic.toml"), &text).unwrap();
        std::fs::write(parties.join("ourselves.toml"), text.replace(GENERIC, OURSELVES)).unwrap();
    };
    ["auth.d", "issuer.d"].iter().for_each(|owner| generic(owner));
    std::fs::copy(config.join("issuer.d/assertion-1.pem"), config.join("auth.d/own.pem")).unwrap();
    std::fs::write(config.join("auth.d/agency.pem"), agency).unwrap();
    for (name, issuer, audience, capture) in [
        ("own", "http://sts.example.com/adfs/services/trust", OURSELVES, "([a-z]+)@example.com"),
        ("agency", ISSUER, AUDIENCE, "([a-z]+)@agency.example"),
    ] {
        append(
            config,
            "auth.d/auth.toml",
            &format!(
                "[[saml_partner]]\nname = \"{name}\"\nissuer = \"{issuer}\"\ncertificates = [\"{name}.pem\"]\n\
                 audiences = [\"{audience}\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\ncapture = \"{capture}\"\n"
            ),
        );
    }
    for (path, auths, workers) in [("/sts", "password", "username"), ("/saml", "saml", "saml")] {
        let endpoint = format!("[[endpoint]]\npath = \"{path}\"\n");
        let addresses = format!("addresses = [\"{ADDRESS}\"]\n");
        append(config, "auth.d/auth.toml", &format!("{endpoint}credentials = [\"{auths}\"]\n{addresses}"));
        append(config, "worker.d/worker.toml", &format!("{endpoint}credential = \"{workers}\" # kept\n"));
    }
    only_endpoints(config, &["# kept"]);
    let users = config.join("auth.d/users.toml");
    let text = std::fs::read_to_string(&users).unwrap();
    let text = text.replace("[users.alice]\n", "[users.alice]\nsaml_partner = \"own\"\n");
    let sam = "[users.sam]\nsaml_partner = \"agency\"\nattributes.mail = [\"sam@example.com\"]\n";
    std::fs::write(&users, format!("{text}\n{sam}")).unwrap();
}

/// A request for a token of a kind for `party` that presents this.
pub(crate) fn envelope(credential: &str, party: &str, kind: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{WSA}\" xmlns:saml=\"urn:of:the:envelope\"><s:Header>\
         <a:Action>{TRUST}/RST/Issue</a:Action><a:To>https://sts.example.com/saml</a:To>\
         <o:Security xmlns:o=\"{WSSE}\" xmlns:u=\"{WSU}\" s:mustUnderstand=\"1\"><u:Timestamp><u:Created>{}</u:Created>\
         </u:Timestamp>{credential}</o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t=\"{TRUST}\">\
         <t:RequestType>{TRUST}/Issue</t:RequestType><p:AppliesTo \
         xmlns:p=\"http://schemas.xmlsoap.org/ws/2004/09/policy\"><a:EndpointReference><a:Address>{party}</a:Address>\
         </a:EndpointReference></p:AppliesTo><t:TokenType>{kind}</t:TokenType></t:RequestSecurityToken></s:Body></s:Envelope>",
        crate::asserted::at(0)
    )
}

/// The answer, its head and its body.
pub(crate) fn post(demo: &Demo, config: &Path, path: &str, body: &str) -> String {
    post_with(demo, config, path, "", body)
}

/// The same, with more lines in the head of the request.
pub(crate) fn post_with(demo: &Demo, config: &Path, path: &str, more: &str, body: &str) -> String {
    let caller = Caller::trusting(&config.join("worker.d/tls.pem"));
    caller.post(demo.fact("address"), path, more, body).whole
}

pub(crate) fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split_once(from).unwrap_or_else(|| panic!("{from} in {text}")).1.split_once(to).unwrap().0
}

#[test]
fn an_assertion_of_our_own_or_of_a_partner_gets_its_subject_a_token_and_no_other_does() {
    if !service::possible("demo-assertions") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let agency = Client::rsa(false);
    let demo = reconfigured(directory.path(), |config| let_in(config, &agency.certificate));
    let config = directory.path().join("demo/etc");
    let sent = |credential: &str| post(&demo, &config, "/saml", &envelope(credential, GENERIC, SAML20));
    let password = std::fs::read_to_string(directory.path().join("demo/alice.password")).unwrap();
    let alice = format!(
        "<o:UsernameToken><o:Username>alice</o:Username><o:Password>{}</o:Password></o:UsernameToken>",
        password.trim()
    );
    let own = |party: &str, kind: &str| {
        let answer = post(&demo, &config, "/sts", &envelope(&alice, party, kind));
        let token = between(&answer, "RequestedSecurityToken>", "RequestedSecurityToken>");
        token.rsplit_once("</").unwrap().0.to_owned()
    };
    let mut accepted = 0;
    for (kind, instant) in [(SAML20, "AuthnInstant=\""), (SAML11, "AuthenticationInstant=\"")] {
        let token = own(OURSELVES, kind);
        // The second of it has passed, and the new token still tells of the first proof.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let answer = sent(&token);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">alice@example.com<"), "{answer}");
        assert_eq!(between(&answer, "AuthnInstant=\"", "\""), between(&token, instant, "\""));
        assert!(answer.contains("ac:classes:unspecified"), "{answer}");
        accepted += 1;
    }
    for words in [Words::saml20("sam@agency.example"), Words::saml11("sam@agency.example")] {
        let answer = sent(&words.xml(&agency));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">sam@example.com<"), "{answer}");
        accepted += 1;
    }
    let (ours, theirs) = (own(OURSELVES, SAML20), Words::saml20("sam@agency.example").xml(&agency));
    for (what, credential) in [
        ("made for a relying party", own(GENERIC, SAML20)),
        ("with another name", ours.replace("alice@", "mally@")),
        ("with another audience", own(GENERIC, SAML20).replace(GENERIC, OURSELVES)),
        ("about an account of ours", Words::saml20("alice@agency.example").xml(&agency)),
        ("by a stranger", Words::saml20("sam@agency.example").xml(&Client::rsa(false))),
        (
            "by the other",
            Words::saml20("sam@agency.example").but(ISSUER, "http://sts.example.com/adfs/services/trust").xml(&agency),
        ),
        ("with the signature of another", {
            let signature =
                format!("<ds:Signature{}</ds:Signature>", between(&theirs, "<ds:Signature", "</ds:Signature>"));
            Words::saml20("sam@agency.example").octets.replace("</saml:Issuer>", &format!("</saml:Issuer>{signature}"))
        }),
        ("unsigned", Words::saml20("sam@agency.example").octets),
        ("within one that is ours", ours.replace("</Issuer>", &format!("</Issuer><Advice>{theirs}</Advice>"))),
    ] {
        let answer = sent(&credential);
        assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("Assertion"), "{what}: {answer}");
    }
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("violation"), "{log}");
    let record = Path::new(demo.fact("record")).to_owned();
    assert_eq!(demo.stop().code(), Some(0));
    let allowed = Entries::open(&record).filter_map(|entry| match entry.unwrap().leaf.public {
        Public::Decision(decision) if decision.method == Method::Saml && decision.allowed => decision.authority,
        _ => None,
    });
    let allowed: Vec<String> = allowed.map(|partner| partner.to_string()).collect();
    assert_eq!(allowed, ["own", "own", "agency", "agency"]);
    assert_eq!(accepted, allowed.len());
}

/// A request for a bound token that the holder of a key signed, beside an assertion: with one that confirms his key,
/// named by the assertion, as clients of WS-Trust do.
fn signed(assertion: &str, id: &str, holder: &Client) -> String {
    let more = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    let kind = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID";
    let named = format!(
        "<o:SecurityTokenReference><o:KeyIdentifier ValueType=\"{kind}\">{id}</o:KeyIdentifier></o:SecurityTokenReference>"
    );
    naming(&named, assertion, &more, holder)
}

/// The same with the key named so, and this in the request.
fn naming(named: &str, assertion: &str, more: &str, holder: &Client) -> String {
    let parts = [Part::timestamp(Millis::now(), None), Part::to(ADDRESS), Part::body(GENERIC, more), Part::action()];
    let [stamp, to, body, action] = [0, 1, 2, 3].map(|at: usize| parts[at].octets.as_str());
    let info = holder.signed_info(&parts);
    let value = Base64::encode_string(&holder.sign(info.as_bytes()));
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\"><s:Header>{action}{to}\
         <o:Security xmlns:o=\"{WSSE}\">{stamp}{assertion}<ds:Signature xmlns:ds=\"{DS}\">{info}\
         <ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>{named}</ds:KeyInfo></ds:Signature></o:Security></s:Header>{body}</s:Envelope>"
    )
}

#[test]
fn the_holder_of_a_key_that_an_assertion_confirms_gets_a_token_for_that_key_and_nobody_else_one() {
    if !service::possible("demo-holders") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (agency, holder) = (Client::rsa(false), Client::new());
    let demo = reconfigured(directory.path(), |config| let_in(config, &agency.certificate));
    let config = directory.path().join("demo/etc");
    let KeyReference::Certificate(der) = holder.reference() else { panic!("a certificate") };
    let certificate = Base64::encode_string(&der);
    let held = || {
        Words::saml20("sam@agency.example")
            .but(crate::asserted::BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")
            .but(
                "</saml:SubjectConfirmationData>",
                &format!(
                    "<ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>\
                 </ds:X509Data></ds:KeyInfo></saml:SubjectConfirmationData>"
                ),
            )
    };
    let sent = |body: &str| post(&demo, &config, "/saml", body);
    let words = held();
    let answer = sent(&signed(&words.xml(&agency), &words.id, &holder));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">sam@example.com<"), "{answer}");
    let token = between(&answer, "RequestedSecurityToken>", "RequestedSecurityToken>");
    assert!(token.contains("cm:holder-of-key") && token.contains(&certificate), "{token}");
    let words = held();
    for (what, body) in [
        ("nobody signed", envelope(&words.xml(&agency), GENERIC, SAML20)),
        ("a stranger signed", signed(&words.xml(&agency), &words.id, &Client::new())),
        ("no partner issued", signed(&words.xml(&holder), &words.id, &holder)),
        ("asks for something else", {
            signed(&words.xml(&agency), &words.id, &holder)
                .replace(&format!(">{GENERIC}<"), ">urn:federation:MicrosoftOnline<")
        }),
    ] {
        let answer = sent(&body);
        assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("Assertion"), "{what}: {answer}");
    }
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("violation"), "{log}");
    let record = Path::new(demo.fact("record")).to_owned();
    assert_eq!(demo.stop().code(), Some(0));
    let intents = Entries::open(&record).filter_map(|entry| match entry.unwrap().leaf.public {
        Public::Intent(intent) if intent.method == Method::Saml => Some((intent.request, intent.holder.is_some())),
        _ => None,
    });
    assert_eq!(intents.collect::<Vec<_>>(), [(RequestIntegrity::Signed, true)]);
}

#[test]
fn the_holder_of_a_key_that_an_assertion_writes_out_gets_a_token_and_the_record_says_how_he_proved_it() {
    if !service::possible("demo-keys") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (agency, holder, stranger) = (Client::rsa(false), Client::rsa(false), Client::rsa(false));
    let demo = reconfigured(directory.path(), |config| let_in(config, &agency.certificate));
    let config = directory.path().join("demo/etc");
    let key_info = |client: &Client| format!("<ds:KeyInfo xmlns:ds=\"{DS}\">{}</ds:KeyInfo>", client.key_value());
    let (method, data) = ("</saml:ConfirmationMethod>", "</saml:SubjectConfirmationData>");
    let new = |client: &Client| {
        let words = Words::saml20("sam@agency.example")
            .but(crate::asserted::BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key");
        words.but(data, &format!("{}{data}", key_info(client)))
    };
    let old = |client: &Client| {
        let words = Words::saml11("sam@agency.example").but("cm:bearer", "cm:holder-of-key");
        words.but(method, &format!("{method}{}", key_info(client)))
    };
    let (saml_id, assertion_id) = (
        "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID",
        "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID",
    );
    let by = |reference: &str| format!("<o:SecurityTokenReference>{reference}</o:SecurityTokenReference>");
    let identified =
        |kind: &str, id: &str| by(&format!("<o:KeyIdentifier ValueType=\"{kind}\">{id}</o:KeyIdentifier>"));
    let referred = |id: &str| by(&format!("<o:Reference URI=\"#{id}\"/>"));
    let sent = |words: &Words, named: &str, signer: &Client| {
        post(&demo, &config, "/saml", &naming(named, &words.xml(&agency), "", signer))
    };
    let log = || std::fs::read_to_string(directory.path().join("log")).unwrap();
    let mut last = String::new();
    for (words, kind) in [(new(&holder), saml_id), (old(&holder), assertion_id)] {
        for named in [identified(kind, &words.id), referred(&words.id), holder.key_value()] {
            let answer = sent(&words, &named, &holder);
            let taken = answer.starts_with("HTTP/1.1 200") && answer.contains(">sam@example.com<");
            assert!(taken, "{named}: {answer}\n{}", log());
            last = between(&answer.to_ascii_lowercase(), "x-correlation-id: ", "\r").to_owned();
        }
    }
    let words = new(&holder);
    let bound = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    for (what, answer) in [
        ("a stranger signed", sent(&words, &referred(&words.id), &stranger)),
        ("a stranger signed and wrote his key out", sent(&words, &stranger.key_value(), &stranger)),
        ("the message writes out another key", sent(&words, &stranger.key_value(), &holder)),
        ("the assertion writes out another key", sent(&new(&stranger), &holder.key_value(), &holder)),
        ("another key in the assertion than its partner signed", {
            let xml = words.xml(&agency).replace(&holder.key_value(), &stranger.key_value());
            post(&demo, &config, "/saml", &naming(&referred(&words.id), &xml, "", &stranger))
        }),
        ("the key in the signature of the assertion", {
            let other = new(&stranger);
            let xml = other.xml(&agency).replacen(
                "</ds:SignatureValue>",
                &format!("</ds:SignatureValue>{}", key_info(&holder)),
                1,
            );
            post(&demo, &config, "/saml", &naming(&referred(&other.id), &xml, "", &holder))
        }),
        (
            "it is to bind a token",
            post(&demo, &config, "/saml", &naming(&referred(&words.id), &words.xml(&agency), &bound, &holder)),
        ),
        ("without a signature", post(&demo, &config, "/saml", &envelope(&words.xml(&agency), GENERIC, SAML20))),
    ] {
        assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("Assertion"), "{what}: {answer}");
    }
    let mut explain = std::process::Command::new(service::CHANCERY);
    let told = explain.args(["explain", &last, "--directory", demo.fact("record")]).output().unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    for said in [
        "proof=signature",
        "holder_key=",
        "allowed=true",
        "the key, which has no certificate, that the assertion confirms",
    ] {
        assert!(told.contains(said), "{said:?} is not in {told}");
    }
    assert!(!log().contains("violation"), "{}", log());
    let record = Path::new(demo.fact("record")).to_owned();
    assert_eq!(demo.stop().code(), Some(0));
    let held = Entries::open(&record).filter_map(|entry| match entry.unwrap().leaf.public {
        Public::Held(decision, held) => Some((decision.reason.to_string(), held.proof)),
        _ => None,
    });
    let mut held: Vec<_> = held.collect();
    assert_eq!(held.pop(), Some(("uncertified-key".to_owned(), Proof::Signature)));
    assert_eq!(held, vec![("allowed".to_owned(), Proof::Signature); 6]);
}

/// A request that an intermediary signed, with the assertion by a reference in the header, as WSS4J writes it.
fn vouched(assertion: &str, id: &str, intermediary: &Client) -> String {
    // Within its signature what is declared already is not declared again.
    let token = assertion.replacen("<saml:Assertion ", "<saml:Assertion xmlns=\"\" ", 1);
    let token = token.replacen(&format!("<ds:SignedInfo xmlns:ds=\"{DS}\">"), "<ds:SignedInfo>", 1);
    let parts = [
        Part::timestamp(Millis::now(), None),
        Part::to(ADDRESS),
        Part::body(GENERIC, ""),
        Part::action(),
        Part { id: "str", octets: token },
    ];
    let [stamp, to, body, action] = [0, 1, 2, 3].map(|at: usize| parts[at].octets.as_str());
    let info = dereferenced(&intermediary.signed_info(&parts), "str");
    let value = Base64::encode_string(&intermediary.sign(info.as_bytes()));
    let KeyReference::Certificate(der) = intermediary.reference() else { panic!("a certificate") };
    let certificate = Base64::encode_string(&der);
    let kind = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID";
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\"><s:Header>{action}{to}\
         <o:Security xmlns:o=\"{WSSE}\" xmlns:u=\"{WSU}\">{stamp}{assertion}<o:SecurityTokenReference u:Id=\"str\">\
         <o:KeyIdentifier ValueType=\"{kind}\">{id}</o:KeyIdentifier></o:SecurityTokenReference>\
         <ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>\
         <ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature></o:Security>\
         </s:Header>{body}</s:Envelope>"
    )
}

#[test]
fn an_intermediary_gets_a_token_for_whom_it_vouches_and_the_record_has_both() {
    if !service::possible("demo-vouching") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (agency, portal) = (Client::rsa(false), Client::new());
    let demo = reconfigured(directory.path(), |config| {
        let_in(config, &agency.certificate);
        std::fs::write(config.join("auth.d/portal.pem"), &portal.certificate).unwrap();
        // The agency's table is the last partner there is.
        let more = "[[saml_partner.intermediary]]\naccount = \"portal\"\nsubjects = [\"sam\"]\n";
        let endpoint = "[[endpoint]]\npath = \"/vouched\"\n";
        let auth = std::fs::read_to_string(config.join("auth.d/auth.toml")).unwrap();
        let place = auth.rfind("[[saml_partner.subject]]").unwrap();
        let auth = format!("{}{more}{}", &auth[..place], &auth[place..]);
        let credentials = format!("credentials = [\"sender-vouches\"]\naddresses = [\"{ADDRESS}\"]\n");
        std::fs::write(config.join("auth.d/auth.toml"), format!("{auth}\n{endpoint}{credentials}")).unwrap();
        append(config, "worker.d/worker.toml", &format!("{endpoint}credential = \"saml\"\n"));
        append(config, "auth.d/users.toml", "[users.portal]\ncertificates = [\"portal.pem\"]\n");
    });
    let config = directory.path().join("demo/etc");
    let sent = |body: &str| post(&demo, &config, "/vouched", body);
    let vouches = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches";
    let sam = || Words::saml20("sam@agency.example").but(crate::asserted::BEARER, vouches);
    let words = sam();
    let answer = sent(&vouched(&words.xml(&agency), &words.id, &portal));
    let log = || std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">sam@example.com<"), "{answer}\n{}", log());
    let (words, other) = (sam(), sam());
    for (what, body) in [
        ("vouched for by a stranger", vouched(&words.xml(&agency), &words.id, &Client::new())),
        ("made by whoever vouches", vouched(&words.xml(&portal), &words.id, &portal)),
        ("another than was signed", {
            vouched(&words.xml(&agency), &words.id, &portal)
                .replace(&words.xml(&agency), &other.xml(&agency))
                .replace(&format!(">{}<", words.id), &format!(">{}<", other.id))
        }),
        ("for something else", {
            vouched(&words.xml(&agency), &words.id, &portal)
                .replace(&format!(">{GENERIC}<"), ">urn:federation:MicrosoftOnline<")
        }),
        ("for nobody of his", {
            let alice = Words::saml20("alice@agency.example").but(crate::asserted::BEARER, vouches);
            vouched(&alice.xml(&agency), &alice.id, &portal)
        }),
        ("without a signature", envelope(&words.xml(&agency), GENERIC, SAML20)),
    ] {
        let answer = sent(&body);
        assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("Assertion"), "{what}: {answer}");
    }
    let log = log();
    assert!(!log.contains("violation"), "{log}");
    let record = Path::new(demo.fact("record")).to_owned();
    assert_eq!(demo.stop().code(), Some(0));
    let vouched = Entries::open(&record).filter_map(|entry| match entry.unwrap().private {
        PrivatePart::Kept(private) => match *private {
            Private::Vouched(both) => Some((both.account.to_string(), both.intermediary.to_string())),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(vouched.collect::<Vec<_>>(), [("sam".to_owned(), "portal".to_owned())]);
}
