//! One redemption from voucher to answer: every step of `steps`, and what is said when there is no next one.

use std::time::Instant;

use super::super::ceilings::Above;
use super::super::journal::{Recorded, Released};
use super::super::signers::{Kind, NotSigned, Place};
use super::super::steps::{Prepared, Signed};
use super::super::vouchers::{NotRedeemed, Redeemed};
use super::{Asked, LATER, Office, SOON};
use crate::sys::channel::{Closed, Duplex};
use crate::sys::failpoint::failpoint;
use crate::wire::links::IssuerToWorker;
use crate::wire::order::{Failure, Order, Redemption};
use crate::wire::record::OutcomeResult;
use crate::wire::{Correlation, Millis, Octets, Peer};

/// Why an order goes no further: something of ours, or of its own.
type NotPrepared = Result<(&'static str, Failure), Above>;

impl Office {
    pub(super) fn redeem(&mut self, channel: u64, redemptions: &[Redemption], now: Instant) -> Result<(), Closed> {
        let Some(peer) = self.workers.get(&channel).map(Duplex::peer) else { return Ok(()) };
        let (mut taken, mut spent) = (Vec::new(), Vec::new());
        for redemption in redemptions {
            let redeemed = self.vouchers.redeem(redemption, (peer, channel), now);
            if redeemed != Err(NotRedeemed::NoSuchVoucher) {
                spent.push(redemption.voucher);
            }
            let is_over = matches!(redeemed, Err(NotRedeemed::Violation(_)));
            taken.push((redemption.correlation, redeemed));
            if is_over {
                break;
            }
        }
        // Before anything is done with one: single use has to survive a crash of this process. A voucher that a
        // violation burnt is to stay burnt, too.
        let said = spent.is_empty() || self.say_redeemed(&spent);
        for (correlation, redeemed) in taken {
            let outcome = match redeemed {
                Ok(_) if !said => Err(("auth", SOON)),
                Ok(redeemed) => {
                    failpoint("redeemed");
                    self.issue((channel, peer), redeemed, now)
                }
                Err(NotRedeemed::NoSuchVoucher) => Err(("voucher", Failure::NoSuchVoucher)),
                Err(NotRedeemed::Violation(violation)) => return Err(violation.into()),
            };
            if let Err((reason, failure)) = outcome {
                self.refuse(channel, correlation, reason, failure, now);
            }
        }
        Ok(())
    }

    /// The first steps of an order: approved, prepared, its intent on its way to the record.
    fn issue(
        &mut self,
        (channel, peer): (u64, Peer),
        redeemed: Redeemed,
        now: Instant,
    ) -> Result<(), (&'static str, Failure)> {
        let Redeemed { order, signed_reply } = redeemed;
        let correlation = order.correlation;
        let wall = match self.read_clock() {
            Ok(wall) => wall,
            Err(behind) => {
                if let Some(left_out) = self.lines.permit(now) {
                    tracing::error!(correlation = %correlation, event = "clock-stopped", behind_ms = behind.0, left_out);
                }
                return Err(("clock", LATER));
            }
        };
        if !self.journal.is_available(now) {
            return Err(("record", LATER));
        }
        if !self.journal.has_room() {
            return Err(("full", SOON));
        }
        // What could not be answered is not worth an intent.
        if signed_reply && !self.keys.message().is_some_and(|key| self.signers.is_available(&key.id, now)) {
            return Err(("signer", LATER));
        }
        let ticket = self.ticket();
        let (prepared, place) = self.prepare((ticket, peer), order, wall, now).map_err(|refused| match refused {
            Err(above) => {
                self.measures.above.with_label_values(&[above.word()]).inc();
                if let Some(left_out) = self.lines.permit(now) {
                    tracing::warn!(correlation = %correlation, event = "above-ceiling", ceiling = above.word(), left_out);
                }
                ("ceiling", Failure::AboveCeiling)
            }
            Ok(refused) => refused,
        })?;
        let place = Some(place);
        self.asked.insert(ticket, Asked { channel, peer, correlation, since: now, signed_reply, place });
        self.begin(Kind::Token, peer);
        self.journal.intend(prepared, now);
        Ok(())
    }

    fn prepare(
        &mut self,
        (ticket, peer): (u64, Peer),
        order: Order,
        wall: Millis,
        now: Instant,
    ) -> Result<(Prepared, Place), NotPrepared> {
        let ceiling = self.ceilings.find(&order.relying_party).ok_or(Err(Above::RelyingParty))?;
        let (key, algorithm) = self.config.assertion_key(ceiling).ok_or(Ok(("signer", LATER)))?;
        let (id, audience) = (key.id.clone(), ceiling.audience.clone());
        if !self.signers.is_available(&id, now) {
            return Err(Ok(("signer", LATER)));
        }
        // Before the intent, and before it counts against a quota.
        let place = self.place(Kind::Token, peer, &id).ok_or(Ok(("full", SOON)))?;
        let approved = self.ceilings.approve(order, wall, now).map_err(Err);
        let prepared = approved.and_then(|approved| {
            let key = self.keys.find(&id).ok_or(Ok(("signer", LATER)))?;
            Prepared::prepare(approved, ticket, &self.config.name, &audience, key, algorithm).map_err(Err)
        });
        match prepared {
            Ok(prepared) => Ok((prepared, place)),
            Err(refused) => {
                self.signers.give_back(place);
                Err(refused)
            }
        }
    }

    /// Could the token of this order be signed in time, were it redeemed now?
    pub(super) fn has_time(&self, order: &Order, worker: Peer) -> bool {
        let key = self.ceilings.find(&order.relying_party).and_then(|ceiling| self.config.assertion_key(ceiling));
        key.is_none_or(|(key, _)| self.signers.has_time(Kind::Token, worker, &key.id))
    }

    pub(super) fn refuse(
        &mut self,
        channel: u64,
        correlation: Correlation,
        reason: &'static str,
        failure: Failure,
        now: Instant,
    ) {
        self.measures.refused.with_label_values(&[reason]).inc();
        if let Some(left_out) = self.refusals.permit(now) {
            tracing::info!(correlation = %correlation, event = "refused", reason, left_out);
        }
        self.answer(channel, &IssuerToWorker::Failed { correlation, failure }, now);
    }

    /// Ends a ticket without a token.
    pub(super) fn fail(&mut self, ticket: u64, reason: &'static str, failure: Failure, now: Instant) {
        if let Some(asked) = self.close_ticket(ticket) {
            self.refuse(asked.channel, asked.correlation, reason, failure, now);
        }
    }

    pub(super) fn close_ticket(&mut self, ticket: u64) -> Option<Asked> {
        let mut asked = self.asked.remove(&ticket)?;
        if let Some(place) = asked.place.take() {
            self.signers.give_back(place);
        }
        self.end(Kind::Token, asked.peer);
        Some(asked)
    }

    pub(super) fn token_signed(
        &mut self,
        recorded: Box<Recorded>,
        result: Result<Octets<512>, NotSigned>,
        now: Instant,
    ) {
        let instant = self.clock.stamp(Millis::now());
        let ticket = recorded.prepared().ticket();
        let (recorded, end, reason) = match result {
            Ok(signature) => match self.seal(recorded, &signature, instant) {
                Ok(signed) => {
                    failpoint("signed");
                    self.journal.release(signed, now);
                    return;
                }
                Err(recorded) => {
                    self.measures.wrong_signatures.inc();
                    let prepared = recorded.prepared();
                    tracing::error!(
                        correlation = %prepared.correlation(),
                        event = "wrong-signature",
                        token = %prepared.token_id(),
                        relying_party = prepared.relying_party(),
                    );
                    (recorded, OutcomeResult::WrongSignature, "wrong-signature")
                }
            },
            Err(_) => (recorded, OutcomeResult::NotSigned, "signer"),
        };
        self.journal.note(recorded.prepared().outcome(end, instant));
        self.fail(ticket, reason, SOON, now);
    }

    fn seal(&self, recorded: Box<Recorded>, signature: &[u8], instant: Millis) -> Result<Signed, Box<Recorded>> {
        match self.keys.find(recorded.prepared().key()) {
            Some(key) => Signed::seal(recorded, signature, key, instant),
            None => Err(recorded),
        }
    }

    pub(super) fn hand_over(&mut self, released: Released, now: Instant) {
        failpoint("released");
        let Some(asked) = self.close_ticket(released.ticket) else { return };
        let release = released.release;
        self.measures.issued.with_label_values(&[release.token_type.name()]).inc();
        self.measures.issue_seconds.observe(now.duration_since(asked.since).as_secs_f64());
        tracing::info!(
            correlation = %release.correlation,
            event = "released",
            token = %release.token_id,
            token_type = release.token_type.name(),
            relying_party = %released.relying_party,
        );
        // Before the worker hears of it; not of one that is gone, whose number may be another's by now.
        if asked.signed_reply && self.workers.contains_key(&asked.channel) {
            self.answers.grant(asked.peer, release.correlation, now);
        }
        self.answer(asked.channel, &IssuerToWorker::Released(release), now);
    }
}
