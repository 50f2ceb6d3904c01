//! An answer that goes under a MAC, and is sealed as its request was. The answer is written as any other; here its
//! parts are digested, and what auth has signed and sealed is put where it belongs. No key comes here, and nothing is
//! decided.

use std::ops::Range;

use base64ct::{Base64, Encoding};

use super::Reply;
use super::opened::Were;
use super::written::{SEALED_IDS, Span, Written};
use crate::trust::identifiers::{ENCRYPTED_KEY, ENCRYPTED_KEY_SHA1};
use crate::trust::username::BASE64;
use crate::wire::reply::{Conversation, DERIVED_IDS, DerivedKey, ReplyPart, Seal, SealedReply};
use crate::wire::unwrap::PartCipher;
use crate::wire::{Correlation, List, Secret};
use crate::xml::{Writer, names};

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
    written: Written,
}

impl Protected {
    pub(super) fn of(keyed: &Keyed, reply: &Reply) -> Result<Self, Unanswerable> {
        Ok(Self { keyed: keyed.clone(), written: Written::read(reply, ReplyPart::id)? })
    }

    /// What auth is asked.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn question(&self, correlation: Correlation) -> Result<Seal, Unanswerable> {
        let text = |span: Range<usize>| Secret::new(self.written.source.as_bytes().get(span)?).ok();
        let contents = self.sealed().into_iter().map(|(_, _, span)| text(span)).collect::<Option<Vec<_>>>();
        Ok(Seal {
            correlation,
            parts: List::new(self.written.parts.clone()).map_err(|_| Unanswerable)?,
            conversation: self.keyed.conversation,
            contents: contents.and_then(|contents| List::new(contents).ok()).ok_or(Unanswerable)?,
            signature: self.keyed.were.signature,
        })
    }

    /// What is sealed besides the signature.
    fn sealed(&self) -> Vec<Span> {
        self.written.sealed(self.keyed.were.body, self.keyed.were.signature)
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
        let (keys, end) = (self.written.keys, self.written.end);
        let mut pieces = vec![(keys..keys, self.told(sealed, &ids)), (end..end, signature)];
        for ((id, kind, span), octets) in spans.into_iter().zip(sealed.contents.iter()) {
            pieces.push((span, self.data(id, kind, octets, sealed)?));
        }
        self.written.with(pieces)
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
