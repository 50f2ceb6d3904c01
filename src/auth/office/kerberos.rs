//! A client who proves himself with a ticket of Kerberos, by HTTP Negotiate. What he sent is read here before any C code
//! sees it; kerberos says whose ticket it is; then it is judged whether it is bound to this server, looked for the account
//! that it means, and settled that it was not here before. Whatever is wrong, a client hears that authentication failed.

use aws_lc_rs::digest::{SHA256, digest};
use tracing::warn;

use super::super::reason::Reason;
use super::super::store::Kind;
use super::proof::{Asked, Known, Who};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::kerberos::{self, Realm};
use crate::config::auth::users::Account;
use crate::negotiate::Unusable;
use crate::negotiate::spnego::First;
use crate::wire::evidence::Negotiation;
use crate::wire::kerberos::{AcceptedTicket, NotAccepted};
use crate::wire::order::{Method, RequestIntegrity};
use crate::wire::{Millis, Octets};

/// How long a ticket that was used is remembered: an authenticator is good for five minutes before and behind its time,
/// and that is the most that kerberos can be told. Two more for a slow answer, and for clocks that count seconds.
const KEPT_MS: i64 = 12 * 60 * 1000;

/// Why a ticket proves nothing here, for the operator.
type Refused = (Reason, String);

impl Office {
    /// Whose ticket it is.
    pub(super) async fn negotiated<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        negotiation: &Negotiation,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.kerberos {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let now = Millis::now();
        let refused = |refused| self.not_taken(asked, refused);
        let first = First::read(negotiation.token.expose()).map_err(|why| refused(unusable(why)))?;
        let server = config.kerberos.servers.iter().find(|server| server.certificate == negotiation.server);
        let server = server.ok_or_else(|| refused((Reason::ForeignServer, "no server of ours".to_owned())))?;
        let within = config.kerberos.deadline;
        let answer = self.acceptor.accept(first.request.octets, &server.bindings, within).await;
        let ticket = answer.map_err(Ended::Stranger)?.map_err(|(why, said)| refused((not_accepted(why), said)))?;
        // As long as it took, the instant is one after the answer.
        let now = now.max(Millis::now());
        // The library takes one for as long after its end as clocks may differ, and no token could be had by it.
        if ticket.expires <= now {
            return Err(refused((Reason::TicketDates, "past its end".to_owned())));
        }
        let (realm, account) = meant(config, &ticket).map_err(refused)?;
        // Before the store is asked: or one account could fill it.
        self.has_room(config, account, asked).map_err(Ended::Known)?;
        let mut once = [0; 32];
        once.copy_from_slice(digest(&SHA256, first.request.authenticator).as_ref());
        match self.first_seen(Kind::Ticket, &once, Millis(now.0.saturating_add(KEPT_MS))).await {
            Ok(()) => {}
            Err(Reason::Replayed) => return Err(refused((Reason::ReplayedTicket, "the store knows it".to_owned()))),
            Err(reason) => return Err(Ended::Stranger(reason)),
        }
        self.pace(config, account, asked)?;
        if !ticket.bound {
            self.gauges.leniencies.with_label_values(&["unbound-ticket"]).inc();
        }
        let answer = first.answer(ticket.reply.as_deref());
        let answer = answer.map(|answer| Octets::new(answer).expect("a reply is shorter than an answer"));
        Ok(Known {
            account: Who::Listed(account),
            method: Method::Kerberos,
            request: RequestIntegrity::Transport,
            // Issuer takes no proof from after its own clock.
            instant: Some(ticket.authenticated.min(now)),
            until: Some(ticket.expires),
            certificate: None,
            vouched_by: Some(&realm.name),
            answer,
        })
    }

    /// Says what was wrong with a ticket: the word alone does not tell an operator where to look.
    fn not_taken(&self, asked: &Asked<'_>, (reason, why): Refused) -> Ended {
        if let Some(left_out) = self.tickets.pass() {
            let (reason, why) = (reason.word(), &why[..why.floor_char_boundary(256)]);
            warn!(correlation = %asked.correlation, event = "ticket-refused", reason, why, left_out);
        }
        Ended::Stranger(reason)
    }
}

/// The account that a ticket means which is good enough.
fn meant<'a>(config: &'a Auth, ticket: &AcceptedTicket) -> Result<(&'a Realm, &'a Account), Refused> {
    let (name, of) = (ticket.name.as_str(), ticket.realm.as_str());
    if config.kerberos.bound && !ticket.bound {
        return Err((Reason::UnboundTicket, format!("{name}@{of} has bound it to no server")));
    }
    let realm = kerberos::find(&config.realms, of);
    let realm = realm.ok_or_else(|| (Reason::UnknownRealm, format!("no realm is called {of:?}")))?;
    let nobody = |why| (Reason::NoAccount, why);
    let means = realm.account(name).ok_or_else(|| nobody(format!("no rule finds a name in {name:?} of {of}")))?;
    let account = config.users.find(&means).ok_or_else(|| nobody(format!("there is no account {means:?}")))?;
    if account.realm.as_deref() != Some(realm.name.as_str()) {
        return Err(nobody(format!("account {means:?} is not for this realm")));
    }
    if account.disabled {
        return Err((Reason::Disabled, format!("account {means:?} is disabled")));
    }
    Ok((realm, account))
}

fn unusable(why: Unusable) -> Refused {
    match why {
        Unusable::Shape(why) => (Reason::UnreadableTicket, why.to_owned()),
        Unusable::Ntlm => (Reason::Ntlm, "NTLM".to_owned()),
        Unusable::Mechanism => (Reason::Mechanism, "not Kerberos in one round".to_owned()),
        Unusable::Weak => (Reason::WeakTicket, "not encrypted by AES".to_owned()),
    }
}

fn not_accepted(why: NotAccepted) -> Reason {
    match why {
        NotAccepted::Replayed => Reason::ReplayedTicket,
        NotAccepted::Dates => Reason::TicketDates,
        NotAccepted::OtherService => Reason::OtherService,
        NotAccepted::Binding => Reason::ChannelBinding,
        NotAccepted::Refused => Reason::RefusedTicket,
    }
}
