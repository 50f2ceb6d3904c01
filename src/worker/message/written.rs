//! An answer as it was written, before it goes under a signature or a MAC: its parts with their digests, and where what
//! belongs to those is put.

use std::ops::Range;

use aws_lc_rs::digest::{SHA256, digest};

use super::Reply;
use super::protected::Unanswerable;
use crate::wire::reply::{Covered, ReplyPart};
use crate::xml::{Element, Ids, Limits, Method, Tree};

/// Octets of an answer, at most.
const LARGEST: usize = 512 * 1024;
/// Ids of what is sealed: the content of the body, the confirmation, the signature.
pub(super) const SEALED_IDS: [&str; 3] = ["_9", "_10", "_11"];

/// What is sealed of it: its id, what of an element it is, and where it stands.
pub(super) type Span = (&'static str, &'static str, Range<usize>);

/// An answer that was written.
#[derive(Debug)]
pub(super) struct Written {
    /// Without its body.
    reply: Reply,
    /// The body.
    pub(super) source: String,
    /// Behind the timestamp, for a certificate and a key come before what refers to them (BSP R3208, R5205).
    pub(super) keys: usize,
    confirmation: Option<Range<usize>>,
    /// Where the signature goes.
    pub(super) end: usize,
    /// What the body holds.
    content: Range<usize>,
    /// What is covered.
    pub(super) parts: Vec<Covered>,
}

impl Written {
    /// Reads it; `id` is what its parts are called.
    pub(super) fn read(reply: &Reply, id: fn(ReplyPart) -> &'static str) -> Result<Self, Unanswerable> {
        let source = String::from_utf8(reply.body.clone()).map_err(|_| Unanswerable)?;
        let limits = Limits { octets: LARGEST, nodes: LARGEST, value: LARGEST, ..Limits::default() };
        let tree = Tree::parse(source.as_bytes(), &limits).map_err(|_| Unanswerable)?;
        let ids = Ids::of(&tree).map_err(|_| Unanswerable)?;
        let parts = covered(&ids, id)?;
        let element = |part: ReplyPart| ids.element(id(part)).ok_or(Unanswerable);
        let timestamp = element(ReplyPart::Timestamp)?;
        let security = timestamp.parent().ok_or(Unanswerable)?.span();
        let closing = source.get(security.clone()).and_then(|text| text.rfind("</")).ok_or(Unanswerable)?;
        let content = element(ReplyPart::Body)?.children().next().ok_or(Unanswerable)?.span();
        let confirmation = element(ReplyPart::SignatureConfirmation).ok().map(Element::span);
        let (keys, end) = (timestamp.span().end, security.start + closing);
        let reply = Reply { body: Vec::new(), ..reply.clone() };
        Ok(Self { reply, source, keys, confirmation, end, content, parts })
    }

    /// What is sealed besides the signature. A confirmation is where the signature is, for it repeats one (R-W044).
    pub(super) fn sealed(&self, body: bool, signature: bool) -> Vec<Span> {
        let confirmation = self.confirmation.clone().filter(|_| signature);
        let confirmation = confirmation.map(|span| (SEALED_IDS[1], "Element", span));
        let content = body.then(|| (SEALED_IDS[0], "Content", self.content.clone()));
        confirmation.into_iter().chain(content).collect()
    }

    /// The answer as it leaves, with these pieces in the places of those.
    pub(super) fn with(self, pieces: Vec<(Range<usize>, String)>) -> Result<Reply, Unanswerable> {
        Ok(Reply { body: spliced(&self.source, pieces)?, ..self.reply })
    }
}

/// The parts there are, by their ids, with the digest of each.
fn covered(ids: &Ids<'_>, id: fn(ReplyPart) -> &'static str) -> Result<Vec<Covered>, Unanswerable> {
    let mut parts = Vec::new();
    for part in ReplyPart::ALL {
        let Some(element) = ids.element(id(part)) else { continue };
        let octets = element.canonical(&Method::exclusive(), None, LARGEST).map_err(|_| Unanswerable)?;
        let mut covered = Covered { part, digest: [0; 32] };
        covered.digest.copy_from_slice(digest(&SHA256, octets.as_bytes()).as_ref());
        parts.push(covered);
    }
    Ok(parts)
}

fn spliced(source: &str, mut pieces: Vec<(Range<usize>, String)>) -> Result<Vec<u8>, Unanswerable> {
    pieces.sort_by_key(|(span, _)| (span.start, span.end));
    let mut body = String::with_capacity(2 * source.len());
    let mut done = 0;
    for (span, piece) in pieces {
        body.push_str(source.get(done..span.start).ok_or(Unanswerable)?);
        body.push_str(&piece);
        done = span.end;
    }
    body.push_str(source.get(done..).ok_or(Unanswerable)?);
    Ok(body.into_bytes())
}
