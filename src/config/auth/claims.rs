//! The closed set of operations that shape a claim, checked when the configuration is read. In this order,
//! whatever order the keys stand in: take values (`from` or `const`), keep those that fit `filter`, put the
//! group of `capture` in their place, look them up in `table`, change their `case`, `take` the first or all.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use toml::Spanned;

use super::policy::Vocabulary;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::Text;
use crate::wire::order::NameFormat;

/// A claim a relying party is given.
#[derive(Debug)]
pub struct ClaimRule {
    /// The claim type URI.
    pub uri: Text<512>,
    /// Only when the client asks for it (R-T027)?
    pub on_request: bool,
    /// How its values come about.
    pub shape: Shape,
    /// The line of the rule in the relying party's file.
    pub line: usize,
}

/// How values come about.
#[derive(Debug)]
pub struct Shape {
    /// Where from.
    pub origin: Source,
    /// Only values that fit as a whole.
    pub filter: Option<Regex>,
    /// The value becomes its one group; a value that does not fit as a whole is dropped.
    pub capture: Option<Regex>,
    /// The value becomes what it stands for; one that is not in the table is dropped.
    pub table: Option<BTreeMap<String, Text<4096>>>,
    /// Letters.
    pub case: Option<Case>,
    /// Only the first.
    pub first: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An attribute of the account.
    Attribute(String),
    /// The configuration.
    Constant(Text<4096>),
}

/// `case`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// Small letters.
    Lower,
    /// Capitals.
    Upper,
}

/// What stands in the token as the subject's name.
#[derive(Debug)]
pub enum SubjectRule {
    /// The first value of the shape.
    Shaped {
        /// How it comes about.
        shape: Shape,
        /// `Format`.
        format: NameFormat,
    },
    /// A new random name for every token.
    Transient,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Take {
    First,
    All,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Release {
    Always,
    OnRequest,
}

/// One `[[claim]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimFile {
    uri: Spanned<String>,
    from: Option<Spanned<String>>,
    #[serde(rename = "const")]
    constant: Option<Spanned<String>>,
    filter: Option<Spanned<String>>,
    capture: Option<Spanned<String>>,
    table: Option<Spanned<BTreeMap<String, String>>>,
    case: Option<Case>,
    take: Option<Take>,
    release: Option<Release>,
}

/// `[subject]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectFile {
    from: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    capture: Option<Spanned<String>>,
    case: Option<Case>,
}

/// Checks one `[[claim]]`.
pub(super) fn claim<T>(
    file: &Loaded<T>,
    claim: &Spanned<ClaimFile>,
    vocabulary: &Vocabulary,
) -> Result<ClaimRule, ConfigError> {
    let value = claim.get_ref();
    let uri =
        Text::new(value.uri.get_ref().clone()).map_err(|why| file.error(value.uri.span(), format!("uri {why}")))?;
    if !uri.contains(':') || uri.contains(char::is_whitespace) {
        return Err(file.error(value.uri.span(), "uri is not an absolute URI"));
    }
    let origin = match (&value.from, &value.constant) {
        (Some(from), None) => attribute(file, from, vocabulary)?,
        (None, Some(constant)) => Source::Constant(
            Text::new(constant.get_ref().clone()).map_err(|why| file.error(constant.span(), format!("const {why}")))?,
        ),
        (Some(_), Some(constant)) => return Err(file.error(constant.span(), "from and const exclude each other")),
        (None, None) => return Err(file.error(claim.span(), "a claim needs from or const")),
    };
    let table = value.table.as_ref().map(|table| {
        let entry = |(key, value): (&String, &String)| Ok((key.clone(), Text::new(value.clone())?));
        let entries: Result<_, crate::wire::bounded::BoundError> = table.get_ref().iter().map(entry).collect();
        entries.map_err(|why| file.error(table.span(), format!("a value of table {why}")))
    });
    Ok(ClaimRule {
        uri,
        on_request: value.release == Some(Release::OnRequest),
        shape: Shape {
            origin,
            filter: value.filter.as_ref().map(|filter| pattern(file, "filter", filter, None)).transpose()?,
            capture: value.capture.as_ref().map(|capture| pattern(file, "capture", capture, Some(1))).transpose()?,
            table: table.transpose()?,
            case: value.case,
            first: matches!(value.take, Some(Take::First)),
        },
        line: file.source.get(..claim.span().start).unwrap_or_default().matches('\n').count() + 1,
    })
}

/// Checks `[subject]`; without one the subject is the user's name, unspecified.
pub(super) fn subject<T>(
    file: &Loaded<T>,
    subject: Option<&Spanned<SubjectFile>>,
    vocabulary: &Vocabulary,
) -> Result<SubjectRule, ConfigError> {
    let plain = |origin, case, capture| Shape { origin, filter: None, capture, table: None, case, first: true };
    let username = || Source::Attribute("username".to_owned());
    let Some(spanned) = subject else {
        return Ok(SubjectRule::Shaped { shape: plain(username(), None, None), format: NameFormat::Unspecified });
    };
    let value = spanned.get_ref();
    let format = match &value.format {
        None => NameFormat::Unspecified,
        Some(name) => format(name.get_ref()).ok_or_else(|| {
            let why = "format is unspecified, emailAddress, X509SubjectName, WindowsDomainQualifiedName, persistent \
                       or transient";
            file.error(name.span(), why)
        })?,
    };
    if format == NameFormat::Transient {
        if let Some(from) = &value.from {
            return Err(file.error(from.span(), "a transient name is new for every token; from does not go with it"));
        }
        return Ok(SubjectRule::Transient);
    }
    let origin = value.from.as_ref().map_or_else(|| Ok(username()), |from| attribute(file, from, vocabulary))?;
    let capture = value.capture.as_ref().map(|capture| pattern(file, "capture", capture, Some(1))).transpose()?;
    Ok(SubjectRule::Shaped { shape: plain(origin, value.case, capture), format })
}

fn format(name: &str) -> Option<NameFormat> {
    Some(match name {
        "unspecified" => NameFormat::Unspecified,
        "emailAddress" => NameFormat::EmailAddress,
        "X509SubjectName" => NameFormat::X509SubjectName,
        "WindowsDomainQualifiedName" => NameFormat::WindowsDomainQualifiedName,
        "persistent" => NameFormat::Persistent,
        "transient" => NameFormat::Transient,
        _ => return None,
    })
}

fn attribute<T>(file: &Loaded<T>, from: &Spanned<String>, vocabulary: &Vocabulary) -> Result<Source, ConfigError> {
    if vocabulary.knows(from.get_ref()) {
        return Ok(Source::Attribute(from.get_ref().clone()));
    }
    let known: Vec<&str> = ["username", "groups"].into_iter().chain(vocabulary.names()).collect();
    let why = format!("from: no user has an attribute {:?}; there are {}", from.get_ref(), known.join(", "));
    Err(file.error(from.span(), why))
}

/// A pattern always speaks of the whole value: `admin` does not fit `not-admin`.
pub(super) fn pattern<T>(
    file: &Loaded<T>,
    key: &str,
    pattern: &Spanned<String>,
    groups: Option<usize>,
) -> Result<Regex, ConfigError> {
    let refused = |why: String| file.error(pattern.span(), format!("{key}: {why}"));
    // Alone first, so that a stray parenthesis cannot reach out of the group around it.
    let alone = Regex::new(pattern.get_ref()).map_err(|error| refused(error.to_string()))?;
    if groups.is_some_and(|groups| alone.captures_len() - 1 != groups) {
        return Err(refused("exactly one group is needed; others are written (?:…)".to_owned()));
    }
    RegexBuilder::new(&format!(r"\A(?:{})\z", pattern.get_ref()))
        .size_limit(1 << 20)
        .build()
        .map_err(|error| refused(error.to_string()))
}
