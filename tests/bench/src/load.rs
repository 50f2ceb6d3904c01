//! The clients: one process, so many keep-alive connections over TLS 1.3, one request open on each, the same
//! user and credential every time, as a machine client has. Its processor time is counted apart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::credential::{Credential, Key};
use crate::envelope::Envelope;
use crate::errand::{Done, wait_for_the_word};
use crate::{Outcome, outside};

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
    #[arg(long, default_value = "password")]
    credential: Credential,
    /// Where the keys are, for what is not a password
    #[arg(long)]
    keys: Option<PathBuf>,
    /// What requests negotiate by, a line each: when all are used the clients are done
    #[arg(long)]
    tickets: Option<PathBuf>,
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
        .with_root_certificates(roots);
    let key = args.keys.as_ref().map(|keys| Key::read(keys, args.credential.key())).transpose()?;
    let tls = match &key {
        Some(key) if args.credential == Credential::TlsCertificate => {
            tls.with_client_auth_cert(vec![key.certificate.clone()], key.private.clone_key())?
        }
        _ => tls.with_no_client_auth(),
    };
    let tls = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let password = std::fs::read_to_string(&args.password_file)?;
    let request = |key, user: &str| {
        Envelope::new(args.credential, key, (user, password.trim_end()), &args.applies_to).map(Arc::new)
    };
    let shared = request(key, &args.user)?;
    let tickets = args.tickets.as_ref().map(std::fs::read_to_string).transpose()?;
    let tickets = tickets.map(|text| Arc::new(Mutex::new(text.lines().map(str::to_owned).collect())));
    let mut clients = Vec::new();
    for number in 0..args.connections {
        let mut client = Client {
            sender: connect(args.port, &tls).await?,
            request: match args.credential {
                // Questions about one user that come together are one question to a directory.
                Credential::Directory => request(None, &outside::user(number))?,
                _ => shared.clone(),
            },
            tickets: tickets.clone(),
            path: args.credential.path(),
            host: format!("localhost:{}", args.port),
            number,
            sent: 0,
        };
        // The first pays for the password's hash, the others find it known.
        if client.once().await? != Some(200) {
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
    tickets: Option<Arc<Mutex<Vec<String>>>>,
    path: &'static str,
    host: String,
    number: usize,
    sent: usize,
}

impl Client {
    /// One request; its status, or none when there is no ticket left for it. All of the answer is read.
    async fn once(&mut self) -> Outcome<Option<u16>> {
        self.sent += 1;
        let mut request = Request::post(self.path)
            .header("Host", &self.host)
            .header("Content-Type", "application/soap+xml; charset=utf-8");
        if let Some(tickets) = &self.tickets {
            let Some(ticket) = tickets.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return Ok(None) };
            request = request.header("Authorization", ticket);
        }
        let request = request.body(Full::new(self.request.body(self.number, self.sent)?))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        Ok(Some(status))
    }

    /// Request after request. Gives how long each token took, and how many were refused.
    async fn until(mut self, until: Instant) -> Outcome<(Vec<Duration>, u64)> {
        let (mut took, mut failed) = (Vec::with_capacity(4096), 0);
        while Instant::now() < until {
            let sent = Instant::now();
            match self.once().await? {
                Some(200) => took.push(sent.elapsed()),
                Some(_) => failed += 1,
                None => break,
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
