//! One request for a token, from its body to its answer: read it, have it vouched for, redeem the voucher,
//! write the reply. The worker decides nothing on the way.

use std::time::Duration;

use tokio::time::Instant;

use super::asking::Asking;
use super::http::Front;
use super::line::Unanswered;
use super::message::{
    self, Description, Fault, Inquiry, Leniency, Protected, Rejection, Reply, Shape, Unsigned, Within,
};
use super::peers::{NotReleased, NotVouched};
use crate::config::worker::Endpoint;
use crate::sys::failpoint::failpoint;
use crate::wire::evidence::{Evidence, Negotiation, Refusal, SignedMessage, Submission};
use crate::wire::order::{Failure, Redemption};
use crate::wire::unwrap::{Open, OpenSigned};
use crate::wire::{Correlation, Millis, Text};

/// When a client should come back if a peer of ours is away.
const RETRY_AFTER_S: u16 = 2;

/// How a request ended.
pub(super) struct Ended {
    /// What the client is sent.
    pub(super) reply: Reply,
    /// `outcome` in metrics.
    pub(super) outcome: &'static str,
    /// Why there is no token.
    pub(super) reason: Option<&'static str>,
    /// What the client called its message, for the log.
    pub(super) message_id: Option<String>,
    /// What the client is answered who negotiated.
    pub(super) negotiated: Option<Vec<u8>>,
}

impl Ended {
    fn without(reply: Reply, outcome: &'static str, reason: &'static str) -> Self {
        Self { reply, outcome, reason: Some(reason), message_id: None, negotiated: None }
    }
}

/// Works one request through.
pub(super) async fn obtain(
    front: &Front,
    endpoint: &Endpoint,
    asking: Asking<'_>,
    incoming: &message::Incoming<'_>,
    negotiation: Option<Negotiation>,
) -> Ended {
    let deadline = Instant::now() + Duration::from_secs(front.config.limits.request_timeout_s.into());
    let mut opened = match opened(front, endpoint, &asking, incoming, deadline).await {
        Ok(opened) => opened,
        Err(ended) => return *ended,
    };
    let signed = opened.as_mut().and_then(|whole| whole.signed.take());
    let (incoming, were) = match &opened {
        Some(Whole { whole, .. }) => (message::Incoming { body: whole.message.as_bytes(), ..*incoming }, whole.were),
        None => (*incoming, message::Were::default()),
    };
    let client = asking.client.map(|client| &client.handshake);
    let earlier = opened.as_ref().and_then(|opened| opened.whole.earlier.as_deref().map(String::as_str));
    let around = message::Around { client, negotiation, server: front.server, signed, earlier };
    let (ended, message_id) = match message::read_of(around, endpoint, &incoming) {
        Ok(request) => {
            let message_id = request.message_id().map(str::to_owned);
            (redeemed(front, endpoint, asking, request.sealed(were), deadline).await, message_id)
        }
        Err(rejection) if opened.is_some() => return rejected(front, &asking, &rejection),
        Err(rejection) => return no_request(front, endpoint, &asking, &incoming, &rejection),
    };
    Ended { message_id, ..ended }
}

/// What is no request for a token. Apache CXF's client, which knows nothing of an endpoint but its address, asks there
/// for its description (R-P020): that is told from everything else here, so that a request is read once, and answered
/// as at the path of the description.
fn no_request(
    front: &Front,
    endpoint: &Endpoint,
    asking: &Asking<'_>,
    incoming: &message::Incoming<'_>,
    rejection: &Rejection,
) -> Ended {
    let described = front.description(endpoint).filter(|_| incoming.body.len() <= message::INQUIRY);
    let asked = described.and_then(|description| Some((description, message::inquire(incoming).ok()?)));
    match asked {
        Some((description, inquiry)) => answered(front, description, asking, &inquiry),
        None => rejected(front, asking, rejection),
    }
}

/// Answers a question for a description: nobody is asked for it.
pub(super) fn described(
    front: &Front,
    description: &Description,
    asking: Asking<'_>,
    incoming: &message::Incoming<'_>,
) -> Ended {
    match message::inquire(incoming) {
        Ok(inquiry) => answered(front, description, &asking, &inquiry),
        Err(rejection) => rejected(front, &asking, &rejection),
    }
}

fn answered(front: &Front, description: &Description, asking: &Asking<'_>, inquiry: &Inquiry) -> Ended {
    tolerated(front, inquiry.leniencies());
    let reply = inquiry.answer(description, asking.correlation, Millis::now());
    Ended { reply, outcome: "metadata", reason: None, message_id: None, negotiated: None }
}

fn rejected(front: &Front, asking: &Asking<'_>, rejection: &Rejection) -> Ended {
    tolerated(front, rejection.leniencies());
    let reply = rejection.reply(asking.correlation, Millis::now());
    let message_id = rejection.message_id().map(str::to_owned);
    Ended { message_id, ..Ended::without(reply, "unreadable", rejection.reason()) }
}

/// A message with its sealed parts opened.
struct Whole {
    whole: message::Whole,
    /// What was signed of it while they were not.
    signed: Option<SignedMessage>,
}

/// The message with its sealed parts opened; none where nothing is sealed, or nothing may be here.
async fn opened(
    front: &Front,
    endpoint: &Endpoint,
    asking: &Asking<'_>,
    incoming: &message::Incoming<'_>,
    deadline: Instant,
) -> Result<Option<Whole>, Box<Ended>> {
    if !endpoint.encryption {
        return Ok(None);
    }
    let refused = |rejection: Rejection| Box::new(rejected(front, asking, &rejection));
    let Some(mut sealed) = message::sealed(endpoint, incoming).map_err(refused)? else { return Ok(None) };
    let Some((recipient, transport, key, within)) = sealed.question() else { return Ok(None) };
    let (correlation, source, endpoint) = (asking.correlation, asking.source, path(endpoint));
    let (opened, signed) = match within {
        Within::Parts(parts) => {
            let open = Open { correlation, endpoint, source, recipient, transport, sealed: key, parts };
            (front.auth.open_parts(open, deadline).await, None)
        }
        Within::Signed(message) => {
            let signed = Some(message.clone());
            let open = OpenSigned { correlation, endpoint, source, recipient, transport, sealed: key, message };
            (front.auth.open_signed(open, deadline).await, signed)
        }
    };
    match opened {
        Ok(opened) => {
            let whole = sealed.opened(&opened.parts).map_err(refused)?;
            Ok(Some(Whole { whole, signed }))
        }
        Err(why) => {
            let shape = sealed.into_shape();
            tolerated(front, shape.leniencies());
            let message_id = shape.logged_id().map(str::to_owned);
            Err(Box::new(Ended { message_id, ..not_vouched(&shape, correlation, why) }))
        }
    }
}

fn path(endpoint: &Endpoint) -> Text<128> {
    Text::new(endpoint.path.as_str()).expect("configuration takes no path above 128 octets")
}

fn not_vouched(shape: &Shape, correlation: Correlation, why: NotVouched) -> Ended {
    let fault = |fault: Fault| shape.fault(fault, correlation, Millis::now());
    match why {
        NotVouched::Refused(refusal) => Ended::without(fault(refusal.into()), "refused", refusal_word(refusal)),
        NotVouched::Unanswered(why) => unavailable(shape, correlation, why),
    }
}

fn not_released(shape: &Shape, correlation: Correlation, why: NotReleased) -> Ended {
    match why {
        NotReleased::Failed(failure) => {
            let reply = shape.fault(failure.into(), correlation, Millis::now());
            Ended::without(reply, "unavailable", failure_word(failure))
        }
        NotReleased::Unanswered(why) => unavailable(shape, correlation, why),
    }
}

fn unavailable(shape: &Shape, correlation: Correlation, why: Unanswered) -> Ended {
    let busy = Refusal::Busy { retry_after_s: RETRY_AFTER_S };
    Ended::without(shape.fault(busy.into(), correlation, Millis::now()), "unavailable", why.reason())
}

async fn redeemed(
    front: &Front,
    endpoint: &Endpoint,
    asking: Asking<'_>,
    request: message::Request,
    deadline: Instant,
) -> Ended {
    let Asking { source, correlation, .. } = asking;
    let (shape, evidence, timestamp, wish) = request.into_parts();
    tolerated(front, shape.leniencies());
    let by_connection = matches!(evidence, Evidence::TlsCertificate(_));
    let submission = Submission { correlation, endpoint: path(endpoint), source, timestamp, evidence, wish };
    let (voucher, negotiated) = match front.auth.submit(submission, deadline).await {
        Ok(vouched) => vouched,
        Err(why) => {
            // It will prove no more the next time, and each time takes auth as long: another try is another handshake.
            let proves_nothing = match why {
                NotVouched::Refused(Refusal::Reconnect) => true,
                NotVouched::Refused(Refusal::FailedAuthentication) => by_connection,
                _ => false,
            };
            if proves_nothing && let Some(client) = asking.client {
                client.spend();
            }
            return not_vouched(&shape, correlation, why);
        }
    };
    let release = match front.issuer.redeem(Redemption { voucher, correlation }, deadline).await {
        Ok(release) => release,
        Err(why) => return not_released(&shape, correlation, why),
    };
    failpoint("released");
    let now = Millis::now();
    let reply = match (shape.protected(&release, now), shape.certified(&release, now)) {
        (None, None) => shape.released(&release, now),
        (None, Some(unsigned)) => match signed(front, unsigned, correlation, deadline).await {
            Ok(reply) => reply,
            Err(NotSigned::Issuer(why)) => return not_released(&shape, correlation, why),
            Err(NotSigned::Auth(why)) => return not_vouched(&shape, correlation, why),
            Err(NotSigned::Unanswerable) => {
                let reply = shape.fault(Fault::RequestFailed, correlation, Millis::now());
                return Ended::without(reply, "unavailable", "answer: cannot be signed");
            }
        },
        (Some(protected), _) => match sealed(front, protected, correlation, deadline).await {
            Ok(reply) => reply,
            Err(Some(why)) => return not_vouched(&shape, correlation, why),
            Err(None) => {
                let reply = shape.fault(Fault::RequestFailed, correlation, Millis::now());
                return Ended::without(reply, "unavailable", "answer: cannot be sealed");
            }
        },
    };
    Ended { reply, outcome: "released", reason: None, message_id: None, negotiated }
}

/// The answer under a MAC; why auth gives none, or nothing where it cannot be asked for.
async fn sealed(
    front: &Front,
    protected: Result<Protected, message::Unanswerable>,
    correlation: Correlation,
    deadline: Instant,
) -> Result<Reply, Option<NotVouched>> {
    let protected = protected.map_err(|_| None)?;
    let question = protected.question(correlation).map_err(|_| None)?;
    let sealed = front.auth.seal(question, deadline).await.map_err(Some)?;
    protected.finished(&sealed).map_err(|_| None)
}

/// Why an answer has no signature, or is not sealed.
enum NotSigned {
    Issuer(NotReleased),
    Auth(NotVouched),
    /// Nobody could be asked.
    Unanswerable,
}

impl From<message::Unanswerable> for NotSigned {
    fn from(_: message::Unanswerable) -> Self {
        Self::Unanswerable
    }
}

/// The answer with a signature, and sealed where it is.
async fn signed(
    front: &Front,
    unsigned: Result<Unsigned, message::Unanswerable>,
    correlation: Correlation,
    deadline: Instant,
) -> Result<Reply, NotSigned> {
    let unsigned = unsigned?;
    let question = unsigned.question(correlation)?;
    let signed = front.issuer.sign_reply(question, deadline).await.map_err(NotSigned::Issuer)?;
    let signed = unsigned.signed(&signed)?;
    if !signed.seals() {
        return Ok(signed.finished()?);
    }
    let question = signed.question(correlation)?;
    let sealed = front.auth.seal_for(question, deadline).await.map_err(NotSigned::Auth)?;
    Ok(signed.finished_with(&sealed)?)
}

fn tolerated(front: &Front, leniencies: &[Leniency]) {
    for leniency in leniencies {
        front.counters.leniencies.with_label_values(&[leniency.name()]).inc();
    }
}

fn refusal_word(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::FailedAuthentication => "failed-authentication",
        Refusal::MessageExpired => "message-expired",
        Refusal::InvalidSecurity => "invalid-security",
        Refusal::InvalidRequest => "invalid-request",
        Refusal::BadRequest => "bad-request",
        Refusal::InvalidScope => "invalid-scope",
        Refusal::InvalidTimeRange => "invalid-time-range",
        Refusal::RequestFailed => "request-failed",
        Refusal::Busy { .. } => "auth-busy",
        Refusal::UnsupportedSecurityToken => "unsupported-security-token",
        Refusal::Reconnect => "reconnect",
        Refusal::FailedCheck => "failed-check",
        Refusal::UnsupportedAlgorithm => "unsupported-algorithm",
    }
}

fn failure_word(failure: Failure) -> &'static str {
    match failure {
        Failure::NoSuchVoucher => "no-such-voucher",
        Failure::AboveCeiling => "above-ceiling",
        Failure::Unavailable { .. } => "issuer-unavailable",
    }
}
