//! Which account an assertion means: the partner's rules give a name, and the account of that name says that this
//! partner may name it.

use std::collections::BTreeSet;

use super::Verified;
use super::read::Assertion;
use crate::config::auth::Auth;
use crate::config::auth::partner::{NameOrigin, Partner};
use crate::config::auth::users::Account;

/// The account.
///
/// # Errors
/// Why it means none: for the operator.
pub(in crate::auth) fn named_by<'a>(config: &'a Auth, verified: &Verified<'_>) -> Result<&'a Account, String> {
    let Verified { partner, assertion } = verified;
    let name = name(partner, assertion)?;
    let account = config.users.find(&name).ok_or_else(|| format!("there is no account {name:?}"))?;
    if account.partner.as_deref() != Some(partner.name.as_str()) {
        return Err(format!("account {name:?} is not for this partner"));
    }
    Ok(account)
}

/// The name by the first rule that gives one, which must not give two.
fn name(partner: &Partner, assertion: &Assertion) -> Result<String, String> {
    for rule in &partner.subjects {
        let values = match &rule.from {
            NameOrigin::NameId => std::slice::from_ref(&assertion.subject.name),
            NameOrigin::Attribute(attribute) => match assertion.attributes.get(attribute) {
                None => continue,
                Some(None) => return Err("an attribute that should name somebody is not plain text".to_owned()),
                Some(Some(values)) => values.as_slice(),
            },
        };
        if values.iter().any(|value| value.contains(char::is_control)) {
            return Err("a name in it is not plain text".to_owned());
        }
        let mut names = values.iter().filter_map(|value| rule.naming.name(value)).collect::<BTreeSet<_>>();
        match (names.pop_first(), names.pop_first()) {
            (None, _) => {}
            (Some(name), None) => return Ok(name),
            (Some(one), Some(other)) => return Err(format!("it names both {one:?} and {other:?}")),
        }
    }
    Err("no rule finds a name in it".to_owned())
}
