//! What `chancery token` and `chancery key` ask of `chancery-signer --ceremony`: one request on its standard
//! input, replies on its standard output, each a length (u32, little-endian) and a borsh value. Secrets
//! travel here and nowhere else: not in arguments, not in the environment.

use std::io::{self, Read, Write};

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Secret, Text};
use super::ids::KeyId;

/// The largest message, octets.
const LARGEST: u32 = 256 * 1024;

/// One ceremony.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Ceremony {
    /// Path of the PKCS#11 module.
    pub module: Text<4096>,
    /// Name of the HSM profile.
    pub profile: Text<64>,
    /// Configuration root of the signers the ceremony is for: it keeps what they keep. Without one nobody has said what
    /// the module needs, and it is not locked down.
    pub configuration: Option<Text<4096>>,
    /// What is to be done.
    pub act: Act,
}

/// Which token.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub enum Which {
    /// By label.
    Label(Text<32>),
    /// By serial number.
    Serial(Text<16>),
}

/// What a ceremony does.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum Act {
    /// Initialises a token in a free slot and sets both PINs.
    Initialise {
        /// `CK_TOKEN_INFO.label` to be.
        label: Text<32>,
        /// The security officer's PIN to be.
        so_pin: Secret<255>,
        /// The user's PIN to be.
        pin: Secret<255>,
    },
    /// Shows that a PIN is right, once, and clears the mark; sets it first when the security officer helps.
    Unlock {
        /// Which token.
        token: Which,
        /// Where the marks are.
        state_directory: Text<4096>,
        /// The PIN that is right, or that is to be.
        pin: Secret<255>,
        /// The security officer's PIN, to set the user's anew.
        so_pin: Option<Secret<255>>,
    },
    /// Works on the keys of a token.
    Keys {
        /// Which token.
        token: Which,
        /// Where the marks are, when there is a signer's configuration.
        state_directory: Option<Text<4096>>,
        /// The PIN.
        pin: Secret<255>,
        /// What is done, in order; the first failure ends it.
        steps: List<Step, 64>,
    },
}

/// One thing done to the keys of a token.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum Step {
    /// Makes a key pair.
    Generate(NewKey),
    /// Signs a certificate or a request with a key.
    Certify(NewCertificate),
    /// Lists every private key.
    List,
}

/// A key pair to be.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct NewKey {
    /// Name of its purpose.
    pub purpose: Text<16>,
    /// What kind.
    pub algorithm: Algorithm,
    /// `CKA_ID`.
    pub id: KeyId,
    /// `CKA_LABEL`.
    pub label: Text<64>,
}

/// Kinds of key pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Algorithm {
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256, Self::P384];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A certificate or a request to be.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct NewCertificate {
    /// The key.
    pub id: KeyId,
    /// A PKCS#10 request instead of a certificate.
    pub request: bool,
    /// `commonName` of the subject.
    pub common_name: Text<64>,
    /// DNS names of SubjectAltName; with any, the certificate is one of a TLS server.
    pub dns: List<Text<253>, 32>,
    /// Days it is to hold, from yesterday.
    pub days: u32,
}

/// What the ceremony says.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum Reply {
    /// About to do something that may take long.
    Doing(Text<256>),
    /// The token that was found or made.
    Token {
        /// Its label.
        label: Text<64>,
        /// Its serial number.
        serial: Text<32>,
    },
    /// A key that was made or is there.
    Key(KeyLine),
    /// A certificate or a request, PEM.
    Certificate {
        /// Of which key.
        id: KeyId,
        /// The PEM text.
        pem: Text<16384>,
    },
    /// Everything was done. The last message.
    Done,
    /// It went no further. The last message.
    Failed(Text<1024>),
}

/// One key, for people.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub struct KeyLine {
    /// `CKA_ID`, which may be longer than a key id of ours.
    pub id: Text<256>,
    /// `CKA_LABEL`.
    pub label: Text<256>,
    /// Its algorithm, or what is odd about it.
    pub algorithm: Text<64>,
    /// Attributes that are set, in words.
    pub attributes: Text<256>,
}

/// Writes one message.
///
/// # Errors
/// What the pipe says.
pub fn write(to: &mut impl Write, message: &impl BorshSerialize) -> io::Result<()> {
    // As large as it becomes from the first: what grows leaves copies behind, and PINs are among it.
    let mut octets = zeroize::Zeroizing::new(Vec::with_capacity(borsh::object_length(message)?));
    message.serialize(&mut *octets)?;
    let length = u32::try_from(octets.len()).ok().filter(|length| *length <= LARGEST);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "message too large"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&octets)?;
    to.flush()
}

/// Reads one message.
///
/// # Errors
/// What the pipe says, and when the message is too large or malformed.
pub fn read<M: BorshDeserialize>(from: &mut impl Read) -> io::Result<M> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too large"));
    }
    let mut octets = zeroize::Zeroizing::new(vec![0; length as usize]);
    from.read_exact(&mut octets)?;
    M::try_from_slice(&octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut pipe = Vec::new();
        write(&mut pipe, &Reply::Doing(Text::new("x").unwrap())).unwrap();
        write(&mut pipe, &Reply::Done).unwrap();
        let mut from = pipe.as_slice();
        assert!(matches!(read(&mut from), Ok(Reply::Doing(_))));
        assert!(matches!(read(&mut from), Ok(Reply::Done)));
        assert!(read::<Reply>(&mut from).is_err());
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused() {
        assert!(read::<Reply>(&mut [0xff; 8].as_slice()).is_err());
    }
}
