//! How far an order may go. auth has decided already; issuer holds it to closed sets of its own, so that a
//! taken-over auth gets no further than these files say. Audience, lifetime's end and instants are issuer's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::quota::{Quota, Usage};
use crate::config::issuer::{Ceiling, Issuer, plain};
use crate::wire::order::{Claim, Order};
use crate::wire::{Millis, Text};

const MINUTE: Duration = Duration::from_secs(60);
/// Accounts whose use of a quota is remembered at a time.
const ACCOUNTS: usize = 100_000;
/// How far auth's clock reading may be ahead of issuer's, milliseconds.
const AHEAD_MS: i64 = 2_000;

/// What the order is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    RelyingParty,
    TokenType,
    Claim,
    Confirmation,
    Lifetime,
    Protected,
    Authentication,
    Size,
    Quota,
    AccountQuota,
}

impl Above {
    pub(super) const ALL: [Self; 10] = [
        Self::RelyingParty,
        Self::TokenType,
        Self::Claim,
        Self::Confirmation,
        Self::Lifetime,
        Self::Protected,
        Self::Authentication,
        Self::Size,
        Self::Quota,
        Self::AccountQuota,
    ];

    /// The word in logs and metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::RelyingParty => "relying-party",
            Self::TokenType => "token-type",
            Self::Claim => "claim",
            Self::Confirmation => "confirmation",
            Self::Lifetime => "lifetime",
            Self::Protected => "protected-subject",
            Self::Authentication => "authentication",
            Self::Size => "size",
            Self::Quota => "quota",
            Self::AccountQuota => "account-quota",
        }
    }
}

/// An order within its ceiling. Only [`Ceilings::approve`] makes one.
#[derive(Debug)]
pub(super) struct Approved {
    order: Order,
    now: Millis,
    not_before: Millis,
    expires: Millis,
}

impl Approved {
    /// The order, and the instants issuer chose: now, `NotBefore`, `NotOnOrAfter`.
    pub(super) fn into_parts(self) -> (Order, Millis, Millis, Millis) {
        (self.order, self.now, self.not_before, self.expires)
    }
}

/// The ceilings and the use of their quotas.
#[derive(Debug)]
pub(super) struct Ceilings {
    ceilings: BTreeMap<String, Ceiling>,
    skew_ms: i64,
    parties: Usage<Text<128>>,
    accounts: Usage<(Text<128>, Text<256>)>,
}

impl Ceilings {
    pub(super) fn new(issuer: &Issuer) -> Self {
        Self {
            skew_ms: issuer.skew_ms,
            parties: Usage::new(issuer.ceilings.len().max(1)),
            accounts: Usage::new(ACCOUNTS),
            ceilings: issuer.ceilings.clone(),
        }
    }

    /// The ceiling of a relying party.
    pub(super) fn find(&self, party: &str) -> Option<&Ceiling> {
        self.ceilings.get(party)
    }

    /// Holds the order to its ceiling; quotas last, so that an order refused for anything else costs none.
    pub(super) fn approve(&mut self, order: Order, now: Millis, instant: Instant) -> Result<Approved, Above> {
        let ceiling = self.ceilings.get(order.relying_party.as_str()).ok_or(Above::RelyingParty)?;
        if !ceiling.token_types.contains(&order.token_type) {
            return Err(Above::TokenType);
        }
        if !ceiling.confirmations.contains(&order.confirmation.kind()) {
            return Err(Above::Confirmation);
        }
        if !order.claims.iter().all(|claim| ceiling.claims.contains(claim.uri.as_str())) {
            return Err(Above::Claim);
        }
        let protected = |name: &str| ceiling.protected_subjects.contains(&plain(name));
        // A relying party may go by a claim, and never look at the subject.
        let identifying = |claim: &&Claim| ceiling.identifying_claims.contains(claim.uri.as_str());
        let mut claimed = order.claims.iter().filter(identifying).flat_map(|claim| claim.values.iter());
        if protected(&order.subject.account) || protected(&order.subject.name) || claimed.any(|value| protected(value))
        {
            return Err(Above::Protected);
        }
        let instant_of_proof = order.authentication.instant;
        if instant_of_proof.0 < 0 || instant_of_proof > now.plus(AHEAD_MS) {
            return Err(Above::Authentication);
        }
        let earliest = now.plus(-self.skew_ms);
        let not_before = order.not_before.map_or(earliest, |wanted| wanted.max(earliest));
        let expires = order.latest_expiry.min(now.plus(ceiling.lifetime_ms));
        if expires <= now || expires <= not_before {
            return Err(Above::Lifetime);
        }
        let by_party = Quota::new(ceiling.quota_per_minute.get(), MINUTE);
        let by_account = Quota::new(ceiling.quota_per_account_per_minute.get(), MINUTE);
        let party = order.relying_party.clone();
        let account = (party.clone(), order.subject.account.clone());
        let of_party = self.parties.one_more(&party, by_party, instant).ok_or(Above::Quota)?;
        let of_account = self.accounts.one_more(&account, by_account, instant).ok_or(Above::AccountQuota)?;
        self.parties.note(party, of_party);
        self.accounts.note(account, of_account);
        Ok(Approved { order, now, not_before, expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::examples::{claim, configuration, order};
    use crate::wire::List;
    use crate::wire::order::TokenType;

    const NOW: Millis = Millis(1_700_000_000_000);

    fn ceilings(change: impl FnOnce(&mut Ceiling)) -> Ceilings {
        let mut issuer = configuration();
        change(issuer.ceilings.get_mut("office").unwrap());
        Ceilings::new(&issuer)
    }

    fn attempt(change: impl FnOnce(&mut Order)) -> Result<Approved, Above> {
        let mut order = order("office");
        order.latest_expiry = NOW.plus(900_000);
        order.authentication.instant = NOW;
        change(&mut order);
        ceilings(|_| ()).approve(order, NOW, Instant::now())
    }

    #[test]
    fn an_order_within_its_ceiling_gets_the_sooner_end() {
        let approved = attempt(|_| ()).unwrap();
        assert_eq!((approved.not_before, approved.expires), (NOW.plus(-60_000), NOW.plus(900_000)));
        let approved = attempt(|order| order.latest_expiry = Millis(i64::MAX)).unwrap();
        assert_eq!(approved.expires, NOW.plus(3_600_000));
        let approved = attempt(|order| order.not_before = Some(NOW.plus(-3_600_000))).unwrap();
        assert_eq!(approved.not_before, NOW.plus(-60_000));
        let approved = attempt(|order| order.not_before = Some(NOW.plus(60_000))).unwrap();
        assert_eq!(approved.not_before, NOW.plus(60_000));
    }

    #[test]
    fn an_order_above_any_ceiling_is_not_approved() {
        let refused = |change: fn(&mut Order)| attempt(change).unwrap_err();
        assert_eq!(refused(|o| o.relying_party = Text::new("other").unwrap()), Above::RelyingParty);
        assert_eq!(refused(|o| o.token_type = TokenType::Saml11), Above::TokenType);
        assert_eq!(refused(|o| o.claims = List::new(vec![claim("urn:role", "admin")]).unwrap()), Above::Claim);
        assert_eq!(refused(|o| o.subject.account = Text::new("ADMINISTRATOR").unwrap()), Above::Protected);
        assert_eq!(refused(|o| o.subject.name = Text::new("Administrator").unwrap()), Above::Protected);
        assert_eq!(refused(|o| o.subject.name = Text::new(" administrator\u{a0}").unwrap()), Above::Protected);
        let claimed = |order: &mut Order| {
            let upn = |name| claim("http://schemas.xmlsoap.org/claims/UPN", name);
            order.claims = List::new(vec![upn("bob"), upn("Administrator ")]).unwrap();
        };
        assert_eq!(refused(claimed), Above::Protected);
        assert_eq!(refused(|o| o.authentication.instant = NOW.plus(2_001)), Above::Authentication);
        assert_eq!(refused(|o| o.latest_expiry = NOW), Above::Lifetime);
        assert_eq!(refused(|o| o.latest_expiry = Millis(i64::MIN)), Above::Lifetime);
        assert_eq!(refused(|o| o.not_before = Some(Millis(i64::MAX))), Above::Lifetime);
    }

    /// What a relying party takes for a protected name that compares through upper case, lower case or a folding.
    #[test]
    fn no_letter_that_has_another_case_makes_another_name() {
        let alike = [
            ("administrator", "adm\u{131}n\u{131}strator"),
            ("administrator", "admini\u{17f}trator"),
            ("administrator", "ADM\u{130}N\u{130}STRATOR"),
            ("administrator", "admi\u{307}nistrator"),
            ("administrator", "\u{feff}Administrator\u{200b} "),
            ("adm\u{131}nistrator", "ADMINISTRATOR"),
            ("kelvin", "\u{212a}elvin"),
            ("\u{39d}\u{399}\u{39a}\u{39f}\u{3a3}", "\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c3}"),
            ("\u{39d}\u{399}\u{39a}\u{39f}\u{3a3}", "\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c2}"),
            ("\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c3}", "\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c2}"),
            ("Wei\u{df}", "WEISS"),
            ("weiss", "wei\u{1e9e}"),
            ("\u{fb01}nance", "FINANCE"),
        ];
        for (named, asked) in alike {
            let mut guarded = ceilings(|ceiling| ceiling.protected_subjects = [plain(named)].into());
            let mut order = order("office");
            (order.latest_expiry, order.authentication.instant) = (NOW.plus(900_000), NOW);
            order.subject.account = Text::new(asked).unwrap();
            let refused = guarded.approve(order, NOW, Instant::now()).map(drop);
            assert_eq!(refused, Err(Above::Protected), "{named} {asked}");
        }
        let same = |one: &str, other: &str| plain(&format!("x{one}x")) == plain(&format!("x{other}x"));
        for letter in (char::MIN..=char::MAX).map(String::from) {
            assert!(same(&letter, &letter.to_uppercase()), "{letter:?}");
            assert!(same(&letter, &letter.to_lowercase()), "{letter:?}");
        }
        for (one, other) in [("administrator", "administrators"), ("ss", "s"), ("\u{e9}", "e")] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn quotas_hold_for_the_party_and_for_the_account() {
        let two = std::num::NonZeroU32::new(2).unwrap();
        let now = Instant::now();
        let named = |account: &str| {
            let mut order = order("office");
            (order.latest_expiry, order.authentication.instant) = (NOW.plus(900_000), NOW);
            order.subject.account = Text::new(account).unwrap();
            order
        };
        let mut by_party = ceilings(|ceiling| ceiling.quota_per_minute = two);
        let mut by_account = ceilings(|ceiling| ceiling.quota_per_account_per_minute = two);
        for name in ["a", "b"] {
            assert!(by_party.approve(named(name), NOW, now).is_ok());
            assert!(by_account.approve(named("a"), NOW, now).is_ok());
        }
        assert_eq!(by_party.approve(named("c"), NOW, now).unwrap_err(), Above::Quota);
        assert_eq!(by_account.approve(named("a"), NOW, now).unwrap_err(), Above::AccountQuota);
        assert!(by_account.approve(named("b"), NOW, now).is_ok());
    }
}
