//! The clients: one process, so many keep-alive connections over TLS 1.3, one request open on each, the same
//! user and password every time, as a machine client has. Its processor time is counted apart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpStream;

use crate::Outcome;
use crate::errand::{Done, wait_for_the_word};

/// Where the demo serves AD FS clients.
const PATH: &str = "/adfs/services/trust/13/usernamemixed";
/// Requests on each connection before the measurement.
const WARM_UP: usize = 20;

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    ca: PathBuf,
    #[arg(long)]
    user: String,
    #[arg(long)]
    password_file: PathBuf,
    #[arg(long)]
    applies_to: String,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    seconds: f64,
}

/// What the clients saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    #[serde(flatten)]
    pub(crate) done: Done,
    /// Answers that were no token.
    pub(crate) failed: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Asks for tokens for a while and prints what came back.
pub(crate) fn run(args: &Args) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = runtime.block_on(ask(args))?;
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

async fn ask(args: &Args) -> Outcome<Seen> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&args.ca)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let password = std::fs::read_to_string(&args.password_file)?;
    let request = Arc::new(Envelope::new(args, password.trim_end())?);
    let mut clients = Vec::new();
    for number in 0..args.connections {
        let mut client = Client { sender: connect(args.port, &tls).await?, request: request.clone(), number, sent: 0 };
        // The first pays for the password's hash, the others find it known.
        if client.once().await? != 200 {
            return Err("the first request on a connection did not succeed".into());
        }
        clients.push(client);
    }
    let warm = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            for _ in 0..WARM_UP {
                client.once().await?;
            }
            Outcome::Ok(client)
        })
    });
    let mut ready = Vec::new();
    for client in warm.collect::<Vec<_>>() {
        ready.push(client.await??);
    }

    let start = wait_for_the_word()?;
    let until = start.at + Duration::from_secs_f64(args.seconds);
    let running: Vec<_> = ready.into_iter().map(|client| tokio::spawn(client.until(until))).collect();
    let (mut took, mut failed) = (Vec::new(), 0);
    for client in running {
        let (times, refused) = client.await??;
        took.extend(times);
        failed += refused;
    }
    took.sort_unstable();
    let quantile = |part: f64| {
        let at = (took.len() as f64 * part) as usize;
        took.get(at.min(took.len().saturating_sub(1))).map_or(f64::NAN, |time: &Duration| time.as_secs_f64() * 1e3)
    };
    Ok(Seen { done: start.done(took.len() as u64)?, failed, p50_ms: quantile(0.5), p99_ms: quantile(0.99) })
}

struct Client {
    sender: SendRequest<Full<Bytes>>,
    request: Arc<Envelope>,
    number: usize,
    sent: usize,
}

impl Client {
    /// One request; its status. All of the answer is read.
    async fn once(&mut self) -> Outcome<u16> {
        self.sent += 1;
        let request = Request::post(PATH)
            .header("Host", &self.request.host)
            .header("Content-Type", "application/soap+xml; charset=utf-8")
            .body(Full::new(self.request.body(self.number, self.sent)))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        Ok(status)
    }

    /// Request after request. Gives how long each token took, and how many were refused.
    async fn until(mut self, until: Instant) -> Outcome<(Vec<Duration>, u64)> {
        let (mut took, mut failed) = (Vec::with_capacity(4096), 0);
        while Instant::now() < until {
            let sent = Instant::now();
            match self.once().await? {
                200 => took.push(sent.elapsed()),
                _ => failed += 1,
            }
        }
        Ok((took, failed))
    }
}

async fn connect(port: u16, tls: &tokio_rustls::TlsConnector) -> Outcome<SendRequest<Full<Bytes>>> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let stream = tls.connect(ServerName::try_from("localhost")?, tcp).await?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A request, but for its message id.
struct Envelope {
    host: String,
    before: String,
    after: String,
}

impl Envelope {
    fn new(args: &Args, password: &str) -> Outcome<Self> {
        let host = format!("localhost:{}", args.port);
        let now = OffsetDateTime::now_utc().replace_nanosecond(0)?;
        let (created, expires) = (now.format(&Rfc3339)?, (now + time::Duration::minutes(5)).format(&Rfc3339)?);
        let (user, applies_to) = (&args.user, &args.applies_to);
        let before = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><s:Header><a:Action s:mustUnderstand="1">http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action><a:MessageID>urn:uuid:"#.to_owned();
        let after = format!(
            r#"</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo><a:To s:mustUnderstand="1">https://{host}{PATH}</a:To><o:Security s:mustUnderstand="1" xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><u:Timestamp u:Id="_0"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp><o:UsernameToken u:Id="_1"><o:Username>{user}</o:Username><o:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText">{password}</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><t:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</t:RequestType><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>{applies_to}</a:Address></a:EndpointReference></p:AppliesTo><t:KeyType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer</t:KeyType></t:RequestSecurityToken></s:Body></s:Envelope>"#
        );
        Ok(Self { host, before, after })
    }

    fn body(&self, client: usize, sent: usize) -> Bytes {
        Bytes::from(format!("{}{client:08x}-0000-4000-8000-{sent:012x}{}", self.before, self.after))
    }
}
