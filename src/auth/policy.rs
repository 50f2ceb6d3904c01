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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::auth::{Auth, check};

    /// Permits one question about one party, and no other.
    fn configuration(endpoint: &str) -> Auth {
        let tree = tempfile::tempdir().unwrap();
        let directory = tree.path().join("auth.d");
        std::fs::create_dir_all(directory.join("relying-parties")).unwrap();
        std::fs::write(directory.join("auth.toml"), "").unwrap();
        let hash = format!("$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA${}", "A".repeat(43));
        let users = ["alice", "bob"].map(|name| format!("[users.{name}]\npassword = '{hash}'\n")).concat();
        std::fs::write(directory.join("users.toml"), users).unwrap();
        for (name, endpoint) in [("office", endpoint), ("archive", "/archive")] {
            let policy = format!(
                r#"@id("only") permit(principal == Account::"alice", action, resource == RelyingParty::"{name}") when {{
                    context.token_type == "saml20" && context.confirmation == "bearer" &&
                    context.method == "password" && context.intermediary == "" &&
                    context.endpoint == "{endpoint}" && context.source == ip("192.0.2.1")
                }};"#
            );
            let text = format!(
                "applies_to = ['urn:{name}']\ntoken_types = ['saml20', 'saml11']\n\
                 confirmations = ['bearer', 'holder-of-key']\npolicy = '''\n{policy}\n'''\n"
            );
            std::fs::write(directory.join(format!("relying-parties/{name}.toml")), text).unwrap();
        }
        check(tree.path()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn no_question_has_the_answer_of_another() {
        let auth = configuration("/sts");
        let ask = |auth: &Auth, account: &str, party: &str, seen| {
            let (account, party) = (auth.users.find(account).unwrap(), auth.parties.find(Some(party)).unwrap());
            let (refused, policies) = authorise(&auth.users.vocabulary, party, account, seen);
            let policies: Vec<&str> = policies.iter().map(Text::as_str).collect();
            assert_eq!(policies.as_slice(), if refused.is_none() { &["only"][..] } else { &[] });
            refused.is_none()
        };
        let meant = Circumstances {
            token_type: TokenType::Saml20,
            confirmation: ConfirmationKind::Bearer,
            method: Method::Password,
            intermediary: "",
            endpoint: "/sts",
            source: "192.0.2.1".parse().unwrap(),
        };
        let others = [
            Circumstances { token_type: TokenType::Saml11, ..meant },
            Circumstances { confirmation: ConfirmationKind::HolderOfKey, ..meant },
            Circumstances { method: Method::X509, ..meant },
            Circumstances { intermediary: "bob", ..meant },
            Circumstances { endpoint: "/other", ..meant },
            Circumstances { source: "192.0.2.2".parse().unwrap(), ..meant },
        ];
        // Twice, so that whatever is remembered has been asked for.
        for _ in 0..2 {
            assert!(ask(&auth, "alice", "urn:office", meant));
            assert!(!ask(&auth, "bob", "urn:office", meant) && !ask(&auth, "alice", "urn:archive", meant));
            for other in others {
                assert!(!ask(&auth, "alice", "urn:office", other), "{other:?}");
            }
        }
        // Somebody has changed the policy.
        let changed = configuration("/other");
        assert!(!ask(&changed, "alice", "urn:office", meant));
        assert!(ask(&changed, "alice", "urn:office", Circumstances { endpoint: "/other", ..meant }));
        // Also where the same memory were asked.
        let (account, party) =
            (changed.users.find("alice").unwrap(), changed.parties.find(Some("urn:office")).unwrap());
        assert!(authorise(&auth.users.vocabulary, party, account, meant).0.is_some());
    }
}
