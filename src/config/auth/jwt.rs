//! `[[jwt_issuer]]` of `auth.toml`: whose JWTs prove a requestor, signed by which keys, made for whom, how old, and which
//! account one means. The keys are a JWK set in a file beside it, read when it is read: nothing is fetched, and a key that
//! is not in it verifies nothing.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::claims::Case;
use super::jwks::{self, Key};
use super::naming::Naming;
use super::vouching::{AttributeFile, AttributeRule, Bounds, MOST, Reading, ReplayName, Says};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::jose::header::algorithm;
use crate::wire::Text;

/// Seconds clocks may differ, at most (R-J023).
const MOST_SKEW_S: u32 = 60;
/// Octets of a key set, at most.
const LARGEST_SET: usize = 256 * 1024;

/// Somebody whose JWTs are taken.
#[derive(Debug)]
pub struct JwtIssuer {
    /// What users name it by.
    pub name: Text<64>,
    /// What it calls itself in `iss`.
    pub issuer: String,
    /// With which keys it signs, and how.
    pub keys: Vec<Key>,
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
    jwks: Spanned<String>,
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
        let has = |other: &&JwtIssuer| other.keys.iter().any(|its| issuer.keys.iter().any(|key| key.key == its.key));
        if let Some(owner) = issuers.iter().find(has) {
            let why =
                format!("jwks {}: one of its keys is that of {} already", one.jwks.get_ref(), owner.name.as_str());
            return Err(file.error(one.jwks.span(), why));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
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
    Ok(JwtIssuer {
        name,
        issuer: reading.identifier("issuer", &written.issuer)?,
        keys: keys(reading, written)?,
        audiences: reading.audiences(&written.audiences)?,
        sole_audience: written.sole_audience,
        kind: written.typ.as_ref().map(|typ| kind(reading, typ)).transpose()?,
        bounds: reading.bounds([&written.skew_s, &written.max_age_min, &written.max_session_min], MOST_SKEW_S)?,
        once: matches!(written.replay, Some(ReplayName::Once)),
        subjects: written.subject.iter().map(|rule| subject(reading, rule)).collect::<Result<_, _>>()?,
        attributes: written.attributes.iter().map(|rule| reading.attribute(rule)).collect::<Result<_, _>>()?,
    })
}

/// The keys of its set, and of how each signs what the table takes.
fn keys<T>(reading: &Reading<'_, T>, written: &IssuerFile) -> Result<Vec<Key>, ConfigError> {
    let path = &written.jwks;
    let refused = |why: String| reading.refused(path.span(), format!("jwks {}: {why}", path.get_ref()));
    let octets = reading.directory.octets(path.get_ref()).map_err(|error| refused(error.to_string()))?;
    if octets.len() > LARGEST_SET {
        return Err(refused("larger than 256 KiB".to_owned()));
    }
    let mut keys = jwks::read(&octets).map_err(refused)?;
    let Some(names) = &written.algorithms else { return Ok(keys) };
    let mut taken = Vec::new();
    for name in names.get_ref() {
        let why = || format!("algorithms: {:?} is no signature algorithm of JOSE that is taken", name.get_ref());
        taken.push(algorithm(name.get_ref()).ok_or_else(|| reading.refused(name.span(), why()))?);
    }
    for key in &mut keys {
        key.algorithms.retain(|one| taken.contains(one));
    }
    // One that signs in another way stands in the set for somebody else.
    keys.retain(|key| !key.algorithms.is_empty());
    if keys.is_empty() {
        return Err(reading.refused(names.span(), "algorithms: no key of jwks signs so"));
    }
    Ok(keys)
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
