//! He comes to the sockets of auth, the signers and issuer itself, which no worker can: `tests/sandbox.rs` shows
//! that his dialer knows two places and that the filter kills whoever connects without it, `tests/units.rs` that
//! systemd's sockets have groups he is not in. Should all of that fall, the socket he reached is what he is taken
//! for, and these are the bounds of each: auth orders within issuer's ceilings, a signer is given digests for keys
//! it has shown, and who writes the record writes his own kind of entry, one after the other. (What a signer that
//! has the right public keys can do, `tests/issuer.rs` shows: no signature leaves that does not verify.)

use chancery::sys::channel::Duplex;
use chancery::sys::places::Place;
use chancery::wire::frame::encode;
use chancery::wire::links::{
    AuthToAudit, AuthToIssuer, FailureClass, IssuerToAudit, IssuerToAuth, IssuerToSigner, KeyReport, SignerReady,
    SignerToIssuer,
};
use chancery::wire::order::{Claim, Order, Redemption, Subject, TokenType, Voucher};
use chancery::wire::permit::Link;
use chancery::wire::record::{AuthEntry, Decision, DecisionPrivate, Intent, IntentPrivate, IssuerEntry};
use chancery::wire::unwrap::SessionKey;
use chancery::wire::{Correlation, KeyId, List, Millis, Octets, Peer as Pid, Text, VoucherId};

use super::octets::{self, above_caps, foreign, foreign_rows, malformed, order, ready, thrown};
use super::peer::Peer;
use super::stack::{Leaves, Stack, Verdict, must};
use super::vouchers::{above_ceiling, redeemed};
use super::{AUTH_TO_AUDIT, AUTH_TO_ISSUER, Case, ISSUER_TO_AUDIT, SIGNER_TO_ISSUER};

pub(super) const CASES: &[Case] = &[
    ("whom auth vouches for gets a token, and is in the record", Leaves::Tokens(1), an_order_of_auths),
    ("no order above a ceiling is signed, whoever orders it", Leaves::Nothing, orders_above_ceilings),
    ("two orders of one name are a breach", Leaves::Violations(AUTH_TO_ISSUER, 1), lodged_twice),
    ("a signer with other keys is given no digest", Leaves::Client, other_keys),
    ("a signer speaks when it is ready, and is ready once", Leaves::Violations(SIGNER_TO_ISSUER, 7), out_of_state),
    ("a signer answers what it was asked", Leaves::Violations(SIGNER_TO_ISSUER, 5), answers_to_nobody),
    ("auth writes no intent into the record", Leaves::Violations(AUTH_TO_AUDIT, 1), an_intent_of_auths),
    ("auth leaves none of its entries out", Leaves::Violations(AUTH_TO_AUDIT, 2), auth_skips),
    ("issuer leaves none of its entries out", Leaves::Violations(ISSUER_TO_AUDIT, 2), issuer_skips),
    ("messages of other links are no auth's", Leaves::Violations(AUTH_TO_ISSUER, foreign_rows(4)), |stack| {
        foreign(stack, Place::IssuerAuth)
    }),
    ("messages of other links are no signer's", Leaves::Violations(SIGNER_TO_ISSUER, foreign_rows(7)), |stack| {
        foreign(stack, Place::IssuerSigner)
    }),
    (
        "messages of other links are no entries of issuer's",
        Leaves::Violations(ISSUER_TO_AUDIT, foreign_rows(1)),
        |stack| foreign(stack, Place::AuditIssuer),
    ),
    ("messages of other links are no entries of auth's", Leaves::Violations(AUTH_TO_AUDIT, foreign_rows(1)), |stack| {
        foreign(stack, Place::AuditAuth)
    }),
    ("octets that are no message are no auth's", Leaves::Violations(AUTH_TO_ISSUER, octets::MALFORMED), |stack| {
        let good = AuthToIssuer::Lodge(voucher(order("generic")));
        malformed(stack, Place::IssuerAuth, encode(&good).remove(0), 256 * 1024)
    }),
    ("octets that are no message are no signer's", Leaves::Violations(SIGNER_TO_ISSUER, octets::MALFORMED), |stack| {
        malformed(stack, Place::IssuerSigner, encode(&ready()).remove(0), 256 * 1024)
    }),
    ("octets that are no message are no issuer's", Leaves::Violations(ISSUER_TO_AUDIT, octets::MALFORMED), |stack| {
        let good = IssuerToAudit::Append { sequence: 1, entry: intent() };
        malformed(stack, Place::AuditIssuer, encode(&good).remove(0), 256 * 1024)
    }),
    ("octets that are no message are no entry", Leaves::Violations(AUTH_TO_AUDIT, octets::MALFORMED), |stack| {
        let good = AuthToAudit::Append { sequence: 1, entry: decision() };
        malformed(stack, Place::AuditAuth, encode(&good).remove(0), 64 * 1024)
    }),
    ("no message of auth's is above its cap", Leaves::Violations(AUTH_TO_ISSUER, 4), |stack| {
        above_caps(stack, Place::IssuerAuth)
    }),
    ("no message of a signer's is above its cap", Leaves::Violations(SIGNER_TO_ISSUER, 7), |stack| {
        above_caps(stack, Place::IssuerSigner)
    }),
    ("no entry of issuer's is above its cap", Leaves::Violations(ISSUER_TO_AUDIT, 1), |stack| {
        above_caps(stack, Place::AuditIssuer)
    }),
    ("no entry of auth's is above its cap", Leaves::Violations(AUTH_TO_AUDIT, 1), |stack| {
        above_caps(stack, Place::AuditAuth)
    }),
];

/// For a worker that is this process.
fn voucher(order: Order) -> Voucher {
    Voucher {
        id: VoucherId::random(),
        worker: Pid(i32::try_from(std::process::id()).unwrap()),
        order,
        signed_reply: false,
    }
}

fn auth(stack: &Stack) -> Peer<IssuerToAuth, AuthToIssuer> {
    Peer(Duplex::new(stack.channel(Place::IssuerAuth), Link::IssuerToAuth))
}

fn signer(stack: &Stack) -> Peer<IssuerToSigner, SignerToIssuer> {
    Peer(Duplex::new(stack.channel(Place::IssuerSigner), Link::IssuerToSigner))
}

fn lodged(stack: &Stack, order: Order) -> Result<Redemption, String> {
    let mut auth = auth(stack);
    let voucher = voucher(order);
    let redemption = Redemption { voucher: voucher.id, correlation: voucher.order.correlation };
    auth.send(AuthToIssuer::Lodge(voucher))?;
    match auth.answer()? {
        IssuerToAuth::Lodged(id) if id == redemption.voucher => Ok(redemption),
        other => Err(format!("not lodged: {other:?}")),
    }
}

/// What who has taken auth over can: anybody, within the ceilings.
fn an_order_of_auths(stack: &Stack) -> Verdict {
    let name = Text::new("mallory@example.com").unwrap();
    let subject = Subject { account: Text::new("mallory").unwrap(), name, ..order("generic").subject };
    let redemption = lodged(stack, Order { subject, ..order("generic") })?;
    let mut issuer = stack.issuer();
    let token = redeemed(&mut issuer, redemption)?.token;
    must(String::from_utf8_lossy(&token).contains("mallory@example.com"), "no token of mallory's")
}

fn orders_above_ceilings(stack: &Stack) -> Verdict {
    let values = List::new(vec![Text::new("root").unwrap()]).unwrap();
    let claims = List::new(vec![Claim { uri: Text::new("urn:invented/role").unwrap(), values }]).unwrap();
    let named = |name: &str| Subject { name: Text::new(name).unwrap(), ..order("generic").subject };
    let above = [
        order("nobody"),
        Order { token_type: TokenType::Saml11, ..order("narrow") },
        Order { subject: named("somebody@example.com"), ..order("guarded") },
        Order { subject: Subject { account: Text::new("x").unwrap(), ..named("ALICE") }, ..order("guarded") },
        Order { claims, ..order("generic") },
        Order { latest_expiry: Millis::now().plus(-1), ..order("generic") },
        Order { not_before: Some(Millis::now().plus(7_200_000)), ..order("generic") },
    ];
    for order in above {
        let described = format!("{order:?}");
        let redemption = lodged(stack, order)?;
        above_ceiling(&mut stack.issuer(), redemption).map_err(|why| format!("{described}: {why}"))?;
    }
    Ok(())
}

fn lodged_twice(stack: &Stack) -> Verdict {
    let mut auth = auth(stack);
    let first = voucher(order("generic"));
    let second = Voucher { id: first.id, ..voucher(order("scarce")) };
    auth.send(AuthToIssuer::Lodge(first))?;
    auth.answer()?;
    auth.send(AuthToIssuer::Lodge(second))?;
    auth.hung_up_on()
}

/// Ready like the others, and with a key of his own under the name of the one that signs tokens.
fn other_keys(stack: &Stack) -> Verdict {
    let mut signer = signer(stack);
    let key = KeyReport { id: KeyId::new([0xA5, 0x01]).unwrap(), public_key: Octets::new(vec![0x30; 294]).unwrap() };
    let SignerToIssuer::Ready(ready) = ready() else { return Err("not ready".to_owned()) };
    signer.send(SignerToIssuer::Ready(SignerReady { keys: List::new(vec![key]).unwrap(), sessions: 256, ..ready }))?;
    let honest = stack.honest();
    must(honest.status.success(), format!("meanwhile: {}", String::from_utf8_lossy(&honest.stderr)))?;
    let heard = signer.0.receive();
    must(matches!(heard, Ok(None)), format!("{heard:?}"))
}

fn answers() -> [SignerToIssuer; 5] {
    [
        SignerToIssuer::Signed { id: 1, signature: Octets::new([7; 256]).unwrap() },
        SignerToIssuer::SignFailed { id: 1, class: FailureClass::Token, rv: 5 },
        SignerToIssuer::Drawn { id: 1, octets: Octets::new([7; 32]).unwrap() },
        SignerToIssuer::Unwrapped { id: 1, session: SessionKey::new(vec![7; 32]).unwrap() },
        SignerToIssuer::UnwrapFailed { id: 1, class: FailureClass::Request },
    ]
}

fn out_of_state(stack: &Stack) -> Verdict {
    let before = stack.said("message out of state");
    for early in answers().into_iter().chain([SignerToIssuer::Health { usable: true }]) {
        thrown(stack, Place::IssuerSigner, &encode(&early)).map_err(|why| format!("{early:?}: {why}"))?;
    }
    thrown(stack, Place::IssuerSigner, &[encode(&ready()), encode(&ready())].concat())?;
    stack.says("message out of state", before + 7)
}

fn answers_to_nobody(stack: &Stack) -> Verdict {
    for answer in answers() {
        let datagrams = [encode(&ready()), encode(&answer)].concat();
        thrown(stack, Place::IssuerSigner, &datagrams).map_err(|why| format!("{answer:?}: {why}"))?;
    }
    Ok(())
}

fn intent() -> IssuerEntry {
    let Order { correlation, relying_party, subject, authentication, request, .. } = order("generic");
    let intent = Intent {
        instant: Millis::now(),
        correlation,
        token_id: Text::new("_forged").unwrap(),
        token_type: TokenType::Saml20,
        relying_party,
        created: Millis::now(),
        expires: Millis::now().plus(600_000),
        method: authentication.method,
        request,
        key: KeyId::new([0xA5, 0x01]).unwrap(),
        digest: [7; 32],
        holder: None,
    };
    IssuerEntry::Intent(intent, IntentPrivate { subject, claims: List::default() })
}

fn decision() -> AuthEntry {
    let decision = Decision {
        instant: Millis::now(),
        correlation: Correlation::random(),
        endpoint: Text::new("/sts").unwrap(),
        source: [192, 0, 2, 77].into(),
        method: order("generic").authentication.method,
        authority: None,
        relying_party: None,
        allowed: true,
        reason: Text::new("allowed").unwrap(),
        policies: List::default(),
    };
    AuthEntry::Decision(decision, DecisionPrivate { account: Text::new("forged").unwrap() })
}

fn an_intent_of_auths(stack: &Stack) -> Verdict {
    thrown(stack, Place::AuditAuth, &encode(&IssuerToAudit::Append { sequence: 1, entry: intent() }))
}

fn auth_skips(stack: &Stack) -> Verdict {
    for sequence in [0, 2] {
        thrown(stack, Place::AuditAuth, &encode(&AuthToAudit::Append { sequence, entry: decision() }))?;
    }
    Ok(())
}

fn issuer_skips(stack: &Stack) -> Verdict {
    for sequence in [0, 2] {
        thrown(stack, Place::AuditIssuer, &encode(&IssuerToAudit::Append { sequence, entry: intent() }))?;
    }
    Ok(())
}
