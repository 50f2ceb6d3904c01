//! The demo's configuration: files an operator could have written, and may now look at and change. The
//! worker's file follows the port and is written at each start; the others once.

use std::fs;
use std::io;
use std::path::Path;

use argon2::password_hash::PasswordHasher;

use super::Layout;
use super::custody::Key;
use crate::ctl::run::announce::write_whole;

pub(super) const PATH_13: &str = "/adfs/services/trust/13/usernamemixed";
pub(super) const PATH_2005: &str = "/adfs/services/trust/2005/usernamemixed";
pub(super) const PATH_MEX: &str = "/adfs/services/trust/mex";
pub(super) const PATH_GENERIC: &str = "/sts";
/// What clients of Microsoft's cloud ask tokens for.
pub(super) const MICROSOFT: &str = "urn:federation:MicrosoftOnline";
/// Any other relying party.
pub(super) const GENERIC: &str = "https://rp.example.com/";

/// `worker.d`: the endpoints.
pub(super) fn write_worker(layout: &Layout, url: &str) -> io::Result<()> {
    let text = format!(
        r#"# Written by `chancery run --demo` at each start.
public_url = "{url}"

[tls]
certificate = "tls.pem"
minimum = "1.2"

[[endpoint]]
path = "{PATH_13}"
profile = "adfs"
trust = "1.3"
credential = "username"

[[endpoint]]
path = "{PATH_2005}"
profile = "adfs"
trust = "2005"
credential = "username"

[[endpoint]]
path = "{PATH_GENERIC}"
profile = "generic"
trust = "any"
credential = "username"

[[metadata]]
path = "{PATH_MEX}"
kind = "mex"
"#
    );
    put(layout, "worker.d/worker.toml", &text)
}

/// `auth.d/users.toml`: alice.
pub(super) fn write_users(layout: &Layout, password: &str) -> io::Result<()> {
    let hash = argon2::Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| io::Error::other(format!("argon2id: {error}")))?;
    let text = format!(
        r#"[users.alice]
password = "{hash}"
groups = ["staff", "demo"]

[users.alice.attributes]
mail = ["alice@example.com"]
upn = ["alice@example.com"]
name = ["Alice Example"]
immutable_id = ["YWxpY2UtZXhhbXBsZS0wMQ=="]
"#
    );
    put(layout, "auth.d/users.toml", &text)
}

/// Everything else, once the keys are there.
pub(super) fn write_rest(layout: &Layout, keys: &[Key]) -> io::Result<()> {
    for key in keys {
        let Some(certificate) = &key.certificate else { continue };
        let name = format!("{}.pem", key.name);
        let pem = fs::read_to_string(certificate)?;
        put(layout, &format!("issuer.d/{name}"), &pem)?;
        put(layout, &format!("signer.d/{name}"), &pem)?;
        if key.purpose == "handshake" {
            put(layout, "worker.d/tls.pem", &pem)?;
            write_whole(&layout.ca(), pem.as_bytes(), 0o644)?;
        }
        if key.purpose == "assertion" {
            write_whole(&layout.assertion(), pem.as_bytes(), 0o644)?;
        }
    }
    put(layout, "audit.d/audit.toml", "directory = \"../../record\"\nrotate_mib = 64\n")?;
    let auth = "# The defaults are what most services want.\n\n[store]\ndirectory = \"../../store\"\n";
    put(layout, "auth.d/auth.toml", auth)?;
    put(layout, "issuer.d/issuer.toml", &issuer(keys))?;
    put(layout, "signer.d/signer.toml", &signer(layout, keys))?;
    for (name, party) in [("microsoft", microsoft()), ("generic", generic())] {
        put(layout, &format!("auth.d/relying-parties/{name}.toml"), &party.0)?;
        put(layout, &format!("issuer.d/relying-parties/{name}.toml"), &party.1)?;
    }
    Ok(())
}

/// `signer.d/signer.toml` as the ceremony needs it: the token, and no key yet.
pub(super) fn write_signer(layout: &Layout, keys: &[Key]) -> io::Result<()> {
    put(layout, "signer.d/signer.toml", &signer(layout, keys))
}

fn signer(layout: &Layout, keys: &[Key]) -> String {
    let mut text = format!(
        r#"module = "{}"
token_label = "{}"
profile = "softhsm2"
sessions = 2
state_directory = "../../state"
# This token is to be thrown away. Leave this out for one that is to stay, and put the state where it stays, too.
accept_volatile_state_directory = true
read = ["../../softhsm2.conf"]
write = ["../../tokens"]
"#,
        layout.module.display(),
        super::custody::LABEL,
    );
    for key in keys {
        text += &format!("\n[[key]]\nid = \"{}\"\npurpose = \"{}\"\n", key.id, key.purpose);
        if key.certificate.is_some() {
            text += &format!("certificate = \"{}.pem\"\n", key.name);
        }
    }
    text
}

fn issuer(keys: &[Key]) -> String {
    let mut text = "issuer = \"http://sts.example.com/adfs/services/trust\"\n".to_owned();
    for key in keys {
        text += &format!(
            "\n[[key]]\nname = \"{}\"\npurpose = \"{}\"\nid = \"{}\"\nstate = \"active\"\n",
            key.name, key.purpose, key.id
        );
        if key.certificate.is_some() {
            text += &format!("certificate = \"{}.pem\"\n", key.name);
        }
    }
    text
}

const UPN: &str = "http://schemas.xmlsoap.org/claims/UPN";
const IMMUTABLE: &str = "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID";
const MAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
const GROUP: &str = "http://schemas.xmlsoap.org/claims/Group";

fn microsoft() -> (String, String) {
    party(
        MICROSOFT,
        "\"saml11\", \"saml20\"",
        "immutable_id",
        "unspecified",
        &[(UPN, "upn"), (IMMUTABLE, "immutable_id")],
    )
}

fn generic() -> (String, String) {
    party(
        GENERIC,
        "\"saml20\", \"saml11\"",
        "mail",
        "emailAddress",
        &[(MAIL, "mail"), (NAME, "name"), (GROUP, "groups")],
    )
}

/// What auth decides by, and what issuer lets pass at most.
fn party(uri: &str, kinds: &str, subject: &str, format: &str, claims: &[(&str, &str)]) -> (String, String) {
    let mut auth = format!(
        r#"applies_to = ["{uri}"]
token_types = [{kinds}]
lifetime_default_min = 15
lifetime_ceiling_min = 60
policy = '''
permit(principal, action, resource);
'''

[subject]
from = "{subject}"
format = "{format}"
"#
    );
    for (uri, from) in claims {
        auth += &format!("\n[[claim]]\nuri = \"{uri}\"\nfrom = \"{from}\"\n");
    }
    let uris: String = claims.iter().map(|(uri, _)| format!("    \"{uri}\",\n")).collect();
    let ceiling = format!(
        r#"audience = ["{uri}"]
token_types = [{kinds}]
confirmations = ["bearer"]
claims = [
{uris}]
lifetime_ceiling_min = 60
quota_per_minute = 60000
"#
    );
    (auth, ceiling)
}

fn put(layout: &Layout, name: &str, text: &str) -> io::Result<()> {
    let path = layout.config().join(name);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    write_whole(&path, text.as_bytes(), 0o600)
}

#[cfg(test)]
#[cfg(feature = "signer")]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::ctl::check::check;
    use crate::ctl::run::demo::custody;

    /// The demo's configuration with certificates of keys made here.
    fn written() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout { root: root.path().to_owned(), module: custody::module() };
        let keys: Vec<Key> = custody::keys(&layout);
        for key in &keys {
            let Some(path) = &key.certificate else { continue };
            let algorithm =
                if key.purpose == "unwrap" { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            fs::write(path, certificate.self_signed(&pair).unwrap().pem()).unwrap();
        }
        write_worker(&layout, "https://localhost:8443").unwrap();
        write_users(&layout, "secret").unwrap();
        write_rest(&layout, &keys).unwrap();
        let config = layout.config();
        (root, config)
    }

    #[test]
    fn nothing_is_wrong_with_what_the_demo_writes() {
        let (_root, config) = written();
        let wrong: Vec<String> = check(&config).0.iter().map(ToString::to_string).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_disagreement_is_shown_with_its_file_and_line() {
        for (file, from, to, place, word) in [
            ("signer.d/signer.toml", "id = \"a501\"", "id = \"a5ff\"", "issuer.toml:6:6", "no key with this id"),
            ("signer.d/signer.toml", "\"message\"", "\"metadata\"", "issuer.toml:19:11", "purpose is \"message\" here"),
            (
                "issuer.d/relying-parties/generic.toml",
                "= 60\n",
                "= 30\n",
                "generic.toml:4:24",
                "lifetime_ceiling_min = 30",
            ),
            ("issuer.d/relying-parties/generic.toml", ", \"saml11\"", "", "generic.toml:2:15", "token_types"),
            ("issuer.d/relying-parties/generic.toml", "claims/name\"", "claims/nom\"", "generic.toml:18:7", "claim"),
            (
                "auth.d/auth.toml",
                "# The",
                "[[endpoint]]\npath = \"/sts\"\n# The",
                "worker.toml:9:8",
                "auth.d/auth.toml",
            ),
            ("worker.d/worker.toml", "\"username\"", "\"signature\"", "worker.toml:12:14", "has no \"signature\""),
            ("worker.d/worker.toml", "\"username\"", "\"saml\"", "worker.toml:12:14", "has no \"saml\""),
            ("worker.d/worker.toml", "\"tls.pem\"", "\"../issuer.d/message-1.pem\"", "worker.toml:5:15", "handshake"),
            ("worker.d/worker.toml", "[tls]", "colour = 1\n[tls]", "worker.toml:4:1", "colour"),
            (
                "worker.d/worker.toml",
                "\ncredential",
                "\nencryption = true\ncredential",
                "worker.toml:12:14",
                "encryption is not on",
            ),
        ] {
            let (_root, config) = written();
            let path = config.join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{file}: {from}");
            fs::write(&path, text.replace(from, to)).unwrap();
            let wrong: Vec<String> = check(&config).0.iter().map(ToString::to_string).collect();
            assert!(wrong.iter().any(|line| line.contains(place) && line.contains(word)), "{place} {word}: {wrong:#?}");
        }
        let (_root, config) = written();
        fs::rename(
            config.join("issuer.d/relying-parties/generic.toml"),
            config.join("issuer.d/relying-parties/x.toml"),
        )
        .unwrap();
        assert_eq!(check(&config).0.len(), 2);
    }
    #[test]
    fn of_our_own_keys_only_those_that_sign_assertions_are_a_partners() {
        for (key, good) in [("assertion-1", true), ("message-1", false), ("handshake-1", false)] {
            let (_root, config) = written();
            fs::copy(config.join(format!("issuer.d/{key}.pem")), config.join("auth.d/own.pem")).unwrap();
            let partner = "[[saml_partner]]\nname = \"own\"\nissuer = \"urn:own\"\ncertificates = [\"own.pem\"]\n\
                           audiences = [\"urn:own\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n";
            let path = config.join("auth.d/auth.toml");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text}{partner}")).unwrap();
            let wrong: Vec<String> = check(&config).0.iter().map(ToString::to_string).collect();
            assert_eq!(wrong.is_empty(), good, "{key}: {wrong:#?}");
            let said = |line: &String| line.contains("auth.toml:8:16") && line.contains("whose purpose is");
            assert!(good || wrong.iter().any(said), "{wrong:#?}");
        }
    }
    #[test]
    fn no_key_of_ours_is_a_clients() {
        for key in ["assertion-1", "message-1", "handshake-1"] {
            let (_root, config) = written();
            fs::copy(config.join(format!("issuer.d/{key}.pem")), config.join("auth.d/own.pem")).unwrap();
            let path = config.join("auth.d/users.toml");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text}\n[users.us]\ncertificates = [\"own.pem\"]\n")).unwrap();
            let wrong: Vec<String> = check(&config).0.iter().map(ToString::to_string).collect();
            let said = |line: &String| line.contains("users.toml:") && line.contains("whose purpose is");
            assert!(wrong.len() == 1 && wrong.iter().any(said), "{key}: {wrong:#?}");
        }
    }
}
