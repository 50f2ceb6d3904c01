//! A server of a directory: where it is, and who it must prove to be. Its address is a number, for auth asks no
//! resolver.

use std::net::SocketAddr;

use rustls_pki_types::ServerName;
use serde::Deserialize;

use super::checked::Reading;
use super::written::ServerFile;
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
        let host = written.host.get_ref();
        let name = ServerName::try_from(host.clone()).map_err(|_| {
            let why = format!("host {host:?}: neither a DNS name nor an address, as a certificate has it");
            self.refused(written.host.span(), why)
        })?;
        let address = written.address.get_ref();
        let address: SocketAddr = address.parse().map_err(|_| {
            let why = format!(
                "address {address:?}: a number and a port, as 192.0.2.21:636 or [2001:db8::21]:636: auth asks no resolver"
            );
            self.refused(written.address.span(), why)
        })?;
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(self.refused(written.address.span(), format!("address {address} is nobody's")));
        }
        Ok(Server { host: host.clone(), name, address, tls: written.tls })
    }
}
