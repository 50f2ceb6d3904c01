//! What a worker hands to auth: the proof a client sent, and what it wishes for. Both are claims of an
//! exposed process about a stranger; auth believes neither before it has verified them.

use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Octets, Secret, Text};
use super::derivation::PartKey;
use super::ids::{Correlation, Millis};
use super::key::PublicKey;
use super::order::{ConfirmationKind, TokenType};

/// One request of one client.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Submission {
    /// Names the request from here on.
    pub correlation: Correlation,
    /// The path the client asked for, as configured in `worker.d`.
    pub endpoint: Text<128>,
    /// The address the connection came from.
    pub source: IpAddr,
    /// `wsu:Timestamp`, when there was one.
    pub timestamp: Option<Timestamp>,
    /// The credential.
    pub evidence: Evidence,
    /// What it is for.
    pub wish: Wish,
}

/// `wsu:Timestamp` (R-W010).
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Timestamp {
    /// `wsu:Created`.
    pub created: Millis,
    /// `wsu:Expires`, which a client may leave out.
    pub expires: Option<Millis>,
}

/// A credential.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum Evidence {
    /// `wsse:UsernameToken` with a text password (R-W020).
    Password {
        /// `wsse:Username`, not yet known to exist.
        username: Text<256>,
        /// `wsse:Password`, its octets as UTF-8.
        password: Secret<1024>,
    },
    /// A `ds:Signature` over parts of the message (R-W040 to R-W043).
    Signature(SignedMessage),
    /// `wsse:UsernameToken` with the digest of a secret (R-W021).
    Digest(PasswordDigest),
    /// The TLS handshake in which the client proved the key of its certificate.
    TlsCertificate(ClientHandshake),
    /// A SAML assertion that whoever holds it may present (R-W062).
    Assertion(SignedAssertion),
    /// A SAML assertion beside a `ds:Signature` over parts of the message, by a key that the assertion is to confirm
    /// (R-W060).
    Attested(SignedAssertion, SignedMessage),
    /// A JWT, and what proves whoever presents it, where it is not for anybody who has it.
    Jwt(SignedJwt, Presenter),
    /// `wsse:UsernameToken` with a text password, covered by a MAC with the session key of its message (R-W040 to
    /// R-W042). The values are those of that token: auth compares them with what the MAC covers.
    KeyedPassword {
        /// `wsse:Username`, not yet known to exist.
        username: Text<256>,
        /// `wsse:Password`, its octets as UTF-8.
        password: Secret<1024>,
        /// What the MAC covers.
        message: KeyedMessage,
    },
    /// What a client sent with HTTP Negotiate (RFC 4559).
    Negotiation(Negotiation),
    /// A ticket of Kerberos in the security header (WSS Kerberos Token Profile 1.1).
    Ticket(BinaryTicket),
    /// The same beside a MAC over parts of the message, by the key that the client shares with us by the ticket
    /// (R-W071).
    EndorsedTicket(BinaryTicket, KeyedMessage),
    /// A SAML assertion over a connection whose client has proved a certificate, which it may be confirmed by.
    Connected(SignedAssertion, ClientHandshake),
    /// A SAML assertion beside a MAC over parts of the message, by a key that the assertion is to have, sealed for us
    /// (R-W060).
    EndorsedAssertion(SignedAssertion, KeyedMessage),
}

/// `wsse:Password` of type `#PasswordDigest` and what goes into it. With these a secret that is short can be guessed
/// at leisure, so they are not printed.
#[derive(BorshSerialize, BorshDeserialize)]
pub struct PasswordDigest {
    /// `wsse:Username`, not yet known to exist.
    pub username: Text<256>,
    /// `wsse:Nonce`, decoded.
    pub nonce: Nonce,
    /// `wsu:Created` as it came: it goes into the digest octet for octet.
    pub created: Text<64>,
    /// SHA-1 of nonce, created and secret.
    pub digest: [u8; 20],
}

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordDigest").field("username", &self.username).finish_non_exhaustive()
    }
}

/// 16 to 128 octets (R-W022): enough that no two clients choose the same, and no more than anybody sends.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize)]
pub struct Nonce(Octets<128>);

/// Not as many octets as a nonce has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNonce;

impl fmt::Display for NoNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a nonce has 16 to 128 octets")
    }
}

impl std::error::Error for NoNonce {}

impl Nonce {
    /// Checks the length.
    ///
    /// # Errors
    /// [`NoNonce`].
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, NoNonce> {
        let octets = Octets::new(octets).map_err(|_| NoNonce)?;
        if octets.len() < 16 { Err(NoNonce) } else { Ok(Self(octets)) }
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl BorshDeserialize for Nonce {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let octets = Octets::<128>::deserialize_reader(reader)?;
        Self::new(octets.into_vec()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Octets of signed parts, all together, at most (A-00d). A front that takes larger bodies takes them unsigned.
pub const MOST_SIGNED_OCTETS: usize = 256 * 1024;

/// A signed message, as far as it was signed. auth verifies these octets before it reads anything in them.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct SignedMessage {
    /// Which key is said to have signed.
    pub key: KeyReference,
    /// How.
    pub algorithm: SignatureAlgorithm,
    /// `ds:SignedInfo`, canonical.
    pub signed_info: Octets<{ 32 * 1024 }>,
    /// `ds:SignatureValue`; ECDSA as r‖s.
    pub value: Octets<1024>,
    /// What the references mean, in their order, each as its digest wants it. They may hold secrets.
    pub parts: List<Secret<MOST_SIGNED_OCTETS>, 10>,
    /// The WS-Addressing headers that the message has for us, signed or not.
    pub addressing: List<AddressingHeader, MOST_ADDRESSING_HEADERS>,
    /// Which reference means the certificate that signed, by the name that `key` has, when one does: it has no part.
    pub named: Option<NamedToken>,
}

/// A certificate that is signed and only named: what is digested is a token that whoever knows it writes (R-W063).
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NamedToken {
    /// Its place among the references.
    pub reference: u8,
    /// The prefix that the name is written with, and so is the token.
    pub prefix: Text<64>,
}

/// WS-Addressing headers of a message that is signed or under a MAC, at most.
pub const MOST_ADDRESSING_HEADERS: usize = 16;

/// A header of WS-Addressing, of either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum AddressingHeader {
    /// Whom the message is for.
    To,
    /// Whom it is from.
    From,
    /// Where faults are to go.
    FaultTo,
    /// Where the answer is to go.
    ReplyTo,
    /// What the message is called.
    MessageId,
    /// What another one is called that it belongs to. There may be several.
    RelatesTo,
    /// What is to be done.
    Action,
}

impl AddressingHeader {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::To, Self::From, Self::FaultTo, Self::ReplyTo, Self::MessageId, Self::RelatesTo, Self::Action];

    /// Its local name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::To => "To",
            Self::From => "From",
            Self::FaultTo => "FaultTo",
            Self::ReplyTo => "ReplyTo",
            Self::MessageId => "MessageID",
            Self::RelatesTo => "RelatesTo",
            Self::Action => "Action",
        }
    }

    /// The one of this local name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|header| header.name() == name)
    }
}

/// A message under a MAC, as far as the MAC covers it. Its key is that of the ticket beside it, which only its client
/// and we know; or the one that the assertion beside it has for its holder, whose partner knows it, too; or the one
/// that auth keeps of what it opened for this request, and then it proves nobody, for whoever can seal for us can make
/// a MAC.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct KeyedMessage {
    /// By which key.
    pub key: PartKey,
    /// How.
    pub algorithm: MacAlgorithm,
    /// `ds:SignedInfo`, canonical.
    pub signed_info: Octets<{ 32 * 1024 }>,
    /// `ds:SignatureValue`.
    pub value: Octets<64>,
    /// What the references mean, in their order, each as its digest wants it. One holds the password.
    pub parts: List<Secret<MOST_SIGNED_OCTETS>, 10>,
    /// The WS-Addressing headers that the message has for us, under the MAC or not.
    pub addressing: List<AddressingHeader, MOST_ADDRESSING_HEADERS>,
}

/// How a MAC is made: HMAC, never truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum MacAlgorithm {
    /// SHA-1, which auth takes where it is told to.
    HmacSha1,
    /// SHA-256.
    HmacSha256,
    /// SHA-384.
    HmacSha384,
    /// SHA-512.
    HmacSha512,
}

/// Octets of a handshake that is handed on, at most.
pub const MOST_HANDSHAKE_OCTETS: usize = 48 * 1024;

/// What a client signed to prove the key of its certificate when the connection was made (RFC 8446 4.4.3, RFC 5246
/// 7.4.8). auth verifies it, and has issuer say that it completed this very handshake for this worker, lately.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClientHandshake {
    /// Of TLS.
    pub version: TlsVersion,
    /// The messages that were signed, as they were hashed: 1.3 up to the client's `Certificate`, 1.2 up to its
    /// `ClientKeyExchange`.
    pub messages: Octets<MOST_HANDSHAKE_OCTETS>,
    /// `SignatureScheme` of the client's `CertificateVerify`.
    pub scheme: u16,
    /// Its signature; ECDSA in DER.
    pub signature: Octets<1024>,
}

/// Versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    V12,
    /// RFC 8446.
    V13,
}

/// A SAML assertion, as far as it was signed. auth verifies these octets before it reads anything in them.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct SignedAssertion {
    /// Who is said to have issued it: this says whose keys are tried, and nothing else.
    pub issuer: Text<1024>,
    /// How it was signed.
    pub algorithm: SignatureAlgorithm,
    /// `ds:SignedInfo`, canonical.
    pub signed_info: Octets<{ 32 * 1024 }>,
    /// `ds:SignatureValue`; ECDSA as r‖s.
    pub value: Octets<1024>,
    /// The assertion without its signature, as the digest wants it.
    pub octets: Secret<MOST_ASSERTED_OCTETS>,
}

/// Octets of an assertion, at most.
pub const MOST_ASSERTED_OCTETS: usize = 128 * 1024;

/// A JWT (RFC 7519), signed (RFC 7515). auth verifies these octets before it reads anything in them.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct SignedJwt {
    /// Who is said to have issued it: this says whose keys are tried, and nothing else.
    pub issuer: Text<1024>,
    /// How it is said to be signed.
    pub algorithm: SignatureAlgorithm,
    /// The compact serialisation, as it came.
    pub octets: Secret<MOST_JWT_OCTETS>,
}

/// Octets of a JWT, at most.
pub const MOST_JWT_OCTETS: usize = 16 * 1024;

/// What came with a JWT by which it may be confirmed that it is for whoever presents it (RFC 7800).
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum Presenter {
    /// Nothing.
    Anybody,
    /// The TLS handshake in which the client proved the key of its certificate (RFC 8705).
    Connected(ClientHandshake),
    /// A `ds:Signature` over parts of the message.
    Signed(SignedMessage),
}

/// Octets of what is negotiated by, at most.
pub const MOST_NEGOTIATED_OCTETS: usize = 64 * 1024;

/// The one token of HTTP Negotiate, as it came. Whoever has it can use it once, so it is not printed.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Negotiation {
    /// SPNEGO (RFC 4178), decoded from base64 and not looked into.
    pub token: Secret<MOST_NEGOTIATED_OCTETS>,
    /// SHA-256 of the certificate (DER) that the client was shown: what it may have bound the token to (RFC 5929 4).
    pub server: [u8; 32],
}

/// A `wsse:BinarySecurityToken` with a ticket, as it came. Whoever has it can use it once, so it is not printed.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct BinaryTicket {
    /// What its octets are said to be.
    pub form: TicketForm,
    /// Its octets, decoded from base64 and not looked into.
    pub token: Secret<MOST_NEGOTIATED_OCTETS>,
    /// SHA-256 of the certificate (DER) that the client was shown, as for HTTP Negotiate.
    pub server: [u8; 32],
}

/// Forms of a ticket in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TicketForm {
    /// `#GSS_Kerberosv5_AP_REQ`: in the frame of GSS-API.
    Framed,
    /// `#Kerberosv5_AP_REQ`: an `AP-REQ` alone.
    Bare,
}

/// How a message names the certificate that signed it (R-W031).
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum KeyReference {
    /// It brings the certificate along, DER. That makes nobody trust it.
    Certificate(Octets<{ 16 * 1024 }>),
    /// It brings that and others that lead to it, the last one of which signed: `X509PKIPathv1`, DER (R-W033).
    Path(Octets<{ 16 * 1024 }>),
    /// `ThumbprintSHA1`.
    Thumbprint([u8; 20]),
    /// `X509SubjectKeyIdentifier`.
    KeyIdentifier(Octets<64>),
    /// The key that the assertion beside the signature confirms.
    Assertion,
    /// The same, which the message writes out.
    Value(PublicKey),
    /// `X509IssuerSerial`: the serial number, big-endian without leading zeros. Whose key signed shows which of its
    /// number it is, so that no spelling of a name decides.
    Serial(Octets<20>),
}

/// Signature algorithms that are taken from clients (namespaces.md 1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum SignatureAlgorithm {
    /// RSA, PKCS#1 v1.5, SHA-256.
    RsaSha256,
    /// RSA, PKCS#1 v1.5, SHA-384.
    RsaSha384,
    /// RSA, PKCS#1 v1.5, SHA-512.
    RsaSha512,
    /// RSA, PSS, SHA-256.
    PssSha256,
    /// RSA, PSS, SHA-384.
    PssSha384,
    /// RSA, PSS, SHA-512.
    PssSha512,
    /// ECDSA on P-256, SHA-256.
    EcdsaSha256,
    /// ECDSA on P-384, SHA-384.
    EcdsaSha384,
    /// ECDSA on P-521, SHA-512.
    EcdsaSha512,
    /// Ed25519.
    Ed25519,
    /// RSA, PKCS#1 v1.5, SHA-1, which auth takes where it is told to.
    RsaSha1,
}

/// The request for a token, as the client worded it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Wish {
    /// What to do.
    pub operation: Operation,
    /// The address in `wsp:AppliesTo` (R-T020).
    pub applies_to: Option<Text<1024>>,
    /// `wst:TokenType`, when the client asked for one.
    pub token_type: Option<TokenType>,
    /// `wst:KeyType`, when the client asked for one.
    pub key_type: Option<KeyType>,
    /// `wst:KeySize` in bits.
    pub key_size: Option<u32>,
    /// `wst:UseKey/@Sig`: the id of the signature in this message that proves the key (R-T031).
    pub use_key: Option<Text<256>>,
    /// `wst:Claims`.
    pub claims: List<ClaimWish, 64>,
    /// `wst:Lifetime`.
    pub lifetime: Option<Lifetime>,
}

/// `wst:RequestType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Operation {
    /// `…/Issue`.
    Issue,
}

/// `wst:KeyType` (namespaces.md 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum KeyType {
    /// `Bearer`, or `NoProofKey` in 2005/02.
    Bearer,
    /// `SymmetricKey`.
    Symmetric,
    /// `PublicKey`.
    Public,
}

impl KeyType {
    /// The confirmation a token for this key type carries.
    #[must_use]
    pub fn confirmation(self) -> Option<ConfirmationKind> {
        match self {
            Self::Bearer => Some(ConfirmationKind::Bearer),
            Self::Public => Some(ConfirmationKind::HolderOfKey),
            Self::Symmetric => None,
        }
    }
}

/// One claim a client asks for by name (R-T027). The value always comes from our own sources.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClaimWish {
    /// The claim type URI.
    pub uri: Text<512>,
    /// Whether a token without it will do.
    pub optional: bool,
}

/// `wst:Lifetime` (R-T026).
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Lifetime {
    /// `wsu:Created`.
    pub created: Option<Millis>,
    /// `wsu:Expires`.
    pub expires: Option<Millis>,
}

/// The voucher's name and what it will buy.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Vouched {
    /// Names the request.
    pub correlation: Correlation,
    /// To be redeemed at issuer.
    pub voucher: super::ids::VoucherId,
}

/// A voucher, and what proves us to the client in turn.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Negotiated {
    /// As for any other evidence.
    pub vouched: Vouched,
    /// SPNEGO, for the header of the answer.
    pub answer: Octets<MOST_ANSWERED_OCTETS>,
}

/// Octets of an answer to HTTP Negotiate, at most.
pub const MOST_ANSWERED_OCTETS: usize = 4 * 1024;

/// Why a client gets no token: no more than a client may know. The reason stays in auth's log and in the
/// record, under the same correlation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Refusal {
    /// `wsse:FailedAuthentication`: unknown user and wrong password alike (R-T142).
    FailedAuthentication,
    /// `wsu:MessageExpired`.
    MessageExpired,
    /// `wsse:InvalidSecurity`.
    InvalidSecurity,
    /// `wst:InvalidRequest`.
    InvalidRequest,
    /// `wst:BadRequest`.
    BadRequest,
    /// `wst:InvalidScope`: no such relying party, or not for this requestor.
    InvalidScope,
    /// `wst:InvalidTimeRange`.
    InvalidTimeRange,
    /// `wst:RequestFailed`: policy says no, or something of ours failed.
    RequestFailed,
    /// `wst:RequestFailed` with a time to come back.
    Busy {
        /// HTTP `Retry-After`, seconds.
        retry_after_s: u16,
    },
    /// `wsse:UnsupportedSecurityToken`: no such credential at this endpoint.
    UnsupportedSecurityToken,
    /// `wst:RequestFailed` with a time to come back, over a new connection: nobody remembers the handshake of this one.
    Reconnect,
    /// `wsse:FailedCheck`: what was sealed does not open, or was here before, all alike (R-W051).
    FailedCheck,
    /// `wsse:UnsupportedAlgorithm`: signed in a way that this endpoint does not take, whoever signed.
    UnsupportedAlgorithm,
}

impl Refusal {
    /// The code of the fault that says so.
    #[must_use]
    pub const fn heard(self) -> &'static str {
        match self {
            Self::FailedAuthentication => "wsse:FailedAuthentication",
            Self::MessageExpired => "wsu:MessageExpired",
            Self::InvalidSecurity => "wsse:InvalidSecurity",
            Self::InvalidRequest => "wst:InvalidRequest",
            Self::BadRequest => "wst:BadRequest",
            Self::InvalidScope => "wst:InvalidScope",
            Self::InvalidTimeRange => "wst:InvalidTimeRange",
            Self::RequestFailed => "wst:RequestFailed",
            Self::Busy { .. } => "wst:RequestFailed, and when to come back",
            Self::UnsupportedSecurityToken => "wsse:UnsupportedSecurityToken",
            Self::Reconnect => "wst:RequestFailed, and to come back over a new connection",
            Self::FailedCheck => "wsse:FailedCheck",
            Self::UnsupportedAlgorithm => "wsse:UnsupportedAlgorithm",
        }
    }
}

/// The answer when there is no voucher.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Refused {
    /// Names the request.
    pub correlation: Correlation,
    /// What the client may know.
    pub refusal: Refusal,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> PasswordDigest {
        PasswordDigest {
            username: Text::new("alice").unwrap(),
            nonce: Nonce::new([0xAB; 16]).unwrap(),
            created: Text::new("2026-01-02T03:04:05Z").unwrap(),
            digest: [0xCD; 20],
        }
    }

    #[test]
    fn a_nonce_is_neither_shorter_nor_longer_than_its_type_says_r_w022() {
        for length in [0, 15, 129] {
            assert_eq!(Nonce::new(vec![0; length]), Err(NoNonce));
            let frame = borsh::to_vec(&vec![0_u8; length]).unwrap();
            assert!(Nonce::try_from_slice(&frame).is_err(), "{length}");
        }
        for length in [16, 128] {
            let nonce = Nonce::new(vec![7; length]).unwrap();
            assert_eq!(Nonce::try_from_slice(&borsh::to_vec(&nonce).unwrap()).unwrap(), nonce);
        }
    }

    #[test]
    fn what_a_secret_could_be_guessed_from_is_not_printed() {
        let printed = format!("{:?}", Evidence::Digest(digest()));
        assert_eq!(printed, "Digest(PasswordDigest { username: \"alice\", .. })");
    }
}
