//! An answer that is signed by our key for answers, where a certificate's key signed the request. The answer is written as
//! any other; here its parts are digested, and what issuer has signed is put where it belongs.

use super::Reply;
use super::protected::{LARGEST, Unanswerable, covered};
use crate::wire::reply::{Covered, ReplyPart, SignedReply, ToSign};
use crate::wire::{Correlation, List};
use crate::xml::{Ids, Limits, Tree};

/// How a request was signed, as far as its answer shows it.
#[derive(Debug, Clone)]
pub(super) struct Certified {
    /// The signature, where the answer has to repeat it (R-W044).
    pub(super) confirmed: Option<Vec<u8>>,
}

/// An answer before it is signed.
#[derive(Debug)]
pub struct Unsigned {
    reply: Reply,
    source: String,
    /// Behind the timestamp, for a certificate comes before what refers to it (BSP R5205).
    certificate: usize,
    /// Where the signature goes.
    end: usize,
    parts: Vec<Covered>,
}

impl Unsigned {
    pub(super) fn of(reply: &Reply) -> Result<Self, Unanswerable> {
        let source = String::from_utf8(reply.body.clone()).map_err(|_| Unanswerable)?;
        let limits = Limits { octets: LARGEST, nodes: LARGEST, value: LARGEST, ..Limits::default() };
        let tree = Tree::parse(source.as_bytes(), &limits).map_err(|_| Unanswerable)?;
        let ids = Ids::of(&tree).map_err(|_| Unanswerable)?;
        let parts = covered(&ids, ReplyPart::signed_id)?;
        let timestamp = ids.element(ReplyPart::Timestamp.signed_id()).ok_or(Unanswerable)?;
        let security = timestamp.parent().ok_or(Unanswerable)?.span();
        let closing = source.get(security.clone()).and_then(|text| text.rfind("</")).ok_or(Unanswerable)?;
        let (certificate, end) = (timestamp.span().end, security.start + closing);
        Ok(Self { reply: Reply { body: Vec::new(), ..reply.clone() }, certificate, end, parts, source })
    }

    /// What issuer is asked.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn question(&self, correlation: Correlation) -> Result<ToSign, Unanswerable> {
        Ok(ToSign { correlation, parts: List::new(self.parts.clone()).map_err(|_| Unanswerable)? })
    }

    /// The answer as it leaves.
    ///
    /// # Errors
    /// [`Unanswerable`] where issuer has written what is no text.
    pub fn finished(self, signed: &SignedReply) -> Result<Reply, Unanswerable> {
        let text = |octets| std::str::from_utf8(octets).map_err(|_| Unanswerable);
        let mut body = self.source;
        body.insert_str(self.end, text(&signed.signature)?);
        body.insert_str(self.certificate, text(&signed.certificate)?);
        Ok(Reply { body: body.into_bytes(), ..self.reply })
    }
}
