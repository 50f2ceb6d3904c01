//! Toolkits in Java and JavaScript that none of us wrote, in `tests/interop/java` and `tests/interop/node`, against a
//! demo service. Skipped by name where `tests/support/prepare` has not fetched them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use chancery::wire::order::{Method, RequestIntegrity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interop::{append, checked, client, client_with, issued_by, only_endpoints, reconfigured, root};
use crate::service::{self, Demo};

const SECRET: &str = "correct horse b\u{E4}ttery";
pub(crate) const HOST: &str = "https://sts.example.com";

/// Is a toolkit here, in that directory of ours?
pub(crate) fn possible(test: &str, directory: &str) -> bool {
    let here = root().join(directory).join(".made-for").exists();
    if !here {
        println!("SKIPPED interop-{test}: no {directory}; tests/support/prepare makes it");
    }
    here && service::possible(&format!("interop-{test}"))
}

/// An endpoint for every credential these clients have, one that puts up with what node-soap does unasked, and two for
/// how CXF signs unasked: by SHA-1, whatever its suite digests by, and with a suite that does so by SHA-1, too.
fn configure(config: &Path, certificate: &str) {
    std::fs::copy(certificate, config.join("auth.d/machine.pem")).unwrap();
    append(
        config,
        "auth.d/users.toml",
        &format!(
            "[users.machine]\ncertificates = [\"machine.pem\"]\nattributes.mail = [\"machine@example.com\"]\n\
             [users.robot]\ndigest_secret = \"{SECRET}\"\nattributes.mail = [\"robot@example.com\"]\n"
        ),
    );
    let tolerant = "\"to-absent\", \"enveloped-transform\", \"unsigned-addressing\"";
    for (path, leniencies) in [("/clients", ""), ("/tolerant", tolerant)] {
        append(
            config,
            "auth.d/auth.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"password\", \"digest\", \"signature\"]\n\
                 addresses = [\"{HOST}{path}\"]\nleniencies = [{leniencies}]\n"
            ),
        );
        append(
            config,
            "worker.d/worker.toml",
            // CXF finds the port of an address, and with two there takes either.
            &format!("[[endpoint]]\npath = \"{path}\"\ncredential = \"any\"\ntrust = \"1.3\"\n"),
        );
    }
    // How a symmetric binding is let in, and one whose clients want their MAC repeated and use SHA-1 for it.
    for (path, leniencies, confirms) in [("/symmetric", "", false), ("/confirming", "\"hmac-sha1\"", true)] {
        append(
            config,
            "auth.d/auth.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"password-symmetric\"]\nencryption = true\n\
                 addresses = [\"{HOST}{path}\"]\nleniencies = [{leniencies}]\n"
            ),
        );
        append(
            config,
            "worker.d/worker.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredential = \"username-symmetric\"\nencryption = true\n\
                 signature_confirmation = {confirms}\n"
            ),
        );
    }
    // What is described is found by its description, which says nothing of how a key signs: CXF then does so by SHA-1.
    append(
        config,
        "auth.d/auth.toml",
        &format!(
            "[[endpoint]]\npath = \"/signed\"\ncredentials = [\"signature\"]\naddresses = [\"{HOST}/signed\"]\n\
             leniencies = [\"rsa-sha1\"]\n"
        ),
    );
    append(config, "worker.d/worker.toml", "[[endpoint]]\npath = \"/signed\"\ncredential = \"signature\"\n");
    // Not described: what is told a description takes one of those that are.
    for (path, leniencies) in [("/by-sha1", "\"rsa-sha1\""), ("/all-by-sha1", "\"rsa-sha1\", \"reference-sha1\"")] {
        append(
            config,
            "auth.d/auth.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"signature\"]\naddresses = [\"{HOST}{path}\"]\n\
                 leniencies = [{leniencies}]\n"
            ),
        );
        append(
            config,
            "worker.d/worker.toml",
            &format!("[[endpoint]]\npath = \"{path}\"\nprofile = \"adfs\"\ncredential = \"signature\"\n"),
        );
    }
    // And how an asymmetric one is answered.
    for (path, replies, confirms, leniencies) in [
        ("/answer-signed", "signed", false, ""),
        ("/answer-confirmed", "signed", true, ""),
        ("/answer-sealed", "sealed", true, ""),
        ("/chained", "signed", true, "\"aes-cbc\""),
    ] {
        append(
            config,
            "auth.d/auth.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"signature\"]\nreplies = \"{replies}\"\n\
                 encryption = true\naddresses = [\"{HOST}{path}\"]\nleniencies = [{leniencies}]\n"
            ),
        );
        append(
            config,
            "worker.d/worker.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredential = \"signature\"\nreplies = \"{replies}\"\n\
                 trust = \"1.3\"\nencryption = true\nsignature_confirmation = {confirms}\n"
            ),
        );
    }
    only_endpoints(config, &["\"any\"", "\"username-symmetric\"", "\"signature\""]);
    append(config, "worker.d/worker.toml", "[[metadata]]\npath = \"/wsdl\"\nkind = \"wsdl\"\n");
}

/// Tells auth where the service listens: these clients sign the address they call, and nobody knew it before.
pub(crate) fn addressed(demo: &Demo, directory: &Path) {
    let (_, port) = demo.fact("address").rsplit_once(':').unwrap();
    let file = directory.join("demo/etc/auth.d/auth.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(HOST, &format!("https://localhost:{port}"))).unwrap();
    kill(Pid::from_raw(demo.pid("auth")), Signal::SIGHUP).unwrap();
    let begun = Instant::now();
    while !std::fs::read_to_string(directory.join("log")).unwrap().contains("event=\"reloaded\"") {
        assert!(begun.elapsed() < Duration::from_secs(10), "auth did not read its configuration again");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Tells the worker, too, for what it publishes: who asks at an address looks there for the same address.
fn listed(demo: &Demo, directory: &Path) {
    let (_, port) = demo.fact("address").rsplit_once(':').unwrap();
    let file = directory.join("demo/etc/worker.d/worker.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, from) = text.split_once("public_url = \"").unwrap();
    let (_, after) = from.split_once('"').unwrap();
    std::fs::write(&file, format!("{before}public_url = \"https://localhost:{port}\"{after}")).unwrap();
    let log = || std::fs::read_to_string(directory.join("log")).unwrap();
    let ready =
        || log().lines().filter(|line| line.contains(" worker@1: ") && line.contains("event=\"ready\"")).count();
    let (before, begun) = (ready(), Instant::now());
    kill(Pid::from_raw(demo.pid("worker@1")), Signal::SIGTERM).unwrap();
    while ready() == before {
        assert!(begun.elapsed() < Duration::from_secs(10), "no worker follows: {}", log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a client against a service of its own; gives what the record has of signed requests.
fn served(name: &str, command: &mut Command) -> Vec<RequestIntegrity> {
    let directory = tempfile::tempdir().unwrap();
    let [ours, other] = ["machine", "other"].map(|name| client(directory.path(), name));
    let demo = reconfigured(directory.path(), |config| configure(config, &ours[1]));
    addressed(&demo, directory.path());
    listed(&demo, directory.path());
    command.arg(&demo.ready_file).args(["robot", SECRET]).args(ours).args(other);
    command.arg(directory.path().join("demo/etc/issuer.d/unwrap-1.pem"));
    command.arg(directory.path().join("demo/etc/issuer.d/message-1.pem"));
    checked(name, command);
    issued_by(demo, Method::X509)
}

/// The client in Java, of a machine that is told this.
pub(crate) fn java(told: &[String]) -> Command {
    let mut java = Command::new("java");
    // The first of its compilers is enough for a program that runs once.
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]).args(told).arg("-cp").arg(root().join(".java/*"));
    java.arg(root().join("tests/interop/java/CxfClient.java"));
    java
}

#[test]
fn the_sts_client_of_apache_cxf_gets_tokens_by_password_digest_signature_and_symmetric_binding() {
    if !possible("cxf", ".java") {
        return;
    }
    assert_eq!(served("CxfClient", &mut java(&[])), [RequestIntegrity::Signed; 39]);
}

#[test]
fn apache_cxf_signs_by_keys_that_assertions_write_out() {
    if !possible("cxf-holders", ".java") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [agency, holder, other] = ["agency", "holder", "other"].map(|name| client(directory.path(), name));
    let curve = client_with(&rcgen::PKCS_ECDSA_P256_SHA256, directory.path(), "curve");
    let certificate = std::fs::read_to_string(&agency[1]).unwrap();
    let demo = reconfigured(directory.path(), |config| crate::assertions::let_in(config, &certificate));
    addressed(&demo, directory.path());
    let mut java = java(&[]);
    java.arg(&demo.ready_file).arg("holders").args(agency).args(holder).args(other).args(curve);
    checked("CxfClient", &mut java);
    assert_eq!(issued_by(demo, Method::Saml), [RequestIntegrity::Signed; 4]);
}

#[test]
fn apache_cxf_makes_macs_by_keys_that_wss4j_seals_in_assertions() {
    if !possible("cxf-sharers", ".java") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [agency, other] = ["agency", "other"].map(|name| client(directory.path(), name));
    let certificate = std::fs::read_to_string(&agency[1]).unwrap();
    let demo = reconfigured(directory.path(), |config| {
        crate::assertions::let_in(config, &certificate);
        let file = config.join("auth.d/auth.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let name = "name = \"agency\"\n";
        assert!(text.contains(name));
        let text = text.replace(name, &format!("{name}holder_proofs = [\"mac\"]\n"));
        let saml = text.split("[[endpoint]]").find(|part| part.contains("path = \"/saml\"")).unwrap();
        let old = saml.split("\n[").next().unwrap().replace("/saml\"", "/saml-by-sha1\"");
        let lenient = format!("[[endpoint]]{old}\nleniencies = [\"hmac-sha1\", \"reference-sha1\"]\n");
        std::fs::write(&file, format!("{text}\n{lenient}")).unwrap();
        let file = config.join("worker.d/worker.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let served = "[[endpoint]]\npath = \"/saml-by-sha1\"\ncredential = \"saml\"\n";
        std::fs::write(&file, format!("{text}\n{served}")).unwrap();
    });
    addressed(&demo, directory.path());
    let mut java = java(&[]);
    java.arg(&demo.ready_file).arg("sharers").args(agency).args(other);
    java.arg(directory.path().join("demo/etc/issuer.d/unwrap-1.pem"));
    checked("CxfClient", &mut java);
    use RequestIntegrity::{Signed, Transport};
    let expected = [Signed, Signed, Transport, Signed, Signed];
    assert_eq!(issued_by(demo, Method::Saml), [expected, expected].concat());
}

#[test]
fn node_soap_gets_tokens_by_password_digest_and_signature() {
    if !possible("node-soap", ".node") {
        return;
    }
    let mut node = Command::new("node");
    node.env("NODE_PATH", root().join(".node/node_modules")).arg("--no-deprecation");
    node.arg(root().join("tests/interop/node/soap_client.js"));
    assert_eq!(served("soap_client", &mut node), [RequestIntegrity::Signed; 3]);
}
