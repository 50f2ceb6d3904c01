//! auth's configuration, `auth.d/`: who the users are, which relying parties there are, and the limits of
//! the process. What comes out of [`check`] cannot be wrong any more: hashes are parsed, policies are
//! validated against the schema, every claim's source exists. It decides nothing about a request.

pub mod authority;
pub mod certificate;
pub mod claims;
pub(crate) mod der;
pub mod directory;
pub mod endpoint;
pub mod hash;
pub mod intermediary;
pub mod jwks;
pub mod jwt;
pub mod kerberos;
pub mod list;
pub mod lists;
pub mod naming;
pub mod partner;
pub mod party;
pub mod password;
mod place;
pub mod policy;
pub mod public_key;
pub mod responder;
mod sha1;
pub mod source;
pub mod store;
pub mod users;
pub mod verdict;
pub mod vouching;

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use self::authority::{Authority, AuthorityFile};
use self::certificate::Certificate;
use self::directory::{Directory as DirectoryRules, DirectoryFile};
use self::endpoint::{Endpoint, EndpointFile, Endpoints, Has};
use self::jwt::{IssuerFile, JwtIssuer};
use self::kerberos::{KerberosFile, KerberosRules, Realm, RealmFile};
use self::partner::{Partner, PartnerFile};
use self::party::{Party, PartyFile};
use self::policy::Vocabulary;
use self::store::StoreFile;
pub use self::store::{Room, StorePlace, StoreRules};
use self::users::{Users, Vouching};
use super::beneath::Directory;
use super::load::{ConfigError, ConfigErrors, Loaded};
use crate::wire::order::LONGEST_VOUCHER_MS;

/// Everything auth decides by.
#[derive(Debug)]
pub struct Auth {
    /// Endpoints whose requests are answered, by path.
    pub endpoints: Endpoints,
    /// What a `wsu:Timestamp` must fulfil (R-W011).
    pub timestamp: TimestampRules,
    /// The pool that verifies passwords.
    pub password: PasswordRules,
    /// How often somebody may be wrong.
    pub throttle: ThrottleRules,
    /// Bounds of the process.
    pub limits: Limits,
    /// What is remembered across restarts, where somebody says where.
    pub store: Option<StoreRules>,
    /// Who may issue certificates that are not registered.
    pub authorities: Vec<Authority>,
    /// Of our own servers: those to which a client may have proved its certificate in a TLS handshake.
    pub servers: Vec<Certificate>,
    /// Whose assertions are taken.
    pub partners: Vec<Partner>,
    /// Whose JWTs are taken.
    pub issuers: Vec<JwtIssuer>,
    /// What holds for tickets of Kerberos.
    pub kerberos: KerberosRules,
    /// Whose users' tickets are taken.
    pub realms: Vec<Realm>,
    /// Who else knows users.
    pub directories: Vec<Arc<DirectoryRules>>,
    /// Accounts.
    pub users: Users,
    /// Relying parties by address.
    pub parties: Parties,
    /// What of `auth.toml` is allowed and should not stay so.
    pub doubts: Vec<ConfigError>,
}

/// `[timestamp]`.
#[derive(Debug, Clone, Copy)]
pub struct TimestampRules {
    /// Is a request without one refused?
    pub required: bool,
    /// Milliseconds a message is good for after its `Created`.
    pub ttl_ms: i64,
    /// Milliseconds `Created` may lie ahead of our clock.
    pub future_ms: i64,
    /// Milliseconds clocks may differ; added once to each bound.
    pub skew_ms: i64,
}

/// `[password]`. Threads and queue hold from start to end of the process; a reload does not change them.
#[derive(Debug, Clone, Copy)]
pub struct PasswordRules {
    /// Threads that run argon2.
    pub threads: usize,
    /// Verifications that may wait for one.
    pub queue: usize,
    /// How long a success is remembered; at most 60 s.
    pub cache: Duration,
    /// Successes remembered at one time.
    pub cache_entries: usize,
}

/// `[throttle]`.
#[derive(Debug, Clone, Copy)]
pub struct ThrottleRules {
    /// Wrong passwords of one user in a row.
    pub user_burst: u32,
    /// Wrong passwords of one user in the long run, a minute.
    pub user_per_minute: u32,
    /// Wrong passwords from one address through one worker in a row.
    pub address_burst: u32,
    /// Wrong passwords from one address through one worker in the long run, a minute.
    pub address_per_minute: u32,
    /// Requests of one account with the right password in a row.
    pub account_burst: u32,
    /// Requests of one account with the right password in the long run, a minute.
    pub account_per_minute: u32,
    /// Session keys from one address through one worker to be opened in a row.
    pub unwrap_burst: u32,
    /// Session keys from one address through one worker to be opened in the long run, a minute.
    pub unwrap_per_minute: u32,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests of one worker at a time; beyond these its channel is not read.
    pub in_flight_per_worker: usize,
    /// How long a request waits for the record.
    pub audit_deadline: Duration,
    /// How long a request waits for issuer to take its voucher.
    pub issuer_deadline: Duration,
    /// How long a voucher lodged at one issuer is offered to the next.
    pub voucher_ttl: Duration,
}

/// The relying parties.
#[derive(Debug, Default)]
pub struct Parties {
    by_address: HashMap<String, Arc<Party>>,
    default: Option<Arc<Party>>,
}

impl Parties {
    /// The party this `AppliesTo` names, or the default one when there is no `AppliesTo` (R-T020, R-T021).
    ///
    /// The address must equal one of the party's addresses octet for octet, but for XML white space around
    /// it. No case folding, no trailing slash, no percent-decoding, no dot segments, no Unicode form: a
    /// party that is known by two spellings lists both.
    #[must_use]
    pub fn find(&self, applies_to: Option<&str>) -> Option<&Arc<Party>> {
        match applies_to {
            Some(address) => self.by_address.get(address.trim_matches([' ', '\t', '\r', '\n'])),
            None => self.default.as_ref(),
        }
    }

    /// How many addresses there are.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.by_address.len()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "endpoint")]
    endpoints: Option<Vec<EndpointFile>>,
    default_relying_party: Option<Spanned<String>>,
    #[serde(default)]
    timestamp: TimestampFile,
    #[serde(default)]
    password: PasswordFile,
    #[serde(default)]
    throttle: ThrottleFile,
    #[serde(default)]
    limits: LimitsFile,
    store: Option<Spanned<StoreFile>>,
    #[serde(rename = "certificate_authority", default)]
    authorities: Vec<AuthorityFile>,
    #[serde(default)]
    server_certificates: Vec<Spanned<String>>,
    #[serde(rename = "saml_partner", default)]
    partners: Vec<PartnerFile>,
    #[serde(rename = "jwt_issuer", default)]
    issuers: Vec<IssuerFile>,
    kerberos: Option<KerberosFile>,
    #[serde(rename = "kerberos_realm", default)]
    realms: Vec<RealmFile>,
    #[serde(rename = "directory", default)]
    directories: Vec<DirectoryFile>,
}

type Number = Option<Spanned<u32>>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct TimestampFile {
    required: bool,
    ttl_s: Number,
    future_s: Number,
    skew_s: Number,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PasswordFile {
    argon2_threads: Number,
    queue: Number,
    cache_s: Number,
    cache_entries: Number,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ThrottleFile {
    user_burst: Number,
    user_per_minute: Number,
    address_burst: Number,
    address_per_minute: Number,
    account_burst: Number,
    account_per_minute: Number,
    unwrap_burst: Number,
    unwrap_per_minute: Number,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    in_flight_per_worker: Number,
    audit_deadline_ms: Number,
    issuer_deadline_ms: Number,
    voucher_ttl_ms: Number,
}

/// Reads `auth.d/` below the configuration root, as the daemon does.
///
/// # Errors
/// [`ConfigErrors`]: the first thing in each file that cannot be used.
pub fn check(root: &Path) -> Result<Auth, ConfigErrors> {
    read(&Directory::open(&root.join("auth.d"))?)
}

/// Reads the configuration from the open `auth.d/`.
///
/// # Errors
/// [`ConfigErrors`]: the first thing in each file that cannot be used.
pub fn read(directory: &Directory) -> Result<Auth, ConfigErrors> {
    let mut wrong = ConfigErrors::default();
    let file = wrong.keep(directory.file::<File>("auth.toml"));
    let rules = file.as_ref().and_then(|file| wrong.keep(rules(directory, file)));
    let elsewhere = file.iter().flat_map(|file| directory::vocabulary(&file.value.directories));
    let listed = wrong.keep(users::list(directory, elsewhere.map(|name| name.get_ref().as_str())));
    let vouching = rules.as_ref().map(|rules| Vouching {
        authorities: &rules.authorities,
        partners: &rules.partners,
        issuers: &rules.issuers,
        realms: &rules.realms,
    });
    let users = listed.as_ref().and_then(|listed| wrong.keep(listed.users(directory, vouching)));
    if let Some((listed, rules)) = listed.as_ref().zip(rules.as_ref()) {
        wrong.keep(listed.apart(&rules.directories));
    }
    if let (Some(file), Some(listed)) = (&file, &listed) {
        let of_directories = directory::vocabulary(&file.value.directories).map(|name| name.get_ref().as_str());
        let partners = file.value.partners.iter().map(PartnerFile::says);
        let says: Vec<_> = partners.chain(file.value.issuers.iter().map(IssuerFile::says)).collect();
        wrong.keep(vouching::known(file, &says, listed, &of_directories.collect::<Vec<_>>()));
    }
    if let (Some(file), Some(_), Some(users)) = (&file, &rules, &users) {
        let partners = file.value.partners.iter().map(PartnerFile::intermediaries);
        wrong.keep(intermediary::known(file, partners, users));
    }
    let parties = parties(directory, file.as_ref(), listed.as_ref().map(|listed| &listed.vocabulary), &mut wrong);
    let auth = rules.zip(users).map(|(rules, mut users)| {
        let Rules { endpoints, timestamp, password, throttle, limits, store, .. } = rules;
        let Rules { authorities, servers, partners, issuers, kerberos, realms, directories, mut doubts, .. } = rules;
        doubts.append(&mut users.doubts);
        Auth {
            endpoints,
            timestamp,
            password,
            throttle,
            limits,
            store,
            authorities,
            servers,
            partners,
            issuers,
            kerberos,
            realms,
            directories,
            users,
            parties,
            doubts,
        }
    });
    wrong.unless(auth)
}

/// What `auth.toml` says; users and relying parties are in files of their own.
struct Rules {
    endpoints: Endpoints,
    timestamp: TimestampRules,
    password: PasswordRules,
    throttle: ThrottleRules,
    limits: Limits,
    store: Option<StoreRules>,
    authorities: Vec<Authority>,
    servers: Vec<Certificate>,
    partners: Vec<Partner>,
    issuers: Vec<JwtIssuer>,
    kerberos: KerberosRules,
    realms: Vec<Realm>,
    directories: Vec<Arc<DirectoryRules>>,
    doubts: Vec<ConfigError>,
}

fn rules(directory: &Directory, file: &Loaded<File>) -> Result<Rules, ConfigError> {
    let number = |key, value, default, range| self::number(file, key, value, default, range);
    let File { timestamp, password, throttle, limits, store, .. } = &file.value;
    let has = Has {
        store: store.is_some(),
        partners: !file.value.partners.is_empty(),
        intermediaries: file.value.partners.iter().any(|partner| !partner.intermediaries().1.is_empty()),
        macs: file.value.partners.iter().any(PartnerFile::by_mac),
        issuers: !file.value.issuers.is_empty(),
        realms: !file.value.realms.is_empty(),
        servers: !file.value.server_certificates.is_empty(),
    };
    let seconds = |s: u32| i64::from(s) * 1000;
    let milliseconds = |ms: u32| Duration::from_millis(ms.into());
    let endpoints = endpoint::checked(file, file.value.endpoints.as_deref(), has)?;
    let servers = servers(directory, file)?;
    let (written, used) = (&file.value.server_certificates, endpoints.values().any(Endpoint::takes_tickets));
    let kerberos = kerberos::rules(directory, file, file.value.kerberos.as_ref(), (written, &servers), used)?;
    let mut rules = Rules {
        endpoints,
        timestamp: TimestampRules {
            required: timestamp.required,
            ttl_ms: seconds(number("timestamp.ttl_s", &timestamp.ttl_s, 300, 1..=3600)?),
            future_ms: seconds(number("timestamp.future_s", &timestamp.future_s, 60, 0..=600)?),
            skew_ms: seconds(number("timestamp.skew_s", &timestamp.skew_s, 0, 0..=600)?),
        },
        password: PasswordRules {
            threads: number("password.argon2_threads", &password.argon2_threads, 2, 1..=64)? as usize,
            queue: number("password.queue", &password.queue, 64, 1..=4096)? as usize,
            cache: Duration::from_secs(number("password.cache_s", &password.cache_s, 60, 0..=60)?.into()),
            cache_entries: number("password.cache_entries", &password.cache_entries, 4096, 1..=65_536)? as usize,
        },
        throttle: ThrottleRules {
            user_burst: number("throttle.user_burst", &throttle.user_burst, 10, 1..=1_000_000)?,
            user_per_minute: number("throttle.user_per_minute", &throttle.user_per_minute, 10, 1..=1_000_000)?,
            address_burst: number("throttle.address_burst", &throttle.address_burst, 100, 1..=1_000_000)?,
            address_per_minute: number(
                "throttle.address_per_minute",
                &throttle.address_per_minute,
                300,
                1..=1_000_000,
            )?,
            account_burst: number("throttle.account_burst", &throttle.account_burst, ACCOUNT, 1..=1_000_000)?,
            account_per_minute: number(
                "throttle.account_per_minute",
                &throttle.account_per_minute,
                ACCOUNT,
                1..=1_000_000,
            )?,
            unwrap_burst: number("throttle.unwrap_burst", &throttle.unwrap_burst, 100, 1..=1_000_000)?,
            unwrap_per_minute: number("throttle.unwrap_per_minute", &throttle.unwrap_per_minute, 600, 1..=1_000_000)?,
        },
        limits: Limits {
            in_flight_per_worker: number("limits.in_flight_per_worker", &limits.in_flight_per_worker, 512, 1..=8192)?
                as usize,
            audit_deadline: milliseconds(number(
                "limits.audit_deadline_ms",
                &limits.audit_deadline_ms,
                2000,
                50..=60_000,
            )?),
            issuer_deadline: milliseconds(number(
                "limits.issuer_deadline_ms",
                &limits.issuer_deadline_ms,
                2000,
                50..=60_000,
            )?),
            voucher_ttl: milliseconds(number(
                "limits.voucher_ttl_ms",
                &limits.voucher_ttl_ms,
                5000,
                100..=LONGEST_VOUCHER_MS,
            )?),
        },
        store: store.as_ref().map(|store| store::checked(directory, file, store)).transpose()?,
        authorities: authority::checked(directory, file, &file.value.authorities)?,
        servers,
        partners: partner::checked(directory, file, &file.value.partners)?,
        issuers: jwt::checked(directory, file, &file.value.issuers)?,
        kerberos,
        realms: kerberos::checked(directory, file, &file.value.realms)?,
        directories: directory::checked(directory, file, &file.value.directories)?,
        doubts: Vec::new(),
    };
    if !has.servers
        && let Some(place) = file.value.partners.iter().find_map(PartnerFile::by_connection)
    {
        let why = "holder_proofs names \"tls-certificate\", so server_certificates must say which servers clients prove \
                   themselves to";
        return Err(file.error(place, why));
    }
    rules.doubts.extend(store::doubts(file, &rules));
    rules.doubts.extend(sha1::doubts(file));
    Ok(rules)
}

/// Certificates of our own servers, at most: each name, and each while it is renewed.
const MOST_SERVERS: usize = 16;

fn servers(directory: &Directory, file: &Loaded<File>) -> Result<Vec<Certificate>, ConfigError> {
    let written = &file.value.server_certificates;
    if let Some(one_more) = written.get(MOST_SERVERS) {
        return Err(file.error(one_more.span(), format!("server_certificates: more than {MOST_SERVERS}")));
    }
    let read = |path: &Spanned<String>| {
        let text = directory.text(path.get_ref()).map_err(|error| error.to_string());
        text.and_then(|text| Certificate::first_of_pem(&text)).map_err(|why| {
            file.error(path.span(), format!("server_certificates: certificate {}: {why}", path.get_ref()))
        })
    };
    written.iter().map(read).collect()
}

/// A hundred a second, as issuer's quota of an account at one relying party is unless its file says otherwise:
/// more than an honest machine account asks for.
const ACCOUNT: u32 = 6_000;

/// What that key says, or what holds where it is not there.
fn number<T>(
    file: &Loaded<T>,
    key: &str,
    value: &Number,
    default: u32,
    range: RangeInclusive<u32>,
) -> Result<u32, ConfigError> {
    match value {
        None => Ok(default),
        Some(value) if range.contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => Err(file.error(value.span(), between(key, &range))),
    }
}

fn between(key: &str, range: &RangeInclusive<u32>) -> impl Display {
    format!("{key} must be from {} to {}", range.start(), range.end())
}

/// The relying parties that nothing is wrong with. Without the users' vocabulary only what does not speak of
/// users is checked.
fn parties(
    directory: &Directory,
    file: Option<&Loaded<File>>,
    vocabulary: Option<&Vocabulary>,
    wrong: &mut ConfigErrors,
) -> Parties {
    let mut parties = Parties::default();
    let mut owners: HashMap<String, PathBuf> = HashMap::new();
    let mut default = file.and_then(|file| Some((file, file.value.default_relying_party.as_ref()?)));
    for (name, loaded) in wrong.keep(directory.files("relying-parties")).unwrap_or_default() {
        let is_default = default.take_if(|(_, default)| *default.get_ref() == name).is_some();
        let Some(loaded) = wrong.keep(loaded) else { continue };
        let compiled = match vocabulary {
            Some(vocabulary) => party::compile(&name, &loaded, vocabulary).map(|party| Some(Arc::new(party))),
            None => party::terms(&name, &loaded).map(|_| None),
        };
        let compiled = compiled.and_then(|party| addresses(&mut owners, &loaded).map(|()| party));
        let Some(Some(party)) = wrong.keep(compiled) else { continue };
        let addresses = loaded.value.applies_to.iter().map(|address| address.get_ref().clone());
        parties.by_address.extend(addresses.map(|address| (address, party.clone())));
        if is_default {
            parties.default = Some(party);
        }
    }
    if let Some((file, default)) = default {
        wrong.push(file.error(default.span(), "default_relying_party: no such file in relying-parties/"));
    }
    parties
}

/// An address is of one party, and there once.
fn addresses(owners: &mut HashMap<String, PathBuf>, file: &Loaded<PartyFile>) -> Result<(), ConfigError> {
    for address in &file.value.applies_to {
        if let Some(owner) = owners.insert(address.get_ref().clone(), file.path.clone()) {
            let why = if owner == file.path {
                "applies_to names this address twice".to_owned()
            } else {
                format!("applies_to of another relying party names this address too: {}", owner.display())
            };
            return Err(file.error(address.span(), why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
