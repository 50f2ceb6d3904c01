//! Who asks, by what he proves it with: a password, a digest, a signature, and, in files of their own, an assertion, a
//! JWT, a ticket or the handshake. A proof that is good once is used up here, and whoever has proved himself is held to
//! his pace.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use rustls_pki_types::CertificateDer;
use tracing::warn;

use super::super::confirmed::Confirmed;
use super::super::directory::Directories;
use super::super::directory::Guess;
use super::super::excess::Coming;
use super::super::exchanges::Exchange;
use super::super::ocsp::{self, WAIT};
use super::super::reason::Reason;
use super::super::recipient::Recipient;
use super::super::signature::{self, Admitted, Content, Proof, Signed, Unproven, Verified};
use super::super::store::{Down, Kind, Store};
use super::super::{digest, issued, timestamp};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::Room;
use crate::config::auth::authority::Authority;
use crate::config::auth::certificate::Certificate;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::wire::evidence::{
    Evidence, MOST_ANSWERED_OCTETS, MOST_JWT_OCTETS, PasswordDigest, SignedMessage, Timestamp, Wish,
};
use crate::wire::ids::Peer;
use crate::wire::order::{Method, RequestIntegrity};
use crate::wire::record::{Held, HeldKey};
use crate::wire::{Correlation, Millis, Octets, Secret, Text};

/// How often it may turn out that somebody is to be asked: several authorities may have a path to one certificate.
const MOST_ROUNDS: usize = 4;

/// What there is to a request besides its evidence: the worker's word for all of it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Those who know users besides.
    pub(super) directories: &'a Directories,
    pub(super) worker: Peer,
    /// Its handshakes that issuer has confirmed.
    pub(super) confirmed: &'a Confirmed,
    /// The session key of its message, where auth has kept one for it.
    pub(super) exchange: Option<&'a Exchange>,
    pub(super) source: IpAddr,
    pub(super) correlation: Correlation,
    pub(super) timestamp: Option<Timestamp>,
    /// None while the message is not open that says it.
    pub(super) wish: Option<&'a Wish>,
}

/// An account, wherever it is kept.
pub(super) enum Who<'a> {
    /// In the configuration.
    Listed(&'a Account),
    /// As a directory, a partner or an issuer described him a moment ago.
    Found(Arc<Account>),
}

impl Deref for Who<'_> {
    type Target = Account;

    fn deref(&self) -> &Account {
        match self {
            Self::Listed(account) => account,
            Self::Found(account) => account,
        }
    }
}

/// Who it is, and how that is known.
pub(super) struct Known<'a> {
    pub(super) account: Who<'a>,
    pub(super) method: Method,
    pub(super) request: RequestIntegrity,
    /// When somebody else saw him prove himself, where that was not here and now.
    pub(super) instant: Option<Millis>,
    /// When tokens end that he gets by it, where the proof says so.
    pub(super) until: Option<Millis>,
    /// The certificate that signed the message, or the handshake.
    pub(super) certificate: Option<Cow<'a, Certificate>>,
    /// How he proved the key that his assertion confirms.
    pub(super) held: Option<Held>,
    /// Who issued it, unless it is registered, or the assertion or JWT.
    pub(super) vouched_by: Option<&'a Text<64>>,
    /// The account of whoever asks in his place and vouches for him, where somebody does.
    pub(super) intermediary: Option<Text<256>>,
    /// What the client is answered who negotiated.
    pub(super) answer: Option<Octets<MOST_ANSWERED_OCTETS>>,
}

/// What stands beside a signature or a MAC and says who somebody is, as the worker has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beside<'e> {
    /// Nothing: it is from whoever has made it.
    Nothing,
    /// A user name token, which whoever asks has compared.
    Username,
    /// A ticket, which a MAC is by.
    Ticket,
    /// An assertion, which whoever asks has compared.
    Assertion,
    /// This JWT.
    Jwt(&'e Secret<MOST_JWT_OCTETS>),
}

impl Beside<'_> {
    /// Is that all there was? Or whom a message is from would be the worker's choice: the one who signed it, or whom a
    /// token is about that he signed, too.
    pub(super) fn is_all_of(self, proof: &Proof<'_>) -> bool {
        let jwt = match (&proof.jwt, self) {
            (None, _) => true,
            (Some(signed), Self::Jwt(own)) => signed.expose() == own.expose(),
            (Some(_), _) => false,
        };
        let username = !proof.covers_username || matches!(self, Self::Username);
        let ticket = !proof.covers_ticket || matches!(self, Self::Ticket);
        let assertion = proof.assertion.is_none() || matches!(self, Self::Assertion);
        jwt && username && ticket && assertion
    }
}

/// Whose signature it is, and what it covers.
pub(super) struct Signer<'a, 'm> {
    pub(super) account: &'a Account,
    pub(super) authority: Option<&'a Authority>,
    certificate: Cow<'a, Certificate>,
    pub(super) verified: Verified<'m>,
}

/// What is covered by a signature that holds. Whoever was disabled is trusted no more: nothing that he signed is
/// parsed.
fn read<'m>(account: &Account, signed: Signed<'m>, rules: &Endpoint) -> Result<Verified<'m>, Unproven> {
    if account.disabled { Err(Reason::Disabled.into()) } else { signed.covers(rules) }
}

impl<'a> Known<'a> {
    /// By what he said: the request around it is the worker's word.
    pub(super) fn by_word(account: Who<'a>, method: Method) -> Self {
        let request = RequestIntegrity::Transport;
        let (instant, until, certificate, held) = (None, None, None, None);
        let (vouched_by, intermediary, answer) = (None, None, None);
        Self { account, method, request, instant, until, certificate, held, vouched_by, intermediary, answer }
    }

    /// The same, and for whom the answer is sealed, where answers are: that is known before there is anything to be.
    pub(super) fn with_recipient(self, rules: &Endpoint) -> Result<(Self, Option<Recipient>), Ended> {
        let bare = self.held.is_some_and(|held| matches!(held.key, HeldKey::Thumbprint(_) | HeldKey::Sealed(_)));
        if !rules.sealed_replies || self.method != Method::X509 && !bare {
            return Ok((self, None));
        }
        match self.certificate.as_deref().and_then(Recipient::of) {
            Some(recipient) => Ok((self, Some(recipient))),
            None => {
                let ended = Ended::Stranger(Reason::Unsealable).of(&self.account, self.method, self.vouched_by);
                Err(match self.held {
                    Some(held) => ended.held(held),
                    None => ended,
                })
            }
        }
    }
}

impl Office {
    /// Who submitted this, when he proves it and may ask now.
    pub(super) async fn prove<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        evidence: Evidence,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        let (credential, known) = match evidence {
            Evidence::Password { .. } if !rules.password => return Err(Ended::Stranger(Reason::Credential)),
            Evidence::Password { username, password } => {
                let account = self.passed(config, &username, password, asked).await;
                let known = account.map_err(Ended::Stranger).and_then(|account| {
                    self.pace(config, &account, asked).map(|()| Known::by_word(account, Method::Password))
                });
                ("password", known)
            }
            Evidence::Digest(digest) => ("digest", self.digested(config, rules, &digest, asked).await),
            Evidence::Signature(message) => ("signature", self.signed(config, rules, &message, asked).await),
            Evidence::TlsCertificate(handshake) => {
                ("tls-certificate", self.connected(config, rules, &handshake, asked).await)
            }
            Evidence::Assertion(signed) => ("saml", self.asserted(config, rules, (&signed, None), asked).await),
            Evidence::Connected(signed, handshake) => {
                ("saml", self.asserted(config, rules, (&signed, Some(&handshake)), asked).await)
            }
            Evidence::Attested(signed, message) => {
                ("saml", self.attested(config, rules, &signed, &message, asked).await)
            }
            Evidence::EndorsedAssertion(signed, message) => {
                ("saml", self.attested_by_mac(config, rules, &signed, &message, asked).await)
            }
            Evidence::KeyedPassword { username, password, message } => {
                let claimed = (&username, password);
                ("password-symmetric", self.keyed(config, rules, claimed, &message, asked).await)
            }
            Evidence::Jwt(signed, presenter) => {
                ("jwt", self.presented(config, rules, &signed, &presenter, asked).await)
            }
            Evidence::Negotiation(negotiation) => {
                ("kerberos", self.negotiated(config, rules, &negotiation, asked).await)
            }
            Evidence::Ticket(ticket) => ("kerberos-token", self.ticketed(config, rules, (&ticket, None), asked).await),
            Evidence::EndorsedTicket(ticket, message) => {
                ("kerberos-token", self.ticketed(config, rules, (&ticket, Some(&message)), asked).await)
            }
        };
        match &known {
            Ok(_) => self.count(credential, None),
            Err(Ended::Stranger(reason) | Ended::Known(reason)) => self.count(credential, Some(*reason)),
            Err(Ended::Named(named)) => self.count(credential, Some(named.reason)),
            Err(Ended::Breach(_)) => {}
        }
        known
    }

    /// Whose password it is. A name that belongs to a directory is looked for there and nowhere else.
    pub(super) async fn passed<'a>(
        &self,
        config: &'a Auth,
        username: &Text<256>,
        password: Secret<1024>,
        asked: &Asked<'_>,
    ) -> Result<Who<'a>, Reason> {
        let from = (asked.worker, asked.source);
        match asked.directories.of(username) {
            Some((directory, bare)) => {
                let guess = Guess { username, password: &password, from };
                directory.verify(config, &self.passwords, bare, guess).await.map(Who::Found)
            }
            None => self.passwords.verify(config, username, password, from).await.map(Who::Listed),
        }
    }

    /// Whose message it is, when its signature holds, it was not seen before, it is fresh and for us. What the worker
    /// made of it must be what was signed: an honest one reads it with the same code.
    async fn signed<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        message: &SignedMessage,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.signature {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let message = Admitted::at(rules, message).map_err(Ended::Stranger)?;
        let now = Millis::now();
        let signer = self.signer(config, rules, message, asked, now).await.map_err(Ended::Stranger)?;
        let Signer { account, authority, certificate, verified } = signer;
        // When it was opened, it was at his pace.
        let paid = asked.exchange.is_some_and(|exchange| exchange.verified == Some(*verified.once()));
        // Before the store is asked: or one account could fill it.
        let room = (!paid).then(|| self.has_room(config, account, asked)).transpose();
        let _room = room.map_err(Ended::Known)?;
        let until = timestamp::until(now);
        self.first_seen(Kind::SignedMessage, verified.once(), until).await.map_err(Ended::Stranger)?;
        // Whatever else is wrong with it, it is his, and has a place in the store.
        if !paid {
            self.pace(config, account, asked)?;
        }
        let vouched_by = authority.map(|authority| &authority.name);
        let request = self.content(rules, &verified, asked).and_then(|whole| {
            let content = whole.as_ref().map_or(Content::Plain, Content::Opened);
            self.as_signed(config, rules, (&verified, content, Beside::Nothing), asked, now)
        });
        let request = request.map_err(|ended| ended.of(account, Method::X509, vouched_by))?;
        let certificate = Some(certificate);
        Ok(Known { request, certificate, vouched_by, ..Known::by_word(Who::Listed(account), Method::X509) })
    }

    /// What vouches for the wording of the request, when the message is fresh and for us. What the worker made of it
    /// must be what was signed.
    pub(super) fn as_signed(
        &self,
        config: &Auth,
        rules: &Endpoint,
        (verified, content, beside): (&Verified<'_>, Content<'_>, Beside<'_>),
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<RequestIntegrity, Ended> {
        let proof = verified.read_with(rules, content);
        let proof = proof.map_err(|why| Ended::Stranger(self.not_proven(asked.correlation, &why)))?;
        self.as_proven(config, (&proof, beside), asked, now)
    }

    /// The same of what was read in it.
    pub(super) fn as_proven(
        &self,
        config: &Auth,
        (proof, beside): (&Proof<'_>, Beside<'_>),
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<RequestIntegrity, Ended> {
        if !beside.is_all_of(proof) {
            return Err(Ended::Breach("a signed token that was left out"));
        }
        timestamp::judge_once(&config.timestamp, proof.timestamp, now).map_err(Ended::Stranger)?;
        if asked.timestamp != Some(proof.timestamp) {
            return Err(Ended::Breach("a timestamp that is not the one signed"));
        }
        if proof.wish.as_ref().is_some_and(|signed| Some(signed) != asked.wish) {
            // What is declared around a body and not rendered in what was signed, as a default namespace may be, an
            // honest worker reads in what was sealed, and we do not.
            return Err(if proof.opened {
                Ended::Stranger(Reason::UnreadableRequest)
            } else {
                Ended::Breach("a wish that is not the one signed")
            });
        }
        if proof.left_out {
            return Err(Ended::Breach("an addressing header that was signed and left out"));
        }
        self.tolerated([
            (proof.to_absent, "to-absent"),
            (proof.enveloped_transform, "enveloped-transform"),
            (proof.unsigned_addressing, "unsigned-addressing"),
            (proof.rsa_sha1, "rsa-sha1"),
            (proof.reference_sha1, "reference-sha1"),
        ]);
        Ok(if proof.wish.is_some() { RequestIntegrity::Signed } else { RequestIntegrity::Transport })
    }

    /// Counts leniencies, where somebody needed them.
    pub(super) fn tolerated<const N: usize>(&self, leniencies: [(bool, &str); N]) {
        for (_, name) in leniencies.into_iter().filter(|(needed, _)| *needed) {
            self.gauges.leniencies.with_label_values(&[name]).inc();
        }
    }

    /// A registered certificate is looked for first. Of another one an authority is asked only when the signature
    /// holds, so that nobody has paths built who has no key, and before anything that was signed is parsed.
    pub(super) async fn signer<'a, 'm>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        message: Admitted<'m>,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Signer<'a, 'm>, Reason> {
        let (key, brought) = issued::apart(message.key()).ok_or(Reason::UnknownCertificate)?;
        let registered = config.users.signers(&key, now);
        if !registered.is_empty() {
            let (mut refused, mut uncovered) = (None, None);
            for (account, certificate) in registered {
                let signed = match signature::verify(certificate, message, now) {
                    Ok(signed) => signed,
                    Err(reason) => {
                        refused.get_or_insert(reason);
                        continue;
                    }
                };
                match read(account, signed, rules) {
                    Ok(verified) => {
                        let (authority, certificate) = (None, Cow::Borrowed(certificate));
                        return Ok(Signer { account, authority, certificate, verified });
                    }
                    // Of a certificate that is only named another one for the key may be what was covered.
                    Err(why) => _ = uncovered.get_or_insert(why),
                }
            }
            let refused = refused.unwrap_or(Reason::UnknownCertificate);
            return Err(uncovered.map_or(refused, |why| self.not_proven(asked.correlation, &why)));
        }
        let certificate = issued::presented(config, &key).ok_or(Reason::UnknownCertificate)?;
        let signed = signature::verify(&certificate, message, now)?;
        let (account, authority) = self.issued(config, &certificate, &brought, asked).await?;
        let verified = read(account, signed, rules).map_err(|why| self.not_proven(asked.correlation, &why))?;
        Ok(Signer { account, authority: Some(authority), certificate: Cow::Owned(certificate), verified })
    }

    /// The account that a certificate means, which nobody registered. Where responders are to be asked whether it was
    /// taken back, or one that it is below, they are asked first, and no longer than a while, where there is a place to
    /// wait in.
    pub(super) async fn issued<'a>(
        &self,
        config: &'a Auth,
        certificate: &Certificate,
        brought: &[CertificateDer<'_>],
        asked: &Asked<'_>,
    ) -> Result<(&'a Account, &'a Authority), Reason> {
        let deadline = Instant::now() + WAIT;
        let (mut rounds, mut last, mut place) = (0, None, None::<ocsp::Place>);
        loop {
            let known = (&self.desks, &self.known, last);
            let refused = match issued::account(config, known, certificate, brought, Millis::now()) {
                Ok(account) => return Ok(account),
                Err(refused) if last.is_some() || refused.ask.is_empty() => {
                    return Err(self.not_issued(asked.correlation, &refused));
                }
                Err(refused) => refused,
            };
            // All that is to be asked at one time is to be asked at one desk.
            let from = (asked.worker, asked.source);
            let under_way = config.limits.in_flight_per_worker;
            place = refused.ask.first().and_then(|(desk, _)| {
                place.filter(|place| place.is_for(desk)).or_else(|| self.desks.place(from, desk, under_way))
            });
            rounds += 1;
            let put = || refused.ask.iter().map(|(desk, question)| desk.put(question)).collect::<Option<Vec<_>>>();
            // That nobody could be asked is our fault and not a responder's, and whoever wants a list to be enough
            // could see to it: he comes back.
            let Some(put) = place.as_ref().and_then(|_| put()) else {
                let why = "as many wait for responders as may, of all, of its network or of its authority".to_owned();
                return Err(self.not_issued(asked.correlation, &issued::Refused { why, ..refused }));
            };
            let all_over = async {
                for mut flight in put {
                    // It ends, and says nothing before.
                    let _over = flight.changed().await;
                }
            };
            let _late = tokio::time::timeout_at(deadline.into(), all_over).await;
            last = (rounds == MOST_ROUNDS || Instant::now() >= deadline)
                .then_some("it had no turn, or is not over, after as long as a request waits");
        }
    }

    /// Says what was wrong with a certificate: the word alone does not tell an operator which file to look at.
    pub(super) fn not_issued(&self, correlation: Correlation, refused: &issued::Refused<'_>) -> Reason {
        let issued::Refused { reason, authority, why, .. } = refused;
        if let Some(left_out) = self.certificates.pass() {
            let authority = authority.map_or("-", |authority| authority.name.as_str());
            let (reason, why) = (reason.word(), &why[..why.floor_char_boundary(256)]);
            warn!(correlation = %correlation, event = "certificate-refused", authority, reason, why, left_out);
        }
        *reason
    }

    /// Says what was wrong with a message whose signature holds: its signer asks which part it was.
    pub(super) fn not_proven(&self, correlation: Correlation, unproven: &Unproven) -> Reason {
        let Unproven { reason, why } = unproven;
        if !why.is_empty()
            && let Some(left_out) = self.signatures.pass()
        {
            warn!(correlation = %correlation, event = "signature-refused", reason = reason.word(), why, left_out);
        }
        *reason
    }

    /// May this account be served now? Then it has had that.
    pub(super) fn pace(&self, config: &Auth, account: &Account, asked: &Asked<'_>) -> Result<(), Ended> {
        let request = (asked.source, asked.correlation);
        self.excess.admit(&config.throttle, &account.name, request, Instant::now()).map_err(Ended::Known)
    }

    /// Could it be served? It is not known yet that it is he who asks. Keep what is given until it has been paced.
    pub(super) fn has_room(&self, config: &Auth, account: &Account, asked: &Asked<'_>) -> Result<Coming<'_>, Reason> {
        let request = (asked.source, asked.correlation);
        self.excess.would_admit(&config.throttle, &account.name, request, Instant::now())
    }

    /// Whose digest it is, when it is fresh and was not here before. Freshness is judged before it is looked whose it
    /// is, so that nobody learns from an old digest whether it was right. A replay stays paid for: it is no proof
    /// that the user is where it comes from.
    async fn digested<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        digest: &PasswordDigest,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.digest {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let now = Millis::now();
        let made = digest::made(digest).map_err(Ended::Stranger)?;
        timestamp::judge_once(&config.timestamp, made, now).map_err(Ended::Stranger)?;
        let from = (asked.worker, asked.source);
        let charge = self.passwords.charge(&config.throttle, &digest.username, from);
        let charge = charge.map_err(|_| Ended::Stranger(Reason::Throttled))?;
        let account = digest::verify(&config.users, digest).map_err(Ended::Stranger)?;
        let room = self.has_room(config, account, asked);
        let first = match &room {
            Ok(_room) => {
                self.first_seen(Kind::PasswordNonce, &digest::once(account, digest), timestamp::until(now)).await
            }
            Err(reason) => Err(*reason),
        };
        match first {
            Ok(()) => self.passwords.right(&config.throttle, charge),
            Err(Reason::NoStore | Reason::Excess) => self.passwords.refund(&config.throttle, charge),
            Err(_) => {}
        }
        match first {
            Ok(()) => self.pace(config, account, asked).map(|()| Known::by_word(Who::Listed(account), Method::Digest)),
            Err(Reason::Excess) => Err(Ended::Known(Reason::Excess)),
            Err(reason) => Err(Ended::Stranger(reason)),
        }
    }

    /// Remembers a value that may be used once.
    pub(super) async fn first_seen(&self, kind: Kind, value: &[u8; 32], until: Millis) -> Result<(), Reason> {
        first(self.store()?.first_seen(kind, value, until).await)
    }

    /// The same of one that may fill the store so far and no further.
    pub(super) async fn first_seen_within(
        &self,
        room: Room,
        kind: Kind,
        value: &[u8; 32],
        until: Millis,
    ) -> Result<(), Reason> {
        first(self.store()?.first_seen_within(room, kind, value, until).await)
    }

    fn store(&self) -> Result<&Store, Reason> {
        self.store.as_ref().ok_or(Reason::NoStore)
    }

    /// Counts a credential by what became of it.
    pub(super) fn count(&self, credential: &'static str, refused: Option<Reason>) {
        let outcome = match refused {
            None => "accepted",
            Some(Reason::Throttled) => "throttled",
            Some(
                Reason::QueueFull
                | Reason::NoStore
                | Reason::Excess
                | Reason::DirectoryDown
                | Reason::KerberosDown
                | Reason::NotConfirmed
                | Reason::UnconfirmedHandshake,
            ) => "busy",
            Some(_) => "refused",
        };
        self.gauges.authentications.with_label_values(&[&format!("{credential}-{outcome}")]).inc();
    }
}

fn first(seen: Result<bool, Down>) -> Result<(), Reason> {
    match seen {
        Ok(true) => Ok(()),
        Ok(false) => Err(Reason::Replayed),
        Err(Down) => Err(Reason::NoStore),
    }
}
