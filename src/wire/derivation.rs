//! Which key a part of a message is sealed or a MAC made with: the session key, or one that is derived from it
//! (WS-SecureConversation 7). What is derived is bounded here, by the type (R-C010).

use std::fmt;
use std::io::{self, Read};

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{Octets, Text};

/// The key of a part.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum PartKey {
    /// The session key itself.
    Session,
    /// One derived from it.
    Derived(Derivation),
}

/// `P_SHA1(session key, label ‖ nonce)[offset .. offset + length)`. The nonce has 8 to 128 octets, what is derived 1 to
/// 64, and ends within the first 4096.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize)]
pub struct Derivation {
    label: Option<Text<128>>,
    nonce: Octets<128>,
    offset: u16,
    length: u8,
}

/// Where nobody says how many octets.
pub const USUAL_LENGTH: u32 = 32;
/// Octets of a key, at most.
const MOST_OF_A_KEY: u32 = 64;
/// Octets of the stream that keys are cut from.
const STREAM: u32 = 4096;
/// What both sides have said where nobody says anything (R-C010).
const USUAL_LABEL: &str = "WS-SecureConversationWS-SecureConversation";

/// Not within the bounds of a derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDerivation;

impl fmt::Display for NoDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a derived key has 1 to 64 octets of the first 4096, a nonce of 8 to 128 and a short label or none")
    }
}

impl std::error::Error for NoDerivation {}

impl Derivation {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`NoDerivation`].
    pub fn new(
        label: Option<Text<128>>,
        nonce: impl Into<Vec<u8>>,
        offset: u32,
        length: u32,
    ) -> Result<Self, NoDerivation> {
        let nonce = Octets::new(nonce).map_err(|_| NoDerivation)?;
        let within = offset.checked_add(length).is_some_and(|end| end <= STREAM);
        if nonce.len() < 8 || !(1..=MOST_OF_A_KEY).contains(&length) || !within {
            return Err(NoDerivation);
        }
        if label.as_ref().is_some_and(|label| label.is_empty()) {
            return Err(NoDerivation);
        }
        let offset = u16::try_from(offset).map_err(|_| NoDerivation)?;
        let length = u8::try_from(length).map_err(|_| NoDerivation)?;
        Ok(Self { label, nonce, offset, length })
    }

    /// What the stream is made of, besides the session key.
    #[must_use]
    pub fn seed(&self) -> Vec<u8> {
        [self.label.as_deref().unwrap_or(USUAL_LABEL).as_bytes(), &self.nonce].concat()
    }

    /// Octets of the stream before the key.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset.into()
    }

    /// Octets of the key.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length.into()
    }
}

impl BorshDeserialize for Derivation {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let label = Option::deserialize_reader(reader)?;
        let nonce = Octets::<128>::deserialize_reader(reader)?.into_vec();
        let (offset, length) = (u16::deserialize_reader(reader)?, u8::deserialize_reader(reader)?);
        Self::new(label, nonce, offset.into(), length.into())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_is_bounded_also_when_it_arrives_r_c010() {
        let label = |text: &str| Some(Text::new(text).unwrap());
        for (good, label, nonce, offset, length) in [
            (true, None, 16, 0, 32),
            (true, label("WS-Security"), 8, 0, 1),
            (true, None, 128, 4032, 64),
            (false, None, 16, 0, 0),
            (false, None, 16, 0, 65),
            (false, None, 16, 4033, 64),
            (false, None, 16, 4096, 1),
            (false, None, 16, u32::MAX, 1),
            (false, None, 16, u32::MAX - 31, 32),
            (false, None, 16, 0, u32::MAX),
            (false, None, 7, 0, 32),
            (false, None, 0, 0, 32),
            (false, None, 129, 0, 32),
            (false, label(""), 16, 0, 32),
        ] {
            let made = Derivation::new(label.clone(), vec![7; nonce], offset, length);
            assert_eq!(made.is_ok(), good, "{label:?} {nonce} {offset} {length}");
            let (Ok(short), Ok(few)) = (u16::try_from(offset), u8::try_from(length)) else { continue };
            let frame = borsh::to_vec(&(label, vec![7_u8; nonce], short, few)).unwrap();
            assert_eq!(Derivation::try_from_slice(&frame).ok(), made.ok(), "{nonce} {offset} {length}");
        }
    }
}
