//! Which account a JWT means: the issuer's rules give a name, and the account of that name says that this issuer may
//! name it. What the issuer says of it besides stands where its table says, and nowhere else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Verified;
use crate::auth::reason::Reason;
use crate::config::auth::Auth;
use crate::config::auth::users::Account;
use crate::jose::json::Value;
use crate::wire::Text;

/// Values of one attribute, at most, as of an account.
const MOST_VALUES: usize = 256;

/// The account, as the JWT describes it.
///
/// # Errors
/// Why it means none: for the operator.
pub(in crate::auth) fn named_by<'a>(
    config: &'a Auth,
    verified: &Verified<'_>,
) -> Result<Cow<'a, Account>, (Reason, String)> {
    let nobody = |why| (Reason::NoAccount, why);
    let name = verified.name().map_err(nobody)?;
    let account = config.users.find(&name).ok_or_else(|| nobody(format!("there is no account {name:?}")))?;
    if account.issuer.as_deref() != Some(verified.issuer.name.as_str()) {
        return Err(nobody(format!("account {name:?} is not for this issuer")));
    }
    if verified.issuer.attributes.is_empty() {
        return Ok(Cow::Borrowed(account));
    }
    let described = verified.described().and_then(|attributes| account.with(&config.users.vocabulary, attributes));
    described.map(Cow::Owned).map_err(|why| (Reason::UnreadableJwt, why))
}

impl Verified<'_> {
    /// The values of a claim, which is text or a list of text, if it is there.
    fn values(&self, claim: &str) -> Result<Vec<String>, String> {
        let not_text = || format!("claim {claim:?}: not text, nor a list of text");
        let text = |value: &Value| match value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(not_text()),
        };
        match self.claims.all.get(claim) {
            None => Ok(Vec::new()),
            Some(Value::List(values)) => values.iter().map(text).collect(),
            Some(value) => Ok(vec![text(value)?]),
        }
    }

    /// What the issuer says of it, by our names of attributes.
    fn described(&self) -> Result<BTreeMap<String, Vec<Text<4096>>>, String> {
        let mut attributes: BTreeMap<String, Vec<Text<4096>>> = BTreeMap::new();
        for rule in self.issuer.attributes.iter().filter(|rule| self.claims.all.contains_key(&rule.from)) {
            let refused = |why: &str| format!("claim {:?}: {why}", rule.from);
            let values = self.values(&rule.from)?;
            let all = attributes.entry(rule.to.clone()).or_default();
            for value in values.iter().filter(|value| !value.is_empty()).filter_map(|value| rule.naming.name(value)) {
                all.push(Text::new(value).map_err(|why| refused(&format!("a value {why}")))?);
            }
            if all.len() > MOST_VALUES {
                return Err(refused("more than 256 values"));
            }
        }
        Ok(attributes)
    }

    /// The name by the first rule that gives one, which must not give two.
    fn name(&self) -> Result<String, String> {
        for rule in &self.issuer.subjects {
            let values = self.values(&rule.claim)?;
            if values.iter().any(|value| value.contains(char::is_control)) {
                return Err("a name in it is not plain text".to_owned());
            }
            if let Some(name) = rule.naming.one(&values)? {
                return Ok(name);
            }
        }
        Err("no rule finds a name in it".to_owned())
    }
}
