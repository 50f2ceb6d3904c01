//! A client who proves himself with a ticket of Kerberos, by HTTP Negotiate or, in a file of its own, in the header of
//! his message. What he sent is read here before any C code sees it; kerberos says whose ticket it is; then it is
//! judged whether it is bound to this server, looked for the account that it means, and settled that it was not here
//! before, whichever way it came. Whatever is wrong with a ticket, a client hears that authentication failed.

use aws_lc_rs::digest::{SHA256, digest};
use tracing::warn;

use super::super::acceptor::Shown;
use super::super::reason::Reason;
use super::super::store::Kind;
use super::proof::{Asked, Known, Who};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::kerberos::{self, Realm};
use crate::config::auth::users::Account;
use crate::negotiate::Unusable;
use crate::negotiate::ap_req::Request;
use crate::negotiate::spnego::First;
use crate::wire::evidence::Negotiation;
use crate::wire::kerberos::{AcceptedTicket, NotAccepted};
use crate::wire::order::Method;
use crate::wire::{Millis, Octets};

/// How long a ticket that was used is remembered: an authenticator is good for five minutes before and behind its time,
/// and that is the most that kerberos can be told. Two more for a slow answer, and for clocks that count seconds.
const KEPT_MS: i64 = 12 * 60 * 1000;

/// Why a ticket proves nothing here, for the operator.
type Refused = (Reason, String);

/// How a ticket came, and what is wanted of it.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) bare: bool,
    pub(super) keyed: bool,
}

/// A ticket that was accepted, of somebody known.
pub(super) struct Taken<'a> {
    pub(super) realm: &'a Realm,
    pub(super) account: &'a Account,
    pub(super) ticket: AcceptedTicket,
    pub(super) now: Millis,
}

impl<'a> Taken<'a> {
    /// Who it is, by that ticket.
    pub(super) fn known(&self) -> Known<'a> {
        Known {
            // Issuer takes no proof from after its own clock.
            instant: Some(self.ticket.authenticated.min(self.now)),
            until: Some(self.ticket.expires),
            vouched_by: Some(&self.realm.name),
            ..Known::by_word(Who::Listed(self.account), Method::Kerberos)
        }
    }
}

impl Office {
    /// Whose ticket it is that was negotiated by.
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
        let refused = |refused| self.not_taken(asked, refused);
        let first = First::read(negotiation.token.expose()).map_err(|why| refused(unusable(why)))?;
        let shown = (&first.request, Form { bare: false, keyed: false });
        let ticket = self.accepted(config, shown, negotiation.server, asked).await?;
        let taken = self.taken(config, rules, ticket).map_err(refused)?;
        self.once(config, &taken, &first.request, asked).await?;
        self.unbound(&taken.ticket);
        let answer = first.answer(taken.ticket.reply.as_deref());
        let answer = answer.map(|answer| Octets::new(answer).expect("a reply is shorter than an answer"));
        Ok(Known { answer, ..taken.known() })
    }

    /// What kerberos says of a ticket. From now on it is used up.
    pub(super) async fn accepted(
        &self,
        config: &Auth,
        (request, form): (&Request<'_>, Form),
        server: [u8; 32],
        asked: &Asked<'_>,
    ) -> Result<AcceptedTicket, Ended> {
        let refused = |refused| self.not_taken(asked, refused);
        let server = config.kerberos.servers.iter().find(|one| one.certificate == server);
        let server = server.ok_or_else(|| refused((Reason::ForeignServer, "no server of ours".to_owned())))?;
        let Form { bare, keyed } = form;
        let shown = Shown { request: request.octets, bindings: &server.bindings, bare, keyed };
        let (deadline, from) = (config.kerberos.deadline, (asked.worker, asked.source));
        let answer = self.acceptor.accept(shown, from, deadline).await.map_err(Ended::Stranger)?;
        answer.map_err(|(why, said)| refused((not_accepted(why), said)))
    }

    /// Whom a ticket means that is bound well enough.
    pub(super) fn taken<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        ticket: AcceptedTicket,
    ) -> Result<Taken<'a>, Refused> {
        bound(config, rules, &ticket)?;
        meant(config, ticket)
    }

    /// Has this account room, is this the first time, and may it be served now?
    pub(super) async fn once(
        &self,
        config: &Auth,
        taken: &Taken<'_>,
        request: &Request<'_>,
        asked: &Asked<'_>,
    ) -> Result<(), Ended> {
        // Before the store is asked: or one account could fill it.
        let _room = self.has_room(config, taken.account, asked).map_err(Ended::Known)?;
        let mut once = [0; 32];
        once.copy_from_slice(digest(&SHA256, request.authenticator).as_ref());
        match self.first_seen(Kind::Ticket, &once, Millis(taken.now.0.saturating_add(KEPT_MS))).await {
            Ok(()) => self.pace(config, taken.account, asked),
            Err(Reason::Replayed) => {
                Err(self.not_taken(asked, (Reason::ReplayedTicket, "the store knows it".to_owned())))
            }
            Err(reason) => Err(Ended::Stranger(reason)),
        }
    }

    /// Counts one that is bound to nothing.
    pub(super) fn unbound(&self, ticket: &AcceptedTicket) {
        if !ticket.bound {
            self.gauges.leniencies.with_label_values(&["unbound-ticket"]).inc();
        }
    }

    /// Says what was wrong with a ticket: the word alone does not tell an operator where to look.
    pub(super) fn not_taken(&self, asked: &Asked<'_>, (reason, why): Refused) -> Ended {
        if let Some(left_out) = self.tickets.pass() {
            let (reason, why) = (reason.word(), &why[..why.floor_char_boundary(256)]);
            warn!(correlation = %asked.correlation, event = "ticket-refused", reason, why, left_out);
        }
        Ended::Stranger(reason)
    }
}

/// Must it be bound to this server, and is it not?
pub(super) fn bound(config: &Auth, rules: &Endpoint, ticket: &AcceptedTicket) -> Result<(), Refused> {
    if ticket.bound || rules.unbound_ticket || !config.kerberos.bound {
        return Ok(());
    }
    let (name, of) = (ticket.name.as_str(), ticket.realm.as_str());
    Err((Reason::UnboundTicket, format!("{name}@{of} has bound it to no server")))
}

/// The account that a ticket means which is not past.
pub(super) fn meant(config: &Auth, ticket: AcceptedTicket) -> Result<Taken<'_>, Refused> {
    // As long as it took, the instant is one after the answer.
    let now = Millis::now();
    // The library takes one for as long after its end as clocks may differ, and no token could be had by it.
    if ticket.expires <= now {
        return Err((Reason::TicketDates, "past its end".to_owned()));
    }
    let (name, of) = (ticket.name.as_str(), ticket.realm.as_str());
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
    Ok(Taken { realm, account, ticket, now })
}

pub(super) fn unusable(why: Unusable) -> Refused {
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
