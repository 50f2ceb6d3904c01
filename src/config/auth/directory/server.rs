//! A server of a directory: where it is, who it must prove to be, and when TLS begins.

use std::net::SocketAddr;

use rustls_pki_types::ServerName;
use serde::Deserialize;

use super::checked::Reading;
use super::written::ServerFile;
use crate::config::auth::place::place;
use crate::config::load::ConfigError;

/// A server of a directory.
#[derive(Debug, Clone)]
pub struct Server {
    /// The name its certificate has, as it was written.
    pub host: String,
    /// The same, as TLS compares it.
    pub name: ServerName<'static>,
    /// Where it is.
    pub address: SocketAddr,
    /// When TLS begins.
    pub tls: Tls,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// With the connection.
    Ldaps,
    /// When the server has agreed to it (RFC 4511, 4.14). Nothing else is said before.
    Starttls,
}

impl<T> Reading<'_, T> {
    pub(super) fn server(&self, written: &ServerFile) -> Result<Server, ConfigError> {
        let (name, address) = place(self.file, &written.host, &written.address)?;
        Ok(Server { host: written.host.get_ref().clone(), name, address, tls: written.tls })
    }
}
