//! One enum for each direction of each link. The order of variants is the wire format: append only.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Octets, Text};
use super::evidence::{Negotiated, Refused, Submission, Vouched};
use super::ids::{Correlation, KeyId, Millis, Peer, VoucherId};
use super::kerberos::{AcceptedTicket, NotAccepted, Presented};
use super::order::{Failure, Redemption, Release, Voucher};
use super::record::{AuthEntry, IssuerEntry};
use super::reply::{Seal, SealFor, SealedFor, SealedReply, SignedReply, ToSign};
use super::unwrap::{KeyTransport, NotUnwrapped, Open, OpenSigned, Opened, Sealed, SessionKey, Unwrap};

/// worker → auth.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum WorkerToAuth {
    /// Evidence and wish of one request.
    Submit(Submission),
    /// Sealed parts of one request, before it can be read.
    Open(Open),
    /// The answer to one request, before it leaves.
    Seal(Seal),
    /// The answer to one request, for who signed that.
    SealFor(SealFor),
    /// The sealed part of one request that is signed as it is, before it can be read.
    OpenSigned(OpenSigned),
}

/// auth → worker.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum AuthToWorker {
    /// A voucher lies at issuer.
    Vouched(Vouched),
    /// No.
    Refused(Refused),
    /// What was in the sealed parts.
    Opened(Opened),
    /// The signature of an answer, and what was sealed of it.
    Sealed(SealedReply),
    /// A voucher lies at issuer, and the client is told who we are.
    Negotiated(Negotiated),
    /// What was sealed of an answer.
    SealedFor(SealedFor),
}

/// worker → issuer.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum WorkerToIssuer {
    /// Hand over what this voucher buys.
    Redeem(Redemption),
    /// Sign this server handshake.
    Handshake(Handshake),
    /// Sign this server handshake, in which the client is asked for a certificate, and remember it for auth.
    RememberedHandshake(Handshake),
    /// Sign the answer to one request.
    SignReply(ToSign),
}

/// A TLS server handshake; issuer builds the octets that are signed.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Handshake {
    /// Chosen by the worker, comes back in the answer.
    pub serial: u64,
    /// SHA-256 of the server certificate (DER) the client is shown.
    pub certificate: [u8; 32],
    /// The scheme agreed on.
    pub scheme: Scheme,
    /// What is to be bound.
    pub transcript: Transcript,
}

/// TLS signature schemes (RFC 8446 4.2.3) that handshake keys may be used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Scheme {
    /// `rsa_pss_rsae_sha256`.
    RsaPssSha256,
    /// `rsa_pss_rsae_sha384`.
    RsaPssSha384,
    /// `rsa_pkcs1_sha256`, TLS 1.2 only.
    RsaPkcs1Sha256,
    /// `ecdsa_secp256r1_sha256`.
    EcdsaP256Sha256,
    /// `ecdsa_secp384r1_sha384`.
    EcdsaP384Sha384,
}

/// The part of a handshake that its signature binds.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Transcript {
    /// TLS 1.3: the transcript hash, 32 or 48 octets (RFC 8446 4.4.3).
    Tls13 {
        /// `Hash(ClientHello … Certificate)`.
        hash: Octets<48>,
    },
    /// TLS 1.2: `ServerECDHParams` and the randoms (RFC 8422 5.4).
    Tls12 {
        /// `ClientHello.random`.
        client_random: [u8; 32],
        /// `ServerHello.random`.
        server_random: [u8; 32],
        /// `NamedCurve`.
        curve: u16,
        /// The server's ephemeral point.
        point: Octets<133>,
    },
}

/// issuer → worker.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum IssuerToWorker {
    /// Recorded, signed, verified.
    Released(Release),
    /// Not released.
    Failed {
        /// Names the request.
        correlation: Correlation,
        /// Why.
        failure: Failure,
    },
    /// The handshake's signature, in the encoding TLS wants (ECDSA: DER).
    HandshakeSigned {
        /// The worker's serial.
        serial: u64,
        /// The signature.
        signature: Octets<512>,
    },
    /// No signature for this handshake.
    HandshakeFailed {
        /// The worker's serial.
        serial: u64,
    },
    /// The signature of an answer, verified.
    ReplySigned(SignedReply),
    /// No signature for this answer.
    ReplyFailed {
        /// Names the request.
        correlation: Correlation,
        /// Why.
        failure: Failure,
    },
}

/// auth → issuer.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum AuthToIssuer {
    /// Take this order in.
    Lodge(Voucher),
    /// The worker is gone: forget this voucher.
    Withdraw(VoucherId),
    /// Is this handshake one that was remembered?
    Confirm {
        /// Chosen by auth, comes back in the answer.
        question: u64,
        /// The worker it must have been signed for.
        worker: Peer,
        /// The handshake.
        handshake: SignedHandshake,
    },
    /// Have a client's session key opened.
    Unwrap(Unwrap),
}

/// A server handshake with its signature, as it stands in what a client signed.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedHandshake {
    /// SHA-256 of the server certificate (DER) the client was shown.
    pub certificate: [u8; 32],
    /// What the signature binds.
    pub transcript: Transcript,
    /// The signature. No old handshake can be had signed again with the same one: where a key signs the same octets
    /// the same way twice, no handshake is remembered.
    pub signature: Octets<512>,
}

/// issuer → auth.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum IssuerToAuth {
    /// The voucher may be named to the worker.
    Lodged(VoucherId),
    /// The order was not taken in.
    Declined {
        /// Which.
        voucher: VoucherId,
        /// Why.
        failure: Failure,
    },
    /// This voucher was taken; said before anything is done with it, so that it is never lodged again.
    Redeemed(VoucherId),
    /// What became of a question about a handshake.
    Confirmed {
        /// auth's number.
        question: u64,
        /// How long it may still prove a client, milliseconds; none when it was not signed for that worker, or too
        /// long ago.
        left_ms: Option<u32>,
    },
    /// A session key.
    Unwrapped {
        /// auth's serial.
        serial: u64,
        /// The key.
        key: SessionKey,
    },
    /// None.
    NotUnwrapped {
        /// auth's serial.
        serial: u64,
        /// Why.
        why: NotUnwrapped,
    },
}

/// issuer → signer.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum IssuerToSigner {
    /// Sign this digest.
    Sign {
        /// Chosen by issuer, comes back in the answer.
        id: u64,
        /// The key.
        key: KeyId,
        /// How.
        mechanism: Mechanism,
        /// The digest, as long as the mechanism's hash.
        digest: Octets<64>,
    },
    /// Draw octets from the token's random number generator.
    Draw {
        /// Chosen by issuer, comes back in the answer.
        id: u64,
        /// How many, at most 64.
        length: u8,
    },
    /// Open this session key.
    Unwrap {
        /// Chosen by issuer, comes back in the answer.
        id: u64,
        /// The key it is sealed for.
        key: KeyId,
        /// How.
        transport: KeyTransport,
        /// What is sealed.
        sealed: Sealed,
    },
}

/// What a token is asked to do with a digest. Padding and `DigestInfo` are added by the signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Mechanism {
    /// RSASSA-PKCS1-v1_5 over SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 over SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 over SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS, MGF1 and salt of the same hash.
    RsaPssSha256,
    /// RSASSA-PSS, MGF1 and salt of the same hash.
    RsaPssSha384,
    /// ECDSA on P-256; the answer is r‖s, 64 octets.
    EcdsaP256Sha256,
    /// ECDSA on P-384; the answer is r‖s, 96 octets.
    EcdsaP384Sha384,
}

impl Mechanism {
    /// Octets of the digest this mechanism signs.
    #[must_use]
    pub fn digest_length(self) -> usize {
        match self {
            Self::RsaPkcs1Sha256 | Self::RsaPssSha256 | Self::EcdsaP256Sha256 => 32,
            Self::RsaPkcs1Sha384 | Self::RsaPssSha384 | Self::EcdsaP384Sha384 => 48,
            Self::RsaPkcs1Sha512 => 64,
        }
    }
}

/// signer → issuer.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum SignerToIssuer {
    /// Logged in, keys found and checked. The first message, once.
    Ready(SignerReady),
    /// A signature; ECDSA as r‖s.
    Signed {
        /// Issuer's id.
        id: u64,
        /// The signature.
        signature: Octets<512>,
    },
    /// No signature.
    SignFailed {
        /// Issuer's id.
        id: u64,
        /// What sort of failure.
        class: FailureClass,
        /// `CK_RV`.
        rv: u64,
    },
    /// Octets from the token.
    Drawn {
        /// Issuer's id.
        id: u64,
        /// As many as were asked for, or none when the token refused.
        octets: Octets<64>,
    },
    /// The state of the token changed.
    Health {
        /// Can it sign now?
        usable: bool,
    },
    /// A session key.
    Unwrapped {
        /// Issuer's id.
        id: u64,
        /// The key.
        session: SessionKey,
    },
    /// None. [`FailureClass::Request`] for whatever is wrong with what was sealed.
    UnwrapFailed {
        /// Issuer's id.
        id: u64,
        /// What sort of failure.
        class: FailureClass,
    },
}

/// What a signer found in the token.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct SignerReady {
    /// `CK_TOKEN_INFO.serialNumber`.
    pub token_serial: Text<32>,
    /// `CK_TOKEN_INFO.label`.
    pub token_label: Text<64>,
    /// Threads, each with its session.
    pub sessions: u16,
    /// Every configured key.
    pub keys: List<KeyReport, 64>,
}

/// One key, found and checked.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct KeyReport {
    /// `CKA_ID`.
    pub id: KeyId,
    /// `SubjectPublicKeyInfo`, DER, read from the token.
    pub public_key: Octets<2048>,
}

/// What issuer should do about a failed signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FailureClass {
    /// The request was wrong: do not try it again.
    Request,
    /// The token or the session failed: another signer may succeed.
    Token,
    /// No session was free in time.
    Busy,
}

/// issuer → audit.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum IssuerToAudit {
    /// Make this durable.
    Append {
        /// Grows by one with every entry on this channel, from 1.
        sequence: u64,
        /// The entry.
        entry: IssuerEntry,
    },
}

/// auth → audit.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum AuthToAudit {
    /// Make this durable.
    Append {
        /// Grows by one with every entry on this channel, from 1.
        sequence: u64,
        /// The entry.
        entry: AuthEntry,
    },
}

/// audit → issuer, audit → auth.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum FromAudit {
    /// Sent once, first: where the record stands.
    Head {
        /// Number of entries so far.
        entries: u64,
        /// The instant of the last one of issuer's, whose clock may not be behind it.
        last: Option<Millis>,
    },
    /// Every entry up to this sequence is on disk.
    Durable {
        /// The sender's sequence.
        sequence: u64,
    },
    /// This entry is not on disk and never will be.
    NotDurable {
        /// The sender's sequence.
        sequence: u64,
    },
}

/// auth → kerberos.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum AuthToKerberos {
    /// Whose ticket is this?
    Accept(Presented),
}

/// kerberos → auth.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum KerberosToAuth {
    /// A ticket for us, and what it says.
    Accepted {
        /// auth's number.
        question: u64,
        /// What it says.
        ticket: AcceptedTicket,
    },
    /// None.
    NotAccepted {
        /// auth's number.
        question: u64,
        /// Why.
        why: NotAccepted,
        /// What the library says, for the operator.
        said: Text<256>,
    },
}
