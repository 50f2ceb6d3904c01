//! The groups of a user: how they are found and what they are called.

use toml::Spanned;

use super::checked::Reading;
use super::filter::Filter;
use super::written::GroupsFile;
use crate::config::load::ConfigError;

/// Where groups are.
#[derive(Debug)]
pub struct Groups {
    /// How they are found.
    pub from: GroupsFrom,
    /// What a group is called.
    pub form: GroupForm,
    /// Who is in more has no account: some would be left out, and one that is left out may be one that forbids.
    pub most: usize,
}

/// How groups are found.
#[derive(Debug)]
pub enum GroupsFrom {
    /// By an attribute of the user's entry that has their names.
    Attribute(String),
    /// By a search.
    Search {
        /// Where they are.
        base_dn: String,
        /// Which of them have the user for a member.
        filter: Filter,
        /// Entries of one page.
        page: u32,
    },
}

/// What a group is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupForm {
    /// Its whole distinguished name, as the directory writes it.
    Dn,
    /// The value of the first part of it: the common name, as a rule.
    Rdn,
    /// The one value of this attribute, where groups are searched for.
    Attribute(String),
}

impl<T> Reading<'_, T> {
    pub(super) fn groups(&self, written: &Spanned<GroupsFile>) -> Result<Groups, ConfigError> {
        let GroupsFile { from, base_dn, filter, page, name, most } = written.get_ref();
        let form = match name.as_ref().map(|name| (name, name.get_ref().as_str())) {
            None | Some((_, "dn")) => GroupForm::Dn,
            Some((_, "rdn")) => GroupForm::Rdn,
            Some((name, _)) if from.is_some() => {
                return Err(self.refused(name.span(), "name: of an attribute's values it is \"dn\" or \"rdn\""));
            }
            Some((name, _)) => GroupForm::Attribute(self.attribute("name", name)?),
        };
        let from = match (from, base_dn, filter) {
            (Some(from), None, None) => GroupsFrom::Attribute(self.attribute("from", from)?),
            (None, Some(base_dn), Some(filter)) => {
                let base_dn = self.dn("base_dn", base_dn)?;
                let parsed = Filter::parse(filter.get_ref(), "{dn}")
                    .map_err(|why| self.refused(filter.span(), format!("filter: {why}")))?;
                GroupsFrom::Search { base_dn, filter: parsed, page: self.number("groups.page", page, 500, 1..=5000)? }
            }
            _ => {
                let why = "groups are found either by from or by base_dn and filter";
                return Err(self.refused(written.span(), why));
            }
        };
        Ok(Groups { from, form, most: self.number("groups.most", most, 1000, 1..=10_000)? as usize })
    }
}
