//! SHA-1 in what others sign, where `auth.toml` lets it pass: of messages it is a leniency of an `[[endpoint]]`, of
//! assertions one of their `[[saml_partner]]`, and neither is the other's. The hash of the signature and that of what
//! it covers are two leniencies, for a client may be told to change one of them alone. Each is doubted wherever it
//! stands.

use serde::Deserialize;
use toml::Spanned;

use super::File;
use crate::config::load::{ConfigError, Loaded};

/// `leniencies` of a `[[saml_partner]]`.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PartnerLeniency {
    /// Its signature may be made by RSA with SHA-1.
    RsaSha1,
    /// It may digest its assertion by SHA-1.
    ReferenceSha1,
}

/// Where SHA-1 is let pass.
pub(super) fn doubts(file: &Loaded<File>) -> Vec<ConfigError> {
    let File { endpoints, partners, .. } = &file.value;
    let of_endpoints = endpoints.iter().flatten().flat_map(|endpoint| endpoint.sha1()).map(Spanned::span);
    let of_partners = partners.iter().flat_map(|partner| partner.sha1()).map(Spanned::span);
    let doubt = |place| {
        let why = "leniencies: two texts can be made that have one SHA-1, so whoever has a say in what is signed, or put under \
                   a MAC, here may show another text with it";
        file.error(place, why)
    };
    of_endpoints.chain(of_partners).map(doubt).collect()
}
