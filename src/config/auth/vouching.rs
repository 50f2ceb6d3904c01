//! What partners and issuers of JWTs have in common, as configuration says it: others whose word about a requestor is
//! taken. What they call themselves and us, how old their word may be, and what else they may say of somebody.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use serde::Deserialize;
use toml::Spanned;

use super::claims::Case;
use super::naming::Naming;
use super::users::Listed;
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::Text;

/// Of each kind, and rules and audiences of one, at most.
pub(super) const MOST: usize = 64;
/// Minutes what they sign may be old, and seconds a clock may differ, at most.
pub(super) const MOST_AGE_MIN: u32 = 1440;
pub(super) const MOST_SKEW_S: u32 = 300;
/// The same where nothing is said.
pub(super) const AGE_MIN: u32 = 60;
/// Milliseconds that a use is remembered at least: for so long no configuration makes it good again.
pub const LEAST_KEPT_MS: i64 = AGE_MIN as i64 * 60_000;
/// Milliseconds: no configuration takes anything of a clock that differs by more.
pub const MOST_SKEW_MS: i64 = MOST_SKEW_S as i64 * 1000;

/// How old what somebody signs may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Milliseconds clocks may differ; added once to each bound.
    pub skew_ms: i64,
    /// Milliseconds it is good for after it was made, whatever it says itself.
    pub max_age_ms: i64,
    /// Milliseconds after its subject authenticated there within which it is taken, and tokens got by it end.
    pub max_session_ms: i64,
}

/// How an attribute of an assertion, or a claim of a JWT, becomes one that claims and policies may speak of.
#[derive(Debug)]
pub struct AttributeRule {
    /// Its name there; of SAML 1.1 with its namespace, a slash between them.
    pub from: String,
    /// Its name here. An account that the partner may name has no such attribute of its own.
    pub to: String,
    /// What becomes of each value.
    pub naming: Naming,
}

/// Somebody who says attributes of accounts, as it is written.
pub(super) struct Says<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: &'a [AttributeFile],
}

/// `[[saml_partner.attribute]]`, `[[jwt_issuer.attribute]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttributeFile {
    from: Spanned<String>,
    to: Spanned<String>,
    #[serde(default)]
    shared: bool,
    capture: Option<Spanned<String>>,
    case: Option<Case>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReplayName {
    Once,
}

/// What it takes to read one partner, or whoever else vouches for somebody.
pub(super) struct Reading<'a, T> {
    pub(super) directory: &'a Directory,
    pub(super) file: &'a Loaded<T>,
}

impl<T> Reading<'_, T> {
    pub(super) fn refused(&self, span: Range<usize>, why: impl Display) -> ConfigError {
        self.file.error(span, why)
    }

    /// What accounts name it by.
    pub(super) fn name(&self, of: &str, written: &Spanned<String>) -> Result<Text<64>, ConfigError> {
        let name = written.get_ref();
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
        let text = Text::new(name.clone()).ok().filter(|name| !name.is_empty() && name.bytes().all(plain));
        let why = || format!("the name of {of} is 1 to 64 ASCII letters, digits, '_', '-' or '.'");
        text.ok_or_else(|| self.refused(written.span(), why()))
    }

    pub(super) fn number(
        &self,
        key: &str,
        value: Option<&Spanned<u32>>,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> Result<i64, ConfigError> {
        match value {
            None => Ok(default.into()),
            Some(value) if range.contains(value.get_ref()) => Ok((*value.get_ref()).into()),
            Some(value) => {
                let why = format!("{key} must be from {} to {}", range.start(), range.end());
                Err(self.refused(value.span(), why))
            }
        }
    }

    /// The name of an issuer or an audience: compared octet for octet, so white space would only hide.
    pub(super) fn identifier(&self, key: &str, text: &Spanned<String>) -> Result<String, ConfigError> {
        let value = text.get_ref();
        if value.is_empty() || value.len() > 1024 || value.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(self.refused(text.span(), format!("{key}: 1 to 1024 octets without white space")));
        }
        Ok(value.clone())
    }

    /// Who we are to them.
    pub(super) fn audiences(&self, written: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, ConfigError> {
        written.get_ref().iter().map(|audience| self.identifier("audiences", audience)).collect()
    }

    /// How old what they sign may be, by these keys: `skew_s` up to `most_skew_s`, `max_age_min`, `max_session_min`.
    pub(super) fn bounds(
        &self,
        [skew_s, max_age_min, max_session_min]: [&Option<Spanned<u32>>; 3],
        most_skew_s: u32,
    ) -> Result<Bounds, ConfigError> {
        let minute = 60_000;
        Ok(Bounds {
            skew_ms: self.number("skew_s", skew_s.as_ref(), 60, 0..=most_skew_s)? * 1000,
            max_age_ms: self.number("max_age_min", max_age_min.as_ref(), AGE_MIN, 1..=MOST_AGE_MIN)? * minute,
            max_session_ms: self.number("max_session_min", max_session_min.as_ref(), 480, 1..=10_080)? * minute,
        })
    }

    pub(super) fn attribute(&self, written: &AttributeFile) -> Result<AttributeRule, ConfigError> {
        Ok(AttributeRule {
            from: self.identifier("from", &written.from)?,
            to: written.to.get_ref().clone(),
            naming: Naming::read(self.file, written.capture.as_ref(), written.case)?,
        })
    }
}

/// Are there all the attributes that they say something of? They are declared in `users.toml`, so that one that is
/// spelled wrong is not silently nobody's. And is each one's word alone? Claims and policies go by the name of an
/// attribute: where others have one of that name too, somebody could say of its subject what is theirs to say,
/// so it has to be written that this is meant. `of_directories` are the attributes that directories give.
pub(super) fn known<T>(
    file: &Loaded<T>,
    says: &[Says<'_>],
    listed: &Listed,
    of_directories: &[&str],
) -> Result<(), ConfigError> {
    for (index, one) in says.iter().enumerate() {
        for rule in one.attributes {
            let to = rule.to.get_ref();
            if !listed.vocabulary.names().any(|name| name == to) {
                let why = format!("to: attributes of users.toml does not name {to:?}");
                return Err(file.error(rule.to.span(), why));
            }
            let of_others = says.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
            let mut others = of_others.filter(|other| other.attributes.iter().any(|rule| rule.to.get_ref() == to));
            let other = listed.owner_of(to).map(|name| format!("account {name}"));
            let other = other.or_else(|| of_directories.contains(&to.as_str()).then(|| "a directory".to_owned()));
            let other = other.or_else(|| others.next().map(|other| other.name.to_owned()));
            if let Some(other) = other.filter(|_| !rule.shared) {
                let why = format!(
                    "to: {other} has {to:?} too, and claims and policies cannot tell whose word it is; \
                     shared = true says that it need not matter"
                );
                return Err(file.error(rule.to.span(), why));
            }
        }
    }
    Ok(())
}
