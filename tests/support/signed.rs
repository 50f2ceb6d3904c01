//! A client that signs. The octets are written here in canonical form by hand, so that nothing of the product's
//! own canonicaliser stands on both sides of a test.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64ct::{Base64, Encoding};
use chancery::wire::evidence::{
    AddressingHeader, KeyReference, MOST_ADDRESSING_HEADERS, NamedToken, SignatureAlgorithm, SignedMessage,
};
use chancery::wire::{List, Millis, Octets, Secret};

pub(crate) const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(crate) const WSA: &str = "http://www.w3.org/2005/08/addressing";
pub(crate) const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
pub(crate) const TRUST: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
pub(crate) const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const SOAP_SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0";
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

enum Key {
    Rsa(RsaKeyPair),
    Pss(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key with its certificate.
pub(crate) struct Client {
    key: Key,
    pair: rcgen::KeyPair,
    /// PEM.
    pub(crate) certificate: String,
    der: Vec<u8>,
}

impl Client {
    /// With a P-256 key.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With a P-256 key and a certificate that is somehow different.
    pub(crate) fn with(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        Self::certified_by(|pair| own(pair, change))
    }

    /// With a P-256 key and a certificate that somebody makes for it.
    pub(crate) fn certified_by(certify: impl FnOnce(&rcgen::KeyPair) -> rcgen::Certificate) -> Self {
        Self::p256(rcgen::KeyPair::generate().expect("a key"), certify)
    }

    fn p256(pair: rcgen::KeyPair, certify: impl FnOnce(&rcgen::KeyPair) -> rcgen::Certificate) -> Self {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der()).expect("a key");
        let certificate = certify(&pair);
        Self::certified(Key::Ecdsa(key), pair, &certificate)
    }

    /// The same P-256 key with another certificate.
    pub(crate) fn renewed(&self) -> Self {
        let pair = rcgen::KeyPair::try_from(self.pair.serialized_der()).expect("a key");
        Self::p256(pair, |pair| own(pair, |parameters| parameters.serial_number = Some(2.into())))
    }

    /// A certificate for the same key, PEM, that is past.
    pub(crate) fn past(&self) -> String {
        own(&self.pair, |parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1)).pem()
    }

    pub(crate) fn rsa(pss: bool) -> Self {
        let (key, pair) = rsa();
        let certificate = own(&pair, |_| {});
        Self::certified(if pss { Key::Pss(key) } else { Key::Rsa(key) }, pair, &certificate)
    }

    /// With an RSA key whose certificate says what it may be used for.
    pub(crate) fn rsa_for(usages: &[rcgen::KeyUsagePurpose]) -> Self {
        let (key, pair) = rsa();
        let certificate = own(&pair, |parameters| parameters.key_usages = usages.to_vec());
        Self::certified(Key::Rsa(key), pair, &certificate)
    }

    /// With a P-384 key.
    pub(crate) fn p384() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pair.serialized_der()).expect("a key");
        let certificate = own(&pair, |_| {});
        Self::certified(Key::P384(key), pair, &certificate)
    }

    /// With a P-521 key.
    pub(crate) fn p521() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, pair.serialized_der()).expect("a key");
        let certificate = own(&pair, |_| {});
        Self::certified(Key::P521(key), pair, &certificate)
    }

    pub(crate) fn ed25519() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let key = Ed25519KeyPair::from_pkcs8(pair.serialized_der()).expect("a key");
        let certificate = own(&pair, |_| {});
        Self::certified(Key::Ed25519(key), pair, &certificate)
    }

    fn certified(key: Key, pair: rcgen::KeyPair, certificate: &rcgen::Certificate) -> Self {
        Self { key, pair, certificate: certificate.pem(), der: certificate.der().to_vec() }
    }

    /// The public key as its certificate has it.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.pair.public_key_raw()
    }

    /// `ds:KeyValue`, canonical within an element that has declared `ds`.
    pub(crate) fn key_value(&self) -> String {
        let octets = self.public_key();
        match self.key {
            Key::Rsa(_) | Key::Pss(_) => {
                // `RSAPublicKey` ends with the modulus and an INTEGER of three octets, 65537.
                let [from, to] = [octets.len() - 5 - 256, octets.len() - 5];
                rsa_value(&octets[from..to], &[1, 0, 1])
            }
            Key::Ecdsa(_) => point_value("1.2.840.10045.3.1.7", octets),
            Key::P384(_) => point_value("1.3.132.0.34", octets),
            Key::P521(_) => point_value("1.3.132.0.35", octets),
            // There is no form for such a key.
            Key::Ed25519(_) => String::new(),
        }
    }

    /// The private key, PKCS#8.
    pub(crate) fn secret(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// The certificate as a message brings it.
    pub(crate) fn reference(&self) -> KeyReference {
        KeyReference::Certificate(Octets::new(self.der.clone()).expect("fits"))
    }

    pub(crate) fn thumbprint(&self) -> KeyReference {
        let octets = digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        KeyReference::Thumbprint(octets.as_ref().try_into().expect("20 octets"))
    }

    pub(crate) fn identifier(&self) -> KeyReference {
        let read = chancery::config::auth::certificate::Certificate::from_der(self.der.clone()).expect("one of ours");
        KeyReference::KeyIdentifier(Octets::new(read.key_identifier).expect("fits"))
    }

    pub(crate) fn algorithm(&self) -> (SignatureAlgorithm, &'static str) {
        match self.key {
            Key::Rsa(_) => (SignatureAlgorithm::RsaSha256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
            Key::Pss(_) => (SignatureAlgorithm::PssSha256, "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"),
            Key::Ecdsa(_) => (SignatureAlgorithm::EcdsaSha256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
            Key::P384(_) => (SignatureAlgorithm::EcdsaSha384, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"),
            Key::P521(_) => (SignatureAlgorithm::EcdsaSha512, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"),
            Key::Ed25519(_) => (SignatureAlgorithm::Ed25519, "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519"),
        }
    }

    /// Signs octets.
    pub(crate) fn sign(&self, octets: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |key: &RsaKeyPair, padding: &'static dyn aws_lc_rs::signature::RsaEncoding| {
            let mut value = vec![0; key.public_modulus_len()];
            key.sign(padding, &random, octets, &mut value).expect("signs");
            value
        };
        match &self.key {
            Key::Rsa(key) => rsa(key, &RSA_PKCS1_SHA256),
            Key::Pss(key) => rsa(key, &RSA_PSS_SHA256),
            Key::Ecdsa(key) | Key::P384(key) | Key::P521(key) => {
                key.sign(&random, octets).expect("signs").as_ref().to_vec()
            }
            Key::Ed25519(key) => key.sign(octets).as_ref().to_vec(),
        }
    }

    /// `ds:SignedInfo` over these parts, canonical.
    pub(crate) fn signed_info(&self, parts: &[Part]) -> String {
        let method = self.algorithm().1;
        let references: String = parts.iter().map(|part| part.reference()).collect();
        format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
             </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{method}\"></ds:SignatureMethod>{references}\
             </ds:SignedInfo>"
        )
    }

    /// A message over these parts.
    pub(crate) fn message(&self, parts: &[Part]) -> SignedMessage {
        self.over(&self.signed_info(parts), parts)
    }

    /// A message with a `SignedInfo` of one's own wording.
    pub(crate) fn over(&self, signed_info: &str, parts: &[Part]) -> SignedMessage {
        let octets: Vec<_> = parts.iter().map(|part| Secret::new(part.octets.as_bytes()).expect("fits")).collect();
        SignedMessage {
            key: self.reference(),
            algorithm: self.algorithm().0,
            signed_info: Octets::new(signed_info.as_bytes()).expect("fits"),
            value: Octets::new(self.sign(signed_info.as_bytes())).expect("fits"),
            parts: List::new(octets).expect("fits"),
            addressing: addressing(parts),
            named: None,
        }
    }

    /// A message over these parts, and then over the certificate, which it names by its thumbprint or as this says.
    pub(crate) fn naming(&self, key: KeyReference, prefix: &str, parts: &[Part]) -> SignedMessage {
        let kind = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
        let der = Base64::encode_string(&self.der);
        let octets = format!(
            "<{prefix}:BinarySecurityToken xmlns=\"\" xmlns:{prefix}=\"{WSSE}\" ValueType=\"{kind}\">{der}\
             </{prefix}:BinarySecurityToken>"
        );
        let whole = [parts, &[Part { id: "str", octets }]].concat();
        let info = dereferenced(&self.signed_info(&whole), "str");
        let reference = u8::try_from(parts.len()).expect("few");
        let named = NamedToken { reference, prefix: chancery::wire::Text::new(prefix).expect("short") };
        SignedMessage { key, named: Some(named), ..self.over(&info, parts) }
    }
}

/// The headers of WS-Addressing among these parts: what an honest worker says of a message that has no others.
pub(crate) fn addressing(parts: &[Part]) -> List<AddressingHeader, MOST_ADDRESSING_HEADERS> {
    let name = |part: &Part| Some(part.octets.strip_prefix("<a:")?.split_once(' ')?.0.to_owned());
    let headers = parts.iter().filter_map(|part| AddressingHeader::named(&name(part)?));
    List::new(headers.collect::<Vec<_>>()).expect("fits")
}

/// `ds:KeyValue` with an RSA key of these numbers.
pub(crate) fn rsa_value(modulus: &[u8], exponent: &[u8]) -> String {
    let [modulus, exponent] = [modulus, exponent].map(Base64::encode_string);
    format!(
        "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus>\
         <ds:Exponent>{exponent}</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
    )
}

/// `ds:KeyValue` with this point on the curve of that name.
pub(crate) fn point_value(curve: &str, octets: &[u8]) -> String {
    let point = Base64::encode_string(octets);
    format!(
        "<ds:KeyValue><k:ECKeyValue xmlns:k=\"http://www.w3.org/2009/xmldsig11#\">\
         <k:NamedCurve URI=\"urn:oid:{curve}\"></k:NamedCurve><k:PublicKey>{point}</k:PublicKey></k:ECKeyValue>\
         </ds:KeyValue>"
    )
}

// One test needs each, and each test is a crate of its own.
const _: [fn() -> Client; 2] = [Client::p384, Client::p521];
const _: fn(&Client) -> KeyReference = Client::identifier;
const _: fn(&Client) -> String = Client::key_value;
const _: fn(&Client) -> &[u8] = Client::public_key;
const _: fn(&Client) -> &[u8] = Client::secret;
const _: fn(&[rcgen::KeyUsagePurpose]) -> Client = Client::rsa_for;

fn rsa() -> (RsaKeyPair, rcgen::KeyPair) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
    (RsaKeyPair::from_pkcs8(pair.serialized_der()).expect("a key"), pair)
}

/// `SignedInfo` whose reference with this id is dereferenced: what it digests is the token that it leads to.
pub(crate) fn dereferenced(info: &str, id: &str) -> String {
    let plain = format!("<ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>");
    let transform = format!(
        "<ds:Transform Algorithm=\"{SOAP_SECURITY}#STR-Transform\"><o:TransformationParameters xmlns:o=\"{WSSE}\">\
         <ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         </o:TransformationParameters></ds:Transform>"
    );
    let (before, from) = info.split_once(&format!("URI=\"#{id}\"")).expect("such a reference");
    format!("{before}URI=\"#{id}\"{}", from.replacen(&plain, &transform, 1))
}

// Not every test needs it.
const _: fn(&str, &str) -> String = dereferenced;

/// A certificate that its own key signed.
fn own(pair: &rcgen::KeyPair, change: impl FnOnce(&mut rcgen::CertificateParams)) -> rcgen::Certificate {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = rcgen::IsCa::ExplicitNoCa;
    change(&mut parameters);
    parameters.self_signed(pair).expect("a certificate")
}

/// A signed element: its id and its canonical octets.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) id: &'static str,
    pub(crate) octets: String,
}

impl Part {
    pub(crate) fn reference(&self) -> String {
        let value = Base64::encode_string(digest(&SHA256, self.octets.as_bytes()).as_ref());
        format!(
            "<ds:Reference URI=\"#{}\"><ds:Transforms><ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>\
             </ds:Transforms><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\">\
             </ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>",
            self.id
        )
    }

    pub(crate) fn timestamp(created: Millis, expires: Option<Millis>) -> Self {
        let instant = chancery::trust::instant::format;
        let expires = expires.map_or(String::new(), |expires| format!("<u:Expires>{}</u:Expires>", instant(expires)));
        let created = instant(created);
        let octets = format!(
            "<u:Timestamp xmlns:u=\"{WSU}\" u:Id=\"t\"><u:Created>{created}</u:Created>{expires}</u:Timestamp>"
        );
        Self { id: "t", octets }
    }

    pub(crate) fn to(address: &str) -> Self {
        Self { id: "to", octets: format!("<a:To xmlns:a=\"{WSA}\" xmlns:u=\"{WSU}\" u:Id=\"to\">{address}</a:To>") }
    }

    /// A header of WS-Addressing, by its name.
    pub(crate) fn header(header: AddressingHeader, content: &str) -> Self {
        let name = header.name();
        let octets = format!("<a:{name} xmlns:a=\"{WSA}\" xmlns:u=\"{WSU}\" u:Id=\"{name}\">{content}</a:{name}>");
        Self { id: name, octets }
    }

    /// `wsa:Action` of a request for a token.
    pub(crate) fn action() -> Self {
        Self::header(AddressingHeader::Action, &format!("{TRUST}/RST/Issue"))
    }

    /// A header that makes a message another one than all before.
    pub(crate) fn message_id() -> Self {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets).expect("the kernel has randomness");
        let id = u128::from_be_bytes(octets);
        let octets = format!("<a:MessageID xmlns:a=\"{WSA}\" xmlns:u=\"{WSU}\" u:Id=\"m\">urn:{id}</a:MessageID>");
        Self { id: "m", octets }
    }

    /// A `wsse:BinarySecurityToken` of that kind.
    pub(crate) fn token(kind: &str, octets: &[u8]) -> Self {
        let octets = format!(
            "<o:BinarySecurityToken xmlns:o=\"{WSSE}\" xmlns:u=\"{WSU}\" ValueType=\"{kind}\" u:Id=\"k\">{}\
             </o:BinarySecurityToken>",
            Base64::encode_string(octets)
        );
        Self { id: "k", octets }
    }

    /// A body with a request for a token.
    pub(crate) fn body(applies_to: &str, more: &str) -> Self {
        let octets = format!(
            "<s:Body xmlns:s=\"{SOAP}\" xmlns:u=\"{WSU}\" u:Id=\"b\"><t:RequestSecurityToken xmlns:t=\"{TRUST}\">\
             <t:RequestType>{TRUST}/Issue</t:RequestType>\
             <p:AppliesTo xmlns:p=\"http://schemas.xmlsoap.org/ws/2004/09/policy\"><a:EndpointReference \
             xmlns:a=\"{WSA}\"><a:Address>{applies_to}</a:Address></a:EndpointReference></p:AppliesTo>{more}\
             </t:RequestSecurityToken></s:Body>"
        );
        Self { id: "b", octets }
    }
}
