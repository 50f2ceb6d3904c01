//! One request for a token, from its body to its answer: read it, have it vouched for, redeem the voucher,
//! write the reply. The worker decides nothing on the way.

use std::time::Duration;

use tokio::time::Instant;

use super::asking::Asking;
use super::http::Front;
use super::line::Unanswered;
use super::message::{self, Fault, Leniency, Reply};
use super::peers::{NotReleased, NotVouched};
use crate::config::worker::Endpoint;
use crate::sys::failpoint::failpoint;
use crate::wire::evidence::{Refusal, Submission};
use crate::wire::order::{Failure, Redemption};
use crate::wire::{Millis, Text};

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
}

impl Ended {
    fn without(reply: Reply, outcome: &'static str, reason: &'static str) -> Self {
        Self { reply, outcome, reason: Some(reason), message_id: None }
    }
}

/// Works one request through.
pub(super) async fn obtain(
    front: &Front,
    endpoint: &Endpoint,
    asking: Asking<'_>,
    incoming: &message::Incoming<'_>,
) -> Ended {
    let (ended, message_id) = match message::read_of(asking.client.map(|client| &client.handshake), endpoint, incoming)
    {
        Ok(request) => {
            let message_id = request.message_id().map(str::to_owned);
            (redeemed(front, endpoint, asking, request).await, message_id)
        }
        Err(rejection) => {
            tolerated(front, rejection.leniencies());
            let reply = rejection.reply(asking.correlation, Millis::now());
            let message_id = rejection.message_id().map(str::to_owned);
            (Ended::without(reply, "unreadable", rejection.reason()), message_id)
        }
    };
    Ended { message_id, ..ended }
}

async fn redeemed(front: &Front, endpoint: &Endpoint, asking: Asking<'_>, request: message::Request) -> Ended {
    let Asking { source, correlation, .. } = asking;
    let deadline = Instant::now() + Duration::from_secs(front.config.limits.request_timeout_s.into());
    let (shape, evidence, timestamp, wish) = request.into_parts();
    tolerated(front, shape.leniencies());
    let fault = |fault: Fault| shape.fault(fault, correlation, Millis::now());
    let unavailable = |why: Unanswered| {
        let busy = Refusal::Busy { retry_after_s: RETRY_AFTER_S };
        Ended::without(fault(busy.into()), "unavailable", why.reason())
    };
    let path = Text::new(endpoint.path.as_str()).expect("configuration takes no path above 128 octets");
    let submission = Submission { correlation, endpoint: path, source, timestamp, evidence, wish };
    let voucher = match front.auth.submit(submission, deadline).await {
        Ok(voucher) => voucher,
        Err(NotVouched::Refused(refusal)) => {
            if let (Refusal::Reconnect, Some(client)) = (refusal, asking.client) {
                client.spend();
            }
            return Ended::without(fault(refusal.into()), "refused", refusal_word(refusal));
        }
        Err(NotVouched::Unanswered(why)) => return unavailable(why),
    };
    let release = match front.issuer.redeem(Redemption { voucher, correlation }, deadline).await {
        Ok(release) => release,
        Err(NotReleased::Failed(failure)) => {
            return Ended::without(fault(failure.into()), "unavailable", failure_word(failure));
        }
        Err(NotReleased::Unanswered(why)) => return unavailable(why),
    };
    failpoint("released");
    Ended { reply: shape.released(&release, Millis::now()), outcome: "released", reason: None, message_id: None }
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
    }
}

fn failure_word(failure: Failure) -> &'static str {
    match failure {
        Failure::NoSuchVoucher => "no-such-voucher",
        Failure::AboveCeiling => "above-ceiling",
        Failure::Unavailable { .. } => "issuer-unavailable",
    }
}
