//! JWTs as a credential, through the front door of the whole service: those of an issuer who was written here, for
//! whoever has one, for who signs the message and for who connects with a certificate, and those that PyJWT makes.

use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use chancery::wire::Millis;
use chancery::wire::evidence::KeyReference;
use chancery::wire::order::{Method, RequestIntegrity};

use crate::assertions::{GENERIC, SAML20, between, envelope, post};
use crate::interop::{append, checked, issued_by, only_endpoints, possible, reconfigured_with, root, run};
use crate::jwts::{Words, encoded, jwk, jwks, text};
use crate::service;
use crate::signed::{Client, DS, Part, SOAP, TRUST};

const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const ADDRESS: &str = "https://sts.example.com/jwt";

/// How an operator lets in whom an issuer vouches for, also over a listener that asks for certificates.
fn let_in(config: &Path, keys: &str) {
    let both = "confirmations = [\"bearer\", \"holder-of-key\"]";
    for (file, change) in [
        ("auth.d/relying-parties/generic.toml", &(|text: &str| format!("{both}\n{text}")) as &dyn Fn(&str) -> String),
        ("issuer.d/relying-parties/generic.toml", &|text| text.replace("confirmations = [\"bearer\"]", both)),
        ("auth.d/auth.toml", &|text| format!("server_certificates = [\"tls.pem\"]\n{text}")),
        ("auth.d/users.toml", &|text| {
            format!("{text}\n[users.sam]\njwt_issuer = \"cloud\"\nattributes.mail = [\"sam@example.com\"]\n")
        }),
    ] {
        let text = std::fs::read_to_string(config.join(file)).unwrap();
        std::fs::write(config.join(file), change(&text)).unwrap();
    }
    std::fs::copy(config.join("worker.d/tls.pem"), config.join("auth.d/tls.pem")).unwrap();
    std::fs::write(config.join("auth.d/cloud.json"), keys).unwrap();
    append(
        config,
        "auth.d/auth.toml",
        &format!(
            "[[endpoint]]\npath = \"/jwt\"\ncredentials = [\"jwt\"]\naddresses = [\"{ADDRESS}\"]\n[[jwt_issuer]]\n\
             name = \"cloud\"\nissuer = \"https://login.cloud.example/\"\njwks = \"cloud.json\"\n\
             audiences = [\"https://sts.example.com/\"]\n[[jwt_issuer.subject]]\nclaim = \"sub\"\n\
             capture = '([a-z]+)@cloud\\.example'\n"
        ),
    );
    append(
        config,
        "worker.d/worker.toml",
        "[[endpoint]]\npath = \"/jwt\"\ncredential = \"jwt\"\n[[listener]]\nname = \"certificates\"\n\
         client_certificates = \"asked\"\n",
    );
    only_endpoints(config, &["\"/jwt\""]);
}

fn token(jwt: &str) -> String {
    let octets = Base64::encode_string(jwt.as_bytes());
    format!(
        "<o:BinarySecurityToken ValueType=\"urn:ietf:params:oauth:token-type:jwt\">{octets}</o:BinarySecurityToken>"
    )
}

/// A request for a bound token that the holder of a key signed, beside a JWT that confirms it.
fn signed(jwt: &str, holder: &Client) -> String {
    let more = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    let parts = [Part::timestamp(Millis::now(), None), Part::to(ADDRESS), Part::body(GENERIC, &more), Part::action()];
    let [stamp, to, body, action] = [0, 1, 2, 3].map(|at: usize| parts[at].octets.as_str());
    let info = holder.signed_info(&parts);
    let value = Base64::encode_string(&holder.sign(info.as_bytes()));
    let certificate = certificate(holder);
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\"><s:Header>{action}{to}\
         <o:Security xmlns:o=\"{WSSE}\">{stamp}{}<o:BinarySecurityToken xmlns:u=\"{}\" u:Id=\"x\" ValueType=\"{X509}\">\
         {certificate}</o:BinarySecurityToken><ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}\
         </ds:SignatureValue><ds:KeyInfo><o:SecurityTokenReference><o:Reference URI=\"#x\"/></o:SecurityTokenReference>\
         </ds:KeyInfo></ds:Signature></o:Security></s:Header>{body}</s:Envelope>",
        token(jwt),
        crate::signed::WSU
    )
}

/// A client's certificate, base64.
fn certificate(client: &Client) -> String {
    let KeyReference::Certificate(der) = client.reference() else { panic!("a certificate") };
    Base64::encode_string(&der)
}

fn held_by(client: &Client) -> Words {
    let der = Base64::decode_vec(&certificate(client)).unwrap();
    sam().but("cnf", format!("{{\"x5t#S256\":\"{}\"}}", encoded(digest(&SHA256, &der))))
}

fn sam() -> Words {
    Words::new("sam@cloud.example")
}

#[test]
fn a_jwt_of_an_issuer_gets_its_subject_a_token_and_no_other_does() {
    if !service::possible("demo-jwts") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (cloud, old, holder) = (Client::new(), Client::rsa(false), Client::new());
    let keys = jwks(&[jwk(&cloud, ",\"kid\":\"new\""), jwk(&old, "")]);
    let demo = reconfigured_with(
        directory.path(),
        |config| let_in(config, &keys),
        |command| _ = command.args(["--listener", "certificates=0"]),
    );
    let config = directory.path().join("demo/etc");
    let sent = |body: &str| post(&demo, &config, "/jwt", body);
    let borne = |jwt: &str| sent(&envelope(&token(jwt), GENERIC, SAML20));
    for (words, key) in [(sam(), &cloud), (sam().headed("kid", text("new")), &cloud), (sam(), &old)] {
        let answer = borne(&words.signed(key));
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">sam@example.com<"), "{answer}");
        assert!(answer.contains("ac:classes:unspecified"), "{answer}");
    }
    let once = sam().but("jti", text("one")).signed(&cloud);
    assert!(borne(&once).starts_with("HTTP/1.1 200"));
    let answer = sent(&signed(&held_by(&holder).signed(&cloud), &holder));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">sam@example.com<"), "{answer}");
    let bound = between(&answer, "RequestedSecurityToken>", "RequestedSecurityToken>");
    assert!(bound.contains("cm:holder-of-key") && bound.contains(&certificate(&holder)), "{bound}");
    let good = sam().signed(&cloud);
    let (head, rest) = good.split_once('.').unwrap();
    let stranger = Client::new();
    let asked_as = |body: String| envelope(&body, GENERIC, SAML20);
    for (what, body) in [
        ("twice", asked_as(token(&once))),
        (
            "altered",
            asked_as(token(&format!(
                "{head}.{}{}",
                encoded("{\"iss\":\"https://login.cloud.example/\"}"),
                &rest[rest.find('.').unwrap()..]
            ))),
        ),
        ("by a stranger", asked_as(token(&sam().signed(&stranger)))),
        ("for another", asked_as(token(&sam().but("aud", text(GENERIC)).signed(&cloud)))),
        ("about an account of ours", asked_as(token(&Words::new("alice@cloud.example").signed(&cloud)))),
        ("by nobody", asked_as(token(&format!("{}.{}.", encoded("{\"alg\":\"none\"}"), encoded(sam().claims()))))),
        ("with a key it brings", asked_as(token(&sam().headed("jwk", jwk(&stranger, "")).signed(&stranger)))),
        ("twice in one", asked_as(token(&good) + &token(&good))),
        ("not in base64", asked_as(token(&good).replace(&Base64::encode_string(good.as_bytes()), &good))),
        ("for a holder, by nobody", asked_as(token(&held_by(&holder).signed(&cloud)))),
        ("for a holder, by a stranger", signed(&held_by(&holder).signed(&cloud), &stranger)),
        ("for whoever has it, beside a signature", signed(&good, &holder)),
        ("for a holder who asks for something else", {
            let body = signed(&held_by(&holder).signed(&cloud), &holder);
            body.replace(&format!(">{GENERIC}<"), ">urn:federation:MicrosoftOnline<")
        }),
    ] {
        let answer = sent(&body);
        assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("Assertion"), "{what}: {answer}");
    }
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("violation") && !log.contains(&good), "{log}");
    let record = Path::new(demo.fact("record")).to_owned();
    assert_eq!(demo.stop().code(), Some(0));
    let (mut decisions, mut intents) = (Vec::new(), Vec::new());
    for entry in Entries::open(&record) {
        match entry.unwrap().leaf.public {
            Public::Decision(decision) if decision.method == Method::Jwt && decision.allowed => {
                decisions.push(decision.authority.unwrap().to_string());
            }
            Public::Intent(intent) if intent.method == Method::Jwt => {
                intents.push((intent.request, intent.holder.is_some()));
            }
            _ => {}
        }
    }
    assert_eq!(decisions, ["cloud"; 5]);
    let (bearer, bound) = ((RequestIntegrity::Transport, false), (RequestIntegrity::Signed, true));
    assert_eq!(intents, [bearer, bearer, bearer, bearer, bound]);
}

#[test]
fn pyjwt_makes_jwts_by_every_algorithm_and_for_holders_of_keys() {
    if !possible("jwt") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let keys = keys.to_str().unwrap();
    let script = root().join("tests/interop/jwt_client.py");
    let mut command = Command::new(root().join(".venv/bin/python"));
    checked("jwt-keys", command.arg("-B").arg(script).args(["keys", keys]));
    let demo = reconfigured_with(
        directory.path(),
        |config| let_in(config, &std::fs::read_to_string(Path::new(keys).join("cloud.json")).unwrap()),
        |command| _ = command.args(["--listener", "certificates=0"]),
    );
    run("jwt_client", &demo, &[keys]);
    // Ten algorithms, two with more in them, one once, and three keys confirmed in three ways.
    assert_eq!(issued_by(demo, Method::Jwt), [RequestIntegrity::Transport; 10 + 2 + 1 + 9]);
}
