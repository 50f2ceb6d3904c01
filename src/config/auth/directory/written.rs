//! `[[directory]]` as it is written. What is not written here is refused; what it says is checked elsewhere.

use serde::Deserialize;
use toml::Spanned;

use super::{Form, Tls};
use crate::config::auth::Number;

/// `[[directory]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DirectoryFile {
    pub(super) name: Spanned<String>,
    pub(super) names: Spanned<Vec<Spanned<String>>>,
    pub(super) servers: Spanned<Vec<ServerFile>>,
    pub(super) anchors: Spanned<Vec<Spanned<String>>>,
    pub(super) bind_dn: Spanned<String>,
    pub(super) bind_password_file: Option<Spanned<String>>,
    pub(super) bind_password_credential: Option<Spanned<String>>,
    pub(super) base_dn: Spanned<String>,
    pub(super) filter: Spanned<String>,
    pub(super) decoy_dn: Spanned<String>,
    pub(super) account: Spanned<String>,
    #[serde(default)]
    pub(super) disabled: Vec<DisabledFile>,
    #[serde(rename = "attribute", default)]
    pub(super) attributes: Vec<AttributeFile>,
    pub(super) groups: Option<Spanned<GroupsFile>>,
    pub(super) connections: Number,
    pub(super) queue: Number,
    pub(super) connect_timeout_ms: Number,
    pub(super) operation_timeout_ms: Number,
    pub(super) deadline_ms: Number,
    pub(super) back_off_s: Number,
    pub(super) connection_life_s: Number,
    pub(super) refusal_ms: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerFile {
    pub(super) host: Spanned<String>,
    pub(super) address: Spanned<String>,
    pub(super) tls: Tls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DisabledFile {
    pub(super) attribute: Spanned<String>,
    pub(super) mask: Option<Spanned<u32>>,
    pub(super) value: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttributeFile {
    pub(super) name: Spanned<String>,
    pub(super) from: Spanned<String>,
    pub(super) form: Option<Form>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupsFile {
    pub(super) from: Option<Spanned<String>>,
    pub(super) base_dn: Option<Spanned<String>>,
    pub(super) filter: Option<Spanned<String>>,
    pub(super) page: Number,
    pub(super) name: Option<Spanned<String>>,
    pub(super) most: Number,
}

/// Names of attributes for claims, with where they stand.
pub(in super::super) fn vocabulary(written: &[DirectoryFile]) -> impl Iterator<Item = &Spanned<String>> {
    written.iter().flat_map(|directory| directory.attributes.iter().map(|attribute| &attribute.name))
}
