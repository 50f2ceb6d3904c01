//! A client with a session key. What the MAC covers is written in canonical form, so that it can stand in the message
//! as it was digested.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64ct::{Base64, Encoding};
use chancery::auth::derive::derived;
use chancery::wire::Millis;
use chancery::wire::derivation::Derivation;
use chancery::wire::evidence::MacAlgorithm;
use chancery::xml::names;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::support::keyed;
use crate::support::signed::Part;

pub(crate) const ADDRESS: &str = "https://sts.example.com/symmetric";
const WSS: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";
const WSS11: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1";
/// Nonces, each as its one octet.
const SIGN: u8 = 1;
const SEAL: u8 = 2;
const GCM: [(&str, &Algorithm, usize); 3] =
    [("aes128-gcm", &AES_128_GCM, 16), ("aes192-gcm", &AES_192_GCM, 24), ("aes256-gcm", &AES_256_GCM, 32)];

/// What is sealed besides the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealing {
    Nothing,
    Token,
    Body,
    /// Token, signature and body.
    Both,
}

impl Sealing {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Token, Self::Body, Self::Both];
}

/// How the signature names the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Direct,
    Sha1,
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) certificate: Vec<u8>,
    pub(crate) password: String,
    pub(crate) session: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
    /// What the MAC is made with.
    pub(crate) by: Vec<u8>,
    pub(crate) algorithm: MacAlgorithm,
    pub(crate) form: Form,
    /// Are keys derived, and in which namespace?
    pub(crate) derives: Option<&'static str>,
    pub(crate) covered: Vec<&'static str>,
}

fn random(length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    getrandom::fill(&mut octets).unwrap();
    octets
}

impl Client {
    pub(crate) fn new(certificate: &[u8], password: &str, length: usize) -> Self {
        let client = Self {
            certificate: certificate.to_vec(),
            password: password.to_owned(),
            session: random(length),
            sealed: Vec::new(),
            by: Vec::new(),
            algorithm: MacAlgorithm::HmacSha256,
            form: Form::Direct,
            derives: None,
            covered: vec!["t", "to", "b", "ut", "m", "Action"],
        };
        client.sealed_anew()
    }

    /// With another session key.
    pub(crate) fn sealed_anew(&self) -> Self {
        let session = random(self.session.len());
        let (_, certificate) = X509Certificate::from_der(&self.certificate).unwrap();
        let public = PublicEncryptingKey::from_der(certificate.public_key().raw).unwrap();
        let key = OaepPublicEncryptingKey::new(public).unwrap();
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(&OAEP_SHA1_MGF1SHA1, &session, &mut sealed, None).unwrap();
        Self { by: session.clone(), session, sealed, ..self.clone() }
    }

    pub(crate) fn token(&self) -> String {
        keyed::username("alice", &self.password).octets
    }

    fn parts(&self) -> Vec<Part> {
        let now = Millis::now();
        let body = Part::body("https://rp.example.com/", "");
        let token = keyed::username("alice", &self.password);
        let at = Part::timestamp(now, Some(now.plus(300_000)));
        vec![at, Part::to(ADDRESS), body, token, Part::message_id(), Part::action()]
    }

    fn key(&self, list: &[&str]) -> String {
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.certificate);
        let list: String = list.iter().map(|id| format!("<x:DataReference URI='#{id}'/>")).collect();
        let list = if list.is_empty() { list } else { format!("<x:ReferenceList>{list}</x:ReferenceList>") };
        format!(
            "<x:EncryptedKey Id='ek' xmlns:x='{}' xmlns:ds='{}'><x:EncryptionMethod \
             Algorithm='http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'/><ds:KeyInfo>{}</ds:KeyInfo><x:CipherData>\
             <x:CipherValue>{}</x:CipherValue></x:CipherData>{list}</x:EncryptedKey>",
            names::XENC,
            names::DS,
            identifier(&format!("{WSS11}#ThumbprintSHA1"), sha1.as_ref()),
            Base64::encode_string(&self.sealed)
        )
    }

    /// In canonical form: a MAC may cover it as it is.
    pub(crate) fn data(&self, id: &str, kind: &str, plain: &str) -> String {
        let (name, algorithm, _) = GCM.into_iter().find(|(.., length)| *length == self.session.len()).unwrap();
        let nonce: [u8; 12] = random(12).try_into().unwrap();
        let derived = self.derives.map(|_| derived(&self.session, &self.derivation(SEAL, self.session.len())));
        let secret = derived.as_ref().map_or(&self.session[..], |key| key);
        let key = LessSafeKey::new(UnboundKey::new(algorithm, secret).unwrap());
        let (mut octets, xenc) = (plain.as_bytes().to_vec(), names::XENC);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut octets).unwrap();
        format!(
            "<x:EncryptedData xmlns:x=\"{xenc}\" Id=\"{id}\" Type=\"{xenc}{kind}\"><x:EncryptionMethod \
             Algorithm=\"http://www.w3.org/2009/xmlenc11#{name}\"></x:EncryptionMethod><ds:KeyInfo xmlns:ds=\"{}\">\
             <o:SecurityTokenReference xmlns:o=\"{}\"><o:Reference URI=\"#{}\"></o:Reference></o:SecurityTokenReference>\
             </ds:KeyInfo><x:CipherData><x:CipherValue>{}</x:CipherValue></x:CipherData></x:EncryptedData>",
            names::DS,
            names::WSSE,
            if self.derives.is_some() { "dk-e" } else { "ek" },
            Base64::encode_string(&[&nonce[..], &octets].concat())
        )
    }

    fn signature(&self, parts: &[Part]) -> String {
        let covered: Vec<Part> = parts.iter().filter(|part| self.covered.contains(&part.id)).cloned().collect();
        let info = keyed::signed_info(self.algorithm, &covered);
        let derived = self.derives.map(|_| derived(&self.by, &self.derivation(SIGN, 24)));
        let secret = derived.as_ref().map_or(&self.by[..], |key| key);
        let key = hmac::Key::new(keyed::algorithm(self.algorithm).1, secret);
        let value = Base64::encode_string(hmac::sign(&key, info.as_bytes()).as_ref());
        let named = match self.form {
            _ if self.derives.is_some() => {
                "<o:SecurityTokenReference><o:Reference URI='#dk-s'/></o:SecurityTokenReference>".to_owned()
            }
            Form::Direct => format!(
                "<o:SecurityTokenReference><o:Reference URI='#ek' ValueType='{WSS11}#EncryptedKey'/>\
                 </o:SecurityTokenReference>"
            ),
            Form::Sha1 => self.by_sha1(),
        };
        format!(
            "<ds:Signature xmlns:ds='{}'>{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>{named}\
             </ds:KeyInfo></ds:Signature>",
            names::DS
        )
    }

    /// A message with this in its header.
    pub(crate) fn envelope(&self, key: &str, token: &str, signature: &str) -> String {
        let parts = self.parts();
        self.around(&parts, key, token, signature, &parts[2].octets)
    }

    fn around(&self, parts: &[Part], key: &str, token: &str, signature: &str, body: &str) -> String {
        format!(
            "<s:Envelope xmlns:s='{}' xmlns:a='{}' xmlns:o='{}' xmlns:u='{}'><s:Header>{}{}{}\
             <o:Security s:mustUnderstand='1'>{}{key}{token}{signature}</o:Security></s:Header>{body}</s:Envelope>",
            names::SOAP12,
            names::WSA,
            names::WSSE,
            names::WSU,
            parts[5].octets,
            parts[1].octets,
            parts[4].octets,
            parts[0].octets
        )
    }

    pub(crate) fn message(&self, sealing: Sealing) -> String {
        let parts = self.parts();
        let (mut token, mut signature, mut body) =
            (parts[3].octets.clone(), self.signature(&parts), parts[2].octets.clone());
        let mut list = Vec::new();
        if matches!(sealing, Sealing::Token | Sealing::Both) {
            token = self.data("ed-t", "Element", &token);
            list.push("ed-t");
        }
        if matches!(sealing, Sealing::Body | Sealing::Both) {
            body = self.body(&body, str::to_owned);
            list.push("ed-b");
        }
        if sealing == Sealing::Both {
            signature = self.data("ed-s", "Element", &signature);
            list.push("ed-s");
        }
        self.around(&parts, &format!("{}{}", self.key(&list), self.tokens()), &token, &signature, &body)
    }

    /// A body that is sealed, as somebody made of it what is in it.
    pub(crate) fn body(&self, body: &str, made: impl FnOnce(&str) -> String) -> String {
        let (from, to) = (body.find("<t:").unwrap(), body.rfind("</s:Body>").unwrap());
        [&body[..from], &self.data("ed-b", "Content", &made(&body[from..to])), &body[to..]].concat()
    }

    /// A message whose body is sealed before the MAC is made, of what somebody makes of it; token and signature, of
    /// which somebody makes something, too, are sealed after that, where they are.
    pub(crate) fn first(
        &self,
        after: bool,
        body: impl FnOnce(&str) -> String,
        signature: impl FnOnce(String) -> String,
    ) -> Pieces {
        let mut parts = self.parts();
        let plain = parts[2].octets.clone();
        parts[2].octets = self.body(&plain, body);
        let (mut token, mut signature) = (parts[3].octets.clone(), signature(self.signature(&parts)));
        let mut key = format!("{}{}", self.key(&["ed-b"]), self.tokens());
        if after {
            (token, signature) = (self.data("ed-t", "Element", &token), self.data("ed-s", "Element", &signature));
            key += &list(&["ed-t", "ed-s"]);
        }
        Pieces { body: parts[2].octets.clone(), plain, parts, key, token, signature, headers: String::new() }
    }

    /// A message whose token is sealed before the MAC is made, of what somebody makes of it, and so is the body where
    /// it is; the signature is after that, where it is.
    pub(crate) fn token_first(&self, body: bool, after: bool, made: impl FnOnce(&str) -> String) -> Pieces {
        let mut parts = self.parts();
        let (plain, mut ids) = (parts[2].octets.clone(), vec!["ed-t"]);
        parts[3] = Part { id: "ed-t", octets: self.data("ed-t", "Element", &made(&parts[3].octets)) };
        if body {
            parts[2].octets = self.body(&plain, str::to_owned);
            ids.push("ed-b");
        }
        let covering = Self { covered: [&self.covered[..], &["ed-t"]].concat(), ..self.clone() };
        let mut signature = covering.signature(&parts);
        let mut key = format!("{}{}", self.key(&ids), self.tokens());
        if after {
            signature = self.data("ed-s", "Element", &signature);
            key += &list(&["ed-s"]);
        }
        let (token, body) = (parts[3].octets.clone(), parts[2].octets.clone());
        Pieces { body, plain, parts, key, token, signature, headers: String::new() }
    }

    pub(crate) fn text(&self, pieces: &Pieces) -> String {
        let Pieces { parts, key, token, signature, body, headers, .. } = pieces;
        let text = self.around(parts, key, token, signature, body);
        text.replacen("<o:Security ", &format!("{headers}<o:Security "), 1)
    }

    fn derivation(&self, nonce: u8, length: usize) -> Derivation {
        Derivation::new(None, [nonce; 16], 0, length.try_into().unwrap()).unwrap()
    }

    /// The tokens of derived keys.
    fn tokens(&self) -> String {
        let Some(namespace) = self.derives else { return String::new() };
        let token = |id: &str, nonce: u8, length: usize| {
            let source = match self.form {
                Form::Direct => {
                    "<o:SecurityTokenReference><o:Reference URI='#ek'/></o:SecurityTokenReference>".to_owned()
                }
                Form::Sha1 => self.by_sha1(),
            };
            format!(
                "<c:DerivedKeyToken xmlns:c='{namespace}' u:Id='{id}'>{source}<c:Offset>0</c:Offset>\
                 <c:Length>{length}</c:Length><c:Nonce>{}</c:Nonce></c:DerivedKeyToken>",
                Base64::encode_string(&[nonce; 16])
            )
        };
        token("dk-s", SIGN, 24) + &token("dk-e", SEAL, self.session.len())
    }

    fn by_sha1(&self) -> String {
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.sealed);
        identifier(&format!("{WSS11}#EncryptedKeySHA1"), sha1.as_ref())
    }
}

/// A message in its pieces, each of which whoever it passes may change.
pub(crate) struct Pieces {
    pub(crate) parts: Vec<Part>,
    /// Before it was sealed.
    pub(crate) plain: String,
    pub(crate) key: String,
    pub(crate) token: String,
    pub(crate) signature: String,
    pub(crate) body: String,
    /// More blocks of the header.
    pub(crate) headers: String,
}

/// A list of what is sealed, beside the key.
pub(crate) fn list(ids: &[&str]) -> String {
    let ids: String = ids.iter().map(|id| format!("<x:DataReference URI='#{id}'/>")).collect();
    format!("<x:ReferenceList xmlns:x='{}'>{ids}</x:ReferenceList>", names::XENC)
}

fn identifier(kind: &str, octets: &[u8]) -> String {
    format!(
        "<o:SecurityTokenReference xmlns:o='{}'><o:KeyIdentifier ValueType='{kind}' \
         EncodingType='{WSS}-soap-message-security-1.0#Base64Binary'>{}</o:KeyIdentifier></o:SecurityTokenReference>",
        names::WSSE,
        Base64::encode_string(octets)
    )
}
