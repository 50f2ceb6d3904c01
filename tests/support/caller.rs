//! A client of HTTPS that trusts one certificate, asks once a connection, and reads what there is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// What it was answered.
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Head and body.
    pub(crate) whole: String,
}

impl Answered {
    pub(crate) fn body(&self) -> &str {
        self.whole.split_once("\r\n\r\n").expect("a head").1
    }
}

pub(crate) struct Caller(Arc<rustls::ClientConfig>);

impl Caller {
    /// Of a service whose certificate is in that file, PEM.
    pub(crate) fn trusting(certificate: &Path) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("one that can be trusted");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Self(Arc::new(tls.expect("versions").with_root_certificates(roots).with_no_client_auth()))
    }

    /// Asks, with more lines in the head of the request. A service that refuses may hang up before it has read all.
    pub(crate) fn post(&self, address: &str, path: &str, more: &str, body: &str) -> Answered {
        let stream = TcpStream::connect(address).expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let client = rustls::ClientConnection::new(Arc::clone(&self.0), name).expect("a client");
        let mut stream = rustls::StreamOwned::new(client, stream);
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/soap+xml\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let whole = String::from_utf8(answer).expect("text");
        let status = whole.split(' ').nth(1).and_then(|status| status.parse().ok());
        Answered { status: status.unwrap_or_else(|| panic!("no answer: {whole:?}")), whole }
    }
}
