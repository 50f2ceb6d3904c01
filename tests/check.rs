//! `chancery check` as an operator runs it, over whole configurations that have one thing wrong: exit status
//! 78, and on standard error the file, the line and the column of it.

#![cfg(all(feature = "ctl", feature = "signer"))]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use base64ct::{Base64UrlUnpadded, Encoding};
use chancery::config::auth::certificate::Certificate;

/// The files of a configuration nothing is wrong with.
const GOOD: &[(&str, &str)] = &[
    (
        "worker.d/worker.toml",
        r#"# certificate, endpoint and requests stand here first: the comment is not the place
public_url = "https://sts.example.com"
[tls]
certificate = "tls.pem"
[limits]
requests_per_source = 7
requests = 8
[[endpoint]]
path = "/adfs/services/trust/13/usernamemixed"
profile = "adfs"
credential = "username"
[[endpoint]]
path = "/sts"
credential = "username"
[[metadata]]
path = "/adfs/services/trust/mex"
kind = "mex"
"#,
    ),
    ("auth.d/auth.toml", "default_relying_party = \"office\"\n[timestamp]\nttl_s = 300\n"),
    (
        "auth.d/users.toml",
        "attributes = [\"upn\"]\n[users.alice]\n\
         password = \"$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n\
         groups = [\"staff\"]\nattributes.upn = [\"alice@example.com\"]\n",
    ),
    ("auth.d/relying-parties/office.toml", PARTY),
    ("auth.d/relying-parties/shop.toml", PARTY),
    (
        "issuer.d/issuer.toml",
        r#"issuer = "http://sts.example.com/adfs/services/trust"
[[key]]
name = "assertion-1"
purpose = "assertion"
id = "0a01"
certificate = "assertion.pem"
state = "active"
[[key]]
name = "tls-1"
purpose = "handshake"
id = "0a02"
certificate = "tls.pem"
state = "active"
"#,
    ),
    ("issuer.d/relying-parties/office.toml", CEILING),
    ("issuer.d/relying-parties/shop.toml", CEILING),
    (
        "signer.d/signer.toml",
        r#"module = "/usr/lib/softhsm/libsofthsm2.so"
token_label = "test"
profile = "softhsm2"
state_directory = "state"
accept_volatile_state_directory = true
[[key]]
id = "0a01"
purpose = "assertion"
certificate = "assertion.pem"
[[key]]
id = "0a02"
purpose = "handshake"
certificate = "tls.pem"
"#,
    ),
    ("audit.d/audit.toml", "directory = \"../record\"\nrotate_mib = 64\n"),
];

const PARTY: &str = r#"applies_to = ["urn:NAME"]
token_types = ["saml20"]
policy = '''
permit(principal, action, resource)
when { principal.upn.contains("alice@example.com") };
'''
[[claim]]
uri = "http://schemas.xmlsoap.org/claims/UPN"
from = "upn"
"#;

const CEILING: &str = r#"audience = ["urn:NAME"]
token_types = ["saml20"]
claims = ["http://schemas.xmlsoap.org/claims/UPN"]
confirmations = ["bearer"]
lifetime_ceiling_min = 60
"#;

const OFFICE: &str = "auth.d/relying-parties/office.toml";
const SHOP: &str = "auth.d/relying-parties/shop.toml";
const OFFICE_CEILING: &str = "issuer.d/relying-parties/office.toml";

/// A file, what is replaced in it, by what, and what is said of it.
type Break = (&'static str, &'static str, &'static str, &'static str);

const BROKEN: &[Break] = &[
    ("worker.d/worker.toml", "https://sts", "http://sts", "2:14: public_url must be"),
    ("worker.d/worker.toml", "\"mex\"", "\"wsdl2\"", "17:8: unknown variant `wsdl2`"),
    ("worker.d/worker.toml", "requests = 8", "requests = 0", "7:12: limits.requests must be"),
    ("worker.d/worker.toml", "\"/sts\"", "\"sts\"", "13:8: path \"sts\": must begin"),
    ("worker.d/worker.toml", "\"/sts\"", "\"/adfs/services/trust/mex\"", "16:8: path \"/adfs/services/trust/mex\" is"),
    ("worker.d/worker.toml", "\"/sts\"", "\"/elsewhere\"", "13:8: endpoint /elsewhere: no [[endpoint]] of"),
    (
        "worker.d/worker.toml",
        "\"username\"",
        "\"signature\"",
        "11:14: endpoint /adfs/services/trust/13/usernamemixed: takes a signature",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[endpoint]]\npath = \"/x\"\ncredentials = [\"signature\"]\n[timestamp]",
        "4:15: credentials names \"signature\", so addresses",
    ),
    (
        "worker.d/worker.toml",
        "\"username\"\n[[metadata]]",
        "\"tls-certificate\"\n[[metadata]]",
        "14:14: no [[listener]] has client_certificates = \"asked\"",
    ),
    ("worker.d/worker.toml", "[limits]", "[[listener]]\nname = \"a:b\"\n[limits]", "6:8: the name of a listener is"),
    (
        "worker.d/worker.toml",
        "[limits]",
        "[[listener]]\nname = \"https\"\n[[listener]]\nname = \"https\"\n[limits]",
        "8:8: this listener stands here twice",
    ),
    (
        "worker.d/worker.toml",
        "[limits]",
        "[[listener]]\nname = \"https\"\nclient_certificates = \"required\"\n[limits]",
        "7:23: unknown variant `required`",
    ),
    (
        "worker.d/worker.toml",
        "[limits]",
        "[[listener]]\nname = \"https\"\npublic_url = \"https://sts.example.com/x\"\n[limits]",
        "7:14: public_url must be",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[endpoint]]\npath = \"/x\"\ncredentials = [\"tls-certificate\"]\n[timestamp]",
        "4:15: credentials names \"tls-certificate\", so server_certificates must say",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "server_certificates = [\"none.pem\"]\n[timestamp]",
        "2:24: server_certificates: certificate none.pem",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "server_certificates = [\"auth.toml\"]\n[timestamp]",
        "2:24: server_certificates: certificate auth.toml: holds no certificate",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[endpoint]]\npath = \"/x\"\ncredentials = [\"digest\"]\n[timestamp]",
        "4:15: credentials names \"digest\", and without [store]",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[store]\nmost_rows = 5000\n[timestamp]",
        "2:1: store: neither directory nor [store.postgresql] says where",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[store.postgresql]\nservers = [{ host = \"db\", address = \"db:5432\" }]\nanchors = []\n\
         database = \"x\"\nuser = \"x\"\n[timestamp]",
        "4:11: store.postgresql.anchors: there are from 1 to 8 of them",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[store]\ndirectory = \"x\"\n[[endpoint]]\npath = \"/x\"\ncredentials = [\"digests\"]\n[timestamp]",
        "6:16: unknown variant `digests`",
    ),
    (
        "auth.d/users.toml",
        "password =",
        "digest_secret = \"sixteen octets..\"\npassword =",
        "3:17: digest_secret of alice: digest_secret and password exclude each other",
    ),
    (
        "auth.d/users.toml",
        "groups =",
        "[users.bob]\ndigest_secret = \"fifteen octets.\"\ngroups =",
        "5:17: digest_secret of bob: must have 16 to 256 octets",
    ),
    (
        "auth.d/users.toml",
        "groups =",
        "[users.bob]\ndigest_secret = \"sixteen octets..\"\n[users.ann]\ndigest_secret = \"sixteen octets..\"\ngroups =",
        "7:17: digest_secret of ann: bob has the same one",
    ),
    (
        "auth.d/users.toml",
        "password =",
        "certificates = [\"none.pem\"]\npassword =",
        "3:17: certificate none.pem of alice",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[certificate_authority]]\nname = \"pki\"\nanchors = [\"none.pem\"]\ncrls = [\"none.crl\"]\n\
         [[certificate_authority.subject]]\nfrom = \"cn\"\n[timestamp]",
        "4:12: certificate none.pem",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[certificate_authority]]\nname = \"pki\"\nanchors = [\"pki.pem\"]\nrevocation = \"none\"\n\
         [[certificate_authority.ocsp]]\nurl = \"http://ocsp.example.com/\"\naddress = \"192.0.2.32:80\"\n\
         [[certificate_authority.subject]]\nfrom = \"cn\"\n[timestamp]",
        "5:14: revocation = \"none\" and crls or ocsp exclude each other",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[certificate_authority]]\nname = \"pki\"\nanchors = [\"none.pem\"]\nrevocation = \"none\"\n[timestamp]",
        "3:8: pki has no [[certificate_authority.subject]]",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[directory]]\nname = \"corp\"\nnames = [\"@corp.example\"]\n\
         servers = [{ host = \"dc1.corp.example\", address = \"dc1.corp.example\", tls = \"ldaps\" }]\n\
         anchors = [\"tls.pem\"]\nbind_dn = \"cn=a\"\nbind_password_file = \"none\"\nbase_dn = \"dc=corp\"\n\
         filter = \"(uid={user})\"\ndecoy_dn = \"cn=decoy\"\naccount = \"{uid}@corp.example\"\n[timestamp]",
        "6:12: anchors: certificate tls.pem",
    ),
    ("auth.d/auth.toml", "[timestamp]", "[[directory]]\nname = \"corp\"\n[timestamp]", "2:1: missing field `names`"),
    (
        "auth.d/users.toml",
        "password =",
        "certificate_authority = \"none\"\npassword =",
        "3:25: no [[certificate_authority]] of auth.toml is called",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[saml_partner]]\nname = \"idp\"\nissuer = \"urn:idp\"\ncertificates = [\"none.pem\"]\naudiences = [\"urn:us\"]\n\
         [[saml_partner.subject]]\nfrom = \"name-id\"\n[timestamp]",
        "5:17: certificate none.pem",
    ),
    (
        "auth.d/users.toml",
        "password =",
        "saml_partner = \"none\"\npassword =",
        "3:16: no [[saml_partner]] of auth.toml is called",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[jwt_issuer]]\nname = \"idp\"\nissuer = \"urn:idp\"\njwks = \"none.json\"\naudiences = [\"urn:us\"]\n\
         [[jwt_issuer.subject]]\nclaim = \"sub\"\n[timestamp]",
        "5:8: jwks none.json",
    ),
    (
        "auth.d/auth.toml",
        "[timestamp]",
        "[[endpoint]]\npath = \"/vouched\"\ncredentials = [\"sender-vouches\"]\naddresses = [\"urn:us\"]\n[timestamp]",
        "4:15: credentials names \"sender-vouches\", and without a [[saml_partner.intermediary]]",
    ),
    (
        "auth.d/users.toml",
        "password =",
        "jwt_issuer = \"none\"\npassword =",
        "3:14: no [[jwt_issuer]] of auth.toml is called",
    ),
    ("worker.d/worker.toml", "\"username\"", "\"saml\"", "11:14: endpoint "),
    ("worker.d/worker.toml", "\"username\"", "\"jwt\"", "11:14: endpoint "),
    ("worker.d/worker.toml", "\"username\"", "\"ntlm\"", "11:14: unknown variant `ntlm`"),
    ("worker.d/worker.toml", "[[endpoint]]", "[[endpoints]]", "8:3: unknown field `endpoints`"),
    ("worker.d/worker.toml", "tls.pem", "none.pem", "4:15: tls.certificate "),
    ("worker.d/worker.toml", "tls.pem", "worker.toml", "4:15: tls.certificate "),
    ("worker.d/worker.toml", "tls.pem", "other.pem", "4:15: tls.certificate is not that of an active key"),
    ("worker.d/worker.toml", "[limits]", "[limits", "5:8: "),
    ("auth.d/auth.toml", "office", "nobody", "1:25: default_relying_party: no such file"),
    ("auth.d/auth.toml", "300", "0", "3:9: timestamp.ttl_s must be"),
    ("auth.d/users.toml", "$argon2id", "$argon2i", "3:12: password of alice: not an argon2id hash"),
    ("auth.d/users.toml", "\"upn\"", "\"u p n\"", "1:15: an attribute's name"),
    ("auth.d/users.toml", "\"upn\"", "\"groups\"", "1:15: every account has \"groups\""),
    (OFFICE, "urn:NAME", "NAME", "1:15: applies_to is an absolute URI"),
    (SHOP, "urn:NAME", "urn:office", "1:15: applies_to of another relying party"),
    (OFFICE, "saml20", "saml30", "2:16: token_types knows"),
    (OFFICE, "principal.upn", "principal.shoe", "5:8: policy: "),
    (OFFICE, "\"upn\"", "\"shoe\"", "9:8: from: no user has an attribute"),
    (OFFICE, "saml20", "saml11", "2:15: token_types has \"saml11\""),
    (OFFICE, "claims/UPN", "claims/Group", "8:7: claims of "),
    (OFFICE, "policy", "lifetime_ceiling_min = 90\npolicy", "3:24: lifetime_ceiling_min = 90 is above"),
    ("issuer.d/issuer.toml", "\"active\"", "\"next\"", "7:9: no key has purpose"),
    ("issuer.d/issuer.toml", "0a02", "0a01", "11:6: the id of key \"tls-1\""),
    ("issuer.d/issuer.toml", "assertion.pem", "none.pem", "6:15: certificate "),
    ("issuer.d/issuer.toml", "0a02", "0a03", "11:6: key \"tls-1\": "),
    ("issuer.d/issuer.toml", "assertion.pem", "other.pem", "6:15: key \"assertion-1\": its certificate and "),
    (OFFICE_CEILING, "bearer", "holder", "4:18: confirmations are"),
    (OFFICE, "token_types", "confirmations = [\"proof\"]\ntoken_types", "2:18: confirmations are"),
    (OFFICE, "token_types", "confirmations = []\ntoken_types", "2:17: confirmations names at least one"),
    (
        OFFICE,
        "token_types",
        "confirmations = [\"holder-of-key\"]\ntoken_types",
        "2:17: confirmations has \"holder-of-key\"",
    ),
    (OFFICE_CEILING, "60", "0", "5:24: lifetime_ceiling_min is"),
    ("signer.d/signer.toml", "softhsm2\"\ns", "none\"\ns", "3:11: profile: "),
    (
        "signer.d/signer.toml",
        "softhsm2\"\ns",
        "nethsm\"\ns",
        "3:11: the signer may not reach an HSM of this profile unless",
    ),
    ("signer.d/signer.toml", "softhsm2\"\ns", "softhsm2\"\ntcp_connect = [0]\ns", "4:15: tcp_connect: 0 is no port"),
    (
        "signer.d/signer.toml",
        "softhsm2\"\ns",
        "softhsm2\"\nunix_connect = [\"run/x\"]\ns",
        "4:16: unix_connect: run/x: the path of a socket",
    ),
    ("signer.d/signer.toml", "_directory = true", "_directory = 1", "5:35: invalid type: integer `1`"),
    (
        "signer.d/signer.toml",
        "softhsm2\"\ns",
        "softhsm2\"\ndevices = [\"/etc\"]\ns",
        "4:11: devices: /etc: a device lies below /dev",
    ),
    ("signer.d/signer.toml", "token_label", "token", "2:1: unknown field `token`"),
    ("signer.d/signer.toml", "0a02", "0a01", "11:6: a key has one purpose"),
    ("audit.d/audit.toml", "64", "0", "2:14: rotate_mib is 1 to 4096"),
];

/// A configuration on disk.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (file, text) in GOOD {
            let path = tree.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text.replace("NAME", path.file_stem().unwrap().to_str().unwrap())).unwrap();
        }
        for name in ["assertion", "tls", "other"] {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new([format!("{name}.example.com")]).unwrap().self_signed(&key);
            let pem = certificate.unwrap().pem();
            for owner in ["worker.d", "issuer.d", "signer.d"] {
                fs::write(tree.path(owner).join(format!("{name}.pem")), &pem).unwrap();
            }
        }
        tree
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.0.path().join(file)
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let name = file.rsplit('/').next().unwrap().trim_end_matches(".toml");
        let text = fs::read_to_string(self.path(file)).unwrap();
        let changed = text.replacen(&from.replace("NAME", name), &to.replace("NAME", name), 1);
        assert_ne!(changed, text, "{file} has no {from:?}");
        fs::write(self.path(file), changed).unwrap();
    }

    fn check(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.arg("check").arg("--config").arg(self.0.path());
        command.env("CHANCERY_PROFILES", Path::new(env!("CARGO_MANIFEST_DIR")).join("hsm-profiles"));
        command.output().unwrap()
    }

    /// What is said about a configuration that must be refused, below its root.
    fn refused(&self) -> String {
        let output = self.check();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(output.stdout.is_empty());
        said.replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn a_configuration_nothing_is_wrong_with_passes() {
    let output = Tree::new().check();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}

#[test]
fn an_authority_that_nobody_asks_what_it_took_back_passes_with_a_warning() {
    let tree = Tree::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    fs::write(tree.path("auth.d/root.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
    let authority = "[[certificate_authority]]\nname = \"pki\"\nanchors = [\"root.pem\"]\nrevocation = \"none\"\n\
                     [[certificate_authority.subject]]\nfrom = \"cn\"\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", authority);
    let output = tree.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let expected =
        format!("warning: {}:5:14: a certificate that pki took back", tree.path("auth.d/auth.toml").display());
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn sha1_that_is_let_pass_passes_with_a_warning_each() {
    let tree = Tree::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    fs::write(tree.path("auth.d/agency.pem"), certificate.pem()).unwrap();
    let old = "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/sts\"\n\
               credentials = [\"password\", \"signature\"]\n\
               addresses = [\"https://sts.example.com/sts\"]\nleniencies = [\"rsa-sha1\", \"reference-sha1\"]\n\
               [[saml_partner]]\nname = \"agency\"\nissuer = \"urn:agency\"\ncertificates = [\"agency.pem\"]\n\
               leniencies = [\"rsa-sha1\"]\naudiences = [\"urn:us\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n\
               [[endpoint]]\npath = \"/adfs/services/trust/13/usernamemixed\"\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", old);
    let output = tree.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let file = tree.path("auth.d/auth.toml");
    for place in ["8:15", "8:27", "13:15"] {
        let expected =
            format!("warning: {}:{place}: leniencies: two texts can be made that have one SHA-1", file.display());
        assert_eq!(said.matches(&expected).count(), 1, "{said}");
    }
    assert_eq!(said.matches("warning: ").count(), 3, "{said}");
    tree.replace("auth.d/auth.toml", ", \"signature\"]", "]");
    let output = tree.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(&format!("{}:8:15: leniencies: no credential here", file.display())), "{said}");
}

/// A configuration with an endpoint for TLS certificates, and a listener where clients are asked for one.
fn with_client_certificates() -> Tree {
    let tree = Tree::new();
    tree.replace("worker.d/worker.toml", "\"username\"\n[[metadata]]", "\"tls-certificate\"\n[[metadata]]");
    let listener = "[[listener]]\nname = \"certificates\"\nclient_certificates = \"asked\"\n[limits]";
    tree.replace("worker.d/worker.toml", "[limits]", listener);
    let endpoints = "server_certificates = [\"tls.pem\"]\n[[endpoint]]\n\
                     path = \"/adfs/services/trust/13/usernamemixed\"\n[[endpoint]]\npath = \"/sts\"\n\
                     credentials = [\"tls-certificate\"]\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", endpoints);
    for name in ["tls.pem", "other.pem"] {
        fs::copy(tree.path("worker.d").join(name), tree.path("auth.d").join(name)).unwrap();
    }
    tree
}

#[test]
fn an_endpoint_for_tls_certificates_can_be_reached_and_proven_or_is_refused() {
    let output = with_client_certificates().check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for (file, from, to, place) in [
        (
            "worker.d/worker.toml",
            "tls-certificate",
            "username",
            "auth.d/auth.toml:7:15: endpoint /sts: credentials has",
        ),
        ("worker.d/worker.toml", "asked", "none", "worker.d/worker.toml:17:14: no [[listener]] has"),
        ("worker.d/worker.toml", "\"/sts\"", "\"/elsewhere\"", "auth.d/auth.toml:7:15: endpoint /sts: credentials has"),
        ("auth.d/auth.toml", "tls-certificate", "password", "worker.d/worker.toml:17:14: endpoint /sts: takes a TLS"),
        ("auth.d/auth.toml", "tls.pem", "other.pem", "auth.d/auth.toml:2:23: server_certificates does not have"),
    ] {
        let tree = with_client_certificates();
        tree.replace(file, from, to);
        let said = tree.refused();
        assert!(said.lines().any(|line| line.starts_with(place)), "{place} is missing in\n{said}");
    }
}

/// A configuration with an endpoint for tickets that come so, and their keys.
fn with_tickets(credential: &str) -> Tree {
    let tree = Tree::new();
    tree.replace("worker.d/worker.toml", "\"username\"\n[[metadata]]", &format!("\"{credential}\"\n[[metadata]]"));
    let endpoints = "server_certificates = [\"tls.pem\"]\n[store]\ndirectory = \"../state\"\n[[endpoint]]\n\
                     path = \"/adfs/services/trust/13/usernamemixed\"\n[[endpoint]]\npath = \"/sts\"\n\
                     credentials = [\"kerberos\"]\naddresses = [\"https://sts.example.com/sts\"]\n[[kerberos_realm]]\nname = \"corp\"\nrealm = \"X\"\n\
                     [[kerberos_realm.subject]]\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", &endpoints.replace("[\"kerberos\"]", &format!("[{credential:?}]")));
    for name in ["tls.pem", "other.pem"] {
        fs::copy(tree.path("worker.d").join(name), tree.path("auth.d").join(name)).unwrap();
    }
    fs::create_dir(tree.path("kerberos.d")).unwrap();
    let text = "services = [\"HTTP/a@X\"]\nkeytab = \"keytab\"\nstate_directory = \"/var/lib/x\"\n";
    fs::write(tree.path("kerberos.d/kerberos.toml"), text).unwrap();
    // One key of AES-256: two components, the realm before them; a type, an instant, a version; the key.
    let mut entry = b"\0\x02\0\x01X\0\x04HTTP\0\x01a\0\0\0\x01\0\0\0\0\x01\0\x12\0\x20".to_vec();
    entry.extend([7; 32]);
    let length = u32::try_from(entry.len()).unwrap().to_be_bytes();
    fs::write(tree.path("kerberos.d/keytab"), [&[5, 2][..], &length, &entry].concat()).unwrap();
    fs::set_permissions(tree.path("kerberos.d/keytab"), PermissionsExt::from_mode(0o600)).unwrap();
    tree
}

#[test]
fn an_endpoint_for_tickets_is_served_knows_its_server_and_has_keys_or_is_refused() {
    let output = with_tickets("kerberos").check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for (file, from, to, place) in [
        (
            "worker.d/worker.toml",
            "\"kerberos\"",
            "\"username\"",
            "auth.d/auth.toml:9:15: endpoint /sts: credentials has",
        ),
        (
            "auth.d/auth.toml",
            "\"kerberos\"",
            "\"password\"",
            "worker.d/worker.toml:14:14: endpoint /sts: takes a ticket",
        ),
        ("auth.d/auth.toml", "tls.pem", "other.pem", "auth.d/auth.toml:2:23: server_certificates does not have"),
        ("kerberos.d/kerberos.toml", "HTTP/a@X", "HTTP/b@X", "kerberos.d/kerberos.toml:1:13: services: keytab"),
        ("kerberos.d/kerberos.toml", "\"keytab\"", "\"none\"", "kerberos.d/kerberos.toml:2:10: keytab"),
        ("kerberos.d/kerberos.toml", "services", "service", "kerberos.d/kerberos.toml:1:1: unknown field"),
    ] {
        let tree = with_tickets("kerberos");
        tree.replace(file, from, to);
        let said = tree.refused();
        assert!(said.lines().any(|line| line.starts_with(place)), "{place} is missing in\n{said}");
    }
    for credential in ["kerberos", "kerberos-token"] {
        let tree = with_tickets(credential);
        fs::remove_file(tree.path("kerberos.d/kerberos.toml")).unwrap();
        let said = tree.refused();
        let place =
            format!("auth.d/auth.toml:9:15: credentials has {credential:?}, and there is no kerberos.d/kerberos.toml");
        assert!(said.lines().any(|line| line.starts_with(&place)), "{said}");
    }
}

#[test]
fn an_endpoint_for_tickets_in_messages_is_one_for_both_or_is_refused() {
    let output = with_tickets("kerberos-token").check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    // With "any" the worker takes what it is brought.
    let tree = with_tickets("kerberos-token");
    tree.replace("worker.d/worker.toml", "\"kerberos-token\"", "\"any\"");
    tree.replace("auth.d/auth.toml", "[\"kerberos-token\"]", "[\"kerberos-token\", \"password\", \"signature\"]");
    let output = tree.check();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (file, from, to, place) in [
        (
            "worker.d/worker.toml",
            "\"kerberos-token\"",
            "\"kerberos\"",
            "auth.d/auth.toml:9:15: endpoint /sts: credentials has \"kerberos-token\"",
        ),
        (
            "auth.d/auth.toml",
            "\"kerberos-token\"",
            "\"kerberos\"",
            "worker.d/worker.toml:14:14: endpoint /sts: takes a ticket in the message",
        ),
        ("auth.d/auth.toml", "tls.pem", "other.pem", "auth.d/auth.toml:2:23: server_certificates does not have"),
    ] {
        let tree = with_tickets("kerberos-token");
        tree.replace(file, from, to);
        let said = tree.refused();
        assert!(said.lines().any(|line| line.starts_with(place)), "{place} is missing in\n{said}");
    }
}

/// A configuration with an endpoint for sealed messages, and a key to open them.
fn with_encryption() -> Tree {
    let tree = Tree::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let pem = rcgen::CertificateParams::new(["unwrap".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    for owner in ["issuer.d", "signer.d"] {
        fs::write(tree.path(owner).join("unwrap.pem"), &pem).unwrap();
    }
    let key = "[[key]]\nid = \"0a03\"\npurpose = \"unwrap\"\ncertificate = \"unwrap.pem\"\n";
    tree.replace("signer.d/signer.toml", "[[key]]", &format!("{key}[[key]]"));
    let key = format!("{key}name = \"unwrap-1\"\nstate = \"active\"\n");
    tree.replace("issuer.d/issuer.toml", "[[key]]", &format!("unwraps_per_second = 50\n{key}[[key]]"));
    tree.replace("worker.d/worker.toml", "\"username\"\n[[metadata]]", "\"username\"\nencryption = true\n[[metadata]]");
    let endpoints = "[store]\ndirectory = \"../state\"\nmost_rows = 1000000\n[[endpoint]]\n\
                     path = \"/adfs/services/trust/13/usernamemixed\"\n[[endpoint]]\npath = \"/sts\"\n\
                     encryption = true\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", endpoints);
    tree
}

#[test]
fn an_endpoint_for_sealed_messages_has_a_key_a_store_and_auths_consent_or_is_refused() {
    let output = with_encryption().check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for (file, from, to, place) in [
        ("auth.d/auth.toml", "encryption = true", "", "worker.d/worker.toml:15:14: endpoint /sts: takes sealed"),
        ("issuer.d/issuer.toml", "\"active\"", "\"retired\"", "worker.d/worker.toml:15:14: endpoint /sts: no active"),
        (
            "auth.d/auth.toml",
            "[store]\ndirectory = \"../state\"\nmost_rows = 1000000\n",
            "",
            "auth.d/auth.toml:6:14: encryption, and without [store]",
        ),
    ] {
        let tree = with_encryption();
        tree.replace(file, from, to);
        let said = tree.refused();
        assert!(said.lines().any(|line| line.starts_with(place)), "{place} is missing in\n{said}");
    }
}

#[test]
fn both_sides_agree_that_passwords_come_under_a_mac() {
    let symmetric = || {
        let tree = with_encryption();
        tree.replace("worker.d/worker.toml", "\"username\"\nencryption", "\"username-symmetric\"\nencryption");
        let mac = "credentials = [\"password-symmetric\"]\naddresses = [\"https://sts.example.com/sts\"]\nencryption";
        tree.replace("auth.d/auth.toml", "encryption", mac);
        tree
    };
    let output = symmetric().check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for (file, from, to, place) in [
        (
            "auth.d/auth.toml",
            "[\"password-symmetric\"]",
            "[\"password\"]",
            "worker.d/worker.toml:14:14: endpoint /sts: takes a user name under a MAC",
        ),
        (
            "worker.d/worker.toml",
            "username-symmetric",
            "username",
            "worker.d/worker.toml:14:14: endpoint /sts: takes no MAC",
        ),
        ("worker.d/worker.toml", "encryption = true", "", "worker.d/worker.toml:14:14: a MAC needs"),
        (
            "auth.d/auth.toml",
            "encryption = true",
            "",
            "auth.d/auth.toml:9:15: credentials names \"password-symmetric\"",
        ),
    ] {
        let tree = symmetric();
        tree.replace(file, from, to);
        let said = tree.refused();
        assert!(said.lines().any(|line| line.starts_with(place)), "{place} is missing in\n{said}");
    }
}

/// A configuration with an endpoint whose answers are signed.
fn with_signed_replies() -> Tree {
    let tree = Tree::new();
    for (number, name) in [(5, "reply-1"), (6, "reply-2")] {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        for owner in ["issuer.d", "signer.d"] {
            fs::write(tree.path(owner).join(format!("{name}.pem")), &pem).unwrap();
        }
        let key = format!("[[key]]\nid = \"0a0{number}\"\npurpose = \"message\"\ncertificate = \"{name}.pem\"\n");
        tree.replace("signer.d/signer.toml", "[[key]]", &format!("{key}[[key]]"));
        let state = if number == 5 { "active" } else { "next" };
        let key = format!("{key}name = \"{name}\"\nstate = \"{state}\"\n");
        tree.replace("issuer.d/issuer.toml", "[[key]]", &format!("{key}[[key]]"));
    }
    let signed = "\"signature\"\nreplies = \"signed\"\n[[metadata]]";
    tree.replace("worker.d/worker.toml", "\"username\"\n[[metadata]]", signed);
    let endpoints = "[store]\ndirectory = \"../state\"\n[[endpoint]]\n\
                     path = \"/adfs/services/trust/13/usernamemixed\"\n[[endpoint]]\npath = \"/sts\"\n\
                     credentials = [\"signature\"]\naddresses = [\"https://sts.example.com/sts\"]\n\
                     replies = \"signed\"\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", endpoints);
    tree
}

#[test]
fn both_sides_agree_that_answers_are_signed_and_by_which_key() {
    let output = with_signed_replies().check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let worker = "worker.d/worker.toml:15:11: endpoint /sts";
    for (file, from, to, place) in [
        (
            "auth.d/auth.toml",
            "replies = \"signed\"\n",
            "",
            format!("{worker}: replies is \"signed\" here and \"plain\""),
        ),
        (
            "worker.d/worker.toml",
            "replies = \"signed\"\n",
            "",
            "worker.d/worker.toml:13:8: endpoint /sts: replies is \"plain\" here and \"signed\"".to_owned(),
        ),
        (
            "auth.d/auth.toml",
            "replies = \"signed\"\n",
            "replies = \"sealed\"\n",
            format!("{worker}: replies is \"signed\" here and \"sealed\""),
        ),
        (
            "issuer.d/issuer.toml",
            "name = \"reply-1\"\nstate = \"active\"",
            "name = \"reply-1\"\nstate = \"retired\"",
            format!("{worker}: no active key"),
        ),
        (
            "issuer.d/issuer.toml",
            "name = \"reply-2\"\nstate = \"next\"",
            "name = \"reply-2\"\nstate = \"active\"",
            "issuer.d/issuer.toml:13:9: key \"reply-2\" and key \"reply-1\" are both active".to_owned(),
        ),
    ] {
        let tree = with_signed_replies();
        tree.replace(file, from, to);
        let said = tree.refused();
        assert!(said.lines().any(|line| line.starts_with(&place)), "{place} is missing in\n{said}");
    }
}

#[test]
fn a_store_that_session_keys_fill_passes_with_a_warning() {
    let tree = with_encryption();
    tree.replace("issuer.d/issuer.toml", "unwraps_per_second = 50", "unwraps_per_second = 1000");
    let output = tree.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let expected = format!("warning: {}:2:22: by unwraps_per_second", tree.path("issuer.d/issuer.toml").display());
    assert!(said.starts_with(&expected) && said.contains("960000") && said.contains("750000"), "{said}");
    // Where somebody's JWTs are good once, they have half of the store, and it is they who are kept out.
    let with = |more: &str| {
        let tree = with_encryption();
        tree.replace("issuer.d/issuer.toml", "unwraps_per_second = 50", "unwraps_per_second = 600");
        let auth = fs::read_to_string(tree.path("auth.d/auth.toml")).unwrap();
        fs::write(tree.path("auth.d/auth.toml"), auth + more).unwrap();
        let set =
            "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
        fs::write(tree.path("auth.d/idp.json"), set).unwrap();
        let output = tree.check();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        said
    };
    assert_eq!(with(""), "");
    let issuer = "[[jwt_issuer]]\nname = \"idp\"\nissuer = \"urn:idp\"\njwks = \"idp.json\"\naudiences = [\"urn:us\"]\n\
                  [[jwt_issuer.subject]]\nclaim = \"sub\"\n";
    let said = with(issuer);
    assert!(said.contains("by unwraps_per_second") && said.contains("576000") && said.contains("500000"), "{said}");
}

/// A configuration with an endpoint for JWTs, and an issuer whose key is that of this certificate.
fn with_jwts(certificate: &str) -> Tree {
    let tree = Tree::new();
    tree.replace("worker.d/worker.toml", "\"username\"\n[[metadata]]", "\"jwt\"\n[[metadata]]");
    let endpoints = "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/adfs/services/trust/13/usernamemixed\"\n\
                     [[endpoint]]\npath = \"/sts\"\ncredentials = [\"jwt\"]\n[[jwt_issuer]]\nname = \"idp\"\n\
                     issuer = \"urn:idp\"\njwks = \"idp.json\"\naudiences = [\"urn:us\"]\n[[jwt_issuer.subject]]\n\
                     claim = \"sub\"\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", endpoints);
    let pem = fs::read_to_string(tree.path("issuer.d").join(certificate)).unwrap();
    let own = Certificate::from_pem(&pem).unwrap();
    let (x, y) = own.key.parts().1[1..].split_at(32);
    let [x, y] = [x, y].map(Base64UrlUnpadded::encode_string);
    let set = format!("{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{x}\",\"y\":\"{y}\"}}]}}");
    fs::write(tree.path("auth.d").join("idp.json"), set).unwrap();
    tree
}

#[test]
fn an_endpoint_for_jwts_has_auths_consent_and_an_issuer_no_key_of_ours() {
    let output = with_jwts("other.pem").check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = with_jwts("other.pem");
    tree.replace("auth.d/auth.toml", "[\"jwt\"]", "[\"password\"]");
    let said = tree.refused();
    let place = "worker.d/worker.toml:14:14: endpoint /sts: takes a JWT";
    assert!(said.lines().any(|line| line.starts_with(place)), "{said}");
    for (certificate, name) in [("assertion.pem", "assertion-1"), ("tls.pem", "tls-1")] {
        let tree = with_jwts(certificate);
        let said = tree.refused();
        let place = format!("auth.d/auth.toml:12:8: jwks: one of its keys is our {name:?}");
        assert!(said.lines().any(|line| line.starts_with(&place)), "{said}");
    }
}

#[test]
fn a_listener_that_asks_for_the_sake_of_jwts_asks_not_in_vain() {
    let tree = with_jwts("other.pem");
    let listener = "[[listener]]\nname = \"certificates\"\nclient_certificates = \"asked\"\n[limits]";
    tree.replace("worker.d/worker.toml", "[limits]", listener);
    let output = tree.check();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("clients are asked in vain"), "{said}");
    // auth must know the server to which a holder proves his key.
    tree.replace("auth.d/auth.toml", "[store]", "server_certificates = [\"tls.pem\"]\n[store]");
    fs::copy(tree.path("issuer.d/tls.pem"), tree.path("auth.d/tls.pem")).unwrap();
    let output = tree.check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A configuration with an endpoint for assertions, and a partner whose holders prove themselves by their connections.
fn with_holders() -> Tree {
    let tree = Tree::new();
    tree.replace("worker.d/worker.toml", "\"username\"\n[[metadata]]", "\"saml\"\n[[metadata]]");
    let more = "[store]\ndirectory = \"../state\"\n[[endpoint]]\npath = \"/adfs/services/trust/13/usernamemixed\"\n\
                [[endpoint]]\npath = \"/sts\"\ncredentials = [\"saml\"]\n[[saml_partner]]\nname = \"idp\"\n\
                issuer = \"urn:idp\"\ncertificates = [\"idp.pem\"]\naudiences = [\"urn:us\"]\n\
                holder_proofs = [\"tls-certificate\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n[timestamp]";
    tree.replace("auth.d/auth.toml", "[timestamp]", more);
    tree.replace("auth.d/auth.toml", "[store]", "server_certificates = [\"tls.pem\"]\n[store]");
    fs::copy(tree.path("issuer.d/other.pem"), tree.path("auth.d/idp.pem")).unwrap();
    fs::copy(tree.path("issuer.d/tls.pem"), tree.path("auth.d/tls.pem")).unwrap();
    tree
}

#[test]
fn a_partner_whose_holders_connect_needs_a_listener_that_asks_and_the_certificate_of_our_server() {
    let listener = "[[listener]]\nname = \"certificates\"\nclient_certificates = \"asked\"\n[limits]";
    let tree = with_holders();
    tree.replace("worker.d/worker.toml", "[limits]", listener);
    let output = tree.check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = with_holders().refused();
    let place = "auth.d/auth.toml:15:17: partner idp: holder_proofs has \"tls-certificate\"";
    assert!(said.lines().any(|line| line.starts_with(place)), "{said}");
    // Where nobody takes assertions, asking helps nobody.
    let tree = with_holders();
    tree.replace("worker.d/worker.toml", "[limits]", listener);
    tree.replace("auth.d/auth.toml", "[\"saml\"]", "[\"password\"]");
    tree.replace("worker.d/worker.toml", "\"saml\"\n[[metadata]]", "\"username\"\n[[metadata]]");
    let said = tree.refused();
    assert!(said.lines().any(|line| line.starts_with(place)), "{said}");
    let tree = with_holders();
    tree.replace("worker.d/worker.toml", "[limits]", listener);
    fs::copy(tree.path("issuer.d/other.pem"), tree.path("auth.d/tls.pem")).unwrap();
    let said = tree.refused();
    let place = "auth.d/auth.toml:2:23: server_certificates does not have tls.certificate";
    assert!(said.lines().any(|line| line.starts_with(place)), "{said}");
    // A partner whose holders sign lets a listener ask in vain.
    let tree = with_holders();
    tree.replace("worker.d/worker.toml", "[limits]", listener);
    tree.replace("auth.d/auth.toml", "[\"tls-certificate\"]", "[\"signature\"]");
    let output = tree.check();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("clients are asked in vain"), "{said}");
}

#[test]
fn a_partner_whose_holders_make_macs_needs_somebody_who_opens_their_keys_and_an_address() {
    let with_macs = || {
        let tree = with_holders();
        tree.replace("auth.d/auth.toml", "[\"tls-certificate\"]", "[\"signature\", \"mac\"]");
        let addresses = "credentials = [\"saml\"]\naddresses = [\"https://sts.example.com/sts\"]";
        tree.replace("auth.d/auth.toml", "credentials = [\"saml\"]", addresses);
        tree
    };
    let said = with_macs().refused();
    let place = "auth.d/auth.toml:16:17: partner idp: holder_proofs has \"mac\", and ";
    let lacks = |said: &str, why: &str| said.lines().any(|line| line.starts_with(&format!("{place}{why}")));
    // Its issuer has no key for that.
    assert!(lacks(&said, "no active key of issuer.d/issuer.toml"), "{said}");
    let tree = with_macs();
    tree.replace("auth.d/auth.toml", "addresses = [\"https://sts.example.com/sts\"]", "");
    let said = tree.refused();
    assert!(lacks(&said, "no [[endpoint]] of worker.d/worker.toml takes assertions"), "{said}");
}

#[test]
fn a_listener_that_asks_in_vain_passes_with_a_warning() {
    let tree = Tree::new();
    let listener = "[[listener]]\nname = \"certificates\"\nclient_certificates = \"asked\"\n[limits]";
    tree.replace("worker.d/worker.toml", "[limits]", listener);
    let output = tree.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let expected = format!("warning: {}:7:23: no [[endpoint]]", tree.path("worker.d/worker.toml").display());
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn marks_that_may_not_outlive_a_container_pass_with_a_warning_unless_that_is_accepted() {
    let tree = Tree::new();
    tree.replace("signer.d/signer.toml", "\"state\"", "\"/dev/shm/chancery-none/signer\"");
    let output = tree.check();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    tree.replace("signer.d/signer.toml", "accept_volatile_state_directory = true\n", "");
    let output = tree.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let expected = format!("warning: {}:4:19: state_directory is on", tree.path("signer.d/signer.toml").display());
    assert!(said.starts_with(&expected), "{said}");
    // Where there is no systemd, whoever starts it again may make the directory anew: nothing is started at all.
    let mut run = Command::new(env!("CARGO_BIN_EXE_chancery"));
    let output =
        run.args(["run", "--port", "0", "--metrics-port", "0", "--config"]).arg(tree.0.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("not-started") && said.contains("accept_volatile_state_directory = true"), "{said}");
    assert!(!said.contains("walls"), "{said}");
}

#[test]
fn every_broken_configuration_is_refused_with_file_line_and_column() {
    let mut wrong = Vec::new();
    for (file, from, to, place) in BROKEN {
        let tree = Tree::new();
        tree.replace(file, from, to);
        let said = tree.refused();
        let expected = format!("{file}:{place}");
        if !said.lines().any(|line| line.starts_with(&expected)) {
            wrong.push(format!("{expected:?} is missing in\n{said}"));
        }
        // The line itself, and a caret below it.
        assert!(said.contains("\n  | ") && said.contains('^'), "{said}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_broken_file_is_shown_at_once() {
    let tree = Tree::new();
    let broken = [
        ("worker.d/worker.toml", "requests = 8", "requests = 0", "7:12:"),
        ("auth.d/auth.toml", "300", "0", "3:9:"),
        ("auth.d/users.toml", "$argon2id", "$argon2i", "3:12:"),
        (OFFICE, "\"upn\"", "\"shoe\"", "9:8:"),
        (SHOP, "saml20", "saml30", "2:16:"),
        ("issuer.d/issuer.toml", "0a02", "0a01", "11:6:"),
        (OFFICE_CEILING, "60", "0", "5:24:"),
        ("issuer.d/relying-parties/shop.toml", "bearer", "holder", "4:18:"),
        ("signer.d/signer.toml", "0a02", "0a01", "11:6:"),
        ("audit.d/audit.toml", "64", "0", "2:14:"),
    ];
    for (file, from, to, _) in broken {
        tree.replace(file, from, to);
    }
    let said = tree.refused();
    for (file, _, _, place) in broken {
        assert!(said.contains(&format!("{file}:{place}")), "{file}:{place} is missing in\n{said}");
    }
    assert!(said.ends_with("10 wrong\n"), "{said}");
}

#[test]
fn a_users_file_that_cannot_be_read_hides_no_relying_party() {
    let tree = Tree::new();
    tree.replace("auth.d/users.toml", "[users.alice]", "[users.alice");
    tree.replace(OFFICE, "saml20", "saml30");
    tree.replace(SHOP, "[[claim]]", "[[claims]]");
    let said = tree.refused();
    for place in ["auth.d/users.toml:2:13:", &format!("{OFFICE}:2:16:"), &format!("{SHOP}:7:3:")] {
        assert!(said.contains(place), "{place} is missing in\n{said}");
    }
    assert!(said.ends_with("3 wrong\n"), "{said}");
}

#[test]
fn a_party_without_a_ceiling_and_a_ceiling_without_a_party_are_refused() {
    let tree = Tree::new();
    fs::rename(tree.path(OFFICE_CEILING), tree.path("issuer.d/relying-parties/nobody.toml")).unwrap();
    let said = tree.refused();
    assert!(said.contains(&format!("{OFFICE}:1:14: issuer.d/relying-parties/office.toml is missing")), "{said}");
    assert!(said.contains("issuer.d/relying-parties/nobody.toml:1:12: a ceiling for nobody"), "{said}");
}
