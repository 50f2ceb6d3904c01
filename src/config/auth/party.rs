//! `auth.d/relying-parties/NAME.toml`: who a token may be for, of which kind, for how long, with which
//! claims, and the policies that say for whom. Issuer holds ceilings of its own for the same name.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, PolicySet};
use serde::Deserialize;
use toml::Spanned;

use super::claims::{self, ClaimFile, ClaimRule, SubjectFile, SubjectRule};
use super::policy::{self, Vocabulary};
use super::verdict::Edition;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::Text;
use crate::wire::order::{ConfirmationKind, TokenType};

/// Minutes a token lives unless somebody says otherwise.
const DEFAULT_MIN: u32 = 15;
/// Minutes a token lives at most, unless the party's file says more.
const CEILING_MIN: u32 = 60;

/// A relying party.
#[derive(Debug)]
pub struct Party {
    /// The name of its file here and in `issuer.d`.
    pub name: Text<128>,
    /// Kinds of token it takes; the first when the client does not say (R-T023).
    pub token_types: Vec<TokenType>,
    /// How presenters of its tokens prove themselves.
    pub confirmations: BTreeSet<ConfirmationKind>,
    /// Milliseconds a token lives when the client does not say (R-T026).
    pub lifetime_default_ms: i64,
    /// Milliseconds it lives at most.
    pub lifetime_ceiling_ms: i64,
    /// The subject's name.
    pub subject: SubjectRule,
    /// The claims, in the order they are written.
    pub claims: Vec<ClaimRule>,
    /// Who may have a token for it.
    pub policies: PolicySet,
    /// The party as policies see it.
    pub resource: EntityUid,
    /// Tells it from another that has had its name.
    pub edition: Edition,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyFile {
    pub(super) applies_to: Vec<Spanned<String>>,
    token_types: Spanned<Vec<Spanned<String>>>,
    #[serde(default = "bearer")]
    confirmations: Spanned<Vec<Spanned<String>>>,
    lifetime_default_min: Option<Spanned<u32>>,
    lifetime_ceiling_min: Option<Spanned<u32>>,
    subject: Option<Spanned<SubjectFile>>,
    #[serde(default)]
    claim: Vec<Spanned<ClaimFile>>,
    policy: Spanned<String>,
}

fn bearer() -> Spanned<Vec<Spanned<String>>> {
    Spanned::new(0..0, vec![Spanned::new(0..0, "bearer".to_owned())])
}

/// What a file says without speaking of users.
pub(super) struct Terms {
    token_types: Vec<TokenType>,
    confirmations: BTreeSet<ConfirmationKind>,
    /// Minutes: the default, and the ceiling.
    lifetimes: (u32, u32),
}

/// Checks what can be checked without knowing the users.
pub(super) fn terms(name: &str, file: &Loaded<PartyFile>) -> Result<Terms, ConfigError> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
        return Err(ConfigError::file(&file.path, "a relying party's name is ASCII letters, digits, '_', '-' or '.'"));
    }
    let value = &file.value;
    for address in &value.applies_to {
        let text = address.get_ref();
        let absolute = text.split_once(':').is_some_and(|(scheme, rest)| {
            let first = scheme.bytes().next().is_some_and(|c| c.is_ascii_alphabetic());
            first && !rest.is_empty() && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
        });
        if !absolute || text.len() > 1024 || !text.bytes().all(|c| c.is_ascii_graphic()) {
            let why = "applies_to is an absolute URI of printable ASCII, compared octet for octet";
            return Err(file.error(address.span(), why));
        }
    }
    if let Some(surplus) = value.claim.get(64) {
        return Err(file.error(surplus.span(), "more than 64 claims"));
    }
    Ok(Terms { token_types: token_types(file)?, confirmations: confirmations(file)?, lifetimes: lifetimes(file)? })
}

/// Checks one file.
pub(super) fn compile(name: &str, file: &Loaded<PartyFile>, vocabulary: &Vocabulary) -> Result<Party, ConfigError> {
    let Terms { token_types, confirmations, lifetimes: (default, ceiling) } = terms(name, file)?;
    let value = &file.value;
    Ok(Party {
        name: Text::new(name).expect("its characters and length were just checked"),
        token_types,
        confirmations,
        lifetime_default_ms: i64::from(default) * 60_000,
        lifetime_ceiling_ms: i64::from(ceiling) * 60_000,
        subject: claims::subject(file, value.subject.as_ref(), vocabulary)?,
        claims: value.claim.iter().map(|claim| claims::claim(file, claim, vocabulary)).collect::<Result<_, _>>()?,
        policies: policy::compile(vocabulary, file, &value.policy)?,
        resource: policy::uid("RelyingParty", name),
        edition: Edition::default(),
    })
}

fn confirmations(file: &Loaded<PartyFile>) -> Result<BTreeSet<ConfirmationKind>, ConfigError> {
    let names = &file.value.confirmations;
    if names.get_ref().is_empty() {
        return Err(file.error(names.span(), "confirmations names at least one"));
    }
    let kind = |name: &Spanned<String>| {
        let unknown = || file.error(name.span(), "confirmations are \"bearer\" and \"holder-of-key\"");
        ConfirmationKind::from_name(name.get_ref()).ok_or_else(unknown)
    };
    names.get_ref().iter().map(kind).collect()
}

fn token_types(file: &Loaded<PartyFile>) -> Result<Vec<TokenType>, ConfigError> {
    let names = &file.value.token_types;
    let mut kinds = Vec::new();
    for name in names.get_ref() {
        let kind = TokenType::from_name(name.get_ref());
        let kind = kind.ok_or_else(|| file.error(name.span(), "token_types knows saml11 and saml20"))?;
        if kinds.contains(&kind) {
            return Err(file.error(name.span(), "token_types names this kind twice"));
        }
        kinds.push(kind);
    }
    if kinds.is_empty() {
        return Err(file.error(names.span(), "token_types names no kind of token"));
    }
    Ok(kinds)
}

fn lifetimes(file: &Loaded<PartyFile>) -> Result<(u32, u32), ConfigError> {
    let PartyFile { lifetime_default_min, lifetime_ceiling_min, .. } = &file.value;
    for (key, value) in [("lifetime_default_min", lifetime_default_min), ("lifetime_ceiling_min", lifetime_ceiling_min)]
    {
        if let Some(value) = value.as_ref().filter(|value| !(1..=1440).contains(value.get_ref())) {
            return Err(file.error(value.span(), format!("{key} must be from 1 to 1440 minutes")));
        }
    }
    let ceiling = lifetime_ceiling_min.as_ref().map_or(CEILING_MIN, |value| *value.get_ref());
    // A party with a short ceiling and no default of its own has a short default.
    let default = lifetime_default_min.as_ref().map_or(DEFAULT_MIN.min(ceiling), |value| *value.get_ref());
    match lifetime_default_min {
        Some(value) if default > ceiling => {
            let why = format!("lifetime_default_min = {default} is above lifetime_ceiling_min = {ceiling}");
            Err(file.error(value.span(), why))
        }
        _ => Ok((default, ceiling)),
    }
}
