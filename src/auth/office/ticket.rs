//! A ticket of Kerberos in the header of a message, alone or with a MAC by its key beside it. The MAC is judged first,
//! over octets, by a key that kerberos has given for this question; then whom the ticket means; and only then is
//! anything parsed that it covers. Unlike a key that was sealed for us this one proves its client: no worker has it.

use super::super::reason::Reason;
use super::super::signature::{self, Verified};
use super::super::store::Kind;
use super::super::timestamp;
use super::kerberos::{Form, Taken, bound, meant, unusable};
use super::proof::{Asked, Beside, Known};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::negotiate::binary;
use crate::wire::evidence::{BinaryTicket, KeyedMessage, MacAlgorithm, TicketForm};
use crate::wire::order::{Method, RequestIntegrity};

impl Office {
    /// Whose ticket it is that stands in the message. Where there is a MAC by its key, which a worker does not have,
    /// what it covers is its client's own words: the message is for us then, so that the ticket need not be bound to
    /// this server.
    pub(super) async fn ticketed<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        (ticket, message): (&BinaryTicket, Option<&KeyedMessage>),
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.kerberos_token {
            return Err(Ended::Stranger(Reason::Credential));
        }
        if message.is_some_and(|message| message.algorithm == MacAlgorithm::HmacSha1) && !rules.hmac_sha1 {
            return Err(Ended::Stranger(Reason::MacAlgorithm));
        }
        let refused = |refused| self.not_taken(asked, refused);
        let (octets, bare) = (ticket.token.expose(), ticket.form == TicketForm::Bare);
        let request = if bare { binary::bare(octets) } else { binary::framed(octets) };
        let request = request.map_err(|why| refused(unusable(why)))?;
        let shown = (&request, Form { bare, keyed: message.is_some() });
        let ticket = self.accepted(config, shown, ticket.server, asked).await?;
        let Some(message) = message else {
            let taken = self.taken(config, rules, ticket).map_err(refused)?;
            self.once(config, &taken, &request, asked).await?;
            self.unbound(&taken.ticket);
            return Ok(taken.known());
        };
        let key = ticket.key.clone().ok_or_else(|| refused((Reason::RefusedTicket, "no key of it".to_owned())))?;
        let signed = signature::authentic(key.expose(), message);
        let signed = signed.map_err(|_| Ended::Stranger(Reason::WrongEndorsement))?;
        // Before anything is parsed: whoever has no account here, or a disabled one, is trusted no more than a
        // stranger.
        let taken = meant(config, ticket).map_err(refused)?;
        let verified = signed.covers(rules);
        let verified = verified.map_err(|why| Ended::Stranger(self.not_proven(asked.correlation, &why)))?;
        self.once(config, &taken, &request, asked).await?;
        let his = |ended: Ended| ended.of(taken.account, Method::Kerberos, Some(&taken.realm.name));
        // Each AP-REQ of a ticket may have the same key, so that the message is good once by itself, too.
        let seen = self.first_seen(Kind::SignedMessage, verified.once(), timestamp::until(taken.now)).await;
        seen.map_err(|reason| his(Ended::Stranger(reason)))?;
        let covered = self.endorsed(config, rules, &verified, &taken, asked);
        let covered = covered.map_err(his)?;
        if message.algorithm == MacAlgorithm::HmacSha1 {
            self.gauges.leniencies.with_label_values(&["hmac-sha1"]).inc();
        }
        Ok(Known { request: covered, ..taken.known() })
    }

    /// What vouches for the wording of the request. A MAC that does not say whom the message is for binds the ticket to
    /// nobody.
    fn endorsed(
        &self,
        config: &Auth,
        rules: &Endpoint,
        verified: &Verified<'_>,
        taken: &Taken<'_>,
        asked: &Asked<'_>,
    ) -> Result<RequestIntegrity, Ended> {
        let proof = verified.read(rules).map_err(|why| Ended::Stranger(self.not_proven(asked.correlation, &why)))?;
        if proof.to_absent {
            let bound = bound(config, rules, &taken.ticket);
            bound.map_err(|refused| self.not_taken(asked, refused))?;
            self.unbound(&taken.ticket);
        }
        self.as_proven(config, (&proof, Beside::Ticket), asked, taken.now)
    }
}
