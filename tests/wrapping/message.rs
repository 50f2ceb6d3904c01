//! A signed message in all its pieces, each of which a shape may change. The pieces that are signed are written
//! in canonical form by hand and stand in the envelope as they were digested, so every message that nobody
//! changed is good.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{LazyLock, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use chancery::trust::instant;
use chancery::wire::Millis;
use chancery::wire::evidence::MacAlgorithm;

use crate::asserted::{BEARER, Words};
use crate::keyed;
use crate::sealed::{Sealed, seal};
use crate::shared::{held, sealed_for};
use crate::signed::{Client, Part, TRUST, WSA, WSU, dereferenced};

pub(crate) const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
pub(crate) const X509V3: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
pub(crate) const BINARY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
pub(crate) const THUMBPRINT: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";
pub(crate) const SAML20: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0";

/// What the client asks for.
pub(crate) const PARTY: &str = "https://rp.example.com/";
/// What whoever changes its messages would rather have: the client may ask for it, too.
pub(crate) const OTHER_PARTY: &str = "urn:federation:MicrosoftOnline";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Soap {
    V11,
    V12,
}

impl Soap {
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml; charset=utf-8",
            Self::V12 => "application/soap+xml; charset=utf-8",
        }
    }

    /// The attribute that says whom a header block is for, with the name of somebody else.
    pub(crate) fn for_another(self) -> &'static str {
        match self {
            Self::V11 => " s:actor=\"urn:another\"",
            Self::V12 => " s:role=\"urn:another\"",
        }
    }
}

/// An element that a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Covered {
    Timestamp,
    To,
    Body,
    Action,
    MessageId,
    Token,
}

impl Covered {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::To => "to",
            Self::Body => "body",
            Self::Action => "action",
            Self::MessageId => "message-id",
            Self::Token => "token",
        }
    }

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Timestamp => "t",
            Self::To => "to",
            Self::Body => "b",
            Self::Action => "act",
            Self::MessageId => "mid",
            Self::Token => "x",
        }
    }
}

/// How each part is canonicalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Exclusive,
    /// With a `PrefixList` of what the envelope and the security header declare.
    Listed,
    Inclusive,
}

/// How the key is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Token,
    Thumbprint,
    Data,
    /// By an assertion in the place of the token, which writes it out.
    Assertion,
    /// The same, where the key is a shared one that it has, sealed for the service.
    Shared,
}

impl Naming {
    /// Is it by an assertion?
    pub(crate) fn asserts(self) -> bool {
        matches!(self, Self::Assertion | Self::Shared)
    }
}

/// Whose key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Ours,
    Strangers,
}

/// What is sealed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealing {
    Nothing,
    /// The signature, once it was made.
    Signature,
    /// The body before, and the signature after.
    First,
}

/// A kind of good message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base {
    pub(crate) name: &'static str,
    pub(crate) soap: Soap,
    pub(crate) covers: &'static [Covered],
    pub(crate) form: Form,
    pub(crate) naming: Naming,
    pub(crate) path: &'static str,
    pub(crate) rsa: bool,
    pub(crate) sealing: Sealing,
}

impl Base {
    pub(crate) fn covers(&self, part: Covered) -> bool {
        self.covers.contains(&part)
    }
}

/// Whoever signs. The first two are one registered account's, the third another's, the last is nobody's.
pub(crate) struct Cast {
    pub(crate) ours: Client,
    pub(crate) ours_rsa: Client,
    pub(crate) bob: Client,
    pub(crate) stranger: Client,
    /// Whose assertions say whose key is whose.
    pub(crate) agency: Client,
    /// A shared key of each, in a `ds:KeyInfo`: sealed once, so that it is opened once.
    sealed: OnceLock<[String; 2]>,
    /// For whom session keys are sealed, DER.
    pub(crate) service: OnceLock<Vec<u8>>,
}

impl Cast {
    pub(crate) fn new() -> Self {
        let [ours, bob, stranger, agency] = std::array::from_fn(|_| Client::new());
        Self {
            ours,
            ours_rsa: Client::rsa(false),
            bob,
            stranger,
            agency,
            sealed: OnceLock::new(),
            service: OnceLock::new(),
        }
    }

    /// Seals the shared keys for this certificate.
    pub(crate) fn seal_for(&self, certificate: &[u8]) {
        let sealed = [Whose::Ours, Whose::Strangers].map(|whose| sealed_for(certificate, &self.secret(whose)));
        self.sealed.set(sealed).expect("once");
    }

    /// A shared key as an assertion has it.
    pub(crate) fn sealed(&self, whose: Whose) -> &str {
        let [ours, strangers] = self.sealed.get().expect("sealed by then");
        if whose == Whose::Ours { ours } else { strangers }
    }

    /// The key itself.
    pub(crate) fn secret(&self, whose: Whose) -> [u8; 32] {
        if whose == Whose::Ours { [1; 32] } else { [2; 32] }
    }

    fn client(&self, base: &Base, whose: Whose) -> &Client {
        if whose == Whose::Ours { self.signer(base) } else { &self.stranger }
    }

    /// An assertion of that id for whoever has that key, made by somebody.
    pub(crate) fn asserted(&self, base: &Base, id: &str, whose: Whose, by: &Client) -> String {
        if base.naming == Naming::Shared {
            let words = held(Words::saml20("machine"), self.sealed(whose));
            return named(words, id).xml(by);
        }
        assertion(id, self.client(base, whose), by)
    }

    pub(crate) fn signer(&self, base: &Base) -> &Client {
        if base.rsa { &self.ours_rsa } else { &self.ours }
    }
}

/// The base64 of a certificate.
pub(crate) fn der(client: &Client) -> String {
    client.certificate.lines().filter(|line| !line.starts_with('-')).collect()
}

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) soap: Soap,
    form: Form,
    /// What its signature covers.
    pub(crate) covers: &'static [Covered],
    /// Before the envelope.
    pub(crate) prolog: String,
    /// More attributes of the envelope.
    pub(crate) envelope: String,
    /// What stands in it before the header.
    pub(crate) before: String,
    /// Attributes of the header.
    pub(crate) header: String,
    /// Its blocks.
    pub(crate) first: String,
    pub(crate) action: String,
    pub(crate) message_id: String,
    pub(crate) to: String,
    /// More attributes of the security header.
    pub(crate) security: String,
    pub(crate) token: String,
    pub(crate) timestamp: String,
    pub(crate) signature: Signature,
    /// How that is sealed, where it is.
    pub(crate) sealed: Option<Sealed>,
    /// What stands in the security header after the signature.
    pub(crate) more: String,
    /// Header blocks after the security header.
    pub(crate) last: String,
    /// Between header and body.
    pub(crate) between: String,
    pub(crate) body: String,
    /// After the body.
    pub(crate) after: String,
    /// After the envelope.
    pub(crate) epilog: String,
}

/// `ds:Signature` in its pieces; `whole` stands for all of them where it is set.
#[derive(Clone, Default)]
pub(crate) struct Signature {
    pub(crate) attributes: String,
    pub(crate) first: String,
    pub(crate) info: String,
    pub(crate) value: String,
    pub(crate) key_info: String,
    pub(crate) last: String,
    pub(crate) whole: Option<String>,
}

impl Signature {
    pub(crate) fn xml(&self) -> String {
        let Self { attributes, first, info, value, key_info, last, whole } = self;
        whole.clone().unwrap_or_else(|| {
            format!("<ds:Signature xmlns:ds=\"{DS}\"{attributes}>{first}{info}{value}{key_info}{last}</ds:Signature>")
        })
    }
}

/// An instant that no other message of this run has: one that was sent before would be refused for that alone.
fn unique() -> Millis {
    static FIRST: LazyLock<Millis> = LazyLock::new(Millis::now);
    static NEXT: AtomicI64 = AtomicI64::new(0);
    FIRST.plus(-NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Message {
    /// A good message.
    pub(crate) fn new(base: &Base, cast: &Cast) -> Self {
        let Base { soap, form, .. } = *base;
        let client = cast.signer(base);
        let id = |part: Covered| if base.covers(part) { format!(" u:Id=\"{}\"", part.id()) } else { String::new() };
        let mut message = Self {
            soap,
            form,
            covers: base.covers,
            prolog: String::new(),
            envelope: String::new(),
            before: String::new(),
            header: String::new(),
            first: String::new(),
            action: String::new(),
            message_id: String::new(),
            to: String::new(),
            security: String::new(),
            token: String::new(),
            timestamp: String::new(),
            signature: Signature::default(),
            sealed: (base.sealing != Sealing::Nothing).then(|| Sealed::new(cast, base.sealing == Sealing::First)),
            more: String::new(),
            last: String::new(),
            between: String::new(),
            body: String::new(),
            after: String::new(),
            epilog: String::new(),
        };
        message.action = message.addressing("Action", &id(Covered::Action), &format!("{TRUST}/RST/Issue"));
        let unique = unique();
        let uuid = format!("urn:uuid:0a3c1f9e-8a53-4c4e-9b5d-{:012}", unique.0 % 1_000_000_000_000);
        message.message_id = message.addressing("MessageID", &id(Covered::MessageId), &uuid);
        message.to = message.addressing("To", &id(Covered::To), &format!("https://sts.example.com{}", base.path));
        message.timestamp = message.stamped(&id(Covered::Timestamp), unique);
        if base.naming == Naming::Token {
            message.token = message.token_of(client, " u:Id=\"x\"");
        }
        if base.naming.asserts() {
            message.token = cast.asserted(base, "x", Whose::Ours, &cast.agency);
        }
        message.body = message.asking(&id(Covered::Body), PARTY);
        message.signature.key_info = key_info(base.naming, client);
        message.prove(base, Whose::Ours, cast);
        message
    }

    /// Signs these pieces as they stand, or puts them under a MAC, whatever such a message has.
    pub(crate) fn prove(&mut self, base: &Base, whose: Whose, cast: &Cast) {
        if base.naming == Naming::Shared {
            self.mac(base.covers, &cast.secret(whose));
        } else {
            self.cover(base.covers, cast.client(base, whose));
        }
    }

    /// Puts these pieces under a MAC as they stand.
    pub(crate) fn mac(&mut self, covered: &[Covered], key: &[u8]) {
        let parts: Vec<Part> =
            covered.iter().map(|part| Part { id: part.id(), octets: self.piece(*part).clone() }).collect();
        self.signature.info = keyed::signed_info(MacAlgorithm::HmacSha256, &parts);
        self.mac_as_it_stands(key);
    }

    /// A MAC over `SignedInfo` as it stands.
    pub(crate) fn mac_as_it_stands(&mut self, key: &[u8]) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        self.value(hmac::sign(&key, self.signature.info.as_bytes()).as_ref());
    }

    /// Signs these pieces as they stand.
    pub(crate) fn cover(&mut self, covered: &[Covered], client: &Client) {
        let parts: Vec<Part> =
            covered.iter().map(|part| Part { id: part.id(), octets: self.piece(*part).clone() }).collect();
        let plain = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform>";
        let info = client.signed_info(&parts);
        self.signature.info = match self.form {
            Form::Exclusive => info,
            Form::Listed => {
                let list = format!(
                    "><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"o s\"></ec:InclusiveNamespaces></"
                );
                info.replace(plain, &plain.replace("></", &list))
            }
            Form::Inclusive => {
                let around = format!("xmlns:ds=\"{DS}\" xmlns:o=\"{WSSE}\" xmlns:s=\"{}\"", self.soap.namespace());
                info.replace(EXCLUSIVE, INCLUSIVE).replace(&format!("xmlns:ds=\"{DS}\""), &around)
            }
        };
        self.sign(client);
    }

    /// Signs these pieces as they stand, and the token by the reference that names the key.
    pub(crate) fn refer(&mut self, covered: &[Covered], client: &Client) {
        let named = format!("<o:SecurityTokenReference xmlns:u=\"{WSU}\" u:Id=\"str\">");
        self.signature.key_info = self.signature.key_info.replacen("<o:SecurityTokenReference>", &named, 1);
        let octets = self.token.replacen("<o:BinarySecurityToken ", "<o:BinarySecurityToken xmlns=\"\" ", 1);
        let parts = covered.iter().map(|part| Part { id: part.id(), octets: self.piece(*part).clone() });
        let parts: Vec<Part> = parts.chain([Part { id: "str", octets }]).collect();
        self.signature.info = dereferenced(&client.signed_info(&parts), "str");
        self.sign(client);
    }

    /// Signs `SignedInfo` as it stands.
    pub(crate) fn sign(&mut self, client: &Client) {
        self.value(&client.sign(self.signature.info.as_bytes()));
    }

    pub(crate) fn value(&mut self, octets: &[u8]) {
        let value = Base64::encode_string(octets);
        self.signature.value = format!("<ds:SignatureValue>{value}</ds:SignatureValue>");
    }

    /// The digest of a piece as it stands.
    pub(crate) fn digest(&self, part: Covered) -> String {
        Base64::encode_string(digest(&SHA256, self.piece(part).as_bytes()).as_ref())
    }

    pub(crate) fn piece(&self, part: Covered) -> &String {
        match part {
            Covered::Timestamp => &self.timestamp,
            Covered::To => &self.to,
            Covered::Body => &self.body,
            Covered::Action => &self.action,
            Covered::MessageId => &self.message_id,
            Covered::Token => &self.token,
        }
    }

    pub(crate) fn piece_mut(&mut self, part: Covered) -> &mut String {
        match part {
            Covered::Timestamp => &mut self.timestamp,
            Covered::To => &mut self.to,
            Covered::Body => &mut self.body,
            Covered::Action => &mut self.action,
            Covered::MessageId => &mut self.message_id,
            Covered::Token => &mut self.token,
        }
    }

    /// Another element of that kind with these attributes, as it would suit whoever changes the message.
    pub(crate) fn forged(&self, part: Covered, attributes: &str, cast: &Cast) -> String {
        match part {
            Covered::Timestamp => self.stamped(attributes, unique()),
            Covered::To => {
                let address = self.to.split('>').nth(1).and_then(|text| text.split('<').next()).unwrap_or_default();
                self.addressing("To", attributes, address)
            }
            Covered::Body => self.asking(attributes, OTHER_PARTY),
            Covered::Action => self.addressing("Action", attributes, &format!("{TRUST}/RST/Issue")),
            Covered::MessageId => {
                self.addressing("MessageID", attributes, "urn:uuid:00000000-0000-4000-8000-000000000000")
            }
            Covered::Token => self.token_of(&cast.stranger, attributes),
        }
    }

    fn addressing(&self, local: &str, attributes: &str, text: &str) -> String {
        let soap = self.around(false);
        format!("<a:{local} xmlns:a=\"{WSA}\"{soap} xmlns:u=\"{WSU}\"{attributes}>{text}</a:{local}>")
    }

    /// The declarations that a form takes over from around the element.
    fn around(&self, in_security: bool) -> String {
        let soap = format!(" xmlns:s=\"{}\"", self.soap.namespace());
        match (self.form, in_security) {
            (Form::Exclusive, _) => String::new(),
            (_, false) => soap,
            (_, true) => format!(" xmlns:o=\"{WSSE}\"{soap}"),
        }
    }

    pub(crate) fn stamped(&self, attributes: &str, created: Millis) -> String {
        let (around, expires) = (self.around(true), instant::format(created.plus(240_000)));
        let created = instant::format(created);
        format!(
            "<u:Timestamp{around} xmlns:u=\"{WSU}\"{attributes}><u:Created>{created}</u:Created>\
             <u:Expires>{expires}</u:Expires></u:Timestamp>"
        )
    }

    pub(crate) fn token_of(&self, client: &Client, attributes: &str) -> String {
        let soap = if self.form == Form::Exclusive { String::new() } else { self.around(false) };
        format!(
            "<o:BinarySecurityToken xmlns:o=\"{WSSE}\"{soap} xmlns:u=\"{WSU}\" EncodingType=\"{BINARY}\" \
             ValueType=\"{X509V3}\"{attributes}>{}</o:BinarySecurityToken>",
            der(client)
        )
    }

    /// A body that asks for a token for this party.
    pub(crate) fn asking(&self, attributes: &str, party: &str) -> String {
        let body = self.asking_plainly(attributes, party);
        let id = if party == PARTY { "ed" } else { "ed-other" };
        match &self.sealed {
            Some(sealed) if sealed.first => {
                let (from, to) = (body.find("<t:").expect("a request"), body.len() - "</s:Body>".len());
                [&body[..from], &seal(id, "Content", &body[from..to]), &body[to..]].concat()
            }
            _ => body,
        }
    }

    fn asking_plainly(&self, attributes: &str, party: &str) -> String {
        let soap = self.soap.namespace();
        format!(
            "<s:Body xmlns:s=\"{soap}\" xmlns:u=\"{WSU}\"{attributes}><t:RequestSecurityToken xmlns:t=\"{TRUST}\">\
             <t:TokenType>{SAML20}</t:TokenType><t:RequestType>{TRUST}/Issue</t:RequestType>\
             <p:AppliesTo xmlns:p=\"http://schemas.xmlsoap.org/ws/2004/09/policy\"><a:EndpointReference \
             xmlns:a=\"{WSA}\"><a:Address>{party}</a:Address></a:EndpointReference></p:AppliesTo>\
             </t:RequestSecurityToken></s:Body>"
        )
    }

    pub(crate) fn security_header(&self) -> String {
        let Self { security, token, timestamp, signature, more, .. } = self;
        let signature = match &self.sealed {
            Some(sealed) => sealed.key.clone() + &sealed.data(signature),
            None => signature.xml(),
        };
        format!(
            "<o:Security xmlns:o=\"{WSSE}\" s:mustUnderstand=\"1\"{security}>{token}{timestamp}{signature}{more}</o:Security>"
        )
    }

    pub(crate) fn xml(&self) -> String {
        let Self { prolog, envelope, before, header, first, action, message_id, to, .. } = self;
        let Self { last, between, body, after, epilog, .. } = self;
        let (soap, security) = (self.soap.namespace(), self.security_header());
        let text = format!(
            "{prolog}<s:Envelope xmlns:s=\"{soap}\"{envelope}>{before}<s:Header{header}>{first}{action}{message_id}{to}\
             {security}{last}</s:Header>{between}{body}{after}</s:Envelope>{epilog}"
        );
        match &self.sealed {
            Some(sealed) => sealed.listed(&text),
            None => text,
        }
    }
}

/// An assertion of that id for whoever has this client's key, made by somebody.
fn assertion(id: &str, holder: &Client, by: &Client) -> String {
    let data = "</saml:SubjectConfirmationData>";
    let key_info = format!("<ds:KeyInfo xmlns:ds=\"{DS}\">{}</ds:KeyInfo>{data}", holder.key_value());
    let words =
        Words::saml20("machine").but(BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key").but(data, &key_info);
    named(words, id).xml(by)
}

fn named(words: Words, id: &str) -> Words {
    let given = words.id.clone();
    Words { id: id.to_owned(), ..words.but(&given, id) }
}

/// `ds:KeyInfo` that names this client's key.
pub(crate) fn key_info(naming: Naming, client: &Client) -> String {
    let inside = match naming {
        Naming::Token => format!(
            "<o:SecurityTokenReference><o:Reference URI=\"#x\" ValueType=\"{X509V3}\"/></o:SecurityTokenReference>"
        ),
        Naming::Thumbprint => {
            let chancery::wire::evidence::KeyReference::Thumbprint(octets) = client.thumbprint() else {
                return String::new();
            };
            let text = Base64::encode_string(&octets);
            format!(
                "<o:SecurityTokenReference><o:KeyIdentifier EncodingType=\"{BINARY}\" ValueType=\"{THUMBPRINT}\">{text}\
                 </o:KeyIdentifier></o:SecurityTokenReference>"
            )
        }
        Naming::Assertion | Naming::Shared => held_by("x"),
        Naming::Data => format!("<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>", der(client)),
    };
    format!("<ds:KeyInfo>{inside}</ds:KeyInfo>")
}

/// What names a key by the assertion of that id.
pub(crate) fn held_by(id: &str) -> String {
    let kind = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID";
    format!(
        "<o:SecurityTokenReference><o:KeyIdentifier ValueType=\"{kind}\">{id}</o:KeyIdentifier></o:SecurityTokenReference>"
    )
}
