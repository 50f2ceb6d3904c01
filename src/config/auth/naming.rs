//! How a value that somebody else vouches for, a field of a certificate or an attribute of an assertion, gives the
//! name of an account: a pattern that it fits as a whole, and the case of its letters.

use std::collections::BTreeSet;

use regex::Regex;
use toml::Spanned;

use super::claims::{Case, pattern};
use crate::config::load::{ConfigError, Loaded};

/// What becomes of the value.
#[derive(Debug)]
pub struct Naming {
    /// The name becomes its one group; one that does not fit as a whole is dropped.
    capture: Option<Regex>,
    /// ASCII letters.
    case: Option<Case>,
}

impl Naming {
    /// Checks what is written.
    pub(super) fn read<T>(
        file: &Loaded<T>,
        capture: Option<&Spanned<String>>,
        case: Option<Case>,
    ) -> Result<Self, ConfigError> {
        let capture = capture.map(|capture| pattern(file, "capture", capture, Some(1))).transpose()?;
        Ok(Self { capture, case })
    }

    /// The one name that values give, if they give any.
    ///
    /// # Errors
    /// They give two: for the operator.
    pub fn one(&self, values: &[String]) -> Result<Option<String>, String> {
        let mut names = values.iter().filter_map(|value| self.name(value)).collect::<BTreeSet<_>>();
        match (names.pop_first(), names.pop_first()) {
            (Some(one), Some(other)) => Err(format!("it names both {one:?} and {other:?}")),
            (name, _) => Ok(name),
        }
    }

    /// The name that a value gives, if it gives one.
    #[must_use]
    pub fn name(&self, value: &str) -> Option<String> {
        let value = match &self.capture {
            Some(capture) => capture.captures(value)?.get(1)?.as_str(),
            None => value,
        };
        // ASCII only: of other letters several become the same.
        Some(match self.case {
            None => value.to_owned(),
            Some(Case::Lower) => value.to_ascii_lowercase(),
            Some(Case::Upper) => value.to_ascii_uppercase(),
        })
    }
}
