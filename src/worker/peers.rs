//! The two processes a worker talks to. Both know this worker by the process id of its dialer, which made both lines,
//! so they belong to this process and nothing else of it may speak to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::line::{Exchange, Line, Speech, Unanswered};
use crate::metrics::IntCounterVec;
use crate::sys::places::Place;
use crate::wire::evidence::{Refusal, Submission};
use crate::wire::ids::{Correlation, VoucherId};
use crate::wire::links::{AuthToWorker, Handshake, IssuerToWorker, WorkerToAuth, WorkerToIssuer};
use crate::wire::order::{Failure, Redemption, Release};
use crate::wire::permit::Link;
use crate::wire::reply::{Seal, SealFor, SealedFor, SealedReply, SignedReply, ToSign};
use crate::wire::unwrap::{Open, OpenSigned, Opened};

/// What is said to auth.
pub(super) struct ToAuth;

impl Speech for ToAuth {
    type Key = Correlation;
    type Out = WorkerToAuth;
    type In = AuthToWorker;
    const LINK: Link = Link::AuthToWorker;
    const PLACE: Place = Place::AuthWorker;
    const PEER: &'static str = "auth";

    fn names(answer: &AuthToWorker) -> Correlation {
        match answer {
            AuthToWorker::Vouched(vouched) => vouched.correlation,
            AuthToWorker::Refused(refused) => refused.correlation,
            AuthToWorker::Opened(opened) => opened.correlation,
            AuthToWorker::Sealed(sealed) => sealed.correlation,
            AuthToWorker::Negotiated(negotiated) => negotiated.vouched.correlation,
            AuthToWorker::SealedFor(sealed) => sealed.correlation,
        }
    }

    fn premature(_: &AuthToWorker) -> bool {
        false
    }
}

/// What is said to issuer.
pub(super) struct ToIssuer;

/// Names a question to issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum IssuerKey {
    /// A redemption.
    Redeem(Correlation),
    /// A handshake, by serial.
    Handshake(u64),
    /// An answer.
    Reply(Correlation),
}

impl Speech for ToIssuer {
    type Key = IssuerKey;
    type Out = WorkerToIssuer;
    type In = IssuerToWorker;
    const LINK: Link = Link::IssuerToWorker;
    const PLACE: Place = Place::IssuerWorker;
    const PEER: &'static str = "issuer";

    fn names(answer: &IssuerToWorker) -> IssuerKey {
        match answer {
            IssuerToWorker::Released(release) => IssuerKey::Redeem(release.correlation),
            IssuerToWorker::Failed { correlation, .. } => IssuerKey::Redeem(*correlation),
            IssuerToWorker::HandshakeSigned { serial, .. } | IssuerToWorker::HandshakeFailed { serial } => {
                IssuerKey::Handshake(*serial)
            }
            IssuerToWorker::ReplySigned(signed) => IssuerKey::Reply(signed.correlation),
            IssuerToWorker::ReplyFailed { correlation, .. } => IssuerKey::Reply(*correlation),
        }
    }

    /// auth lodges unredeemed vouchers again at a new issuer; the worker may be there before auth.
    fn premature(answer: &IssuerToWorker) -> bool {
        matches!(answer, IssuerToWorker::Failed { failure: Failure::NoSuchVoucher, .. })
    }
}

/// Why there is no voucher.
#[derive(Debug)]
pub(super) enum NotVouched {
    /// auth says no.
    Refused(Refusal),
    /// auth does not answer.
    Unanswered(Unanswered),
}

/// Why there is no token.
#[derive(Debug)]
pub(super) enum NotReleased {
    /// issuer says no.
    Failed(Failure),
    /// issuer does not answer.
    Unanswered(Unanswered),
}

/// auth, as a worker sees it.
#[derive(Clone)]
pub(super) struct Auth(Line<ToAuth>);

impl Auth {
    /// Opens the line, with at most `open` submissions unanswered.
    pub(super) fn open(open: usize, exchange: &Exchange, violations: &IntCounterVec) -> Self {
        Self(Line::open(open, exchange, violations.with_label_values(&["auth-to-worker"])))
    }

    /// Is auth there?
    pub(super) fn is_up(&self) -> bool {
        self.0.is_up()
    }

    /// Evidence and wish in, voucher out, and what the client is answered who negotiated.
    pub(super) async fn submit(
        &self,
        submission: Submission,
        deadline: Instant,
    ) -> Result<(VoucherId, Option<Vec<u8>>), NotVouched> {
        let correlation = submission.correlation;
        match self.0.ask(correlation, WorkerToAuth::Submit(submission), deadline).await {
            Ok(AuthToWorker::Vouched(vouched)) => Ok((vouched.voucher, None)),
            Ok(AuthToWorker::Negotiated(negotiated)) => {
                Ok((negotiated.vouched.voucher, Some(negotiated.answer.into_vec())))
            }
            Ok(AuthToWorker::Refused(refused)) => Err(NotVouched::Refused(refused.refusal)),
            // Not what was asked.
            Ok(AuthToWorker::Opened(_) | AuthToWorker::Sealed(_) | AuthToWorker::SealedFor(_)) => {
                Err(NotVouched::Unanswered(Unanswered::Gone))
            }
            Err(unanswered) => Err(NotVouched::Unanswered(unanswered)),
        }
    }

    /// Sealed parts in, what was in them out.
    pub(super) async fn open_parts(&self, open: Open, deadline: Instant) -> Result<Opened, NotVouched> {
        match self.0.ask(open.correlation, WorkerToAuth::Open(open), deadline).await {
            Ok(AuthToWorker::Opened(opened)) => Ok(opened),
            Ok(AuthToWorker::Refused(refused)) => Err(NotVouched::Refused(refused.refusal)),
            Ok(_) => Err(NotVouched::Unanswered(Unanswered::Gone)),
            Err(unanswered) => Err(NotVouched::Unanswered(unanswered)),
        }
    }

    /// A message in that is signed as it is sealed, what was in it out.
    pub(super) async fn open_signed(&self, open: OpenSigned, deadline: Instant) -> Result<Opened, NotVouched> {
        match self.0.ask(open.correlation, WorkerToAuth::OpenSigned(open), deadline).await {
            Ok(AuthToWorker::Opened(opened)) => Ok(opened),
            Ok(AuthToWorker::Refused(refused)) => Err(NotVouched::Refused(refused.refusal)),
            Ok(_) => Err(NotVouched::Unanswered(Unanswered::Gone)),
            Err(unanswered) => Err(NotVouched::Unanswered(unanswered)),
        }
    }

    /// An answer in, its signature out, and what is sealed of it.
    pub(super) async fn seal(&self, seal: Seal, deadline: Instant) -> Result<SealedReply, NotVouched> {
        match self.0.ask(seal.correlation, WorkerToAuth::Seal(seal), deadline).await {
            Ok(AuthToWorker::Sealed(sealed)) => Ok(sealed),
            Ok(AuthToWorker::Refused(refused)) => Err(NotVouched::Refused(refused.refusal)),
            Ok(_) => Err(NotVouched::Unanswered(Unanswered::Gone)),
            Err(unanswered) => Err(NotVouched::Unanswered(unanswered)),
        }
    }

    /// What is to be sealed for who signed the request in, what was sealed out.
    pub(super) async fn seal_for(&self, asked: SealFor, deadline: Instant) -> Result<SealedFor, NotVouched> {
        match self.0.ask(asked.correlation, WorkerToAuth::SealFor(asked), deadline).await {
            Ok(AuthToWorker::SealedFor(sealed)) => Ok(sealed),
            Ok(AuthToWorker::Refused(refused)) => Err(NotVouched::Refused(refused.refusal)),
            Ok(_) => Err(NotVouched::Unanswered(Unanswered::Gone)),
            Err(unanswered) => Err(NotVouched::Unanswered(unanswered)),
        }
    }
}

/// issuer, as a worker sees it.
#[derive(Clone)]
pub(super) struct Issuer {
    line: Line<ToIssuer>,
    serials: Arc<AtomicU64>,
}

impl Issuer {
    /// Opens the line, with at most `open` redemptions and handshakes unanswered.
    pub(super) fn open(open: usize, exchange: &Exchange, violations: &IntCounterVec) -> Self {
        Self {
            line: Line::open(open, exchange, violations.with_label_values(&["issuer-to-worker"])),
            serials: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Is issuer there?
    pub(super) fn is_up(&self) -> bool {
        self.line.is_up()
    }

    /// Voucher in, token out.
    pub(super) async fn redeem(&self, redemption: Redemption, deadline: Instant) -> Result<Release, NotReleased> {
        let key = IssuerKey::Redeem(redemption.correlation);
        match self.line.ask(key, WorkerToIssuer::Redeem(redemption), deadline).await {
            Ok(IssuerToWorker::Released(release)) => Ok(release),
            Ok(IssuerToWorker::Failed { failure, .. }) => Err(NotReleased::Failed(failure)),
            // `names` never pairs a handshake's answer with a redemption.
            Ok(_) => Err(NotReleased::Unanswered(Unanswered::Gone)),
            Err(unanswered) => Err(NotReleased::Unanswered(unanswered)),
        }
    }

    /// An answer in, its signature out.
    pub(super) async fn sign_reply(&self, asked: ToSign, deadline: Instant) -> Result<SignedReply, NotReleased> {
        let key = IssuerKey::Reply(asked.correlation);
        match self.line.ask(key, WorkerToIssuer::SignReply(asked), deadline).await {
            Ok(IssuerToWorker::ReplySigned(signed)) => Ok(signed),
            Ok(IssuerToWorker::ReplyFailed { failure, .. }) => Err(NotReleased::Failed(failure)),
            // `names` pairs nothing else with this.
            Ok(_) => Err(NotReleased::Unanswered(Unanswered::Gone)),
            Err(unanswered) => Err(NotReleased::Unanswered(unanswered)),
        }
    }

    /// Has a handshake signed, and remembered if that is wanted, under a serial of its own; none when issuer refuses or
    /// does not answer.
    pub(super) async fn sign(&self, handshake: Handshake, remembered: bool, deadline: Instant) -> Option<Vec<u8>> {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let handshake = Handshake { serial, ..handshake };
        let question = if remembered { WorkerToIssuer::RememberedHandshake } else { WorkerToIssuer::Handshake };
        match self.line.ask(IssuerKey::Handshake(serial), question(handshake), deadline).await {
            Ok(IssuerToWorker::HandshakeSigned { signature, .. }) => Some(signature.into_vec()),
            _ => None,
        }
    }
}
