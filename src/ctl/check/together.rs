//! What must agree between the directories: the certificate the worker shows and the key issuer completes
//! handshakes with, auth's relying parties and issuer's ceilings, issuer's keys and the signer's.

use std::fmt::Display;
use std::path::Path;

use super::Whole;
use crate::config::auth::party::Party;
use crate::config::auth::{Auth, Room};
use crate::config::issuer::{Ceiling, Certificate, Issuer, Key, KeyState, Purpose};
use crate::config::kerberos;
use crate::config::load::{self, ConfigError};
use crate::config::worker::{ClientCertificates, Credential, Endpoint, Listener, Replies, Worker};

/// Adds what does not agree.
pub(super) fn check(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    endpoints(root, whole, wrong);
    certificates(root, whole, wrong);
    holders(root, whole, wrong);
    shared_keys(root, whole, wrong);
    tickets(root, whole, wrong);
    handshake(root, whole, wrong);
    keys(root, whole, wrong);
    accounts(root, whole, wrong);
    partners(root, whole, wrong);
    issuers(root, whole, wrong);
    parties(root, whole, wrong);
}

/// An error about the value these keys lead to in `file`.
fn at(file: &Path, keys: &[&str], why: impl Display) -> ConfigError {
    match std::fs::read_to_string(file) {
        Ok(text) => ConfigError::at(file, &text, load::place(&text, keys), why),
        Err(_) => ConfigError::file(file, why),
    }
}

fn endpoints(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let file = root.join("worker.d/worker.toml");
    let mut keys = whole.issuer.keys.iter();
    let opens = keys.any(|key| key.purpose == Purpose::Unwrap && key.state == KeyState::Active);
    let signs = whole.issuer.keys.iter().any(|key| key.purpose == Purpose::Message && key.state == KeyState::Active);
    for (index, endpoint) in whole.worker.endpoints.iter().enumerate() {
        let mut refuse = |key: &str, why: &str| {
            let keys = ["endpoint", &index.to_string(), key];
            wrong.push(at(&file, &keys, format!("endpoint {}: {why}", endpoint.path)));
        };
        match whole.auth.endpoints.get(&endpoint.path) {
            None => refuse("path", "no [[endpoint]] of auth.d/auth.toml has this path"),
            Some(auths) => {
                if endpoint.credential.takes_username() && !auths.password && !auths.digest {
                    let why = "takes a user name, and credentials in auth.d/auth.toml has neither \"password\" nor \"digest\"";
                    refuse("credential", why);
                }
                if endpoint.credential == Credential::TlsCertificate && !auths.tls_certificate {
                    let why = "takes a TLS certificate, and credentials in auth.d/auth.toml has no \"tls-certificate\"";
                    refuse("credential", why);
                }
                let symmetric = endpoint.credential == Credential::UsernameSymmetric;
                if symmetric && !auths.password_symmetric {
                    let why = "takes a user name under a MAC, and credentials in auth.d/auth.toml has no \
                               \"password-symmetric\"";
                    refuse("credential", why);
                }
                if !symmetric && auths.password_symmetric {
                    let why = "takes no MAC, and credentials in auth.d/auth.toml is \"password-symmetric\"";
                    refuse("credential", why);
                }
                // With "any" the worker takes what it is brought, and auth says which of it counts.
                let any = endpoint.credential == Credential::Any;
                if endpoint.encryption && !auths.encryption {
                    refuse("encryption", "takes sealed messages, and encryption is not on in auth.d/auth.toml");
                }
                if endpoint.encryption && !opens {
                    refuse("encryption", "no active key of issuer.d/issuer.toml has purpose \"unwrap\"");
                }
                let theirs = match (auths.signed_replies, auths.sealed_replies) {
                    (_, true) => Replies::Sealed,
                    (true, false) => Replies::Signed,
                    (false, false) => Replies::Plain,
                };
                if endpoint.replies != theirs {
                    let key = if endpoint.replies == Replies::Plain { "path" } else { "replies" };
                    let (here, there) = (endpoint.replies.name(), theirs.name());
                    refuse(key, &format!("replies is {here:?} here and {there:?} in auth.d/auth.toml"));
                }
                if endpoint.replies != Replies::Plain && !signs {
                    refuse("replies", "no active key of issuer.d/issuer.toml has purpose \"message\"");
                }
                if endpoint.credential.takes_signature() && !auths.signature {
                    refuse("credential", "takes a signature, and credentials in auth.d/auth.toml has no \"signature\"");
                }
                if endpoint.credential.takes_assertion() && !any && !auths.saml && !auths.sender_vouches {
                    let why = "takes an assertion, and credentials in auth.d/auth.toml has no \"saml\" and no \
                               \"sender-vouches\"";
                    refuse("credential", why);
                }
                if endpoint.credential.takes_jwt() && !any && !auths.jwt {
                    refuse("credential", "takes a JWT, and credentials in auth.d/auth.toml has no \"jwt\"");
                }
                if endpoint.credential == Credential::KerberosToken && !auths.kerberos_token {
                    let why =
                        "takes a ticket in the message, and credentials in auth.d/auth.toml has no \"kerberos-token\"";
                    refuse("credential", why);
                }
                if endpoint.credential == Credential::Kerberos && !auths.kerberos {
                    refuse("credential", "takes a ticket, and credentials in auth.d/auth.toml has no \"kerberos\"");
                }
            }
        }
    }
}

/// How long the store remembers a session key, seconds.
const KEPT_S: u64 = 16 * 60;

/// What is allowed and lets strangers keep others out: anybody can seal session keys, and each has a place in the
/// store. They may have three of four, and keep out assertions and JWTs beyond every other one.
pub(super) fn crowding(root: &Path, auth: &Auth, issuer: &Issuer) -> Option<ConfigError> {
    let store = auth.store.as_ref().filter(|_| auth.endpoints.values().any(|endpoint| endpoint.encryption))?;
    let once = !auth.partners.is_empty() || !auth.issuers.is_empty();
    let room = if once { Room::Half } else { Room::Most };
    let (places, rows) = (room.of(store.most_rows), KEPT_S * u64::from(issuer.unwraps_per_second));
    let why = format!(
        "by unwraps_per_second the messages of each worker may have {rows} session keys remembered, and store.most_rows \
         of auth.d/auth.toml has {places} places before they keep others out"
    );
    (rows > places).then(|| at(&root.join("issuer.d/issuer.toml"), &["unwraps_per_second"], why))
}

/// What is allowed and serves nothing: a listener that asks for certificates no endpoint looks at. A JWT may be for the
/// holder of one.
pub(super) fn doubts(root: &Path, worker: &Worker, auth: Option<&Auth>) -> Vec<ConfigError> {
    // One for the holder of a key is proven by a handshake of a server that auth knows.
    let known = auth.filter(|auth| !auth.servers.is_empty());
    let jwts = |path: &str| known.and_then(|auth| auth.endpoints.get(path)).is_some_and(|endpoint| endpoint.jwt);
    let asserts = |path: &str| {
        known.is_some_and(|auth| by_connections(auth) && auth.endpoints.get(path).is_some_and(|one| one.saml))
    };
    let looks = |Endpoint { credential, path, .. }: &Endpoint| {
        *credential == Credential::TlsCertificate
            || credential.takes_jwt() && jwts(path)
            || credential.takes_assertion() && asserts(path)
    };
    if worker.endpoints.iter().any(looks) {
        return Vec::new();
    }
    let asking = worker.listeners.iter().enumerate();
    let asking = asking.filter(|(_, listener)| listener.client_certificates == ClientCertificates::Asked);
    let doubt = |(index, _): (usize, _)| {
        let why = "no [[endpoint]] has credential = \"tls-certificate\", and none takes JWTs with server_certificates in \
             auth.d/auth.toml, or assertions with \"tls-certificate\" among the holder_proofs of their partner: clients are \
             asked in vain";
        at(&root.join("worker.d/worker.toml"), &["listener", &index.to_string(), "client_certificates"], why)
    };
    asking.map(doubt).collect()
}

/// Do connections prove the holders of some partner's assertions?
fn by_connections(auth: &Auth) -> bool {
    auth.partners.iter().any(|partner| partner.proofs.tls_certificate)
}

/// Endpoints where the TLS handshake proves a client: each can be reached, and auth knows the server clients see.
fn certificates(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let file = root.join("auth.d/auth.toml");
    let served = |path: &str| {
        let mut endpoints = whole.worker.endpoints.iter();
        endpoints.any(|endpoint| endpoint.path == path && endpoint.credential == Credential::TlsCertificate)
    };
    let written = load::file::<toml::Table>(&file).map(|file| file.value).unwrap_or_default();
    let written = written.get("endpoint").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    for (index, endpoint) in written.iter().enumerate() {
        let path = endpoint.get("path").and_then(toml::Value::as_str).unwrap_or_default();
        if whole.auth.endpoints.get(path).is_some_and(|endpoint| endpoint.tls_certificate) && !served(path) {
            let why = format!(
                "endpoint {path}: credentials has \"tls-certificate\", and no [[endpoint]] of worker.d/worker.toml with \
                 this path and that credential can be reached over a listener that asks for certificates"
            );
            wrong.push(at(&file, &["endpoint", &index.to_string(), "credentials"], why));
        }
    }
    let takes = whole.auth.endpoints.iter().any(|(path, endpoint)| endpoint.tls_certificate && served(path))
        || by_connections(&whole.auth);
    let own = whole.chain.certificates.first().map(|certificate| certificate.as_ref());
    if takes && !whole.auth.servers.iter().any(|server| Some(server.der.as_slice()) == own) {
        let why = "server_certificates does not have tls.certificate of worker.d/worker.toml: auth would believe no \
                   handshake of it";
        wrong.push(at(&file, &["server_certificates"], why));
    }
}

/// Partners whose assertions say who has connected: somebody is asked for a certificate, where one is presented.
fn holders(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let takes = |endpoint: &Endpoint| {
        let auths = whole.auth.endpoints.get(&endpoint.path);
        endpoint.credential.takes_assertion() && auths.is_some_and(|auths| auths.saml)
    };
    let asks = |listener: &Listener| listener.client_certificates == ClientCertificates::Asked;
    if whole.worker.listeners.iter().any(asks) && whole.worker.endpoints.iter().any(takes) {
        return;
    }
    for (index, partner) in whole.auth.partners.iter().enumerate().filter(|(_, partner)| partner.proofs.tls_certificate)
    {
        let why = format!(
            "partner {}: holder_proofs has \"tls-certificate\", and worker.d/worker.toml has no listener that asks for \
             certificates, or no [[endpoint]] that takes assertions",
            partner.name.as_str()
        );
        wrong.push(at(&root.join("auth.d/auth.toml"), &["saml_partner", &index.to_string(), "holder_proofs"], why));
    }
}

/// Partners whose assertions have a shared key for their holders: somebody can open that, where one is presented with a
/// MAC that says whom its message is for.
fn shared_keys(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let takes = |endpoint: &Endpoint| {
        let auths = whole.auth.endpoints.get(&endpoint.path);
        let addressed = auths.is_some_and(|auths| auths.saml && (auths.to_absent || !auths.addresses.is_empty()));
        endpoint.credential.takes_assertion() && addressed
    };
    let opens = |key: &Key| key.purpose == Purpose::Unwrap && key.state == KeyState::Active;
    let why = if !whole.worker.endpoints.iter().any(takes) {
        "no [[endpoint]] of worker.d/worker.toml takes assertions that has addresses in auth.d/auth.toml"
    } else if !whole.issuer.keys.iter().any(opens) {
        "no active key of issuer.d/issuer.toml has purpose \"unwrap\""
    } else {
        return;
    };
    for (index, partner) in whole.auth.partners.iter().enumerate().filter(|(_, partner)| partner.proofs.mac) {
        let why = format!("partner {}: holder_proofs has \"mac\", and {why}", partner.name.as_str());
        wrong.push(at(&root.join("auth.d/auth.toml"), &["saml_partner", &index.to_string(), "holder_proofs"], why));
    }
}

/// Endpoints where a ticket proves a client: each is one that asks for it, auth knows the server that it is bound to,
/// and somebody has the key.
fn tickets(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let file = root.join("auth.d/auth.toml");
    let served = |path: &str, takes: &dyn Fn(Credential) -> bool| {
        let mut endpoints = whole.worker.endpoints.iter();
        endpoints.any(|endpoint| endpoint.path == path && takes(endpoint.credential))
    };
    let written = load::file::<toml::Table>(&file).map(|file| file.value).unwrap_or_default();
    let written = written.get("endpoint").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let mut taking = None;
    for (index, endpoint) in written.iter().enumerate() {
        let path = endpoint.get("path").and_then(toml::Value::as_str).unwrap_or_default();
        let Some(endpoint) = whole.auth.endpoints.get(path) else { continue };
        let negotiated =
            (endpoint.kerberos, "kerberos", served(path, &|credential| credential == Credential::Kerberos));
        let in_message = (endpoint.kerberos_token, "kerberos-token", served(path, &Credential::takes_ticket));
        for (_, name, served) in [negotiated, in_message].into_iter().filter(|(named, ..)| *named) {
            if served {
                taking = taking.or(Some((index.to_string(), name)));
                continue;
            }
            let why = format!(
                "endpoint {path}: credentials has {name:?}, and no [[endpoint]] of worker.d/worker.toml with this path \
                 has that credential"
            );
            wrong.push(at(&file, &["endpoint", &index.to_string(), "credentials"], why));
        }
    }
    let Some((index, name)) = taking else { return };
    let own = whole.chain.certificates.first().map(|certificate| certificate.as_ref());
    if !whole.auth.servers.iter().any(|server| Some(server.der.as_slice()) == own) {
        let why = "server_certificates does not have tls.certificate of worker.d/worker.toml: auth would take no ticket that \
                   is shown to it";
        wrong.push(at(&file, &["server_certificates"], why));
    }
    if !kerberos::place(root).exists() {
        let why =
            format!("credentials has {name:?}, and there is no kerberos.d/kerberos.toml: nobody would have the keys");
        wrong.push(at(&file, &["endpoint", &index, "credentials"], why));
    }
}

fn handshake(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let mut handshakes = (whole.issuer.keys.iter())
        .filter(|key| key.purpose == Purpose::Handshake && key.state == KeyState::Active)
        .filter_map(|key| key.certificate.as_ref());
    if !handshakes.any(|certificate| certificate.sha256 == whole.chain.fingerprint()) {
        let why = "tls.certificate is not that of an active key with purpose \"handshake\" in issuer.d/issuer.toml";
        wrong.push(at(&root.join("worker.d/worker.toml"), &["tls", "certificate"], why));
    }
}

fn keys(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let (ours, theirs) = (root.join("issuer.d/issuer.toml"), root.join("signer.d/signer.toml"));
    for (index, key) in whole.issuer.keys.iter().enumerate().filter(|(_, key)| key.state != KeyState::Retired) {
        let index = index.to_string();
        let place = |of: &str, why: String| at(&ours, &["key", &index, of], format!("key {:?}: {why}", key.name));
        let Some(found) = whole.signer.keys.iter().find(|other| other.id == key.id) else {
            wrong.push(place("id", format!("{} has no key with this id", theirs.display())));
            continue;
        };
        if found.purpose.name() != key.purpose.name() {
            let (here, there) = (key.purpose.name(), found.purpose.name());
            wrong.push(place("purpose", format!("purpose is {here:?} here and {there:?} in {}", theirs.display())));
        }
        if let Some(why) = certificates_differ(key, found.certificate.as_deref()) {
            wrong.push(place("certificate", why));
        }
    }
}

/// A partner signs assertions: of our own keys only those that do, too, may be one's.
fn partners(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let file = root.join("auth.d/auth.toml");
    let others = || whole.issuer.keys.iter().filter(|key| key.purpose != Purpose::Assertion);
    for (index, partner) in whole.auth.partners.iter().enumerate() {
        for certificate in &partner.certificates {
            // The key's octets are what its SubjectPublicKeyInfo ends with.
            let (_, octets) = certificate.key.parts();
            let is = |key: &&Key| key.certificate.as_ref().is_some_and(|ours| ours.public_key.ends_with(octets));
            if let Some(key) = others().find(is) {
                let (name, purpose) = (&key.name, key.purpose.name());
                let why = format!("certificates: the key of one is our {name:?}, whose purpose is {purpose:?}");
                wrong.push(at(&file, &["saml_partner", &index.to_string(), "certificates"], why));
            }
        }
    }
}

/// No key of ours is a client's: a worker has answers of its wording signed, and handshakes completed.
fn accounts(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let file = root.join("auth.d/users.toml");
    for key in &whole.issuer.keys {
        let ours = key.certificate.as_ref().map(|ours| ours.public_key.as_slice());
        if let Some(name) = ours.and_then(|ours| whole.auth.users.registered(ours)) {
            let why = format!(
                "certificates: the key of one is our {:?}, whose purpose is {:?}",
                key.name,
                key.purpose.name()
            );
            wrong.push(at(&file, &["users", name, "certificates"], why));
        }
    }
}

/// An issuer signs JWTs, which no key of ours does.
fn issuers(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let file = root.join("auth.d/auth.toml");
    for (index, issuer) in whole.auth.issuers.iter().enumerate() {
        for one in &*issuer.keys.now() {
            let (_, octets) = one.key.parts();
            let is = |key: &&Key| key.certificate.as_ref().is_some_and(|ours| ours.public_key.ends_with(octets));
            if let Some(key) = whole.issuer.keys.iter().find(is) {
                let why = format!("jwks: one of its keys is our {:?}, which signs no JWTs", key.name);
                wrong.push(at(&file, &["jwt_issuer", &index.to_string(), "jwks"], why));
            }
        }
    }
}

fn certificates_differ(key: &Key, theirs: Option<&Path>) -> Option<String> {
    let (ours, theirs) = (key.certificate.as_ref()?, theirs?);
    match Certificate::read(theirs) {
        Ok(certificate) if certificate.public_key == ours.public_key => None,
        Ok(_) => Some(format!("its certificate and {} have different public keys", theirs.display())),
        Err(why) => Some(format!("the signer's certificate {}: {why}", theirs.display())),
    }
}

fn parties(root: &Path, whole: &Whole, wrong: &mut Vec<ConfigError>) {
    let (auths, ceilings) = (root.join("auth.d/relying-parties"), root.join("issuer.d/relying-parties"));
    let mut named = Vec::new();
    // Read a second time for the addresses the party is found by; auth's own check has passed already.
    for (name, file) in load::directory::<toml::Table>(&auths).unwrap_or_default() {
        let Ok(file) = file else { continue };
        let address = file.value.get("applies_to").and_then(|list| list.get(0)).and_then(toml::Value::as_str);
        let theirs = ceilings.join(format!("{name}.toml"));
        match (whole.issuer.ceilings.get(&name), whole.auth.parties.find(address)) {
            (None, _) => {
                let why = format!("{} is missing: issuer would decline every order", theirs.display());
                wrong.push(at(&file.path, &["applies_to"], why));
            }
            (Some(ceiling), Some(party)) => fits(&file.path, party, ceiling, &theirs, wrong),
            (Some(_), None) => {}
        }
        named.push(name);
    }
    for name in whole.issuer.ceilings.keys().filter(|name| !named.contains(name)) {
        let why = format!("a ceiling for nobody: {} is missing", auths.join(format!("{name}.toml")).display());
        wrong.push(at(&ceilings.join(format!("{name}.toml")), &["audience"], why));
    }
}

/// Would issuer decline what auth orders for this party?
fn fits(file: &Path, party: &Party, ceiling: &Ceiling, theirs: &Path, wrong: &mut Vec<ConfigError>) {
    let theirs = theirs.display();
    for kind in party.confirmations.difference(&ceiling.confirmations) {
        let why = format!("confirmations has {:?} and confirmations of {theirs} does not", kind.name());
        wrong.push(at(file, &["confirmations"], why));
    }
    for kind in party.token_types.iter().filter(|kind| !ceiling.token_types.contains(kind)) {
        let why = format!("token_types has {:?} and token_types of {theirs} does not", kind.name());
        wrong.push(at(file, &["token_types"], why));
    }
    for (index, claim) in party.claims.iter().enumerate() {
        if !ceiling.claims.contains(&*claim.uri) {
            let why = format!("claims of {theirs} does not name this claim");
            wrong.push(at(file, &["claim", &index.to_string(), "uri"], why));
        }
    }
    if party.lifetime_ceiling_ms > ceiling.lifetime_ms {
        let (here, there) = (party.lifetime_ceiling_ms / 60_000, ceiling.lifetime_ms / 60_000);
        let why = format!("lifetime_ceiling_min = {here} is above lifetime_ceiling_min = {there} of {theirs}");
        wrong.push(at(file, &["lifetime_ceiling_min"], why));
    }
}
