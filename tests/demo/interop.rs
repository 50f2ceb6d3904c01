//! Clients and judges that none of us wrote, in `tests/interop`, each against a demo service. Skipped by
//! name where `tests/support/prepare` has not made their Python.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use chancery::wire::order::{Method, RequestIntegrity};

use crate::service::{self, Demo};

/// One service for all scripts. It ends with this process: a static is never dropped, but the thread that
/// started the supervisor dies with the process, and the supervisor is told.
fn shared() -> &'static Demo {
    static SERVICE: OnceLock<Demo> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let directory = tempfile::tempdir().unwrap().keep();
            let _ = send.send(Demo::start_with(&directory, |command| {
                command.arg("--die-with-parent");
            }));
            loop {
                std::thread::park();
            }
        });
        receive.recv().unwrap()
    })
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn possible(test: &str) -> bool {
    let python = root().join(".venv/bin/python").exists();
    if !python {
        println!("SKIPPED interop-{test}: no .venv; tests/support/prepare makes it");
    }
    python && service::possible(&format!("interop-{test}"))
}

fn script(name: &str) {
    if possible(name) {
        run(name, shared(), &[]);
    }
}

pub(crate) fn run(name: &str, demo: &Demo, more: &[&str]) {
    let mut command = Command::new(root().join(".venv/bin/python"));
    command.args(["-B", "-W", "error::DeprecationWarning:__main__"]);
    command.arg(root().join(format!("tests/interop/{name}.py"))).arg(&demo.ready_file).args(more);
    checked(name, &mut command);
}

/// Runs a client, which says what it has checked.
pub(crate) fn checked(name: &str, command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().any(|line| line.starts_with("ok ") || line.starts_with("SKIPPED ")), "{name} checked nothing");
}

#[test]
fn msal_python_chooses_its_endpoints_and_gets_tokens() {
    script("msal_client");
}

#[test]
fn zeep_gets_a_token_from_the_generic_endpoint() {
    script("zeep_client");
}

#[test]
fn xmlsec_and_signxml_accept_every_token_and_refuse_it_altered() {
    script("judges");
}

/// A demo with a token-signing key of that kind, which makes signatures of so many octets, and a relying
/// party for each algorithm it can sign with.
fn judged(key: &str, signature: &str, algorithms: &[&str]) {
    if !possible(&format!("{key}-judges")) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let made = Demo::start_with(directory.path(), |command| {
        command.args(["--demo-algorithm", key]);
    });
    let config = Path::new(made.fact("config")).to_owned();
    made.stop();
    for algorithm in algorithms {
        for (owner, more) in
            [("auth.d", String::new()), ("issuer.d", format!("signature_algorithm = \"{algorithm}\"\n"))]
        {
            let parties = config.join(owner).join("relying-parties");
            let text = std::fs::read_to_string(parties.join("microsoft.toml")).unwrap();
            let text = more + &text.replace("urn:federation:MicrosoftOnline", &format!("urn:interop:{algorithm}"));
            std::fs::write(parties.join(format!("{algorithm}.toml")), text).unwrap();
        }
    }
    run("algorithms", &Demo::start(directory.path()), &[&[signature], algorithms].concat());
}

const RSA: [&str; 3] = ["rsa-sha256", "rsa-sha384", "rsa-sha512"];

#[test]
fn judges_accept_every_algorithm_of_an_rsa_2048_key() {
    judged("rsa-2048", "256", &RSA);
}

#[test]
fn judges_accept_every_algorithm_of_an_rsa_3072_key() {
    judged("rsa-3072", "384", &RSA);
}

#[test]
fn judges_accept_every_algorithm_of_an_rsa_4096_key() {
    judged("rsa-4096", "512", &RSA);
}

#[test]
fn judges_accept_the_algorithm_of_a_p_256_key() {
    judged("p-256", "64", &["ecdsa-sha256"]);
}

#[test]
fn judges_accept_the_algorithm_of_a_p_384_key() {
    judged("p-384", "96", &["ecdsa-sha384"]);
}

/// A key and its certificate in files of `directory`.
pub(crate) fn client(directory: &Path, name: &str) -> [String; 2] {
    client_with(&rcgen::PKCS_RSA_SHA256, directory, name)
}

/// The same with a key of another kind.
pub(crate) fn client_with(kind: &'static rcgen::SignatureAlgorithm, directory: &Path, name: &str) -> [String; 2] {
    let key = rcgen::KeyPair::generate_for(kind).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    [("key", key.serialize_pem()), ("pem", certificate.pem())].map(|(extension, text)| {
        let path = directory.join(format!("{name}.{extension}"));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

/// Adds to a file of the configuration.
pub(crate) fn append(config: &Path, file: &str, more: &str) {
    let text = std::fs::read_to_string(config.join(file)).unwrap();
    std::fs::write(config.join(file), format!("{text}\n{more}")).unwrap();
}

/// How an operator lets a client in that signs: an account with a certificate, and three endpoints, two of them for
/// clients that sign no headers of WS-Addressing, `wsa:To` among them, and one of those for clients that sign by SHA-1.
fn let_signers_in(config: &Path, certificate: &str) {
    std::fs::copy(certificate, config.join("auth.d/machine.pem")).unwrap();
    append(
        config,
        "auth.d/users.toml",
        "[users.machine]\ncertificates = [\"machine.pem\"]\n[users.machine.attributes]\nmail = [\"machine@example.com\"]\n",
    );
    for (path, leniencies) in [
        ("/signed", "\"to-absent\", \"unsigned-addressing\""),
        ("/by-sha1", "\"to-absent\", \"unsigned-addressing\", \"rsa-sha1\", \"reference-sha1\""),
        ("/certificate", ""),
    ] {
        append(
            config,
            "auth.d/auth.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"signature\"]\n\
                 addresses = [\"https://sts.example.com{path}\"]\nleniencies = [{leniencies}]\n"
            ),
        );
        append(
            config,
            "worker.d/worker.toml",
            &format!("[[endpoint]]\npath = \"{path}\"\ncredential = \"signature\"\n"),
        );
    }
    // As for a vCenter: no addressing headers, no relying party named, tokens bound to the key that signed.
    append(
        config,
        "auth.d/auth.toml",
        "[[endpoint]]\npath = \"/vcenter\"\ncredentials = [\"password\", \"signature\"]\n\
         addresses = [\"https://sts.example.com/vcenter\"]\nleniencies = [\"to-absent\"]\n",
    );
    append(
        config,
        "worker.d/worker.toml",
        "[[endpoint]]\npath = \"/vcenter\"\ncredential = \"any\"\n\
         leniencies = [\"addressing-absent\", \"delegatable-ignored\"]\n",
    );
    let change = |file: &str, how: &dyn Fn(&str) -> String| {
        let text = std::fs::read_to_string(config.join(file)).unwrap();
        std::fs::write(config.join(file), how(&text)).unwrap();
    };
    let both = "confirmations = [\"bearer\", \"holder-of-key\"]";
    change("auth.d/auth.toml", &|text| format!("default_relying_party = \"generic\"\n{text}"));
    change("auth.d/relying-parties/generic.toml", &|text| format!("{both}\n{text}"));
    change("issuer.d/relying-parties/generic.toml", &|text| text.replace("confirmations = [\"bearer\"]", both));
    only_endpoints(config, &["\"signature\"", "\"any\""]);
}

/// Leaves the worker those endpoints alone in which one of these stands.
pub(crate) fn only_endpoints(config: &Path, words: &[&str]) {
    let worker = config.join("worker.d/worker.toml");
    let text = std::fs::read_to_string(&worker).unwrap();
    let has = |part: &str| words.iter().any(|word| part.contains(word));
    let kept = text.split("[[endpoint]]").enumerate().filter(|(index, part)| *index == 0 || has(part));
    std::fs::write(&worker, kept.map(|(_, part)| part).collect::<Vec<_>>().join("[[endpoint]]")).unwrap();
}

/// A demo made in `directory` and then configured by an operator.
pub(crate) fn reconfigured(directory: &Path, configure: impl FnOnce(&Path)) -> Demo {
    reconfigured_with(directory, configure, |_| {})
}

/// As [`reconfigured`], with more arguments or environment.
pub(crate) fn reconfigured_with(
    directory: &Path,
    configure: impl FnOnce(&Path),
    more: impl FnOnce(&mut Command),
) -> Demo {
    let made = Demo::start(directory);
    let config = Path::new(made.fact("config")).to_owned();
    let facts = |demo: &Demo| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_slice(&std::fs::read(&demo.ready_file).unwrap()).unwrap()
    };
    let mut ready = facts(&made);
    made.stop();
    configure(&config);
    let demo = Demo::configured(directory, more);
    // What only the demo tells, and where this one listens.
    ready.extend(facts(&demo));
    std::fs::write(&demo.ready_file, serde_json::to_vec(&ready).unwrap()).unwrap();
    demo
}

/// What the record has of the tokens issued by that method. The service is stopped for it.
pub(crate) fn issued_by(demo: Demo, method: Method) -> Vec<RequestIntegrity> {
    let record = Path::new(demo.fact("record")).to_owned();
    demo.stop();
    let issued = Entries::open(&record).filter_map(|entry| match entry.unwrap().leaf.public {
        Public::Intent(intent) if intent.method == method => Some(intent.request),
        _ => None,
    });
    issued.collect()
}

#[test]
fn zeep_sends_digests_and_the_record_says_so() {
    if !possible("digest") {
        return;
    }
    const SECRET: &str = "correct horse b\u{E4}ttery";
    let directory = tempfile::tempdir().unwrap();
    let demo = reconfigured(directory.path(), |config| {
        let user = format!("[users.robot]\ndigest_secret = \"{SECRET}\"\nattributes.mail = [\"robot@example.com\"]\n");
        append(config, "auth.d/users.toml", &user);
        let endpoint = "[[endpoint]]\npath = \"/digest\"\n";
        append(config, "auth.d/auth.toml", &format!("{endpoint}credentials = [\"password\", \"digest\"]\n"));
        append(config, "worker.d/worker.toml", &format!("{endpoint}credential = \"username\"\n"));
        only_endpoints(config, &["\"/digest\""]);
    });
    run("digest_client", &demo, &["robot", SECRET]);
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.contains("wrong-password-digest") && !log.contains("correct horse"), "{log}");
    assert_eq!(issued_by(demo, Method::Digest), [RequestIntegrity::Transport; 2]);
}

#[test]
fn zeep_xmlsec_and_pyvmomi_sign_requests_and_the_record_says_so() {
    if !possible("signed") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let ours = client(directory.path(), "machine");
    let other = client(directory.path(), "other");
    let demo = reconfigured(directory.path(), |config| let_signers_in(config, &ours[1]));
    let keys = [ours[0].as_str(), &ours[1], &other[0], &other[1]];
    run("signed_client", &demo, &keys);
    run("vcenter_client", &demo, &keys);
    let (by_signature, by_transport): (Vec<_>, Vec<_>) =
        issued_by(demo, Method::X509).into_iter().partition(|request| *request == RequestIntegrity::Signed);
    // Five of zeep's, two of xmlsec's and pyvmomi's sign the body, and one of xmlsec's does not.
    assert_eq!((by_signature.len(), by_transport.len()), (8, 1));
}

#[test]
fn signxml_and_xmlsec_sign_assertions_of_a_partner() {
    if !possible("saml") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (agency, other) = (client(directory.path(), "agency"), client(directory.path(), "other"));
    let certificate = std::fs::read_to_string(&agency[1]).unwrap();
    let demo = reconfigured(directory.path(), |config| crate::assertions::let_in(config, &certificate));
    run("saml_client", &demo, &[&agency[0], &agency[1], &other[0], &other[1]]);
    assert_eq!(issued_by(demo, Method::Saml), [RequestIntegrity::Transport; 7]);
}

#[test]
fn requests_in_the_shapes_of_three_other_clients_get_tokens_they_can_read() {
    script("shapes");
}

#[test]
fn answers_tokens_and_metadata_are_valid_by_the_published_schemas() {
    script("xsd");
}
