//! HTTP as far as a token service needs it: a match on path and method, bounded bodies, and an answer to
//! everything that came over a connection we accepted. Every answer names its request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::asking::Asking;
use super::client::Client;
use super::counters::Counters;
use super::limits::{LogGate, Sources};
use super::message::{self, Description, Reply};
use super::negotiate::{self, Missing};
use super::peers::{Auth, Issuer};
use super::{body, mex, request};
use crate::config::worker::{Credential, Endpoint, MetadataKind, Profile, Worker};
use crate::sys::failpoint::failpoint;

const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");
const PLAIN: &str = "text/plain; charset=utf-8";
const METADATA: &str = "text/xml; charset=utf-8";
/// When a client that came at a bad moment should come back.
const RETRY_AFTER_S: u16 = 1;

type Answer = Response<Full<Bytes>>;

/// Everything a request is answered with.
pub(super) struct Front {
    pub(super) config: Worker,
    pub(super) auth: Auth,
    pub(super) issuer: Issuer,
    pub(super) counters: Counters,
    /// SHA-256 of our certificate.
    pub(super) server: [u8; 32],
    routes: HashMap<String, Route>,
    requests: Semaphore,
    sources: Arc<Sources>,
    log: LogGate,
}

enum Route {
    /// Index into the configuration's endpoints.
    Tokens(usize),
    /// A document, written once: as it is fetched, and as it is asked for by SOAP.
    Document(Bytes, Description),
}

impl Front {
    /// Lays out the paths and writes the documents.
    pub(super) fn new(config: Worker, server: [u8; 32], auth: Auth, issuer: Issuer, counters: Counters) -> Self {
        let tokens = config.endpoints.iter().enumerate();
        let tokens = tokens.map(|(index, endpoint)| (endpoint.path.clone(), Route::Tokens(index)));
        let documents = config.metadata.iter().map(|metadata| {
            let description = mex::document(&config, metadata);
            (metadata.path.clone(), Route::Document(Bytes::from(description.wsdl.clone()), description))
        });
        let routes = tokens.chain(documents).collect();
        let requests = Semaphore::new(config.limits.requests as usize);
        let sources = Sources::new(config.limits.requests_per_source);
        Self { config, auth, issuer, counters, server, routes, requests, sources, log: LogGate::new(10) }
    }

    /// Answers one request, over a connection of that client, if it has proved a certificate.
    pub(super) async fn answer(&self, source: IpAddr, client: Option<&Client>, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let asking = Asking::new(source, client, &parts);
        let mut answer = self.route(asking, &parts, body).await;
        if parts.method == Method::HEAD {
            answer = without_body(answer);
        }
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let id = HeaderValue::try_from(asking.correlation.to_string()).expect("hexadecimal digits are a header value");
        headers.insert(CORRELATION, id);
        answer
    }

    async fn route(&self, asking: Asking<'_>, parts: &Parts, body: Incoming) -> Answer {
        // HTTP/1 is counted by hyper, HTTP/2 by nobody.
        if parts.headers.len() > usize::from(self.config.limits.headers) {
            return self.turn_away(TurnedAway::HEADERS, asking, body).await;
        }
        match self.routes.get(parts.uri.path()) {
            None => self.turn_away(TurnedAway::UNKNOWN_PATH, asking, body).await,
            Some(Route::Document(document, description)) => match parts.method {
                Method::GET | Method::HEAD => self.document(document),
                Method::POST => self.described(description, asking, parts, body).await,
                _ => self.turn_away(TurnedAway::method("GET, HEAD, POST"), asking, body).await,
            },
            Some(Route::Tokens(index)) => {
                let endpoint = &self.config.endpoints[*index];
                self.counters.endpoints.with_label_values(&[&endpoint.path]).inc();
                // A toolkit that is told where a service is fetches its description so.
                let wsdl = parts.uri.query().is_some_and(|query| query.eq_ignore_ascii_case("wsdl"));
                let described = if wsdl { self.published(endpoint) } else { None };
                match (&parts.method, described) {
                    (&Method::POST, _) => self.tokens(endpoint, asking, &parts.headers, body).await,
                    (&Method::GET | &Method::HEAD, Some((document, _))) => self.document(document),
                    (_, Some(_)) => self.turn_away(TurnedAway::method("GET, HEAD, POST"), asking, body).await,
                    (_, None) => self.turn_away(TurnedAway::method("POST"), asking, body).await,
                }
            }
        }
    }

    fn document(&self, document: &Bytes) -> Answer {
        self.counters.requests.with_label_values(&["metadata"]).inc();
        plain(StatusCode::OK, METADATA, document.clone())
    }

    /// The document in which this endpoint is described, where one is published.
    pub(super) fn description(&self, endpoint: &Endpoint) -> Option<&Description> {
        self.published(endpoint).map(|(_, description)| description)
    }

    fn published(&self, endpoint: &Endpoint) -> Option<(&Bytes, &Description)> {
        let kind = if endpoint.profile == Profile::Adfs { MetadataKind::Mex } else { MetadataKind::Wsdl };
        let metadata = self.config.metadata.iter().find(|metadata| metadata.kind == kind)?;
        match self.routes.get(&metadata.path)? {
            Route::Document(document, description) => Some((document, description)),
            Route::Tokens(_) => None,
        }
    }

    /// A question for a document takes the place of a request while its body comes, and has a smaller one.
    async fn described(
        &self,
        description: &Description,
        asking: Asking<'_>,
        parts: &Parts,
        mut body: Incoming,
    ) -> Answer {
        let (Ok(_admitted), Some(_place)) = (self.requests.try_acquire(), self.sources.enter(asking.source)) else {
            return self.turn_away(TurnedAway::OVERLOAD, asking, body).await;
        };
        self.counters.in_flight.inc();
        let _in_flight = InFlight(self);
        let (content_type, soap_action) = match head(&parts.headers) {
            Ok(head) => head,
            Err(why) => return self.turn_away(why, asking, body).await,
        };
        let octets = match body::read(&mut body, &self.config.limits, message::INQUIRY).await {
            Ok(octets) => octets,
            Err(refused) => return self.turn_away(refused.into(), asking, body).await,
        };
        let incoming = message::Incoming { content_type, soap_action, body: &octets };
        let ended = request::described(self, description, asking, &incoming);
        self.counters.requests.with_label_values(&[ended.outcome]).inc();
        if let Some(reason) = ended.reason {
            self.refused(reason, asking, ended.message_id.as_deref(), parts.uri.path());
        }
        written(ended.reply)
    }

    async fn tokens(&self, endpoint: &Endpoint, asking: Asking<'_>, headers: &HeaderMap, mut body: Incoming) -> Answer {
        let began = Instant::now();
        // Before the body: what is not admitted costs nothing but its head.
        let (Ok(_admitted), Some(_place)) = (self.requests.try_acquire(), self.sources.enter(asking.source)) else {
            return self.turn_away(TurnedAway::OVERLOAD, asking, body).await;
        };
        self.counters.in_flight.inc();
        let _in_flight = InFlight(self);
        let (content_type, soap_action) = match head(headers) {
            Ok(head) => head,
            Err(why) => return self.turn_away(why, asking, body).await,
        };
        // A browser shows its user's certificate, or gets a ticket, for whatever page asks, and says so here.
        let unasked = matches!(endpoint.credential, Credential::TlsCertificate | Credential::Kerberos);
        if unasked && headers.contains_key(header::ORIGIN) {
            return self.turn_away(TurnedAway::PAGE, asking, body).await;
        }
        let negotiation =
            (endpoint.credential == Credential::Kerberos).then(|| negotiate::offered(headers, self.server));
        let negotiation = match negotiation.transpose() {
            Ok(negotiation) => negotiation,
            Err(missing) => return self.turn_away(missing.into(), asking, body).await,
        };
        let octets = match body::read(&mut body, &self.config.limits, usize::MAX).await {
            Ok(octets) => octets,
            Err(refused) => return self.turn_away(refused.into(), asking, body).await,
        };
        failpoint("accepted");
        let incoming = message::Incoming { content_type, soap_action, body: &octets };
        let ended = request::obtain(self, endpoint, asking, &incoming, negotiation).await;
        self.counters.requests.with_label_values(&[ended.outcome]).inc();
        self.counters.seconds.observe(began.elapsed().as_secs_f64());
        let message_id = ended.message_id.as_deref();
        match ended.reason {
            Some(reason) => self.refused(reason, asking, message_id, &endpoint.path),
            None => {
                let Asking { source, correlation, client_request_id, .. } = asking;
                let endpoint = endpoint.path.as_str();
                let event = ended.outcome;
                tracing::debug!(%correlation, client_request_id, message_id, event, %source, endpoint);
            }
        }
        let mut answer = written(ended.reply);
        if let Some(token) = ended.negotiated {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, negotiate::answer(&token));
        }
        answer
    }

    fn refused(&self, reason: &'static str, asking: Asking<'_>, message_id: Option<&str>, endpoint: &str) {
        self.counters.reasons.with_label_values(&[reason]).inc();
        let Asking { source, correlation, client_request_id, .. } = asking;
        if let Some(left_out) = self.log.pass() {
            // Strings are written quoted and escaped, so nothing a client says is a line of its own.
            tracing::warn!(
                %correlation,
                client_request_id,
                message_id,
                event = "refused",
                reason,
                %source,
                endpoint,
                left_out
            );
        }
    }

    async fn turn_away(&self, why: TurnedAway, asking: Asking<'_>, body: Incoming) -> Answer {
        self.counters.requests.with_label_values(&["turned-away"]).inc();
        if why.status == StatusCode::UNAUTHORIZED {
            // Every login by a ticket begins so: lines on it would take the room of those on refusals.
            self.counters.reasons.with_label_values(&[why.reason]).inc();
        } else {
            self.refused(why.reason, asking, None, "");
        }
        if why.discard {
            body::discard(body).await;
        }
        let mut answer = plain(why.status, PLAIN, Bytes::from_static(why.text.as_bytes()));
        if let Some((name, value)) = why.header {
            answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if why.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        answer
    }
}

struct InFlight<'a>(&'a Front);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counters.in_flight.dec();
    }
}

/// A request that is not read as a message.
struct TurnedAway {
    status: StatusCode,
    reason: &'static str,
    text: &'static str,
    header: Option<(&'static str, &'static str)>,
    /// Is the client likely to be sending still?
    discard: bool,
}

impl TurnedAway {
    const UNKNOWN_PATH: Self = Self::new(StatusCode::NOT_FOUND, "unknown-path", "there is nothing here\n");
    const OVERLOAD: Self =
        Self { discard: false, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "overload", "too many requests\n") };
    const PAGE: Self = Self::new(StatusCode::FORBIDDEN, "origin", "not for web pages\n");
    const NEGOTIATE: Self = Self {
        header: Some(("www-authenticate", negotiate::SCHEME)),
        ..Self::new(StatusCode::UNAUTHORIZED, "negotiate", "a ticket is asked for\n")
    };
    const UNREADABLE: Self = Self::new(StatusCode::BAD_REQUEST, "negotiate-unreadable", "not a token\n");
    const DUPLICATE: Self = Self::new(StatusCode::BAD_REQUEST, "duplicate-header", "a header is there twice\n");
    const HEADER: Self = Self::new(StatusCode::BAD_REQUEST, "header", "a header is not text\n");
    const HEADERS: Self =
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers", "there are too many headers\n");
    const CODED: Self = Self {
        header: Some(("accept-encoding", "identity")),
        ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding", "content-encoding is not taken\n")
    };

    const fn new(status: StatusCode, reason: &'static str, text: &'static str) -> Self {
        Self { status, reason, text, header: None, discard: true }
    }

    const fn method(allowed: &'static str) -> Self {
        Self {
            header: Some(("allow", allowed)),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "not by this method\n")
        }
    }
}

impl From<Missing> for TurnedAway {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Token => Self::NEGOTIATE,
            Missing::Unreadable => Self::UNREADABLE,
            Missing::Twice => Self::DUPLICATE,
        }
    }
}

impl From<body::Refused> for TurnedAway {
    fn from(refused: body::Refused) -> Self {
        match refused {
            body::Refused::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is too large\n"),
            body::Refused::TooSlow => Self {
                discard: false,
                ..Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "the body came too slowly\n")
            },
            body::Refused::Truncated => {
                Self { discard: false, ..Self::new(StatusCode::BAD_REQUEST, "truncated", "the body broke off\n") }
            }
        }
    }
}

/// `Content-Type` and `SOAPAction`, each at most once; `Content-Encoding` never.
fn head(headers: &HeaderMap) -> Result<(Option<&str>, Option<&str>), TurnedAway> {
    if headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(TurnedAway::CODED);
    }
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        if values.next().is_some() {
            return Err(TurnedAway::DUPLICATE);
        }
        first.map(HeaderValue::to_str).transpose().map_err(|_| TurnedAway::HEADER)
    };
    Ok((one(&header::CONTENT_TYPE)?, one(&SOAP_ACTION)?))
}

fn plain(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// The same as to HEAD (RFC 9110 9.3.2). By HTTP/2 nobody else leaves the body out.
fn without_body(answer: Answer) -> Answer {
    let (mut parts, body) = answer.into_parts();
    let length = body.size_hint().exact().map(HeaderValue::from);
    parts.headers.extend(length.map(|length| (header::CONTENT_LENGTH, length)));
    Response::from_parts(parts, Full::default())
}

fn written(reply: Reply) -> Answer {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = plain(status, reply.content_type, Bytes::from(reply.body));
    if let Some(seconds) = reply.retry_after_s {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
