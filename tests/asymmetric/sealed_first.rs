//! A client that seals its body, and then signs it as it is sealed (EncryptBeforeSigning), and may seal the signature
//! then.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64ct::{Base64, Encoding};
use chancery::wire::Millis;
use chancery::wire::evidence::KeyReference;
use chancery::xml::names;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::house::{ADDRESS, X509};
use crate::support::sealing::{self, By, XENC};
use crate::support::signed::{Client, Part};

const THUMBPRINT: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";

/// A message in its pieces, each of which whoever it passes may change.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) headers: String,
    pub(crate) stamp: String,
    pub(crate) token: String,
    pub(crate) signature: String,
    pub(crate) key: String,
    pub(crate) more: String,
    pub(crate) body: String,
    pub(crate) after: String,
}

impl Message {
    pub(crate) fn text(&self) -> String {
        let Self { headers, stamp, token, signature, key, more, body, after } = self;
        format!(
            "<s:Envelope xmlns:s='{}' xmlns:a='{}' xmlns:o='{}' xmlns:u='{}'><s:Header>{headers}<o:Security s:mustUnderstand='1'>{stamp}{token}{signature}{key}{more}</o:Security></s:Header>{body}\
             {after}</s:Envelope>",
            names::SOAP12,
            names::WSA,
            names::WSSE,
            names::WSU
        )
    }
}

/// A session key, and what it is sealed for.
pub(crate) struct Sealer<'c> {
    /// DER.
    certificate: &'c [u8],
    by: By,
    pub(crate) session: Vec<u8>,
}

impl<'c> Sealer<'c> {
    pub(crate) fn new(certificate: &'c [u8], by: By) -> Self {
        let mut session = vec![0; by.length()];
        getrandom::fill(&mut session).unwrap();
        Self { certificate, by, session }
    }

    /// `xenc:EncryptedKey` for what has the id `ed`.
    pub(crate) fn key(&self) -> String {
        let (_, certificate) = X509Certificate::from_der(self.certificate).unwrap();
        let public = PublicEncryptingKey::from_der(certificate.public_key().raw).unwrap();
        let public = OaepPublicEncryptingKey::new(public).unwrap();
        let mut sealed = vec![0; public.ciphertext_size()];
        public.encrypt(&OAEP_SHA1_MGF1SHA1, &self.session, &mut sealed, None).unwrap();
        let thumbprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, self.certificate);
        format!(
            "<x:EncryptedKey Id='ek' xmlns:x='{XENC}' xmlns:ds='{}'><x:EncryptionMethod Algorithm='{XENC}rsa-oaep-mgf1p'/>\
             <ds:KeyInfo><o:SecurityTokenReference><o:KeyIdentifier ValueType='{THUMBPRINT}'>{}</o:KeyIdentifier>\
             </o:SecurityTokenReference></ds:KeyInfo><x:CipherData><x:CipherValue>{}</x:CipherValue></x:CipherData>\
             <x:ReferenceList><x:DataReference URI='#ed'/></x:ReferenceList></x:EncryptedKey>",
            names::DS,
            Base64::encode_string(thumbprint.as_ref()),
            Base64::encode_string(&sealed)
        )
    }

    /// A body in which this is sealed.
    pub(crate) fn body(&self, plain: &str) -> Part {
        self.body_of(&self.by.seal(&self.session, plain.as_bytes()))
    }

    pub(crate) fn body_of(&self, octets: &[u8]) -> Part {
        sealing::body(&sealing::data(&self.by.algorithm(), octets))
    }

    /// A message of this client's that asks for a token, sealed by this key.
    pub(crate) fn message(&self, client: &Client) -> Message {
        self.around(client, self.body(&plain()))
    }

    /// The same with another body, signed as it is.
    pub(crate) fn around(&self, client: &Client, body: Part) -> Message {
        let now = Millis::now();
        let [at, to, id, action] =
            [Part::timestamp(now, Some(now.plus(300_000))), Part::to(ADDRESS), Part::message_id(), Part::action()];
        let info = client.signed_info(&[at.clone(), to.clone(), body.clone(), id.clone(), action.clone()]);
        let value = Base64::encode_string(&client.sign(info.as_bytes()));
        let KeyReference::Certificate(der) = client.reference() else { panic!("a certificate") };
        let token = format!(
            "<o:BinarySecurityToken u:Id='x' ValueType='{X509}'>{}</o:BinarySecurityToken>",
            Base64::encode_string(&der)
        );
        let signature = format!(
            "<ds:Signature xmlns:ds='{}'>{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>\
             <o:SecurityTokenReference><o:Reference URI='#x'/></o:SecurityTokenReference></ds:KeyInfo></ds:Signature>",
            names::DS
        );
        let headers = [action.octets, to.octets, id.octets].concat();
        let (stamp, key, body) = (at.octets, self.key(), body.octets);
        Message { headers, stamp, token, signature, key, body, more: String::new(), after: String::new() }
    }
}

impl Sealer<'_> {
    /// The same with its signature, or what somebody makes of it, sealed after it was made, as EncryptSignature has it.
    pub(crate) fn sealing(&self, message: Message, made: impl FnOnce(&str) -> String) -> Message {
        let octets = self.by.seal(&self.session, made(&message.signature).as_bytes());
        let data =
            sealing::data(&self.by.algorithm(), &octets).replace("\"ed\"", "\"es\"").replace("Content", "Element");
        Message { signature: String::new(), more: format!("{LIST}{data}"), ..message }
    }
}

/// A second list, for the signature.
pub(crate) const LIST: &str =
    "<x:ReferenceList xmlns:x=\"http://www.w3.org/2001/04/xmlenc#\"><x:DataReference URI=\"#es\"/></x:ReferenceList>";

/// What a good body holds.
pub(crate) fn plain() -> String {
    sealing::inside(&Part::body("https://rp.example.com/", "")).to_owned()
}
