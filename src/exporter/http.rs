//! `/metrics`, `/live` and `/ready` over HTTP/1.1. Everything is bounded: connections, the size of a request's
//! head, the time it may take to arrive, the life of a connection. Bodies are not read.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::board::Board;
use super::text;

/// Connections served at once; others wait in the listener's queue.
const CONNECTIONS: usize = 64;
/// Octets of a request's head.
const HEAD: usize = 16 * 1024;
/// For the head of a request to arrive; also how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(20);
/// A connection is closed after this, whoever is at the other end.
const LIFE: Duration = Duration::from_secs(300);

/// Serves a listener for ever.
pub(super) async fn serve(listener: TcpListener, board: Arc<Mutex<Board>>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors: the next one will not be there sooner for asking at once.
                tracing::warn!(event = "accept-failed", %error);
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let board = Arc::clone(&board);
        tokio::spawn(async move {
            let answers = service_fn(move |request| {
                let response = answer(&request, &board);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(HEAD)
                .max_headers(64)
                .serve_connection(TokioIo::new(stream), answers);
            // A client's mistake is answered or closed by hyper; there is nothing to do about it here.
            let _ = tokio::time::timeout(LIFE, connection).await;
            drop(permit);
        });
    }
}

fn answer(request: &Request<Incoming>, board: &Mutex<Board>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".to_owned());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let board = board.lock().expect("no holder panics");
    match request.uri().path() {
        "/metrics" => {
            let mut response = plain(StatusCode::OK, text::exposition(&board));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(text::CONTENT_TYPE));
            response
        }
        "/live" => plain(StatusCode::OK, "live\n".to_owned()),
        "/ready" => match board.missing(Instant::now()).as_slice() {
            [] => plain(StatusCode::OK, "ready\n".to_owned()),
            missing => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", "))),
        },
        _ => plain(StatusCode::NOT_FOUND, "/metrics, /live or /ready\n".to_owned()),
    }
}

fn plain(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
