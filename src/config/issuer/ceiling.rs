//! `issuer.d/relying-parties/NAME.toml`: how far tokens for one relying party may go, whatever auth orders.
//! Closed sets only; nothing is computed from a request.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use serde::Deserialize;
use toml::Spanned;

use super::{Key, assertion_key};
use crate::config::load::{ConfigError, Loaded};
use crate::token::{Algorithm, values::split_claim};
use crate::wire::bounded::is_xml_char;
use crate::wire::order::{ConfirmationKind, TokenType};

/// The ceiling of one relying party.
#[derive(Debug, Clone)]
pub struct Ceiling {
    /// What stands in the audience restriction.
    pub audience: Vec<String>,
    /// Kinds of token.
    pub token_types: BTreeSet<TokenType>,
    /// Claim types.
    pub claims: BTreeSet<String>,
    /// How presenters of tokens may prove themselves.
    pub confirmations: BTreeSet<ConfirmationKind>,
    /// The longest a token may hold, milliseconds from now.
    pub lifetime_ms: i64,
    /// Accounts and names no token is ever issued for, as [`plain`] has them.
    pub protected_subjects: BTreeSet<String>,
    /// Claim types by which a relying party may know who somebody is.
    pub identifying_claims: BTreeSet<String>,
    /// Tokens a minute.
    pub quota_per_minute: NonZeroU32,
    /// Tokens a minute for one account.
    pub quota_per_account_per_minute: NonZeroU32,
    /// How they are signed, when not as the first active key signs.
    pub signature_algorithm: Option<Algorithm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    audience: Spanned<Vec<Spanned<String>>>,
    token_types: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    claims: Vec<Spanned<String>>,
    confirmations: Spanned<Vec<Spanned<String>>>,
    lifetime_ceiling_min: Option<Spanned<u32>>,
    #[serde(default)]
    protected_subjects: Vec<String>,
    identifying_claims: Option<Vec<Spanned<String>>>,
    quota_per_minute: Option<NonZeroU32>,
    quota_per_account_per_minute: Option<NonZeroU32>,
    signature_algorithm: Option<Spanned<String>>,
}

/// Claim types that say who somebody is, of those in use: these are held to `protected_subjects` where nothing is said.
const IDENTIFYING: [&str; 15] = [
    "http://schemas.xmlsoap.org/claims/UPN",
    "http://schemas.xmlsoap.org/claims/CommonName",
    "http://schemas.xmlsoap.org/claims/EmailAddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/privatepersonalidentifier",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname",
    // uid, mail, eduPersonPrincipalName, eduPersonUniqueId.
    "urn:oid:0.9.2342.19200300.100.1.1",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.13",
    "urn:oasis:names:tc:SAML:attribute:subject-id",
    "urn:oasis:names:tc:SAML:attribute:pairwise-id",
];

const LIFETIME_MIN: u32 = 60;
const LONGEST_MIN: u32 = 30 * 24 * 60;
/// A thousand a second: more than one token signs.
const QUOTA: NonZeroU32 = NonZeroU32::new(60_000).expect("not zero");
/// A hundred a second: more than an honest machine account asks for.
const QUOTA_ACCOUNT: NonZeroU32 = NonZeroU32::new(6_000).expect("not zero");

/// Checks one file; whether a key can sign as it says only where the keys are known.
pub(super) fn check(party: &str, file: &Loaded<File>, keys: Option<&[Key]>) -> Result<Ceiling, ConfigError> {
    let value = &file.value;
    if party.len() > 128 || !party.chars().all(is_xml_char) {
        return Err(ConfigError::file(&file.path, "the name has more than 128 octets"));
    }
    let mut audience = Vec::new();
    for name in filled(file, &value.audience, "audience")? {
        if name.get_ref().is_empty() || name.get_ref().len() > 1024 || !name.get_ref().chars().all(is_xml_char) {
            return Err(file.error(name.span(), "a name in audience has 1 to 1024 octets"));
        }
        audience.push(name.get_ref().clone());
    }
    let mut token_types = BTreeSet::new();
    for name in filled(file, &value.token_types, "token_types")? {
        let kind = TokenType::from_name(name.get_ref());
        token_types.insert(kind.ok_or_else(|| file.error(name.span(), "token types are \"saml20\" and \"saml11\""))?);
    }
    let mut confirmations = BTreeSet::new();
    for name in filled(file, &value.confirmations, "confirmations")? {
        let unknown = || file.error(name.span(), "confirmations are \"bearer\" and \"holder-of-key\"");
        confirmations.insert(ConfirmationKind::from_name(name.get_ref()).ok_or_else(unknown)?);
    }
    let lifetime = value.lifetime_ceiling_min.as_ref().map_or(LIFETIME_MIN, |minutes| *minutes.get_ref());
    if let Some(minutes) = &value.lifetime_ceiling_min
        && !(1..=LONGEST_MIN).contains(minutes.get_ref())
    {
        return Err(file.error(minutes.span(), format!("lifetime_ceiling_min is from 1 to {LONGEST_MIN}")));
    }
    let claims = claims(file, &token_types)?;
    Ok(Ceiling {
        audience,
        identifying_claims: identifying(file, &claims)?,
        claims,
        token_types,
        confirmations,
        lifetime_ms: i64::from(lifetime) * 60_000,
        protected_subjects: value.protected_subjects.iter().map(|name| plain(name)).collect(),
        quota_per_minute: value.quota_per_minute.unwrap_or(QUOTA),
        quota_per_account_per_minute: value.quota_per_account_per_minute.unwrap_or(QUOTA_ACCOUNT),
        signature_algorithm: algorithm(file, keys)?,
    })
}

/// A name as it is compared: without case, and without white space around it. A relying party may compare through lower
/// case, through upper case or by folding, and to each other letters are the same: in upper case ı and ſ are I and S, ß is
/// SS and both small sigmas are one; the dot of İ stays behind in lower case. What any of them takes for one name is one.
#[must_use]
pub fn plain(name: &str) -> String {
    let name = name.trim_matches(|c: char| c.is_whitespace() || TRIMMED_ELSEWHERE.contains(&c));
    name.to_lowercase().to_uppercase().to_lowercase().replace('\u{307}', "")
}

/// What JavaScript and older libraries of .NET trim, too.
const TRIMMED_ELSEWHERE: [char; 3] = ['\u{180e}', '\u{200b}', '\u{feff}'];

fn identifying(file: &Loaded<File>, claims: &BTreeSet<String>) -> Result<BTreeSet<String>, ConfigError> {
    let Some(named) = &file.value.identifying_claims else {
        let known = |claim: &&String| IDENTIFYING.iter().any(|known| known.eq_ignore_ascii_case(claim));
        return Ok(claims.iter().filter(known).cloned().collect());
    };
    // One that is misspelt would protect nobody.
    if let Some(other) = named.iter().find(|claim| !claims.contains(claim.get_ref())) {
        return Err(file.error(other.span(), "identifying_claims: not among claims"));
    }
    Ok(named.iter().map(|claim| claim.get_ref().clone()).collect())
}

fn filled<'a>(
    file: &Loaded<File>,
    list: &'a Spanned<Vec<Spanned<String>>>,
    key: &str,
) -> Result<&'a [Spanned<String>], ConfigError> {
    match list.get_ref().as_slice() {
        [] => Err(file.error(list.span(), format!("{key} names at least one"))),
        items => Ok(items),
    }
}

fn claims(file: &Loaded<File>, token_types: &BTreeSet<TokenType>) -> Result<BTreeSet<String>, ConfigError> {
    let mut claims = BTreeSet::new();
    for claim in &file.value.claims {
        let uri = claim.get_ref();
        if uri.is_empty() || uri.len() > 512 || !uri.chars().all(is_xml_char) {
            return Err(file.error(claim.span(), "a claim's URI has 1 to 512 octets"));
        }
        if token_types.contains(&TokenType::Saml11) && split_claim(uri).is_none() {
            let why = "claims and token_types: \"saml11\" needs a claim of the form namespace/name";
            return Err(file.error(claim.span(), why));
        }
        claims.insert(uri.clone());
    }
    Ok(claims)
}

fn algorithm(file: &Loaded<File>, keys: Option<&[Key]>) -> Result<Option<Algorithm>, ConfigError> {
    let Some(name) = &file.value.signature_algorithm else { return Ok(None) };
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name.get_ref());
    let algorithm = known.ok_or_else(|| {
        let names: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
        file.error(name.span(), format!("signature_algorithm is one of {}", names.join(", ")))
    })?;
    if keys.is_some_and(|keys| assertion_key(keys, Some(algorithm)).is_none()) {
        let why = "signature_algorithm: no active key of purpose \"assertion\" in issuer.toml can sign so";
        return Err(file.error(name.span(), why));
    }
    Ok(Some(algorithm))
}
