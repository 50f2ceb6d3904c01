//! TLS as PostgreSQL has it: the client asks for it in clear, hears one octet, and then proves its password over a hash
//! of the certificate it was shown (tls-server-end-point, RFC 5929, 4). Who has another certificate, be it of the same
//! authority, learns nothing from a login that he hands on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest::{self, Algorithm};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::client;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::auth::tls::TlsClient;

/// Secures one connection.
pub(super) struct Secure<'a> {
    pub(super) client: &'a TlsClient,
    pub(super) name: ServerName<'static>,
}

impl TlsConnect<TcpStream> for Secure<'_> {
    type Stream = Secured;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        let connecting = self.client.0.connect(self.name, stream);
        Box::pin(async { connecting.await.map(|stream| Secured { stream, heard: 0 }) })
    }
}

/// Octets that a server says to one question, at most; nothing that is asked here has an answer of a hundredth of that.
const LARGEST: usize = 1024 * 1024;

/// A secured connection, on which the other side says no more than so much before it is asked again: it is not known
/// yet that it is our server, and what reads here has no bound of its own.
pub(super) struct Secured {
    stream: client::TlsStream<TcpStream>,
    heard: usize,
}

impl TlsStream for Secured {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.stream.get_ref().1.peer_certificates().unwrap_or_default();
        match certificates.first().and_then(|certificate| end_point(certificate)) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

/// The hash of a certificate by that of its own signature; none where that has none to go by (RFC 5929, 4.1).
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let algorithm: &Algorithm = match read.signature_algorithm.algorithm.to_id_string().as_str() {
        // MD5 and SHA-1 are replaced.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => &digest::SHA256,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.heard > LARGEST {
            return Poll::Ready(Err(io::Error::other("says more than it was asked")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.heard += buf.filled().len() - before;
        read
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.heard = 0;
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    use super::*;

    fn certificate(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::new(vec!["db1.corp.test".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_hashed_as_its_signature_was_or_not_at_all() {
        for (signed, hash) in
            [(&rcgen::PKCS_ECDSA_P256_SHA256, &digest::SHA256), (&rcgen::PKCS_ECDSA_P384_SHA384, &digest::SHA384)]
        {
            let certificate = certificate(signed);
            assert_eq!(end_point(&certificate).unwrap(), digest::digest(hash, &certificate).as_ref());
        }
        assert_eq!(end_point(&certificate(&rcgen::PKCS_ED25519)), None);
        assert_eq!(end_point(b"none"), None);
    }
}
