//! Tickets of a KDC through the front door of the whole service, by HTTP Negotiate and in messages: from a client of
//! MIT Kerberos, from requests-kerberos, and from Apache CXF.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64ct::{Base64, Encoding};
use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use chancery::wire::order::{Method, RequestIntegrity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::assertions::{GENERIC, SAML20, envelope, post, post_with};
use crate::interop::{append, checked, issued_by, only_endpoints, reconfigured, root};
use crate::kdc::{Initiator, Kdc, SERVICE, bound_to, installed};
use crate::service::{self, Demo};
use crate::toolkits;

const PATH: &str = "/adfs/services/trust/13/windowstransport";

/// Where tickets come in messages: bound ones or with a MAC by their key, and where they need be neither.
const MIXED: &str = "/adfs/services/trust/13/kerberosmixed";
const LENIENT: &str = "/tickets";

/// How an operator lets in the users of a realm.
fn let_in(config: &Path, kdc: &Kdc) {
    let text = std::fs::read_to_string(config.join("auth.d/auth.toml")).unwrap();
    std::fs::write(config.join("auth.d/auth.toml"), format!("server_certificates = [\"tls.pem\"]\n{text}")).unwrap();
    std::fs::copy(config.join("worker.d/tls.pem"), config.join("auth.d/tls.pem")).unwrap();
    let user = "[users.mixed]\nkerberos_realm = \"corp\"\nattributes.mail = [\"mixed@example.com\"]\n";
    append(config, "auth.d/users.toml", user);
    let endpoint = format!("[[endpoint]]\npath = \"{PATH}\"\n");
    append(
        config,
        "auth.d/auth.toml",
        &format!(
            "[[endpoint]]\npath = \"/sts\"\n{endpoint}credentials = [\"kerberos\"]\n[[kerberos_realm]]\nname = \"corp\"\nrealm = \"EXAMPLE.COM\"\n\
             [[kerberos_realm.subject]]\ncapture = '([A-Za-z]+)'\ncase = \"lower\"\n"
        ),
    );
    append(config, "worker.d/worker.toml", &format!("{endpoint}profile = \"adfs\"\ncredential = \"kerberos\"\n"));
    for (path, profile, leniencies) in
        [(MIXED, "adfs", ""), (LENIENT, "generic", "\"unbound-ticket\", \"hmac-sha1\", \"reference-sha1\"")]
    {
        let endpoint = format!("[[endpoint]]\npath = \"{path}\"\n");
        let rules = format!(
            "credentials = [\"kerberos-token\"]\naddresses = [\"{}{path}\"]\nleniencies = [{leniencies}]\n",
            toolkits::HOST
        );
        append(config, "auth.d/auth.toml", &(endpoint.clone() + &rules));
        let serves = format!("profile = \"{profile}\"\ncredential = \"kerberos-token\"\n");
        append(config, "worker.d/worker.toml", &(endpoint + &serves));
    }
    only_endpoints(config, &["\"/sts\"", PATH, MIXED, LENIENT]);
    let directory = config.join("kerberos.d");
    std::fs::create_dir(&directory).unwrap();
    std::fs::copy(kdc.keytab(), directory.join("keytab")).unwrap();
    std::fs::set_permissions(directory.join("keytab"), PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!("services = [\"{SERVICE}\"]\nkeytab = \"keytab\"\nstate_directory = \"../../kerberos\"\n");
    std::fs::write(directory.join("kerberos.toml"), text).unwrap();
}

fn possible(test: &str) -> bool {
    service::possible(&format!("demo-{test}")) && installed(test)
}

fn begun(kdc: &Kdc, config: &Path) -> (Initiator, String) {
    let certificate = CertificateDer::from_pem_file(config.join("worker.d/tls.pem")).unwrap();
    let client = kdc.begin("Mixed", SERVICE, &["bind", &bound_to(&certificate)]);
    let header = format!("Authorization: Negotiate {}\r\n", Base64::encode_string(&client.token));
    (client, header)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = answer.split("\r\n").take_while(|line| !line.is_empty());
    lines.find_map(|line| {
        line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, text)| text)
    })
}

#[test]
fn a_ticket_gets_its_user_a_token_by_http_negotiate_and_nothing_else_does() {
    if !possible("tickets") {
        return;
    }
    let (directory, kdc) = (tempfile::tempdir().unwrap(), Kdc::start());
    let demo = reconfigured(directory.path(), |config| let_in(config, &kdc));
    let config = directory.path().join("demo/etc");
    let body = envelope("", GENERIC, SAML20);
    let sent = |head: &str, body: &str| post_with(&demo, &config, PATH, head, body);

    let asked = sent("", &body);
    assert!(asked.starts_with("HTTP/1.1 401") && !asked.contains("Envelope"), "{asked}");
    assert_eq!(header(&asked, "www-authenticate"), Some("Negotiate"));

    let (client, good) = begun(&kdc, &config);
    let answer = sent(&good, &body);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">mixed@example.com<"), "{answer}");
    assert!(answer.contains("urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos"), "{answer}");
    let ours = header(&answer, "www-authenticate").and_then(|text| text.strip_prefix("Negotiate ")).unwrap();
    assert!(client.completes(&Base64::decode_vec(ours).unwrap()), "it is we who have the key");

    let saml11 = envelope("", GENERIC, "urn:oasis:names:tc:SAML:1.0:assertion");
    let answer = sent(&begun(&kdc, &config).1, &saml11);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("urn:ietf:rfc:1510"), "{answer}");
    // No security header at all, as clients send that integrate with Windows.
    let (from, to) = (body.find("<o:Security").unwrap(), body.find("</o:Security>").unwrap() + "</o:Security>".len());
    let bare = [&body[..from], &body[to..]].concat();
    assert!(sent(&begun(&kdc, &config).1, &bare).starts_with("HTTP/1.1 200"));

    let password = "<o:UsernameToken><o:Username>alice</o:Username><o:Password>x</o:Password></o:UsernameToken>";
    let fresh = || begun(&kdc, &config).1;
    for (what, head, body, status, fault) in [
        ("twice", good.clone(), &body, "500", "FailedAuthentication"),
        (
            "NTLM",
            "Authorization: Negotiate TlRMTVNTUAABAAAAl4II4g==\r\n".to_owned(),
            &body,
            "500",
            "FailedAuthentication",
        ),
        ("NTLM by its own name", "Authorization: NTLM TlRMTVNTUAABAAAAl4II4g==\r\n".to_owned(), &body, "401", ""),
        ("a password in the head", "Authorization: Basic YWxpY2U6eA==\r\n".to_owned(), &body, "401", ""),
        ("not in base64", "Authorization: Negotiate !\r\n".to_owned(), &body, "400", ""),
        ("two", fresh() + &fresh(), &body, "400", ""),
        ("from a page", format!("Origin: https://intranet.example\r\n{}", fresh()), &body, "403", ""),
        ("from a page that has none", "Origin: null\r\n".to_owned(), &body, "403", ""),
        ("beside a password", fresh(), &envelope(password, GENERIC, SAML20), "500", "UnsupportedSecurityToken"),
        ("a head that is too large", format!("Authorization: Negotiate {}\r\n", "A".repeat(20_000)), &body, "431", ""),
    ] {
        let answer = sent(&head, body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(fault), "{what}: {answer}");
        assert!(!answer.contains("Assertion"), "{what}: {answer}");
        let offered = if status == "401" { Some("Negotiate") } else { None };
        assert_eq!(header(&answer, "www-authenticate"), offered, "{what}");
    }
    // A ticket proves nobody at another endpoint.
    assert!(!post_with(&demo, &config, "/sts", &fresh(), &body).starts_with("HTTP/1.1 200"));

    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.contains("reason=\"ntlm\"") && log.contains("reason=\"replayed-ticket\""), "{log}");
    assert!(!log.contains("violation") && !log.contains(&Base64::encode_string(&client_token(&good))[..64]), "{log}");
    let record = Path::new(demo.fact("record")).to_owned();
    assert_eq!(demo.stop().code(), Some(0));
    let decided = Entries::open(&record).filter_map(|entry| match entry.unwrap().leaf.public {
        Public::Decision(decision) if decision.method == Method::Kerberos && decision.allowed => {
            Some((decision.authority.unwrap().to_string(), decision.endpoint.to_string()))
        }
        _ => None,
    });
    assert_eq!(decided.collect::<Vec<_>>(), vec![("corp".to_owned(), PATH.to_owned()); 3]);
}

fn client_token(head: &str) -> Vec<u8> {
    let text = head.trim_end().strip_prefix("Authorization: Negotiate ").unwrap();
    Base64::decode_vec(text).unwrap()
}

/// A ticket in the security header.
fn binary(kind: &str, token: &[u8]) -> String {
    let profile = "http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1";
    format!(
        "<o:BinarySecurityToken u:Id=\"k\" ValueType=\"{profile}#{kind}\">{}</o:BinarySecurityToken>",
        Base64::encode_string(token)
    )
}

#[test]
fn a_ticket_in_a_message_gets_its_user_a_token_once_whichever_way_it_comes_first() {
    if !possible("binary-tickets") {
        return;
    }
    let (directory, kdc) = (tempfile::tempdir().unwrap(), Kdc::start());
    let demo = reconfigured(directory.path(), |config| let_in(config, &kdc));
    let config = directory.path().join("demo/etc");
    let certificate = CertificateDer::from_pem_file(config.join("worker.d/tls.pem")).unwrap();
    let bound = bound_to(&certificate);
    let token = || kdc.begin("Mixed", SERVICE, &["raw", "bind", &bound]).token.clone();
    let (framed, bare) = ("GSS_Kerberosv5_AP_REQ", "Kerberosv5_AP_REQ4120");
    let sent = |path: &str, credential: &str| post(&demo, &config, path, &envelope(credential, GENERIC, SAML20));

    let good = token();
    let answer = sent(MIXED, &binary(framed, &good));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(">mixed@example.com<"), "{answer}");
    assert!(answer.contains("urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos"), "{answer}");
    assert_eq!(header(&answer, "www-authenticate"), None);
    let alone = kdc.begin("Mixed", SERVICE, &["ap-req"]).token.clone();
    assert!(sent(LENIENT, &binary(bare, &alone)).starts_with("HTTP/1.1 200"));

    // One that was negotiated by, and one that comes by HTTP Negotiate afterwards.
    let body = envelope("", GENERIC, SAML20);
    let negotiated = token();
    let head = |token: &[u8]| format!("Authorization: Negotiate {}\r\n", Base64::encode_string(token));
    assert!(post_with(&demo, &config, PATH, &head(&negotiated), &body).starts_with("HTTP/1.1 200"));
    let again = post_with(&demo, &config, PATH, &head(&good), &body);
    let password = "<o:UsernameToken><o:Username>alice</o:Username><o:Password>x</o:Password></o:UsernameToken>";
    let (failed, unsupported) = ("FailedAuthentication", "UnsupportedSecurityToken");
    for (what, answer, fault) in [
        ("twice", sent(MIXED, &binary(framed, &good)), failed),
        ("twice, by another way", again, failed),
        ("negotiated by before", sent(MIXED, &binary(framed, &negotiated)), failed),
        ("not bound", sent(MIXED, &binary(framed, &kdc.begin("Mixed", SERVICE, &["raw"]).token)), failed),
        ("not bound to anything", sent(MIXED, &binary(bare, &kdc.begin("Mixed", SERVICE, &["ap-req"]).token)), failed),
        ("of another form", sent(MIXED, &binary(bare, &token())), failed),
        ("SPNEGO", sent(MIXED, &binary(framed, &kdc.token("Mixed", &bound))), failed),
        ("NTLM", sent(MIXED, &binary(framed, b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2")), failed),
        ("beside a password", sent(MIXED, &(binary(framed, &token()) + password)), unsupported),
        ("where passwords are due", sent("/sts", &binary(framed, &token())), unsupported),
        (
            "two",
            sent(MIXED, &(binary(framed, &token()) + &binary(framed, &token()).replace("\"k\"", "\"l\""))),
            "InvalidSecurity",
        ),
        ("too large", sent(MIXED, &binary(framed, &vec![0x60; 80_000])), ""),
    ] {
        assert!(!answer.starts_with("HTTP/1.1 200") && answer.contains(fault), "{what}: {answer}");
        assert!(!answer.contains("Assertion"), "{what}: {answer}");
    }
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    for reason in ["replayed-ticket", "unbound-ticket", "unreadable-ticket", "negotiate-mechanism", "ntlm"] {
        assert!(log.contains(&format!("reason=\"{reason}\"")), "{reason}: {log}");
    }
    assert!(!log.contains("violation") && !log.contains(&Base64::encode_string(&good)[..64]), "{log}");
    assert_eq!(issued_by(demo, Method::Kerberos), [RequestIntegrity::Transport; 3]);
}

#[test]
fn the_sts_client_of_apache_cxf_gets_tokens_by_tickets_and_by_macs_of_their_keys() {
    if !toolkits::possible("cxf-kerberos", ".java") || !possible("cxf") {
        return;
    }
    let (directory, kdc) = (tempfile::tempdir().unwrap(), Kdc::start());
    let demo = reconfigured(directory.path(), |config| let_in(config, &kdc));
    toolkits::addressed(&demo, directory.path());
    let login = directory.path().join("login.conf");
    let cache = kdc.login("Mixed");
    let text = format!(
        "client {{ com.sun.security.auth.module.Krb5LoginModule required useTicketCache=true doNotPrompt=true \
         ticketCache=\"{}\"; }};\n",
        cache.display()
    );
    std::fs::write(&login, text).unwrap();
    let mut java = toolkits::java(&[
        format!("-Djava.security.krb5.conf={}", kdc.configuration().display()),
        format!("-Djava.security.auth.login.config={}", login.display()),
    ]);
    checked("CxfClient", java.arg(&demo.ready_file).args(["client", SERVICE, MIXED, LENIENT]));
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    for reason in ["unbound-ticket", "misaddressed", "mac-algorithm", "sha1"] {
        assert!(log.contains(&format!("reason=\"{reason}\"")), "{reason}: {log}");
    }
    use RequestIntegrity::{Signed, Transport};
    assert_eq!(issued_by(demo, Method::Kerberos), [Transport, Transport, Signed, Signed, Transport]);
}

#[test]
fn kerberos_that_is_killed_is_started_again_and_nobody_else_notices() {
    if !possible("killed") {
        return;
    }
    let (directory, kdc) = (tempfile::tempdir().unwrap(), Kdc::start());
    let demo = reconfigured(directory.path(), |config| let_in(config, &kdc));
    let config = directory.path().join("demo/etc");
    let body = envelope("", GENERIC, SAML20);
    let password = std::fs::read_to_string(directory.path().join("demo/alice.password")).unwrap();
    let alice = format!(
        "<o:UsernameToken><o:Username>alice</o:Username><o:Password>{}</o:Password></o:UsernameToken>",
        password.trim()
    );
    let sent = |demo: &Demo| post_with(demo, &config, PATH, &begun(&kdc, &config).1, &body);
    assert!(sent(&demo).starts_with("HTTP/1.1 200"));
    kill(Pid::from_raw(demo.pid("kerberos")), Signal::SIGKILL).unwrap();
    assert!(post(&demo, &config, "/sts", &envelope(&alice, GENERIC, SAML20)).starts_with("HTTP/1.1 200"));
    let answered = (0..50).any(|_| {
        let answer = sent(&demo);
        if !answer.starts_with("HTTP/1.1 200") {
            assert!(answer.to_lowercase().contains("retry-after"), "{answer}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        answer.starts_with("HTTP/1.1 200")
    });
    assert!(answered);
    assert_eq!(demo.stop().code(), Some(0));
}

#[test]
fn requests_kerberos_binds_its_tickets_and_knows_the_service_by_its_answer() {
    let python = root().join(".kerberos/bin/python");
    if !python.exists() {
        println!("SKIPPED interop-kerberos: no .kerberos; tests/support/prepare makes it");
        return;
    }
    if !possible("requests") {
        return;
    }
    let (directory, kdc) = (tempfile::tempdir().unwrap(), Kdc::start());
    let demo = reconfigured(directory.path(), |config| let_in(config, &kdc));
    let mut command = Command::new(python);
    command.arg("-B").arg(root().join("tests/interop/kerberos_client.py")).arg(&demo.ready_file).arg(PATH);
    command.env("KRB5_CONFIG", kdc.configuration()).env("KRB5CCNAME", kdc.login("Mixed"));
    checked("kerberos_client", &mut command);
    assert_eq!(issued_by(demo, Method::Kerberos), [RequestIntegrity::Transport; 4]);
}
