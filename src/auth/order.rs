//! From an authenticated account and its wish to the order for exactly one token. Nothing here runs before
//! the requestor has proved himself (R-T009), and nothing the client sends becomes a value in the token.

use std::net::IpAddr;

use super::policy::{Circumstances, authorise};
use super::reason::Reason;
use super::{claims, lifetime};
use crate::config::auth::Auth;
use crate::config::auth::users::Account;
use crate::wire::evidence::{KeyType, Operation, Wish};
use crate::wire::order::{Authentication, Confirmation, ConfirmationKind, Order, RequestIntegrity, TokenType};
use crate::wire::{Correlation, List, Millis, Octets, Text};

/// Octets of an order, at most: it must fit the voucher's permit and issuer's entry in the record.
const LARGEST: usize = 192 * 1024;

/// A request whose sender is known.
#[derive(Debug)]
pub(super) struct Proven<'a> {
    /// Names the request.
    pub(super) correlation: Correlation,
    /// The endpoint's path.
    pub(super) endpoint: &'a str,
    /// The kind of token its clients mean when they ask for none.
    pub(super) token_type: Option<TokenType>,
    /// Where from.
    pub(super) source: IpAddr,
    /// Who.
    pub(super) account: &'a Account,
    /// How and when.
    pub(super) authentication: Authentication,
    /// Who vouched for him and asks in his place, where somebody does.
    pub(super) intermediary: Option<&'a str>,
    /// When a token got by it ends at the latest, whatever the party's file says.
    pub(super) until: Option<Millis>,
    /// What for.
    pub(super) wish: &'a Wish,
    /// What vouches for that.
    pub(super) request: RequestIntegrity,
    /// The key that signed this very message, or the handshake of its connection.
    pub(super) key: ProvenKey<'a>,
}

/// A key that a token may be bound to.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProvenKey<'a> {
    /// None was proven.
    None,
    /// One that has no certificate, by which tokens name the key they are bound to.
    Alone,
    /// That of this certificate, DER.
    Certified(&'a [u8]),
}

/// What was decided, for the record.
#[derive(Debug)]
pub(super) struct Decided {
    /// The order, or why there is none.
    pub(super) order: Result<Order, Reason>,
    /// The relying party, when one was found.
    pub(super) relying_party: Option<Text<128>>,
    /// The policies that decided, when it came to that.
    pub(super) policies: List<Text<128>, 16>,
}

/// Decides.
pub(super) fn decide(config: &Auth, proven: &Proven<'_>, now: Millis) -> Decided {
    let mut decided = Decided { order: Err(Reason::Scope), relying_party: None, policies: List::default() };
    decided.order = draw_up(config, proven, now, &mut decided.relying_party, &mut decided.policies);
    decided
}

fn draw_up(
    config: &Auth,
    proven: &Proven<'_>,
    now: Millis,
    relying_party: &mut Option<Text<128>>,
    policies: &mut List<Text<128>, 16>,
) -> Result<Order, Reason> {
    let Proven { account, wish, .. } = *proven;
    let Operation::Issue = wish.operation;
    let party = config.parties.find(wish.applies_to.as_deref()).ok_or(Reason::Scope)?;
    *relying_party = Some(party.name.clone());
    let takes = |kind: &TokenType| party.token_types.contains(kind);
    let token_type = match wish.token_type {
        Some(kind) if takes(&kind) => kind,
        Some(_) => return Err(Reason::TokenType),
        // What the endpoint's clients mean, where the party takes that.
        None => proven
            .token_type
            .filter(takes)
            .unwrap_or_else(|| *party.token_types.first().expect("the configuration names at least one")),
    };
    // No key type asked for means bearer here, as for the clients of AD FS; the standard's SymmetricKey
    // would turn a client that forgot to ask away (R-T024).
    let kind = wish.key_type.map_or(Some(ConfirmationKind::Bearer), KeyType::confirmation);
    let kind = kind.filter(|kind| party.confirmations.contains(kind)).ok_or(Reason::KeyType)?;
    let confirmation = match kind {
        ConfirmationKind::Bearer if wish.key_size.is_some_and(|bits| bits != 0) => return Err(Reason::KeySize),
        ConfirmationKind::Bearer => Confirmation::Bearer,
        // The one key that is proven is bound, whether the request names its signature or nothing (R-T032).
        ConfirmationKind::HolderOfKey => {
            let certificate = match proven.key {
                ProvenKey::None => return Err(Reason::UnprovenKey),
                ProvenKey::Alone => return Err(Reason::UncertifiedKey),
                ProvenKey::Certified(der) => Octets::new(der).map_err(|_| Reason::TooMuch)?,
            };
            Confirmation::HolderOfKey { certificate }
        }
    };
    let latest_expiry = lifetime::settle(party, &config.timestamp, wish.lifetime, now)?;
    let latest_expiry = proven.until.map_or(latest_expiry, |until| until.min(latest_expiry));
    let seen = Circumstances {
        token_type,
        confirmation: kind,
        method: proven.authentication.method,
        intermediary: proven.intermediary.unwrap_or_default(),
        endpoint: proven.endpoint,
        source: proven.source,
    };
    let (refused, decided) = authorise(&config.users.vocabulary, party, account, seen);
    *policies = decided;
    if let Some(reason) = refused {
        return Err(reason);
    }
    let order = Order {
        correlation: proven.correlation,
        relying_party: party.name.clone(),
        token_type,
        subject: claims::subject(&party.subject, account)?,
        claims: claims::ordered(claims::shape(&party.claims, account, &wish.claims)?)?,
        confirmation,
        not_before: None,
        latest_expiry,
        authentication: proven.authentication,
        request: proven.request,
    };
    match borsh::object_length(&order) {
        Ok(length) if length <= LARGEST => Ok(order),
        _ => Err(Reason::TooMuch),
    }
}
