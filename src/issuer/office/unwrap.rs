//! One session key from question to answer. auth alone may ask, and it says for which worker, so that no worker
//! has more opened than its share. That worker must be connected here: an auth that invents workers has no shares of
//! theirs. Nothing of it is recorded here: what was opened shows in auth's entry for the
//! request, and what was not is no token.

use std::time::{Duration, Instant};

use super::super::quota::Quota;
use super::super::signers::{Answer, Job, Kind, NotSigned, Task};
use super::{Office, Work};
use crate::sys::channel::Closed;
use crate::wire::Peer;
use crate::wire::links::IssuerToAuth;
use crate::wire::unwrap::{NotUnwrapped, Unwrap};

const SECOND: Duration = Duration::from_secs(1);
const UNOPENED: (NotUnwrapped, &str) = (NotUnwrapped::Unopened, "unopened");

/// A session key on its way.
#[derive(Debug)]
pub(in crate::issuer) struct Opening {
    /// auth's channel.
    channel: u64,
    worker: Peer,
    serial: u64,
    kind: Kind,
}

impl Office {
    pub(super) fn unwrap(&mut self, channel: u64, unwrap: Unwrap, now: Instant) -> Result<(), Closed> {
        let Unwrap { serial, worker, proven, recipient, transport, sealed } = unwrap;
        // What was found in something signed has as much room as what anybody may seal, and turns of its own.
        let (payer, kind) = ((worker, proven), if proven { Kind::Proven } else { Kind::Unwrap });
        let opening = Opening { channel, worker, serial, kind };
        if !self.workers.values().any(|duplex| duplex.peer() == worker) {
            return self.not_opened(&opening, (NotUnwrapped::NotYet, "unavailable"), now);
        }
        let key = self.keys.recipient(&recipient).map(|key| key.id.clone());
        let quota = Quota::new(self.config.unwraps_per_second, SECOND);
        let used = self.unwrap_rates.one_more(&payer, quota, now);
        let (key, used) = match (key, used) {
            // A worker pays for what it has tried, whether or not there is such a key.
            (None, Some(used)) => {
                self.unwrap_rates.note(payer, used);
                return self.not_opened(&opening, UNOPENED, now);
            }
            (_, None) => return self.not_opened(&opening, (NotUnwrapped::Rate, "rate"), now),
            (Some(key), Some(used)) => (key, used),
        };
        if !self.signers.is_available(&key, now) {
            return self.not_opened(&opening, (NotUnwrapped::NotYet, "unavailable"), now);
        }
        let Some(place) = self.place(kind, worker, &key) else {
            return self.not_opened(&opening, (NotUnwrapped::Unavailable, "full"), now);
        };
        self.unwrap_rates.note(payer, used);
        self.begin(kind, worker);
        let task = Task::Unwrap { transport, sealed };
        self.signers.perform(place, Job { key, task, work: Work::Unwrap(opening) }, now);
        Ok(())
    }

    fn not_opened(
        &mut self,
        opening: &Opening,
        (why, result): (NotUnwrapped, &'static str),
        now: Instant,
    ) -> Result<(), Closed> {
        self.measures.unwraps.with_label_values(&[result]).inc();
        if let Some(left_out) = self.refusals.permit(now) {
            tracing::info!(event = "not-unwrapped", reason = result, peer = opening.worker.0, left_out);
        }
        let answer = IssuerToAuth::NotUnwrapped { serial: opening.serial, why };
        self.auths.get_mut(&opening.channel).map_or(Ok(()), |duplex| duplex.queue(&answer))
    }

    /// The answer goes to the channel that asked or to nobody: a session key is not for another auth.
    pub(super) fn opened(&mut self, opening: &Opening, result: Result<Answer, NotSigned>, now: Instant) {
        self.end(opening.kind, opening.worker);
        let sent = match result {
            Ok(Answer::SessionKey(key)) => {
                self.measures.unwraps.with_label_values(&["opened"]).inc();
                let answer = IssuerToAuth::Unwrapped { serial: opening.serial, key };
                self.auths.get_mut(&opening.channel).map_or(Ok(()), |duplex| duplex.queue(&answer))
            }
            Err(NotSigned::Refused) => self.not_opened(opening, UNOPENED, now),
            Ok(Answer::Signature(_)) | Err(NotSigned::Failed | NotSigned::Late) => {
                self.not_opened(opening, (NotUnwrapped::Unavailable, "unavailable"), now)
            }
        };
        if sent.is_err() {
            self.auths.remove(&opening.channel);
        }
    }
}
