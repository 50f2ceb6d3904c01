//! An answer that is signed by our key for answers, where a certificate's key signed the request, and sealed for that
//! certificate where the endpoint says so. The answer is written as any other; here its parts are digested, and what
//! issuer has signed and auth sealed is put where it belongs.

use base64ct::{Base64, Encoding};

use super::Reply;
use super::opened::Were;
use super::protected::{Unanswerable, encrypted};
use super::written::{SEALED_IDS, Span, Written};
use crate::trust::identifiers::{ENCRYPTED_KEY, THUMBPRINT};
use crate::trust::username::BASE64;
use crate::wire::reply::{ReplyPart, SealFor, SealedFor, SignedReply, ToSign};
use crate::wire::unwrap::{KeyTransport, PartCipher};
use crate::wire::{Correlation, List, Secret};
use crate::xml::{Writer, names};

/// The id of the session key.
const KEY_ID: &str = "_12";

/// How a request was signed, as far as its answer shows it.
#[derive(Debug, Clone)]
pub(super) struct Certified {
    /// The signature, where the answer has to repeat it (R-W044).
    pub(super) confirmed: Option<Vec<u8>>,
    /// Is the answer sealed?
    pub(super) seals: bool,
    /// What was sealed, and how: so is the answer.
    pub(super) were: Were,
}

/// An answer before it is signed.
#[derive(Debug)]
pub struct Unsigned {
    certified: Certified,
    written: Written,
}

impl Unsigned {
    pub(super) fn of(certified: &Certified, reply: &Reply) -> Result<Self, Unanswerable> {
        Ok(Self { certified: certified.clone(), written: Written::read(reply, ReplyPart::id)? })
    }

    /// What issuer is asked.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn question(&self, correlation: Correlation) -> Result<ToSign, Unanswerable> {
        Ok(ToSign { correlation, parts: List::new(self.written.parts.clone()).map_err(|_| Unanswerable)? })
    }

    /// The answer with its signature.
    ///
    /// # Errors
    /// [`Unanswerable`] where issuer has written what is no text.
    pub fn signed(self, signed: &SignedReply) -> Result<Signed, Unanswerable> {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).map_err(|_| Unanswerable);
        let (certificate, signature) = (text(&signed.certificate)?, text(&signed.signature)?);
        Ok(Signed { unsigned: self, certificate, signature })
    }
}

/// An answer with its signature, before it leaves or is sealed.
#[derive(Debug)]
pub struct Signed {
    unsigned: Unsigned,
    certificate: String,
    signature: String,
}

impl Signed {
    /// Is it sealed before it leaves?
    #[must_use]
    pub fn seals(&self) -> bool {
        self.unsigned.certified.seals
    }

    /// What auth is asked.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn question(&self, correlation: Correlation) -> Result<SealFor, Unanswerable> {
        let mut contents = Vec::new();
        for (.., span) in self.sealed() {
            contents.push(self.unsigned.written.source.get(span).ok_or(Unanswerable)?);
        }
        if self.seals_signature() {
            contents.push(&self.signature);
        }
        let contents = contents.into_iter().map(|text| Secret::new(text.as_bytes()).ok()).collect::<Option<Vec<_>>>();
        let contents = contents.and_then(|contents| List::new(contents).ok()).ok_or(Unanswerable)?;
        let (transport, cipher) = self.by();
        Ok(SealFor { correlation, transport, cipher, contents })
    }

    /// As the request was sealed; where it was not, in the way that every client knows that has AES-GCM.
    fn by(&self) -> (KeyTransport, PartCipher) {
        self.unsigned.certified.were.by.unwrap_or((KeyTransport::OaepSha1, PartCipher::Aes256Gcm))
    }

    /// The signature is sealed where the request's was.
    fn seals_signature(&self) -> bool {
        self.unsigned.certified.were.signature
    }

    /// What is sealed besides the signature.
    fn sealed(&self) -> Vec<Span> {
        self.unsigned.written.sealed(true, self.seals_signature())
    }

    /// The answer as it leaves, with nothing sealed.
    ///
    /// # Errors
    /// [`Unanswerable`].
    pub fn finished(self) -> Result<Reply, Unanswerable> {
        let written = self.unsigned.written;
        let (keys, end) = (written.keys, written.end);
        written.with(vec![(keys..keys, self.certificate), (end..end, self.signature)])
    }

    /// The answer as it leaves.
    ///
    /// # Errors
    /// [`Unanswerable`] where auth has not sealed what was asked.
    pub fn finished_with(self, sealed: &SealedFor) -> Result<Reply, Unanswerable> {
        let spans = self.sealed();
        let signature = usize::from(self.seals_signature());
        if spans.len() + signature != sealed.contents.len() {
            return Err(Unanswerable);
        }
        let (transport, cipher) = self.by();
        let data = |id, kind, octets: &[u8]| {
            encrypted(id, kind, cipher, octets, |writer| {
                writer.open("wsse:SecurityTokenReference").namespace("wsse", names::WSSE);
                writer.namespace("wsse11", names::WSSE11).attribute("wsse11:TokenType", ENCRYPTED_KEY);
                writer.open("wsse:Reference").attribute("URI", &format!("#{KEY_ID}")).close().close();
            })
        };
        let mut ids: Vec<&str> = spans.iter().map(|(id, ..)| *id).collect();
        let mut pieces = Vec::new();
        let mut octets = sealed.contents.iter();
        for (id, kind, span) in spans {
            pieces.push((span, data(id, kind, octets.next().ok_or(Unanswerable)?)));
        }
        let written = self.unsigned.written;
        let (keys, end) = (written.keys, written.end);
        match octets.next() {
            Some(octets) => {
                ids.push(SEALED_IDS[2]);
                pieces.push((end..end, data(SEALED_IDS[2], "Element", octets)));
            }
            None => pieces.push((end..end, self.signature)),
        }
        pieces.push((keys..keys, self.certificate + &key(transport, sealed, &ids)));
        written.with(pieces)
    }
}

/// `xenc:EncryptedKey` for these.
fn key(transport: KeyTransport, sealed: &SealedFor, ids: &[&str]) -> String {
    let mut writer = Writer::for_envelope();
    writer.open("xenc:EncryptedKey").namespace("xenc", names::XENC).namespace("ds", names::DS).attribute("Id", KEY_ID);
    match transport {
        KeyTransport::OaepSha1 => {
            let algorithm = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
            writer.open("xenc:EncryptionMethod").attribute("Algorithm", algorithm).close();
        }
        KeyTransport::OaepSha256 => {
            let algorithm = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
            writer.open("xenc:EncryptionMethod").attribute("Algorithm", algorithm);
            writer.open("ds:DigestMethod").attribute("Algorithm", "http://www.w3.org/2001/04/xmlenc#sha256").close();
            writer.open("xenc11:MGF").namespace("xenc11", names::XENC11);
            writer.attribute("Algorithm", "http://www.w3.org/2009/xmlenc11#mgf1sha256").close().close();
        }
    }
    writer.open("ds:KeyInfo").open("wsse:SecurityTokenReference").namespace("wsse", names::WSSE);
    writer.open("wsse:KeyIdentifier").attribute("EncodingType", BASE64).attribute("ValueType", THUMBPRINT);
    writer.text(&Base64::encode_string(&sealed.thumbprint)).close().close().close();
    writer.open("xenc:CipherData").leaf("xenc:CipherValue", &Base64::encode_string(&sealed.key)).close();
    writer.open("xenc:ReferenceList");
    for id in ids {
        writer.open("xenc:DataReference").attribute("URI", &format!("#{id}")).close();
    }
    writer.close().close();
    writer.finish()
}
