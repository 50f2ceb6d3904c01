//! One POST over HTTPS, verified as any client would, with deadlines and a bound on the answer. No proxy, no
//! redirect: a token request is not sent to places nobody named.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long the whole exchange may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// The largest answer that is read, octets.
const LARGEST: usize = 4 * 1024 * 1024;
/// Where distributions keep the certificates they trust.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Why there is no answer, in one clause.
#[derive(Debug)]
pub(super) struct NoAnswer(String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn because<E: fmt::Display>(what: &'static str) -> impl Fn(E) -> NoAnswer {
    move |error| NoAnswer(format!("{what}: {error}"))
}

/// Sends `body` to `url`, trusting the certificates in `ca`, else those of the system. Gives the HTTP status
/// and the answer's octets.
pub(super) async fn post(
    url: &Uri,
    ca: Option<&Path>,
    headers: &[(&str, &str)],
    body: String,
) -> Result<(u16, Bytes), NoAnswer> {
    let exchange = exchange(url, ca, headers, body);
    tokio::time::timeout(DEADLINE, exchange)
        .await
        .unwrap_or_else(|_| Err(NoAnswer(format!("no answer within {} s", DEADLINE.as_secs()))))
}

async fn exchange(
    url: &Uri,
    ca: Option<&Path>,
    headers: &[(&str, &str)],
    body: String,
) -> Result<(u16, Bytes), NoAnswer> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if url.scheme_str() != Some("https") || host.is_empty() {
        return Err(NoAnswer(format!("{url}: not an https URL")));
    }
    let tls = TlsConnector::from(Arc::new(trust(ca)?));
    let tcp = TcpStream::connect((host.as_str(), url.port_u16().unwrap_or(443))).await.map_err(because("connect"))?;
    let name = ServerName::try_from(host).map_err(because("server name"))?;
    let stream = tls.connect(name, tcp).await.map_err(because("TLS"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(because("HTTP"))?;
    let driving = tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::post(path).header("Host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(because("request"))?;
    let answer = sender.send_request(request).await.map_err(because("HTTP"))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(because("answer"))?.to_bytes();
    driving.abort();
    Ok((status, body))
}

fn trust(ca: Option<&Path>) -> Result<ClientConfig, NoAnswer> {
    let found = BUNDLES.iter().map(Path::new).find(|path| path.exists());
    let path = ca.or(found).ok_or_else(|| NoAnswer("no certificates to trust; name some with --ca".to_owned()))?;
    let named = |why: String| NoAnswer(format!("{}: {why}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| named(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| named(error.to_string()))?;
        match roots.add(certificate) {
            // One odd certificate in the system's bundle is the system's business.
            Err(error) if ca.is_some() => return Err(named(error.to_string())),
            _ => {}
        }
    }
    if roots.is_empty() {
        return Err(named("holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(because("TLS"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
