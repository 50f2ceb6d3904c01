//! A server that auth connects to: where it is, and who it must prove to be. Its address is a number, for auth asks no
//! resolver.

use std::net::SocketAddr;

use rustls_pki_types::ServerName;
use toml::Spanned;

use crate::config::load::{ConfigError, Loaded};

/// Reads the name that the certificate of a server has, and where the server is.
pub(super) fn place<T>(
    file: &Loaded<T>,
    host: &Spanned<String>,
    address: &Spanned<String>,
) -> Result<(ServerName<'static>, SocketAddr), ConfigError> {
    let name = ServerName::try_from(host.get_ref().clone()).map_err(|_| {
        let why = format!("host {:?}: neither a DNS name nor an address, as a certificate has it", host.get_ref());
        file.error(host.span(), why)
    })?;
    Ok((name, self::address(file, address)?))
}

/// Reads where a server is.
pub(super) fn address<T>(file: &Loaded<T>, written: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
    let (span, text) = (written.span(), written.get_ref());
    let address: SocketAddr = text.parse().map_err(|_| {
        let why = format!(
            "address {text:?}: a number and a port, as 192.0.2.21:636 or [2001:db8::21]:636: auth asks no resolver"
        );
        file.error(span.clone(), why)
    })?;
    if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(file.error(span, format!("address {address} is nobody's")));
    }
    Ok(address)
}
