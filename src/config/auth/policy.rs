//! Cedar: the schema policies are written against, and their strict validation when the configuration is
//! read. A policy that speaks of an attribute nobody has, or that can never apply, is refused with its line;
//! evaluation is `auth::policy`'s. `context.source` and `context.endpoint` are what a worker said, and no proof.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{
    Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, RestrictedExpression, Schema,
    ValidationMode, Validator,
};
use miette::Diagnostic;
use toml::Spanned;

use super::verdict::{Question, Verdict, Verdicts};
use crate::config::load::{ConfigError, Loaded};
use crate::wire::Text;

/// What claims and policies may speak of.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    names: BTreeSet<String>,
    schema: Schema,
    issue: EntityUid,
    addresses: Arc<Mutex<HashMap<IpAddr, RestrictedExpression>>>,
    verdicts: Arc<Verdicts>,
}

/// Addresses kept as expressions.
const ADDRESSES: usize = 1024;

impl Vocabulary {
    /// Of these attributes, besides `username` and `groups`.
    ///
    /// # Errors
    /// What Cedar has against the schema, in one clause.
    pub fn new(names: BTreeSet<String>) -> Result<Self, String> {
        let mut attributes = String::from("username: String");
        for name in &names {
            let _infallible = write!(attributes, ", {name:?}: Set<String>");
        }
        let text = format!(
            "entity Group;
             entity RelyingParty;
             entity Account in [Group] {{ {attributes} }};
             action Issue appliesTo {{
                 principal: [Account],
                 resource: [RelyingParty],
                 context: {{
                     token_type: String,
                     confirmation: String,
                     method: String,
                     intermediary: String,
                     endpoint: String,
                     source: ipaddr
                 }}
             }};"
        );
        let schema = Schema::from_str(&text).map_err(|error| format!("schema for policies: {error}"))?;
        Ok(Self { names, schema, issue: uid("Action", "Issue"), addresses: Arc::default(), verdicts: Arc::default() })
    }

    /// What every request is about.
    #[must_use]
    pub fn issue(&self) -> &EntityUid {
        &self.issue
    }

    /// An address as policies see it. Cedar parses a name each time it makes one, which takes longer than to evaluate
    /// a policy, so those of clients who come again are kept.
    #[must_use]
    pub fn address(&self, address: IpAddr) -> RestrictedExpression {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES && !addresses.contains_key(&address) {
            addresses.clear();
        }
        addresses.entry(address).or_insert_with(|| RestrictedExpression::new_ip(address.to_string())).clone()
    }

    /// What policies said of this before, or say now.
    pub fn verdict(&self, question: Question, find: impl FnOnce() -> Verdict) -> Verdict {
        self.verdicts.of(question, find)
    }

    /// May a claim be taken from this attribute?
    #[must_use]
    pub fn knows(&self, attribute: &str) -> bool {
        attribute == "username" || attribute == "groups" || self.names.contains(attribute)
    }

    /// The attributes of its own, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The schema policies and requests are checked against.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// An entity of one of our types.
///
/// # Panics
/// When `kind` is not an identifier: a mistake in this program.
#[must_use]
pub fn uid(kind: &'static str, id: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).expect("entity types are literals of this program");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

/// An account and its groups as entities. An attribute the account lacks is an empty set, so that policies
/// need no `has`.
pub(super) fn principal(
    vocabulary: &Vocabulary,
    name: &str,
    attributes: &BTreeMap<String, Vec<Text<4096>>>,
) -> Result<(EntityUid, Entities), String> {
    let values = |attribute: &str| attributes.get(attribute).map(Vec::as_slice).unwrap_or_default().iter();
    let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let mut record = HashMap::from([("username".to_owned(), string(name))]);
    for attribute in vocabulary.names() {
        let set = RestrictedExpression::new_set(values(attribute).map(|value| string(value)));
        record.insert(attribute.to_owned(), set);
    }
    let groups: HashSet<EntityUid> = values("groups").map(|group| uid("Group", group)).collect();
    let principal = uid("Account", name);
    let mut entities: Vec<Entity> =
        groups.iter().map(|group| Entity::new_no_attrs(group.clone(), HashSet::new())).collect();
    entities.push(Entity::new(principal.clone(), record, groups).map_err(|error| error.to_string())?);
    let entities = Entities::from_entities(entities, Some(&vocabulary.schema)).map_err(|error| error.to_string())?;
    Ok((principal, entities))
}

/// Parses and validates the policies of one relying party. A policy is known by its `@id`, else by its place
/// (`policy0`, …); the record names it so.
pub(super) fn compile<T>(
    vocabulary: &Vocabulary,
    file: &Loaded<T>,
    policy: &Spanned<String>,
) -> Result<PolicySet, ConfigError> {
    let text = policy.get_ref();
    let refused = |offset: Option<usize>, why: String| {
        file.error(within(&file.source, policy.span(), text, offset.unwrap_or(0)), format!("policy: {why}"))
    };
    let parsed = PolicySet::from_str(text).map_err(|errors| {
        let first = errors.iter().next();
        refused(first.and_then(|error| start(error)), errors.to_string())
    })?;
    if let Some(template) = parsed.templates().next() {
        return Err(refused(None, format!("{} is a template, and nothing links it", template.id())));
    }
    let mut named = Vec::new();
    for policy in parsed.policies() {
        let id = policy.annotation("id").map_or_else(|| policy.id().to_string(), ToOwned::to_owned);
        if id.is_empty() || Text::<128>::new(id.clone()).is_err() {
            return Err(refused(None, "an @id has 1 to 128 characters".to_owned()));
        }
        named.push(policy.new_id(PolicyId::new(id)));
    }
    if named.is_empty() {
        return Err(refused(
            None,
            "permits nothing; an open party says permit(principal, action, resource);".to_owned(),
        ));
    }
    let set = PolicySet::from_policies(named.into_iter().collect::<Vec<Policy>>())
        .map_err(|error| refused(None, error.to_string()))?;
    let result = Validator::new(vocabulary.schema.clone()).validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(refused(start(error), error.to_string()));
    }
    if let Some(warning) = result.validation_warnings().next() {
        return Err(refused(start(warning), warning.to_string()));
    }
    Ok(set)
}

/// Where in the policy text a complaint points to.
fn start(complaint: &dyn Diagnostic) -> Option<usize> {
    Some(complaint.labels()?.next()?.offset())
}

/// The place in the file of the octet `offset` of a multi-line string that stands at `span`. Exact for
/// strings without escapes; with escapes, right at the start of the string.
fn within(source: &str, span: Range<usize>, text: &str, offset: usize) -> Range<usize> {
    let literal = source.get(span.clone()).unwrap_or_default();
    match literal.find(text) {
        Some(begin) => {
            let at = span.start + begin + offset.min(text.len());
            at..at
        }
        None => span,
    }
}
