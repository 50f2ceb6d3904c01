//! Opening the session key that a client sealed for us (`xenc:EncryptedKey`). auth asks issuer, issuer asks a
//! signer; no row of the permit table lets a worker ask. Whatever is wrong with what was sealed has one answer,
//! so that nobody learns from it how the padding looked (Bleichenbacher, Manger).

use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Octets, Secret, Text};
use super::derivation::PartKey;
use super::evidence::SignedMessage;
use super::ids::{Correlation, Peer};

/// The octets of `xenc:CipherValue` in an `EncryptedKey`: a modulus of at most 4096 bits.
pub type Sealed = Octets<512>;

/// How a session key is sealed: RSA-OAEP without a label, MGF1 of the same hash. PKCS#1 v1.5 has no name here
///
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum KeyTransport {
    /// SHA-1, which OAEP does not need to be free of collisions.
    OaepSha1,
    /// SHA-256.
    OaepSha256,
}

impl KeyTransport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OaepSha1, Self::OaepSha256];

    /// The name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OaepSha1 => "oaep-sha1",
            Self::OaepSha256 => "oaep-sha256",
        }
    }
}

/// How a part of a message is sealed with a session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum PartCipher {
    /// AES-128 in Galois/Counter Mode.
    Aes128Gcm,
    /// AES-192 in Galois/Counter Mode.
    Aes192Gcm,
    /// AES-256 in Galois/Counter Mode.
    Aes256Gcm,
}

impl PartCipher {
    /// Octets of its key.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Aes256Gcm => 32,
        }
    }
}

/// Whom a session key is sealed for. It picks one of our own certificates and proves nothing: the wrong key opens
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Recipient {
    /// SHA-256 of a certificate that came along, DER.
    Certificate([u8; 32]),
    /// `ThumbprintSHA1`.
    Thumbprint([u8; 20]),
    /// `X509SubjectKeyIdentifier`.
    KeyIdentifier(Octets<64>),
    /// `X509SerialNumber`, big-endian without leading zeros. The issuer's name has too many spellings to be
    /// compared, and need not be.
    Serial(Octets<20>),
}

/// Octets of a sealed part, nonce and tag included, or of what was in it.
pub const MOST_PART_OCTETS: usize = 48 * 1024;
/// Octets of a wrapped key: 256 bits, and 64 to see that it is one.
pub const MOST_WRAPPED_OCTETS: usize = 40;
/// Parts of one message.
pub const MOST_PARTS: usize = 8;

/// A part of a message that is sealed with its session key.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct SealedPart {
    /// By which key; or by which its own is wrapped.
    pub key: PartKey,
    /// Its own key, where it brings one (AES key wrap, RFC 3394).
    pub wrapped: Option<Octets<MOST_WRAPPED_OCTETS>>,
    /// How.
    pub cipher: PartCipher,
    /// The octets of its `CipherValue`.
    pub octets: Octets<MOST_PART_OCTETS>,
}

/// What a worker asks to have opened: the sealed parts of one message, before it can be read.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Open {
    /// Names the request from here on.
    pub correlation: Correlation,
    /// The path the client asked for.
    pub endpoint: Text<128>,
    /// The address the connection came from.
    pub source: IpAddr,
    /// For whom the session key is sealed.
    pub recipient: Recipient,
    /// How.
    pub transport: KeyTransport,
    /// The session key, sealed.
    pub sealed: Sealed,
    /// What it seals.
    pub parts: List<SealedPart, MOST_PARTS>,
}

/// What a worker asks to have opened where a signature covers what is sealed. No part of it is named: auth verifies the
/// signature first, and opens what it finds in the octets that were signed.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct OpenSigned {
    /// Names the request from here on.
    pub correlation: Correlation,
    /// The path the client asked for.
    pub endpoint: Text<128>,
    /// The address the connection came from.
    pub source: IpAddr,
    /// For whom the session key is sealed.
    pub recipient: Recipient,
    /// How.
    pub transport: KeyTransport,
    /// The session key, sealed.
    pub sealed: Sealed,
    /// The evidence that is submitted once the message can be read.
    pub message: SignedMessage,
}

/// What was in the parts, in their order.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Opened {
    /// Names the request.
    pub correlation: Correlation,
    /// As many as were asked for.
    pub parts: List<Secret<MOST_PART_OCTETS>, MOST_PARTS>,
}

/// One session key to be opened.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Unwrap {
    /// Chosen by auth, comes back in the answer.
    pub serial: u64,
    /// The worker whose message brought it.
    pub worker: Peer,
    /// Was it found in what somebody has signed whom we know: a message, or a partner's assertion? Such have a share and
    /// turns of their own, that strangers do not use up.
    pub proven: bool,
    /// For whom it is sealed.
    pub recipient: Recipient,
    /// How.
    pub transport: KeyTransport,
    /// What is sealed.
    pub sealed: Sealed,
}

/// A session key: 16, 24 or 32 octets, which is what AES takes. It prints nothing and wipes itself.
#[derive(Clone, BorshSerialize)]
pub struct SessionKey(Secret<32>);

/// Not as many octets as a session key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSessionKey;

impl fmt::Display for NoSessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session key has 16, 24 or 32 octets")
    }
}

impl std::error::Error for NoSessionKey {}

impl SessionKey {
    /// Checks the length; the octets are wiped when they are refused.
    ///
    /// # Errors
    /// [`NoSessionKey`].
    pub fn new(octets: Vec<u8>) -> Result<Self, NoSessionKey> {
        Self::checked(Secret::new(octets).map_err(|_| NoSessionKey)?)
    }

    fn checked(secret: Secret<32>) -> Result<Self, NoSessionKey> {
        if matches!(secret.expose().len(), 16 | 24 | 32) { Ok(Self(secret)) } else { Err(NoSessionKey) }
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<session key>")
    }
}

impl BorshDeserialize for SessionKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let secret = Secret::deserialize_reader(reader)?;
        Self::checked(secret).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Why there is no session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum NotUnwrapped {
    /// Not sealed for a key of ours, not so, or not a session key: all alike.
    Unopened,
    /// This worker has had as many opened as it may.
    Rate,
    /// No signer did it in time.
    Unavailable,
    /// Nobody tried: the worker is not connected to issuer, or no signer that has the key is. An issuer that has just
    /// begun may know better soon.
    NotYet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_one_for_aes_and_prints_nothing() {
        for length in 0..=40 {
            let good = matches!(length, 16 | 24 | 32);
            assert_eq!(SessionKey::new(vec![7; length]).is_ok(), good, "{length}");
            let frame = borsh::to_vec(&vec![7_u8; length]).unwrap();
            assert_eq!(SessionKey::try_from_slice(&frame).is_ok(), good, "{length}");
        }
        let key = SessionKey::new(vec![7; 16]).unwrap();
        assert_eq!(format!("{key:?}"), "<session key>");
        assert_eq!(SessionKey::try_from_slice(&borsh::to_vec(&key).unwrap()).unwrap().expose(), [7; 16]);
    }
}
