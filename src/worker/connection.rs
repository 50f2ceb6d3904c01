//! One connection from accept to close: its share of the limits, its TLS handshake, its HTTP. What cannot
//! be answered is closed and counted.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::header::{self, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::{Activity, Verdict, Watched};
use super::client::Client;
use super::counters;
use super::handshake::was_asked;
use super::http::Front;
use super::limits::{LogGate, Place, Sources};
use super::tls::Tls;

/// How long a connection that was told to end may go on writing its last answer.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// While draining: how long a handshake may still take, and a connection wait for a request that may be on
/// its way. A stranger who holds a connection open must not hold up the successor.
const LINGER: Duration = Duration::from_secs(1);

/// Where connections come in.
pub(super) struct Door {
    front: Arc<Front>,
    places: Arc<Semaphore>,
    capacity: u32,
    sources: Arc<Sources>,
    handshakes: Semaphore,
    log: LogGate,
}

/// Why a connection was closed without an answer.
type Closed = &'static str;

impl Door {
    /// A door for at most `capacity` connections.
    pub(super) fn new(front: Arc<Front>, capacity: u32) -> Arc<Self> {
        let limits = &front.config.limits;
        Arc::new(Self {
            places: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            sources: Sources::new(limits.connections_per_source),
            handshakes: Semaphore::new(limits.handshakes as usize),
            log: LogGate::new(5),
            front,
        })
    }

    /// Takes connections in until told to drain.
    pub(super) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Arc<Tls>,
        mut drain: watch::Receiver<bool>,
    ) {
        loop {
            let accepted = tokio::select! {
                _ = drain.wait_for(|drain| *drain) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address, &tls, &drain),
                Err(error) => {
                    if let Some(left_out) = self.log.pass() {
                        tracing::warn!(event = "accept", %error, left_out);
                    }
                    // Out of descriptors or memory: others have to close first.
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, tls: &Arc<Tls>, drain: &watch::Receiver<bool>) {
        self.front.counters.accepted.inc();
        let source = address.ip().to_canonical();
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            return self.closed("too-many", source);
        };
        let Some(place) = self.sources.enter(source) else { return self.closed("too-many-from-source", source) };
        self.front.counters.connections.inc();
        let admitted = Admitted { door: Arc::clone(self), _permit: permit, _place: place };
        let (tls, drain) = (Arc::clone(tls), drain.clone());
        tokio::spawn(async move {
            if let Err(why) = admitted.door.serve(stream, &tls, source, drain).await {
                admitted.door.closed(why, source);
            }
        });
    }

    fn closed(&self, reason: Closed, source: IpAddr) {
        self.front.counters.closed.with_label_values(&[reason]).inc();
        // What ordinary clients and health checks do is not worth a line.
        if !matches!(reason, "idle" | "hung-up" | "draining")
            && let Some(left_out) = self.log.pass()
        {
            tracing::warn!(event = "closed", reason, %source, left_out);
        }
    }

    /// Waits until every connection is gone, at most until `deadline`; says how many were not.
    pub(super) async fn emptied(&self, deadline: Instant) -> usize {
        match timeout_at(deadline, self.places.acquire_many(self.capacity)).await {
            Ok(_) => 0,
            Err(_) => (self.capacity as usize).saturating_sub(self.places.available_permits()),
        }
    }

    async fn serve(
        &self,
        stream: TcpStream,
        tls: &Tls,
        source: IpAddr,
        drain: watch::Receiver<bool>,
    ) -> Result<(), Closed> {
        // Answers are small and whole; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let limits = &self.front.config.limits;
        let deadline = Instant::now() + Duration::from_secs(limits.handshake_timeout_s.into());
        let mut draining = drain.clone();
        let (stream, client) = tokio::select! {
            shaken = self.handshake(stream, tls) => shaken?,
            () = sleep_until(deadline) => return Err("handshake-timeout"),
            () = async { let _ = draining.wait_for(|drain| *drain).await; sleep(LINGER).await } => {
                return Err("draining");
            }
        };
        let idle = Duration::from_secs(limits.idle_timeout_s.into());
        let head_size = limits.head_kib.saturating_mul(1024);
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let head = (!http2).then(|| Duration::from_secs(limits.head_timeout_s.into()));
        let activity = Activity::new(idle, head);
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let (front, seen, told) = (Arc::clone(&self.front), Arc::clone(&activity), drain.clone());
        let asks = client.clone();
        let service = service_fn(move |request| {
            let (front, busy, told, client) = (Arc::clone(&front), seen.request(), told.clone(), asks.clone());
            async move {
                let mut answer = front.answer(source, client.as_deref(), request).await;
                let last = *told.borrow() || client.is_some_and(|client| client.is_spent());
                if !http2 && last {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                drop(busy);
                Ok::<_, Infallible>(answer)
            }
        });
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.streams_per_connection)
                .max_header_list_size(head_size)
                .max_send_buf_size(64 * 1024)
                .initial_stream_window_size(64 * 1024)
                .initial_connection_window_size(256 * 1024)
                .serve_connection(io, service);
            drive(pin!(connection), |connection| connection.graceful_shutdown(), true, &activity, client, drain).await
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(None)
                .max_headers(limits.headers.into())
                .max_buf_size(head_size as usize)
                .serve_connection(io, service);
            drive(pin!(connection), |connection| connection.graceful_shutdown(), false, &activity, client, drain).await
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        tls: &Tls,
    ) -> Result<(TlsStream<TcpStream>, Option<Arc<Client>>), Closed> {
        let (config, seen) = tls.one().map_err(|_| "tls")?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(refused)?;
        // rustls asks for the signature while a ClientHello is worked on, within the call: the first one here, and the
        // second, where it has asked for another, in some poll. The place in the queue is given back after it, so that
        // clients which then say nothing hold none; and who has his signature, or needs none, is not to stand behind
        // everybody who came meanwhile to say a word.
        let turn = self.handshakes.acquire().await.map_err(|_| "tls")?;
        let mut retried = false;
        let mut accept = pin!(start.into_stream_with(config, |connection| {
            retried = connection.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest);
        }));
        drop(turn);
        let accepted = if retried { self.second_hello(accept).await? } else { accept.as_mut().await };
        let stream = accepted.map_err(refused)?;
        let session = stream.get_ref().1;
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let kind = match (session.protocol_version(), resumed) {
            (Some(ProtocolVersion::TLSv1_2), false) => "1.2",
            (Some(ProtocolVersion::TLSv1_2), true) => "1.2-resumed",
            (_, false) => "1.3",
            (_, true) => "1.3-resumed",
        };
        self.front.counters.handshakes.with_label_values(&[kind]).inc();
        if session.protocol_version() == Some(ProtocolVersion::TLSv1_2) {
            self.front.counters.leniencies.with_label_values(&[counters::TLS12]).inc();
        }
        Ok((stream, seen.client()))
    }

    /// Goes on with a client that was asked for another ClientHello, each time when it has its turn, until it has its
    /// signature.
    async fn second_hello<A: Future>(&self, mut accept: Pin<&mut A>) -> Result<A::Output, Closed> {
        loop {
            let turn = self.handshakes.acquire().await.map_err(|_| "tls")?;
            let (worked, asked) = poll_fn(|cx| {
                was_asked();
                Poll::Ready((accept.as_mut().poll(cx), was_asked()))
            })
            .await;
            drop(turn);
            match worked {
                Poll::Ready(accepted) => return Ok(accepted),
                Poll::Pending if asked => return Ok(accept.await),
                Poll::Pending => {}
            }
            // Whatever it waits for wakes this task.
            let mut woken = false;
            poll_fn(|_| if std::mem::replace(&mut woken, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }
}

/// Why a handshake came to nothing.
fn refused(error: io::Error) -> Closed {
    let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (ours, error.kind()) {
        // The one error of our own: the client did nothing wrong.
        (Some(rustls::Error::General(_)), _) => "no-signature",
        (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => "hung-up",
        _ => "tls",
    }
}

/// A connection's share of the limits.
struct Admitted {
    door: Arc<Door>,
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.door.front.counters.connections.dec();
    }
}

/// Runs one HTTP connection until it ends, is idle for too long, or the process drains. `announces`: can it
/// tell the client that there is no further request to be sent before it ends (HTTP/2)? Where it cannot,
/// hyper would hang up on a client whose request is on its way; the last answer says it instead.
async fn drive<C>(
    mut connection: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    announces: bool,
    activity: &Activity,
    client: Option<Arc<Client>>,
    mut drain: watch::Receiver<bool>,
) -> Result<(), Closed>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut draining = None;
    let mut end = None;
    let mut why = Ok(());
    let mut spent = pin!(async {
        match &client {
            Some(client) => client.spent().await,
            None => pending().await,
        }
    });
    let mut is_spent = false;
    loop {
        let look = match (end, draining, activity.verdict()) {
            (Some(end), ..) => end,
            (None, Some(started), _) => match activity.quiet() {
                // After its last answer hyper ends the connection by itself.
                None => Instant::now() + LINGER,
                Some(since) => *end.insert(since.max(started) + LINGER),
            },
            (None, None, Verdict::Wait(look)) => look,
            (None, None, Verdict::SlowHead) => return Err("slow-head"),
            (None, None, quiet @ (Verdict::Idle | Verdict::Unused)) => {
                // A new request may be on its way: let it be answered, but no further one.
                finish(connection.as_mut());
                why = Err(if quiet == Verdict::Idle { "idle" } else { "unused" });
                *end.insert(Instant::now() + LAST_WORDS)
            }
        };
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(|_| "http").and(why),
            _ = drain.wait_for(|drain| *drain), if draining.is_none() => {
                draining = Some(Instant::now());
                if announces {
                    finish(connection.as_mut());
                }
            }
            // What the handshake proved it proves no longer: the client is to come back with another. Over HTTP/1 the
            // last answer has said so.
            () = spent.as_mut(), if announces && !is_spent => {
                is_spent = true;
                finish(connection.as_mut());
            }
            () = sleep_until(look) => match end {
                Some(passed) if Instant::now() >= passed && activity.quiet().is_some() => return why,
                // A request came after all: it is answered first.
                Some(passed) if Instant::now() >= passed => end = None,
                _ => {}
            },
        }
    }
}
