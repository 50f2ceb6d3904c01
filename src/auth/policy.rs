//! Asks Cedar: may this account have a token for this relying party? No is the answer whenever any policy
//! cannot be evaluated, for the one passed over might have forbidden it.

use std::net::IpAddr;

use cedar_policy::{Authorizer, Context, Decision, Request, RestrictedExpression};

use super::reason::Reason;
use crate::config::auth::party::Party;
use crate::config::auth::policy::Vocabulary;
use crate::config::auth::users::Account;
use crate::config::auth::verdict::{Question, Said, Verdict};
use crate::wire::order::{ConfirmationKind, Method, TokenType};
use crate::wire::{List, Text};

/// What the policies see of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    /// The kind of token.
    pub(super) token_type: TokenType,
    /// How its presenter is to prove himself.
    pub(super) confirmation: ConfirmationKind,
    /// How the requestor proved himself.
    pub(super) method: Method,
    /// Who vouched for him and asked in his place; empty where nobody did.
    pub(super) intermediary: &'a str,
    /// The endpoint, as the worker says.
    pub(super) endpoint: &'a str,
    /// Where from, as the worker says.
    pub(super) source: IpAddr,
}

/// One party's policies, as they were evaluated before or are now. Nothing when it is permitted; and which of them
/// decided.
pub(super) fn authorise(
    vocabulary: &Vocabulary,
    party: &Party,
    account: &Account,
    seen: Circumstances<'_>,
) -> (Option<Reason>, List<Text<128>, 16>) {
    // By name, so that what is added to them is asked about, too.
    let Circumstances { token_type, confirmation, method, intermediary, endpoint, source } = seen;
    let question = account.edition.as_ref().map(|edition| Question {
        account: edition.number(),
        party: party.edition.number(),
        token_type,
        confirmation,
        method,
        intermediary: intermediary.to_owned(),
        endpoint: endpoint.to_owned(),
        source,
    });
    let evaluate = || evaluate(vocabulary, party, account, seen);
    let verdict = match question {
        Some(question) => vocabulary.verdict(question, evaluate),
        None => evaluate(),
    };
    let refused = match verdict.said {
        Said::Yes => None,
        Said::No => Some(Reason::Policy),
        Said::Nothing => Some(Reason::PolicyError),
    };
    (refused, verdict.policies)
}

/// Whatever is looked at here stands in [`Question`], or is another account's or another party's.
fn evaluate(vocabulary: &Vocabulary, party: &Party, account: &Account, seen: Circumstances<'_>) -> Verdict {
    let Some(request) = request(vocabulary, party, account, seen) else {
        return Verdict { said: Said::Nothing, policies: List::default() };
    };
    let response = Authorizer::new().is_authorized(&request, &party.policies, &account.entities);
    let mut ids: Vec<Text<128>> =
        response.diagnostics().reason().filter_map(|id| Text::new(id.to_string()).ok()).collect();
    ids.sort();
    ids.truncate(16);
    let said = if response.diagnostics().errors().next().is_some() {
        Said::Nothing
    } else if response.decision() == Decision::Allow {
        Said::Yes
    } else {
        Said::No
    };
    Verdict { said, policies: List::new(ids).unwrap_or_default() }
}

fn request(vocabulary: &Vocabulary, party: &Party, account: &Account, seen: Circumstances<'_>) -> Option<Request> {
    let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let context = Context::from_pairs([
        ("token_type".to_owned(), string(seen.token_type.name())),
        ("confirmation".to_owned(), string(seen.confirmation.name())),
        ("method".to_owned(), string(seen.method.name())),
        ("intermediary".to_owned(), string(seen.intermediary)),
        ("endpoint".to_owned(), string(seen.endpoint)),
        ("source".to_owned(), vocabulary.address(seen.source)),
    ]);
    let (principal, action, resource) = (&account.principal, vocabulary.issue(), &party.resource);
    Request::new(principal.clone(), action.clone(), resource.clone(), context.ok()?, Some(vocabulary.schema())).ok()
}
