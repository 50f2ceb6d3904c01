//! `[[jwt_issuer]]` of `auth.toml`: whose JWTs prove a requestor, signed by which keys, made for whom, how old, and
//! which account one means. The keys are a JWK set, in a file beside it that is read when it is read, or at one place
//! of the issuer's over TLS. A key that is not in it verifies nothing, and where it is no JWT says.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use toml::Spanned;

use super::claims::Case;
use super::jwks::{self, Key};
use super::naming::Naming;
use super::source::{Fetched, Source, SourceFile, Way};
use super::users::Users;
use super::vouching::{AttributeFile, AttributeRule, Bounds, MOST, Reading, ReplayName, Says};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::jose::header::algorithm;
use crate::wire::Text;
use crate::wire::evidence::SignatureAlgorithm;

/// Seconds clocks may differ, at most (R-J023).
const MOST_SKEW_S: u32 = 60;
/// Octets of a key set, at most.
pub const LARGEST_SET: usize = 256 * 1024;
/// Hours for which a fetched set is used when there is no other: a key that its issuer took out ends by then.
const KEPT_H: RangeInclusive<u32> = 1..=168;
const USUAL_KEPT_H: u32 = 24;

/// Somebody whose JWTs are taken.
#[derive(Debug)]
pub struct JwtIssuer {
    /// What users name it by.
    pub name: Text<64>,
    /// What it calls itself in `iss`.
    pub issuer: String,
    /// With which keys it signs, and how.
    pub keys: Keys,
    /// Of the ways in which keys sign, those that are taken. All, where nothing is said.
    pub algorithms: Option<Vec<SignatureAlgorithm>>,
    /// Who we are to it: `aud` must name one of these.
    pub audiences: Vec<String>,
    /// Must it name nobody else?
    pub sole_audience: bool,
    /// What `typ` must be, in small letters; without it, `jwt` or nothing.
    pub kind: Option<String>,
    /// How old a JWT may be; its `iat` says when it was made.
    pub bounds: Bounds,
    /// Must every JWT have a `jti`, so that it is good once? One that has is, in any case.
    pub once: bool,
    /// Whom a JWT means. The first rule that gives a name decides.
    pub subjects: Vec<SubjectRule>,
    /// What a JWT says of its subject besides.
    pub attributes: Vec<AttributeRule>,
}

/// The keys of an issuer.
#[derive(Debug)]
pub enum Keys {
    /// Of a file.
    Written(Arc<Vec<Key>>),
    /// Of a place of the issuer's; none at first, and none when they are older than this.
    Fetched(Box<Fetched<Set>>, Duration),
}

/// A set that was fetched, and its keys.
#[derive(Debug)]
pub struct Set {
    octets: Vec<u8>,
    keys: Arc<Vec<Key>>,
}

impl Keys {
    /// Those there are now.
    #[must_use]
    pub fn now(&self) -> Arc<Vec<Key>> {
        match self {
            Self::Written(keys) => keys.clone(),
            Self::Fetched(source, kept) if source.age().is_some_and(|age| age <= *kept) => {
                source.held().map(|set| set.keys.clone()).unwrap_or_default()
            }
            Self::Fetched(..) => Arc::default(),
        }
    }

    /// Where they come from.
    #[must_use]
    pub fn source(&self) -> Option<&Fetched<Set>> {
        match self {
            Self::Written(_) => None,
            Self::Fetched(source, _) => Some(source),
        }
    }
}

/// How a JWT gives the name of an account.
#[derive(Debug)]
pub struct SubjectRule {
    /// The claim, a member of the outermost object.
    pub claim: String,
    /// What becomes of its value.
    pub naming: Naming,
}

/// `[[jwt_issuer]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerFile {
    name: Spanned<String>,
    issuer: Spanned<String>,
    jwks: Option<Spanned<String>>,
    jwks_source: Option<Spanned<SourceFile>>,
    jwks_kept_h: Option<Spanned<u32>>,
    audiences: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    sole_audience: bool,
    algorithms: Option<Spanned<Vec<Spanned<String>>>>,
    typ: Option<Spanned<String>>,
    skew_s: Option<Spanned<u32>>,
    max_age_min: Option<Spanned<u32>>,
    max_session_min: Option<Spanned<u32>>,
    replay: Option<ReplayName>,
    #[serde(default)]
    subject: Vec<SubjectFile>,
    #[serde(default, rename = "attribute")]
    attributes: Vec<AttributeFile>,
}

impl IssuerFile {
    /// Where it says how old a JWT may be, or stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.max_age_min.as_ref().map_or(self.name.span(), Spanned::span)
    }

    /// What it says of its subjects.
    pub(super) fn says(&self) -> Says<'_> {
        Says { name: self.name.get_ref(), attributes: &self.attributes }
    }
}

/// `[[jwt_issuer.subject]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectFile {
    claim: Spanned<String>,
    capture: Option<Spanned<String>>,
    case: Option<Case>,
}

/// The issuer that calls itself so.
#[must_use]
pub fn find<'a>(issuers: &'a [JwtIssuer], issuer: &str) -> Option<&'a JwtIssuer> {
    issuers.iter().find(|one| one.issuer == issuer)
}

/// Checks the issuers of a file.
pub(super) fn checked<T>(
    directory: &Directory,
    file: &Loaded<T>,
    written: &[IssuerFile],
) -> Result<Vec<JwtIssuer>, ConfigError> {
    let mut issuers: Vec<JwtIssuer> = Vec::new();
    for one in written {
        let issuer = read(&Reading { directory, file }, one)?;
        if issuers.len() == MOST {
            return Err(file.error(one.name.span(), format!("more than {MOST} issuers")));
        }
        if issuers.iter().any(|other| other.name == issuer.name) {
            return Err(file.error(one.name.span(), "this issuer stands here twice"));
        }
        if let Some(other) = find(&issuers, &issuer.issuer) {
            let why = format!("issuer: {} calls itself so already", other.name.as_str());
            return Err(file.error(one.issuer.span(), why));
        }
        // One key says one issuer: or what one of them signs could be passed off as the other's.
        if let Some((path, owner)) = one.jwks.as_ref().zip(sharing(&issuers, &issuer.keys.now())) {
            let why = format!("jwks {}: one of its keys is that of {owner} already", path.get_ref());
            return Err(file.error(path.span(), why));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

/// Who has one of these keys already.
fn sharing<'a>(issuers: impl IntoIterator<Item = &'a JwtIssuer>, keys: &[Key]) -> Option<&'a str> {
    let has = |other: &&JwtIssuer| other.keys.now().iter().any(|its| keys.iter().any(|key| key.key == its.key));
    issuers.into_iter().find(has).map(|owner| owner.name.as_str())
}

impl JwtIssuer {
    /// Holds a set that our source gave, but for keys that are not understood, sign in other ways than are taken, or
    /// are known to be somebody else's here: an issuer publishes what others need as well, and it is not for him to
    /// take another's keys from him. False where it is the one that is held already, and how many were left out.
    ///
    /// # Errors
    /// Why it is not taken, for the operator.
    pub fn take(
        &self,
        source: &Fetched<Set>,
        octets: Vec<u8>,
        (issuers, users): (&[Self], &Users),
        since: Instant,
    ) -> Result<(bool, usize), String> {
        let (mut keys, all) = jwks::published(&octets, self.algorithms.as_deref())?;
        // Of sets that are fetched none is first: who reads a key of another's in his could keep the other out with it.
        let written = issuers.iter().filter(|other| matches!(other.keys, Keys::Written(_)));
        let written: Vec<_> = written.map(|other| other.keys.now()).collect();
        let elsewhere = |key: &Key| written.iter().flat_map(|keys| &**keys).any(|its| its.key == key.key);
        keys.retain(|key| !elsewhere(key) && users.owner(&key.key).is_none());
        if keys.is_empty() {
            return Err(format!("of {all} keys none that could be used"));
        }
        let left_out = all - keys.len();
        let new = source.held().is_none_or(|held| held.octets != octets);
        source.hold(Arc::new(Set { octets, keys: Arc::new(keys) }), since);
        Ok((new, left_out))
    }

    /// Of these keys those that sign as is taken from this issuer.
    fn of(&self, mut keys: Vec<Key>) -> Result<Vec<Key>, String> {
        if let Some(taken) = &self.algorithms {
            for key in &mut keys {
                key.algorithms.retain(|one| taken.contains(one));
            }
            // One that signs in another way stands in the set for somebody else.
            keys.retain(|key| !key.algorithms.is_empty());
        }
        if keys.is_empty() { Err("no key of jwks signs so".to_owned()) } else { Ok(keys) }
    }
}

impl Set {
    /// As it came.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

fn read<T>(reading: &Reading<'_, T>, written: &IssuerFile) -> Result<JwtIssuer, ConfigError> {
    let name = reading.name("an issuer", &written.name)?;
    let lengths = [written.audiences.get_ref().len(), written.subject.len(), written.attributes.len()];
    if lengths.into_iter().any(|length| length > MOST) {
        return Err(reading.refused(written.name.span(), format!("{name}: more than {MOST} audiences or rules")));
    }
    if written.subject.is_empty() {
        let why = format!("{name} has no [[jwt_issuer.subject]]: its JWTs would mean nobody");
        return Err(reading.refused(written.name.span(), why));
    }
    if written.audiences.get_ref().is_empty() {
        let why = "audiences: a JWT that may be for anybody is refused, so this issuer's would all be";
        return Err(reading.refused(written.audiences.span(), why));
    }
    let algorithms = written.algorithms.as_ref().map(|names| algorithms(reading, names)).transpose()?;
    let mut issuer = JwtIssuer {
        name,
        issuer: reading.identifier("issuer", &written.issuer)?,
        keys: keys(reading, written)?,
        algorithms,
        audiences: reading.audiences(&written.audiences)?,
        sole_audience: written.sole_audience,
        kind: written.typ.as_ref().map(|typ| kind(reading, typ)).transpose()?,
        bounds: reading.bounds([&written.skew_s, &written.max_age_min, &written.max_session_min], MOST_SKEW_S)?,
        once: matches!(written.replay, Some(ReplayName::Once)),
        subjects: written.subject.iter().map(|rule| subject(reading, rule)).collect::<Result<_, _>>()?,
        attributes: written.attributes.iter().map(|rule| reading.attribute(rule)).collect::<Result<_, _>>()?,
    };
    match (&issuer.keys, &written.algorithms) {
        (Keys::Written(all), Some(names)) => {
            let keys = issuer.of(all.to_vec());
            let keys = keys.map_err(|why| reading.refused(names.span(), format!("algorithms: {why}")))?;
            issuer.keys = Keys::Written(Arc::new(keys));
        }
        (Keys::Fetched(..), Some(names)) if names.get_ref().is_empty() => {
            return Err(reading.refused(names.span(), "algorithms: no key would sign so"));
        }
        _ => {}
    }
    Ok(issuer)
}

/// The keys of its set, or where they will come from.
fn keys<T>(reading: &Reading<'_, T>, written: &IssuerFile) -> Result<Keys, ConfigError> {
    let path = match (&written.jwks, &written.jwks_source) {
        (Some(path), None) => path,
        (None, Some(source)) => {
            let kept = reading.number("jwks_kept_h", written.jwks_kept_h.as_ref(), USUAL_KEPT_H, KEPT_H)?;
            let kept = Duration::from_secs(u64::try_from(kept).unwrap_or(0) * 3600);
            let source = Source::read(reading.directory, reading.file, source.get_ref(), Way::Secured)?;
            return Ok(Keys::Fetched(Box::new(Fetched::new(source)), kept));
        }
        (Some(_), Some(source)) => {
            return Err(reading.refused(source.span(), "jwks and jwks_source exclude each other"));
        }
        (None, None) => {
            let why = "jwks or jwks_source is missing: by which keys would its JWTs be verified?";
            return Err(reading.refused(written.name.span(), why));
        }
    };
    if let Some(kept) = &written.jwks_kept_h {
        return Err(reading.refused(kept.span(), "jwks_kept_h is for what jwks_source gives"));
    }
    let refused = |why: String| reading.refused(path.span(), format!("jwks {}: {why}", path.get_ref()));
    let octets = reading.directory.octets(path.get_ref()).map_err(|error| refused(error.to_string()))?;
    if octets.len() > LARGEST_SET {
        return Err(refused("larger than 256 KiB".to_owned()));
    }
    Ok(Keys::Written(Arc::new(jwks::read(&octets).map_err(refused)?)))
}

/// The ways of signing that are taken.
fn algorithms<T>(
    reading: &Reading<'_, T>,
    names: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<SignatureAlgorithm>, ConfigError> {
    let mut taken = Vec::new();
    for name in names.get_ref() {
        let why = || format!("algorithms: {:?} is no signature algorithm of JOSE that is taken", name.get_ref());
        taken.push(algorithm(name.get_ref()).ok_or_else(|| reading.refused(name.span(), why()))?);
    }
    Ok(taken)
}

/// What `typ` must be, as a header's is compared.
fn kind<T>(reading: &Reading<'_, T>, typ: &Spanned<String>) -> Result<String, ConfigError> {
    let small = typ.get_ref().to_ascii_lowercase();
    let kind = small.strip_prefix("application/").unwrap_or(&small);
    if kind.is_empty() || kind.len() > 64 || !kind.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(reading.refused(typ.span(), "typ: 1 to 64 printable ASCII characters, as \"at+jwt\""));
    }
    // It proves that somebody has a key, and nothing about who he is (R-J022).
    if kind == "dpop+jwt" {
        return Err(reading.refused(typ.span(), "typ: a proof of possession says nothing about anybody"));
    }
    Ok(kind.to_owned())
}

fn subject<T>(reading: &Reading<'_, T>, written: &SubjectFile) -> Result<SubjectRule, ConfigError> {
    Ok(SubjectRule {
        claim: reading.identifier("claim", &written.claim)?,
        naming: Naming::read(reading.file, written.capture.as_ref(), written.case)?,
    })
}
