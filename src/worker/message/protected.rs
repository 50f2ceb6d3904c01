//! An answer that goes under a MAC, and is sealed as its request was. The answer is written as any other; here its parts
//! are digested, and what auth has signed and sealed is put where it belongs. No key comes here, and nothing is decided.

use std::ops::Range;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};

use super::Reply;
use super::sealed::Were;
use crate::trust::identifiers::{ENCRYPTED_KEY, ENCRYPTED_KEY_SHA1};
use crate::trust::username::BASE64;
use crate::wire::reply::{Conversation, Covered, DERIVED_IDS, DerivedKey, ReplyPart, Seal, SealedReply};
use crate::wire::unwrap::PartCipher;
use crate::wire::{Correlation, List, Secret};
use crate::xml::{Element, Ids, Limits, Method, Tree, Writer, names};

/// How a request made its MAC, as far as its answer shows it.
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    /// SHA-1 of what was sealed: the name of the session key (R-W045).
    pub(super) sha1: Vec<u8>,
    /// The version that its keys are derived by.
    pub(super) conversation: Conversation,
    /// The MAC, where the answer has to repeat it (R-W044).
    pub(super) confirmed: Option<Vec<u8>>,
    /// What was sealed.
    pub(super) were: Were,
}

/// Too large for an answer that is covered, or not what we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswerable;

/// An answer before it is signed.
#[derive(Debug)]
pub struct Protected {
    keyed: Keyed,
    reply: Reply,
    source: String,
    /// Behind the timestamp, where keys and what is sealed are told.
    keys: usize,
    confirmation: Option<Range<usize>>,
    /// Where the signature goes.
    end: usize,
    /// What the body holds.
    content: Range<usize>,
    parts: Vec<Covered>,
}

/// Ids of what is sealed: the content of the body, the confirmation, the signature.
pub(super) const SEALED_IDS: [&str; 3] = ["_9", "_10", "_11"];
/// Octets of an answer, at most.
pub(super) const LARGEST: usize = 512 * 1024;

/// The parts there are, by their ids, with the digest of each.
pub(super) fn covered(ids: &Ids<'_>, id: fn(ReplyPart) -> &'static str) -> Result<Vec<Covered>, Unanswerable> {
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

impl Protected {
    pub(super) fn of(keyed: &Keyed, reply: &Reply) -> Result<Self, Unanswerable> {
        let source = String::from_utf8(reply.body.clone()).map_err(|_| Unanswerable)?;
        let limits = Limits { octets: LARGEST, nodes: LARGEST, value: LARGEST, ..Limits::default() };
        let tree = Tree::parse(source.as_bytes(), &limits).map_err(|_| Unanswerable)?;
        let ids = Ids::of(&tree).map_err(|_| Unanswerable)?;
        let parts = covered(&ids, ReplyPart::id)?;
        let element = |part: ReplyPart| ids.element(part.id()).ok_or(Unanswerable);
        let timestamp = element(ReplyPart::Timestamp)?;
        let security = timestamp.parent().ok_or(Unanswerable)?.span();
        let closing = source.get(security.clone()).and_then(|text| text.rfind("</")).ok_or(Unanswerable)?;
        let content = element(ReplyPart::Body)?.children().next().ok_or(Unanswerable)?.span();
        let confirmation = element(ReplyPart::SignatureConfirmation).ok().map(Element::span);
        let (keys, end) = (timestamp.span().end, security.start + closing);
        let reply = Reply { body: Vec::new(), ..reply.clone() };
        Ok(Self { keyed: keyed.clone(), reply, keys, confirmation, end, content, parts, source })
    }

    /// What auth is asked.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn question(&self, correlation: Correlation) -> Result<Seal, Unanswerable> {
        let text = |span: Range<usize>| Secret::new(self.source.as_bytes().get(span)?).ok();
        let contents = self.sealed().into_iter().map(|(_, _, span)| text(span)).collect::<Option<Vec<_>>>();
        Ok(Seal {
            correlation,
            parts: List::new(self.parts.clone()).map_err(|_| Unanswerable)?,
            conversation: self.keyed.conversation,
            contents: contents.and_then(|contents| List::new(contents).ok()).ok_or(Unanswerable)?,
            signature: self.keyed.were.signature,
        })
    }

    /// What is sealed besides the signature: its id, what of an element it is, and where it stands. A confirmation is
    /// where the signature is, for it repeats one (R-W044).
    fn sealed(&self) -> Vec<(&'static str, &'static str, Range<usize>)> {
        let confirmation = self.confirmation.clone().filter(|_| self.keyed.were.signature);
        let confirmation = confirmation.map(|span| (SEALED_IDS[1], "Element", span));
        let content = self.keyed.were.body.then(|| (SEALED_IDS[0], "Content", self.content.clone()));
        confirmation.into_iter().chain(content).collect()
    }

    /// The answer as it leaves.
    ///
    /// # Errors
    /// [`Unanswerable`] where auth has not sealed what was asked.
    pub fn finished(self, sealed: &SealedReply) -> Result<Reply, Unanswerable> {
        let spans = self.sealed();
        if spans.len() != sealed.contents.len() {
            return Err(Unanswerable);
        }
        let mut ids: Vec<&str> = spans.iter().map(|(id, ..)| *id).collect();
        let signature = if self.keyed.were.signature {
            ids.push(SEALED_IDS[2]);
            self.data(SEALED_IDS[2], "Element", &sealed.signature, sealed)?
        } else {
            String::from_utf8(sealed.signature.to_vec()).map_err(|_| Unanswerable)?
        };
        let mut pieces = vec![(self.keys..self.keys, self.told(sealed, &ids)), (self.end..self.end, signature)];
        for ((id, kind, span), octets) in spans.into_iter().zip(sealed.contents.iter()) {
            pieces.push((span, self.data(id, kind, octets, sealed)?));
        }
        Ok(Reply { body: spliced(&self.source, pieces)?, ..self.reply })
    }

    /// Derived keys, and the list of what is sealed.
    fn told(&self, sealed: &SealedReply, ids: &[&str]) -> String {
        let mut text = String::new();
        for (id, key) in DERIVED_IDS.into_iter().zip([&sealed.mac_key, &sealed.sealing_key]) {
            if let Some(key) = key {
                text.push_str(&self.derived(id, key));
            }
        }
        if !ids.is_empty() {
            let mut writer = Writer::for_envelope();
            writer.open("xenc:ReferenceList").namespace("xenc", names::XENC);
            for id in ids {
                writer.open("xenc:DataReference").attribute("URI", &format!("#{id}")).close();
            }
            writer.close();
            text.push_str(&writer.finish());
        }
        text
    }

    fn conversation(&self) -> &'static str {
        match self.keyed.conversation {
            Conversation::V13 => names::WSC13,
            Conversation::V2005 => names::WSC05,
        }
    }

    fn derived(&self, id: &str, key: &DerivedKey) -> String {
        let mut writer = Writer::for_envelope();
        writer.open("wsc:DerivedKeyToken").namespace("wsc", self.conversation());
        writer.namespace("wsu", names::WSU).attribute("wsu:Id", id);
        self.session(&mut writer);
        writer.leaf("wsc:Offset", "0").leaf("wsc:Length", &key.length.to_string());
        writer.leaf("wsc:Nonce", &Base64::encode_string(&key.nonce)).close();
        writer.finish()
    }

    /// `wsse:SecurityTokenReference` to the session key.
    fn session(&self, writer: &mut Writer) {
        writer.open("wsse:SecurityTokenReference").namespace("wsse", names::WSSE).namespace("wsse11", names::WSSE11);
        writer.attribute("wsse11:TokenType", ENCRYPTED_KEY);
        writer.open("wsse:KeyIdentifier").attribute("EncodingType", BASE64);
        writer
            .attribute("ValueType", ENCRYPTED_KEY_SHA1)
            .text(&Base64::encode_string(&self.keyed.sha1))
            .close()
            .close();
    }

    fn data(&self, id: &str, kind: &str, octets: &[u8], sealed: &SealedReply) -> Result<String, Unanswerable> {
        let cipher = sealed.cipher.ok_or(Unanswerable)?;
        Ok(encrypted(id, kind, cipher, octets, |writer| {
            if sealed.sealing_key.is_some() {
                writer.open("wsse:SecurityTokenReference").namespace("wsse", names::WSSE);
                writer.open("wsse:Reference").attribute("URI", &format!("#{}", DERIVED_IDS[1]));
                writer.attribute("ValueType", &format!("{}/dk", self.conversation())).close().close();
            } else {
                self.session(writer);
            }
        }))
    }
}

/// The source with these pieces in the places of those.
pub(super) fn spliced(source: &str, mut pieces: Vec<(Range<usize>, String)>) -> Result<Vec<u8>, Unanswerable> {
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

/// `xenc:EncryptedData`; `key` writes what its `ds:KeyInfo` holds.
pub(super) fn encrypted(
    id: &str,
    kind: &str,
    cipher: PartCipher,
    octets: &[u8],
    key: impl FnOnce(&mut Writer),
) -> String {
    let algorithm = match cipher {
        PartCipher::Aes128Gcm => "http://www.w3.org/2009/xmlenc11#aes128-gcm",
        PartCipher::Aes192Gcm => "http://www.w3.org/2009/xmlenc11#aes192-gcm",
        PartCipher::Aes256Gcm => "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    };
    let mut writer = Writer::for_envelope();
    writer.open("xenc:EncryptedData").namespace("xenc", names::XENC).attribute("Id", id);
    writer.attribute("Type", &format!("{}{kind}", names::XENC));
    writer.open("xenc:EncryptionMethod").attribute("Algorithm", algorithm).close();
    writer.open("ds:KeyInfo").namespace("ds", names::DS);
    key(&mut writer);
    writer.close().open("xenc:CipherData").leaf("xenc:CipherValue", &Base64::encode_string(octets)).close().close();
    writer.finish()
}
