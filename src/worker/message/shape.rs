//! What has to be remembered of a request to answer it: versions, what to echo, and whose byte rules to keep.

use super::certified::{Certified, Unsigned};
use super::fault::Fault;
use super::not_understood::Named;
use super::opened::Were;
use super::protected::{Keyed, Protected};
use super::rejection::Problem;
use super::{Leniency, Reply, protected, reply};
use crate::config::worker::{Endpoint, Profile, Trust as Versions};
use crate::trust::identifiers::{Asked, Trust};
use crate::wire::evidence::KeyType;
use crate::wire::order::Release;
use crate::wire::reply::ReplyPart;
use crate::wire::{Correlation, Millis};
use crate::xml::names;

/// Octets of a client's message id that are logged; `urn:uuid:` and a UUID are 45.
const LOGGED: usize = 128;

/// Versions of SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Soap {
    V11,
    V12,
}

impl Soap {
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::V11 => names::SOAP11,
            Self::V12 => names::SOAP12,
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml; charset=utf-8",
            Self::V12 => "application/soap+xml; charset=utf-8",
        }
    }
}

/// Versions of WS-Addressing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressing {
    W3c,
    Submission,
}

impl Addressing {
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::W3c => names::WSA,
            Self::Submission => names::WSA04,
        }
    }
}

/// How to answer one request (R-T003, R-T004).
#[derive(Debug, Clone)]
pub struct Shape {
    pub(super) profile: Profile,
    pub(super) soap: Soap,
    /// `None` when the request had no addressing headers.
    pub(super) addressing: Option<Addressing>,
    pub(super) message_id: Option<String>,
    /// From a header spelled wrong: good enough to be found in the log by, and not echoed (R-T151).
    pub(super) misspelt_id: Option<String>,
    pub(super) trust: Trust,
    /// `wst:RequestSecurityToken/@Context`.
    pub(super) context: Option<String>,
    /// The token type the client named, with its own spelling.
    pub(super) asked: Option<Asked>,
    pub(super) applies_to: Option<String>,
    pub(super) key_type: KeyType,
    pub(super) timestamp: bool,
    /// How an answer is put under a MAC, where the request was.
    pub(super) keyed: Option<Box<Keyed>>,
    /// How it is signed, where the request was and answers are here.
    pub(super) certified: Option<Box<Certified>>,
    /// The headers for which it is refused.
    pub(super) not_understood: Vec<Named>,
    leniencies: Vec<Leniency>,
}

impl Shape {
    /// What may be assumed before the message was read.
    pub(super) fn new(endpoint: &Endpoint, content_type: Option<&str>) -> Self {
        let soap = match (content_type, endpoint.profile) {
            (Some(text), _) if text.trim_start().to_ascii_lowercase().starts_with("text/xml") => Soap::V11,
            _ => Soap::V12,
        };
        Self {
            profile: endpoint.profile,
            soap,
            addressing: None,
            message_id: None,
            misspelt_id: None,
            trust: if endpoint.trust == Versions::V2005 { Trust::V2005 } else { Trust::V13 },
            context: None,
            asked: None,
            applies_to: None,
            key_type: KeyType::Bearer,
            timestamp: false,
            keyed: None,
            certified: None,
            not_understood: Vec::new(),
            leniencies: Vec::new(),
        }
    }

    /// Notes a client bug, or refuses it when the endpoint does not tolerate it.
    pub(super) fn tolerate(
        &mut self,
        endpoint: &Endpoint,
        leniency: Leniency,
        otherwise: Problem,
    ) -> Result<(), Problem> {
        if !endpoint.tolerates(leniency) {
            return Err(otherwise);
        }
        self.note(leniency);
        Ok(())
    }

    /// Notes something that the standards let pass and we count all the same.
    pub(super) fn note(&mut self, leniency: Leniency) {
        if !self.leniencies.contains(&leniency) {
            self.leniencies.push(leniency);
        }
    }

    /// What the client called its message, cut for the log.
    pub(in crate::worker) fn logged_id(&self) -> Option<&str> {
        let id = self.message_id.as_deref().or(self.misspelt_id.as_deref())?;
        Some(&id[..id.floor_char_boundary(LOGGED)])
    }

    /// The client bugs that were tolerated, each once, for their counters.
    #[must_use]
    pub fn leniencies(&self) -> &[Leniency] {
        &self.leniencies
    }

    /// The answer that carries a token.
    #[must_use]
    pub fn released(&self, release: &Release, now: Millis) -> Reply {
        reply::released(self, release, now)
    }

    /// The answer that carries a token, to be put under a MAC; none where the request was under none.
    ///
    /// # Errors
    /// [`protected::Unanswerable`].
    pub fn protected(&self, release: &Release, now: Millis) -> Option<Result<Protected, protected::Unanswerable>> {
        let keyed = self.keyed.as_ref()?;
        Some(Protected::of(keyed, &self.released(release, now)))
    }

    /// The answer that carries a token, to be signed; none where no answer is.
    ///
    /// # Errors
    /// [`protected::Unanswerable`].
    pub fn certified(&self, release: &Release, now: Millis) -> Option<Result<Unsigned, protected::Unanswerable>> {
        let certified = self.certified.as_ref()?;
        Some(Unsigned::of(certified, &self.released(release, now)))
    }

    /// The same without a MAC or a signature.
    pub(super) fn plain(&self) -> Self {
        Self { keyed: None, certified: None, ..self.clone() }
    }

    /// The id of a part, where anything covers it.
    pub(super) fn id(&self, part: ReplyPart) -> Option<&'static str> {
        (self.keyed.is_some() || self.certified.is_some()).then(|| part.id())
    }

    /// The MAC or the signature that the answer repeats (R-W044).
    pub(super) fn confirmed(&self) -> Option<&Vec<u8>> {
        match (&self.keyed, &self.certified) {
            (Some(keyed), _) => keyed.confirmed.as_ref(),
            (None, Some(certified)) => certified.confirmed.as_ref(),
            (None, None) => None,
        }
    }

    /// Says what of the request was sealed.
    pub(super) fn were_sealed(&mut self, were: Were) {
        if let Some(keyed) = &mut self.keyed {
            keyed.were = were;
        }
        if let Some(certified) = &mut self.certified {
            certified.were = were;
        }
    }

    /// The answer that carries none.
    #[must_use]
    pub fn fault(&self, fault: Fault, correlation: Correlation, now: Millis) -> Reply {
        reply::fault(self, fault, correlation, now)
    }
}
