//! Strings, octets and lists that cannot be larger than their type says. The limit is checked before
//! anything is allocated, so a length field is never a way to exhaust memory. A `Text` holds only
//! characters XML 1.0 allows; a `Secret` prints nothing and wipes itself.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Deref;

use borsh::{BorshDeserialize, BorshSerialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The value is longer than its type allows, or holds a character no XML document may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundError {
    /// More than the limit: bytes for texts and octets, items for lists.
    TooLong {
        /// The limit of the type.
        limit: usize,
    },
    /// A character outside the `Char` production of XML 1.0.
    ForbiddenCharacter,
}

impl fmt::Display for BoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { limit } => write!(f, "longer than {limit}"),
            Self::ForbiddenCharacter => f.write_str("holds a character that xml does not allow"),
        }
    }
}

impl std::error::Error for BoundError {}

fn refused(error: BoundError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Is this in the `Char` production of XML 1.0 (fifth edition, section 2.2)?
#[must_use]
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

fn read_length<R: Read>(reader: &mut R, limit: usize) -> io::Result<usize> {
    let length = usize::try_from(u32::deserialize_reader(reader)?).unwrap_or(usize::MAX);
    if length > limit { Err(refused(BoundError::TooLong { limit })) } else { Ok(length) }
}

fn write_length<W: Write>(writer: &mut W, length: usize) -> io::Result<()> {
    u32::try_from(length).map_err(|_| refused(BoundError::TooLong { limit: u32::MAX as usize }))?.serialize(writer)
}

fn read_octets<R: Read>(reader: &mut R, limit: usize) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; read_length(reader, limit)?];
    reader.read_exact(&mut octets)?;
    Ok(octets)
}

/// UTF-8 of at most `N` bytes, XML characters only.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text<const N: usize>(String);

impl<const N: usize> Text<N> {
    /// Checks length (bytes) and characters.
    ///
    /// # Errors
    /// [`BoundError`] when either is out of bounds.
    pub fn new(text: impl Into<String>) -> Result<Self, BoundError> {
        let text = text.into();
        if text.len() > N {
            return Err(BoundError::TooLong { limit: N });
        }
        if !text.chars().all(is_xml_char) {
            return Err(BoundError::ForbiddenCharacter);
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = BoundError;
    fn try_from(text: &str) -> Result<Self, BoundError> {
        Self::new(text)
    }
}

impl<const N: usize> BorshSerialize for Text<N> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        write_length(writer, self.0.len())?;
        writer.write_all(self.0.as_bytes())
    }
}

impl<const N: usize> BorshDeserialize for Text<N> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let text = String::from_utf8(read_octets(reader, N)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))?;
        Self::new(text).map_err(refused)
    }
}

/// At most `N` octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Octets<const N: usize>(Vec<u8>);

impl<const N: usize> Octets<N> {
    /// Checks the length.
    ///
    /// # Errors
    /// [`BoundError::TooLong`].
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, BoundError> {
        let octets = octets.into();
        if octets.len() > N { Err(BoundError::TooLong { limit: N }) } else { Ok(Self(octets)) }
    }

    /// The octets, by value.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const N: usize> Deref for Octets<N> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} octets>", self.0.len())
    }
}

impl<const N: usize> BorshSerialize for Octets<N> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        write_length(writer, self.0.len())?;
        writer.write_all(&self.0)
    }
}

impl<const N: usize> BorshDeserialize for Octets<N> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        Ok(Self(read_octets(reader, N)?))
    }
}

/// At most `N` octets that print nothing and are wiped when dropped.
#[derive(Clone, Default)]
pub struct Secret<const N: usize>(Vec<u8>);

impl<const N: usize> Zeroize for Secret<N> {
    fn zeroize(&mut self) {
        // What is in a vector is wiped an octet at a time, and the room of an empty one at once.
        self.0.clear();
        self.0.zeroize();
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> Secret<N> {
    /// Checks the length; the octets are wiped when they are refused.
    ///
    /// # Errors
    /// [`BoundError::TooLong`].
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, BoundError> {
        let mut octets = octets.into();
        if octets.len() > N {
            octets.zeroize();
            return Err(BoundError::TooLong { limit: N });
        }
        Ok(Self(octets))
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<const N: usize> BorshSerialize for Secret<N> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        write_length(writer, self.0.len())?;
        writer.write_all(&self.0)
    }
}

impl<const N: usize> BorshDeserialize for Secret<N> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        Ok(Self(read_octets(reader, N)?))
    }
}

/// At most `N` items.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct List<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> List<T, N> {
    /// Checks the number of items.
    ///
    /// # Errors
    /// [`BoundError::TooLong`].
    pub fn new(items: impl Into<Vec<T>>) -> Result<Self, BoundError> {
        let items = items.into();
        if items.len() > N { Err(BoundError::TooLong { limit: N }) } else { Ok(Self(items)) }
    }

    /// The items, by value.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: BorshSerialize, const N: usize> BorshSerialize for List<T, N> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        write_length(writer, self.0.len())?;
        self.0.iter().try_for_each(|item| item.serialize(writer))
    }
}

impl<T: BorshDeserialize, const N: usize> BorshDeserialize for List<T, N> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let length = read_length(reader, N)?;
        // Not `with_capacity(length)`: the frame may end long before that many items.
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(T::deserialize_reader(reader)?);
        }
        Ok(Self(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_the_octets_are_read() {
        let frame = [0xFF, 0xFF, 0xFF, 0xFF];
        assert!(Octets::<16>::try_from_slice(&frame).is_err());
        assert!(Text::<16>::try_from_slice(&frame).is_err());
        assert!(List::<u8, 16>::try_from_slice(&frame).is_err());
        assert!(Secret::<16>::try_from_slice(&frame).is_err());
    }

    #[test]
    fn a_text_holds_no_character_xml_forbids() {
        for bad in ["a\0b", "\u{1}", "\u{FFFE}", "\u{B}"] {
            assert_eq!(Text::<16>::new(bad), Err(BoundError::ForbiddenCharacter));
            let frame = borsh::to_vec(&bad.to_owned()).unwrap();
            assert!(Text::<16>::try_from_slice(&frame).is_err());
        }
        assert!(Text::<16>::new("Ä\tb\u{10FFFF}").is_ok());
    }

    #[test]
    fn a_secret_prints_nothing() {
        assert_eq!(format!("{:?}", Secret::<16>::new(*b"hunter2").unwrap()), "<secret>");
    }

    #[test]
    fn trailing_octets_are_refused() {
        let mut frame = borsh::to_vec(&Text::<16>::new("a").unwrap()).unwrap();
        frame.push(0);
        assert!(Text::<16>::try_from_slice(&frame).is_err());
    }
}
