//! TLS to the servers that auth connects to.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::TrustAnchor;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A client of TLS.
pub(super) struct TlsClient(pub(super) TlsConnector);

impl TlsClient {
    /// Trusts these and nobody else: whatever authorities the system trusts, such a server is one of the house.
    pub(super) fn trusting(anchors: &[TrustAnchor<'static>]) -> Self {
        let roots = RootCertStore { roots: anchors.to_vec() };
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self(TlsConnector::from(Arc::new(config)))
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient")
    }
}
