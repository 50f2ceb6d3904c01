//! One request, over a connection of its own, to the address of the configuration. Whatever is not 200 is a failure,
//! nobody is followed elsewhere, and time and octets are bounded from the first to the last.

use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tls::TlsClient;
use crate::config::auth::source::Source;

/// Until there is a connection, and until there is all of a document.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);
/// Octets of a response's head, at most.
const HEAD: usize = 16 * 1024;

/// Why there is nothing, for the operator.
#[derive(Debug)]
pub(super) enum Missing {
    /// Nobody answered, or not all of it came.
    Unheard(String),
    /// Somebody answered, and not with what was asked for.
    Told(String),
}

impl Missing {
    /// In words.
    pub(super) fn why(self) -> String {
        match self {
            Self::Unheard(why) | Self::Told(why) => why,
        }
    }
}

impl<E: ToString> From<E> for Missing {
    fn from(error: E) -> Self {
        Self::Unheard(error.to_string())
    }
}

/// What is there, of at most so many octets.
///
/// # Errors
/// Why there is nothing.
pub(super) async fn get(source: &Source, largest: usize) -> Result<Vec<u8>, Missing> {
    within(WHOLE, over(source, None, largest)).await
}

/// What is answered to these octets, of that kind, before so long.
///
/// # Errors
/// Why nothing is.
pub(super) async fn post(
    source: &Source,
    (kind, octets): (&'static str, Vec<u8>),
    largest: usize,
    deadline: Duration,
) -> Result<Vec<u8>, Missing> {
    within(deadline, over(source, Some((kind, octets)), largest)).await
}

async fn within(deadline: Duration, asked: impl Future<Output = Result<Vec<u8>, Missing>>) -> Result<Vec<u8>, Missing> {
    timeout(deadline, asked).await.map_err(|_| "does not answer in time")?
}

type Sent = Option<(&'static str, Vec<u8>)>;

async fn over(source: &Source, sent: Sent, largest: usize) -> Result<Vec<u8>, Missing> {
    let connected = timeout(CONNECT, TcpStream::connect(source.address)).await;
    let stream = connected.map_err(|_| "does not answer in time")??;
    match &source.tls {
        None => ask(stream, source, sent, largest).await,
        Some((name, anchors)) => {
            let secured = timeout(CONNECT, TlsClient::trusting(anchors).0.connect(name.clone(), stream)).await;
            let stream = secured.map_err(|_| "does not answer in time")??;
            ask(stream, source, sent, largest).await
        }
    }
}

async fn ask<S>(stream: S, source: &Source, sent: Sent, largest: usize) -> Result<Vec<u8>, Missing>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await?;
    // It goes when this is dropped, whatever becomes of the answer.
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(connection);
    let request = match &sent {
        None => Request::get(&source.path),
        Some((kind, _)) => Request::post(&source.path).header(header::CONTENT_TYPE, *kind),
    };
    let request = request
        .header(header::HOST, &source.authority)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Full::<Bytes>::from(sent.map(|(_, octets)| octets).unwrap_or_default()))?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(Missing::Told(format!("answers {}", response.status())));
    }
    let body = Limited::new(response.into_body(), largest).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { Missing::Told("answers too much".to_owned()) } else { error.into() }
    })?;
    Ok(body.to_bytes().into())
}
