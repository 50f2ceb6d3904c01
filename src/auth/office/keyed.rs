//! A password under a MAC, and a message around it that the same MAC covers. Whoever can seal for us can make a MAC: it
//! proves nobody, and what it covers is a stranger's until the password is known to be right. So the MAC is judged
//! first, over octets; then the password, as the worker has read it; and only then is anything parsed, and the password
//! must stand in what was parsed. A worker has the password, and could seal a key of its own for a request of its own:
//! so what vouches for the request is the connection, as for any password.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::super::exchanges::Exchange;
use super::super::reason::Reason;
use super::super::sealed::Whole;
use super::super::signature::{self, Content, Unproven, Verified};
use super::super::store::Kind;
use super::super::timestamp;
use super::proof::{Asked, Beside, Known};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::wire::evidence::{Evidence, KeyedMessage, MacAlgorithm};
use crate::wire::order::Method;
use crate::wire::{Millis, Secret, Text};

impl Office {
    /// Whose password it is that the MAC of this message covers, when it was not seen before, is fresh and for us.
    pub(super) async fn keyed<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        (username, password): (&Text<256>, Secret<1024>),
        message: &KeyedMessage,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        let now = Millis::now();
        let stranger = Ended::Stranger;
        if !rules.password_symmetric {
            return Err(stranger(Reason::Credential));
        }
        if message.algorithm == MacAlgorithm::HmacSha1 && !rules.hmac_sha1 {
            return Err(stranger(Reason::MacAlgorithm));
        }
        let Exchange { key, unseen, .. } =
            asked.exchange.filter(|kept| kept.verified.is_none()).ok_or(stranger(Reason::NoSession))?;
        let signed = signature::authentic(key, message).map_err(stranger)?;
        if let Some(once) = unseen {
            self.first_seen(Kind::CipherValue, once, timestamp::until(now)).await.map_err(|reason| {
                let replayed = reason == Reason::Replayed;
                stranger(if replayed { Reason::ReplayedKey } else { reason })
            })?;
        }
        let account = self.passed(config, username, password.clone(), asked).await.map_err(stranger)?;
        // Whatever else is wrong with it, somebody knows his password: the record has it under his account.
        let his = |reason| match self.pace(config, &account, asked) {
            Ok(()) => stranger(reason).of(&account, Method::Password, None),
            Err(ended) => ended,
        };
        let verified = signed.covers(rules).map_err(|why| his(self.not_proven(asked.correlation, &why)))?;
        let _room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
        self.first_seen(Kind::SignedMessage, verified.once(), timestamp::until(now)).await.map_err(his)?;
        self.pace(config, &account, asked)?;
        let covered = self.as_covered(config, rules, &verified, (username, &password), asked, now);
        covered.map_err(|ended| ended.of(&account, Method::Password, None))?;
        if message.algorithm == MacAlgorithm::HmacSha1 {
            self.gauges.leniencies.with_label_values(&["hmac-sha1"]).inc();
        }
        Ok(Known::by_word(account, Method::Password))
    }

    /// Does the MAC cover all that it has to, and the password among it, as the worker has read it?
    fn as_covered(
        &self,
        config: &Auth,
        rules: &Endpoint,
        verified: &Verified<'_>,
        (username, password): (&Text<256>, &Secret<1024>),
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<(), Ended> {
        let refused = |why: &Unproven| Ended::Stranger(self.not_proven(asked.correlation, why));
        let whole = self.content(rules, verified, asked)?;
        let content = whole.as_ref().map_or(Content::Plain, Content::Opened);
        let proof = verified.read_with(rules, content).map_err(|why| refused(&why))?;
        match &proof.username {
            None => return Err(refused(&uncovered("no user name token with a password is covered"))),
            // Nor did the worker read it where nothing was declared around it.
            Some(covered) if !is(covered, username, password) && whole.as_ref().is_some_and(Whole::has_token) => {
                return Err(refused(&uncovered("what was sealed is another user name token")));
            }
            Some(covered) if !is(covered, username, password) => {
                return Err(Ended::Breach("a password that is not the one covered"));
            }
            Some(_) => {}
        }
        if proof.wish.is_none() {
            return Err(refused(&uncovered("the body is not covered")));
        }
        self.as_proven(config, (&proof, Beside::Username), asked, now).map(drop)
    }
}

fn uncovered(what: &str) -> Unproven {
    Unproven::by(Reason::Uncovered, what)
}

/// Is it this password of that user?
fn is(covered: &Evidence, of: &Text<256>, it: &Secret<1024>) -> bool {
    match covered {
        Evidence::Password { username, password } => {
            username == of && verify_slices_are_equal(password.expose(), it.expose()).is_ok()
        }
        _ => false,
    }
}
