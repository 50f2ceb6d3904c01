//! Which account an assertion means: the partner's rules give a name, and the account of that name says that this
//! partner may name it. What the partner says of it besides stands where its table says, and nowhere else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Verified;
use super::read::Assertion;
use crate::auth::reason::Reason;
use crate::config::auth::Auth;
use crate::config::auth::partner::{NameOrigin, Partner};
use crate::config::auth::users::Account;
use crate::wire::Text;

/// Values of one attribute, at most, as of an account.
const MOST_VALUES: usize = 256;

/// The account, as the assertion describes it.
///
/// # Errors
/// Why it means none: for the operator.
pub(in crate::auth) fn named_by<'a>(
    config: &'a Auth,
    verified: &Verified<'_>,
) -> Result<Cow<'a, Account>, (Reason, String)> {
    let Verified { partner, assertion, .. } = verified;
    let nobody = |why| (Reason::NoAccount, why);
    let name = name(partner, assertion).map_err(nobody)?;
    let account = config.users.find(&name).ok_or_else(|| nobody(format!("there is no account {name:?}")))?;
    if account.partner.as_deref() != Some(partner.name.as_str()) {
        return Err(nobody(format!("account {name:?} is not for this partner")));
    }
    if partner.attributes.is_empty() {
        return Ok(Cow::Borrowed(account));
    }
    let attributes = described(partner, assertion);
    let described = attributes.and_then(|attributes| account.with(&config.users.vocabulary, attributes));
    described.map(Cow::Owned).map_err(|why| (Reason::UnreadableAssertion, why))
}

/// What the partner says of it, by our names of attributes.
fn described(partner: &Partner, assertion: &Assertion) -> Result<BTreeMap<String, Vec<Text<4096>>>, String> {
    let mut attributes: BTreeMap<String, Vec<Text<4096>>> = BTreeMap::new();
    for rule in &partner.attributes {
        let refused = |why: &str| format!("attribute {:?}: {why}", rule.from);
        let values = match assertion.attributes.get(&rule.from) {
            None => continue,
            Some(None) => return Err(refused("not plain text")),
            Some(Some(values)) => values,
        };
        let all = attributes.entry(rule.to.clone()).or_default();
        for value in values.iter().filter(|value| !value.is_empty()).filter_map(|value| rule.naming.name(value)) {
            all.push(Text::new(value).map_err(|_| refused("a value longer than 4096 octets"))?);
        }
        if all.len() > MOST_VALUES {
            return Err(refused("more than 256 values"));
        }
    }
    Ok(attributes)
}

/// The name by the first rule that gives one, which must not give two.
fn name(partner: &Partner, assertion: &Assertion) -> Result<String, String> {
    for rule in &partner.subjects {
        let values = match &rule.from {
            NameOrigin::NameId => assertion.subject.name.as_slice(),
            NameOrigin::Attribute(attribute) => match assertion.attributes.get(attribute) {
                None => continue,
                Some(None) => return Err("an attribute that should name somebody is not plain text".to_owned()),
                Some(Some(values)) => values.as_slice(),
            },
        };
        if values.iter().any(|value| value.contains(char::is_control)) {
            return Err("a name in it is not plain text".to_owned());
        }
        if let Some(name) = rule.naming.one(values)? {
            return Ok(name);
        }
    }
    Err("no rule finds a name in it".to_owned())
}
