//! `[[directory]]` of `auth.toml`: an LDAP directory that knows users, which names are its own, where its servers
//! are and what is asked of it. Nothing is sent in clear, nothing is looked up in DNS, and no account of
//! `users.toml` may have a name that a directory has.

mod attributes;
mod checked;
pub mod filter;
mod groups;
mod limits;
pub mod names;
mod server;
mod written;

use rustls_pki_types::TrustAnchor;

pub use self::attributes::{Attribute, Disabled, Form};
pub(super) use self::checked::checked;
use self::filter::Filter;
pub use self::groups::{GroupForm, Groups, GroupsFrom};
pub use self::limits::Limits;
use self::names::{AccountName, Mark};
pub use self::server::{Server, Tls};
pub(super) use self::written::{DirectoryFile, vocabulary};
use super::password::Password;
use crate::wire::Text;

/// A directory.
#[derive(Debug)]
pub struct Directory {
    /// What the log calls it.
    pub name: Text<64>,
    /// Names that are its own.
    pub marks: Vec<Mark>,
    /// Its servers, in the order in which they are tried.
    pub servers: Vec<Server>,
    /// Who may issue their certificates.
    pub anchors: Vec<TrustAnchor<'static>>,
    /// Who we are when we search.
    pub bind_dn: String,
    /// What proves that.
    pub bind_password: Password,
    /// Where users are.
    pub base_dn: String,
    /// Which of them is meant.
    pub filter: Filter,
    /// The entry that is tried in the place of one that is not there.
    pub decoy_dn: String,
    /// How an entry's account is called.
    pub account: AccountName,
    /// What says that an entry may not be used.
    pub disabled: Vec<Disabled>,
    /// What claims and policies may speak of.
    pub attributes: Vec<Attribute>,
    /// Its groups.
    pub groups: Option<Groups>,
    /// Bounds.
    pub limits: Limits,
}

impl Directory {
    /// The user's own part of a name that is this directory's.
    #[must_use]
    pub fn bare<'a>(&self, name: &'a str) -> Option<&'a str> {
        self.marks.iter().find_map(|mark| mark.bare(name))
    }

    /// What stands for every spelling of a name that is this directory's, where guesses are counted.
    #[must_use]
    pub fn key(&self, bare: &str) -> String {
        self.marks.first().map_or_else(|| bare.to_lowercase(), |mark| mark.with(&bare.to_lowercase()))
    }
}
