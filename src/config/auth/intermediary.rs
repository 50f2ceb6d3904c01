//! `[[saml_partner.intermediary]]` of `auth.toml`: who may vouch for whom with assertions of that partner
//! (sender-vouches). Nobody may who does not stand here, and for nobody else than stands there: an intermediary that is
//! taken over is all of those he may vouch for.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::users::{Account, Users};
use super::vouching::{MOST, Reading};
use crate::config::load::{ConfigError, Loaded};

/// Subjects of one, at most.
const MOST_SUBJECTS: usize = 4096;

/// Somebody who may vouch.
#[derive(Debug)]
pub struct Intermediary {
    /// The account that he proves.
    pub account: String,
    /// The accounts he may vouch for.
    pub subjects: BTreeSet<String>,
    /// Groups of accounts he may vouch for.
    pub groups: BTreeSet<String>,
}

impl Intermediary {
    /// May he vouch for this account? Its groups are those of `users.toml`: what an assertion says adds none.
    #[must_use]
    pub fn may_vouch_for(&self, subject: &Account) -> bool {
        let mut groups = subject.attributes.get("groups").map(Vec::as_slice).unwrap_or_default().iter();
        self.subjects.contains(subject.name.as_str()) || groups.any(|group| self.groups.contains(group.as_str()))
    }
}

/// `[[saml_partner.intermediary]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntermediaryFile {
    account: Spanned<String>,
    #[serde(default)]
    subjects: Vec<Spanned<String>>,
    #[serde(default)]
    groups: Vec<Spanned<String>>,
}

impl<T> Reading<'_, T> {
    /// Those of one partner.
    pub(super) fn intermediaries(&self, written: &[IntermediaryFile]) -> Result<Vec<Intermediary>, ConfigError> {
        let mut all: Vec<Intermediary> = Vec::new();
        for one in written {
            let (account, place) = (one.account.get_ref(), one.account.span());
            if all.len() == MOST || one.groups.len() > MOST || one.subjects.len() > MOST_SUBJECTS {
                let why = format!("more than {MOST} intermediaries or groups, or {MOST_SUBJECTS} subjects");
                return Err(self.refused(place, why));
            }
            if all.iter().any(|other| other.account == *account) {
                return Err(self.refused(place, format!("{account} is an intermediary of this partner already")));
            }
            if one.subjects.is_empty() && one.groups.is_empty() {
                let why = format!("{account} has neither subjects nor groups: it could vouch for nobody");
                return Err(self.refused(place, why));
            }
            let names = |names: &[Spanned<String>]| names.iter().map(|name| name.get_ref().clone()).collect();
            let (subjects, groups) = (names(&one.subjects), names(&one.groups));
            all.push(Intermediary { account: account.clone(), subjects, groups });
        }
        Ok(all)
    }
}

/// Are there all whom they name? One that is spelled wrong would silently be nobody's.
pub(super) fn known<'a, T>(
    file: &Loaded<T>,
    partners: impl Iterator<Item = (&'a str, &'a [IntermediaryFile])>,
    users: &Users,
) -> Result<(), ConfigError> {
    for (partner, intermediaries) in partners {
        let refused = |place: Range<usize>, why: String| Err(file.error(place, why));
        let of_partner = |account: &Account| account.partner.as_deref() == Some(partner);
        for IntermediaryFile { account, subjects, groups } in intermediaries {
            let (name, place) = (account.get_ref(), account.span());
            match users.find(name) {
                None => return refused(place, format!("account: users.toml has no {name:?}")),
                Some(known) if known.authority.is_none() && !users.has_certificate(name) => {
                    let why = format!("account: {name} has no certificate to sign with, and no certificate_authority");
                    return refused(place, why);
                }
                Some(_) => {}
            }
            for subject in subjects {
                let who = subject.get_ref();
                if who == name {
                    return refused(subject.span(), format!("subjects: {name} would vouch for itself"));
                }
                if !users.find(who).is_some_and(of_partner) {
                    let why = format!("subjects: users.toml has no {who:?} whose saml_partner is {partner:?}");
                    return refused(subject.span(), why);
                }
            }
            for group in groups {
                let has = |member: &Account| {
                    let mut groups = member.attributes.get("groups").into_iter().flatten();
                    groups.any(|other| other.as_str() == group.get_ref())
                };
                if !users.iter().any(|member| of_partner(member) && has(member)) {
                    let why = format!(
                        "groups: nobody whose saml_partner is {partner:?} is in {:?} by users.toml",
                        group.get_ref()
                    );
                    return refused(group.span(), why);
                }
                if users.find(name).is_some_and(has) {
                    let why = format!("groups: {name} is in {:?} and would vouch for itself", group.get_ref());
                    return refused(group.span(), why);
                }
            }
        }
    }
    Ok(())
}
