//! Shapes claims: the account's attributes and the configuration in, what the token says out. The request
//! chooses among claims and never contributes a value. Every value carries where it came from.

use std::borrow::Cow;

use super::reason::Reason;
use crate::config::auth::claims::{Case, ClaimRule, Shape, Source, SubjectRule};
use crate::config::auth::users::Account;
use crate::wire::evidence::ClaimWish;
use crate::wire::order::{Claim, NameFormat, Subject};
use crate::wire::{List, Text};

/// A claim with the history of its values.
#[derive(Debug)]
pub(super) struct Shaped<'a> {
    /// The claim type URI.
    pub(super) uri: &'a Text<512>,
    /// Its values.
    pub(super) values: Vec<Traced<'a>>,
}

/// A value and where it came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traced<'a> {
    /// What the token will say.
    pub(super) value: Text<4096>,
    /// The attribute, and which of its values; none for a constant.
    pub(super) attribute: Option<(&'a str, usize)>,
    /// The line of the rule in the relying party's file.
    pub(super) line: usize,
}

/// Claims of one account for one party. Rules with one URI make one claim, its values in order of the rules;
/// a claim without a value is left out.
///
/// # Errors
/// [`Reason::ClaimWithheld`] when the client cannot do without a claim it cannot have;
/// [`Reason::TooMuch`] when an operation made a value too long.
pub(super) fn shape<'a>(
    rules: &'a [ClaimRule],
    account: &'a Account,
    wishes: &[ClaimWish],
) -> Result<Vec<Shaped<'a>>, Reason> {
    let mut claims: Vec<Shaped<'a>> = Vec::new();
    for rule in rules {
        if rule.on_request && !wishes.iter().any(|wish| wish.uri == rule.uri) {
            continue;
        }
        let values = values(&rule.shape, account, rule.line)?;
        match claims.iter_mut().find(|claim| *claim.uri == rule.uri) {
            Some(claim) => claim.values.extend(values),
            None if values.is_empty() => {}
            None => claims.push(Shaped { uri: &rule.uri, values }),
        }
    }
    let present = |uri| claims.iter().any(|claim| claim.uri == uri);
    if wishes.iter().any(|wish| !wish.optional && !present(&wish.uri)) {
        return Err(Reason::ClaimWithheld);
    }
    Ok(claims)
}

/// Claims as an order holds them.
///
/// # Errors
/// [`Reason::TooMuch`].
pub(super) fn ordered(claims: Vec<Shaped<'_>>) -> Result<List<Claim, 64>, Reason> {
    let claim = |claim: Shaped<'_>| {
        let values: Vec<_> = claim.values.into_iter().map(|traced| traced.value).collect();
        Ok(Claim { uri: claim.uri.clone(), values: List::new(values).map_err(|_| Reason::TooMuch)? })
    };
    List::new(claims.into_iter().map(claim).collect::<Result<Vec<_>, _>>()?).map_err(|_| Reason::TooMuch)
}

/// The subject's name.
///
/// # Errors
/// [`Reason::NoSubject`] when the account has no value for it, or one longer than 1024 octets.
pub(super) fn subject(rule: &SubjectRule, account: &Account) -> Result<Subject, Reason> {
    let (name, format) = match rule {
        SubjectRule::Shaped { shape, format } => {
            let first = values(shape, account, 0)?.into_iter().next().ok_or(Reason::NoSubject)?;
            (Text::new(first.value.as_str()).map_err(|_| Reason::NoSubject)?, *format)
        }
        SubjectRule::Transient => {
            let random = crate::wire::VoucherId::random();
            (Text::new(format!("_{random}")).expect("33 characters"), NameFormat::Transient)
        }
    };
    if name.is_empty() {
        return Err(Reason::NoSubject);
    }
    Ok(Subject { account: account.name.clone(), name, format })
}

fn values<'a>(shape: &'a Shape, account: &'a Account, line: usize) -> Result<Vec<Traced<'a>>, Reason> {
    let (attribute, sources) = match &shape.origin {
        Source::Attribute(name) => {
            (Some(name.as_str()), account.attributes.get(name).map(Vec::as_slice).unwrap_or_default())
        }
        Source::Constant(value) => (None, std::slice::from_ref(value)),
    };
    let mut values = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let Some(value) = operate(shape, source) else { continue };
        let value = Text::new(value).map_err(|_| Reason::TooMuch)?;
        values.push(Traced { value, attribute: attribute.map(|name| (name, index)), line });
        if shape.first {
            break;
        }
    }
    Ok(values)
}

/// One value through the operations, in their order; none when one of them drops it.
fn operate<'a>(shape: &'a Shape, source: &'a str) -> Option<Cow<'a, str>> {
    if shape.filter.as_ref().is_some_and(|filter| !filter.is_match(source)) {
        return None;
    }
    let mut value = source;
    if let Some(capture) = &shape.capture {
        value = capture.captures(value)?.get(1)?.as_str();
    }
    if let Some(table) = &shape.table {
        value = table.get(value)?;
    }
    Some(match shape.case {
        None => Cow::Borrowed(value),
        Some(Case::Lower) => Cow::Owned(value.to_lowercase()),
        Some(Case::Upper) => Cow::Owned(value.to_uppercase()),
    })
}
