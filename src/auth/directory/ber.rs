//! As much of BER as LDAP uses (RFC 4511, 5.1): definite lengths, tags of one octet. The reader takes one value
//! after the other out of octets it was given whole; it never calls itself, and a length that says more than is there
//! is an error.

/// `BOOLEAN`.
pub(super) const BOOLEAN: u8 = 0x01;
/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;
/// `OCTET STRING`.
pub(super) const OCTETS: u8 = 0x04;
/// `ENUMERATED`.
pub(super) const ENUMERATED: u8 = 0x0a;
/// `SEQUENCE`.
pub(super) const SEQUENCE: u8 = 0x30;
/// `SET`.
pub(super) const SET: u8 = 0x31;

/// Octets of a length, the first included, at most. Active Directory says every length in five.
pub(super) const LENGTH: usize = 5;

/// Not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Octets from which values are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Is there nothing left?
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever it is: its tag and what is in it.
    pub(super) fn any(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (&tag, rest) = self.0.split_first().ok_or(Malformed)?;
        // A tag of several octets is in no message of LDAP.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, octets) = length(rest)?.ok_or(Malformed)?;
        let rest = rest.get(octets..).ok_or(Malformed)?;
        let value = rest.get(..length).ok_or(Malformed)?;
        self.0 = rest.get(length..).ok_or(Malformed)?;
        Ok((tag, value))
    }

    /// What is in the next value, which has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.any()? {
            (found, value) if found == tag => Ok(value),
            _ => Err(Malformed),
        }
    }

    /// The next value, if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    /// The next value, a number of this tag that is not negative.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let octets = self.expect(tag)?;
        let negative = octets.first().is_none_or(|first| first & 0x80 != 0);
        if negative || octets.len() > 5 {
            return Err(Malformed);
        }
        let number = octets.iter().fold(0_u64, |number, octet| (number << 8) | u64::from(*octet));
        u32::try_from(number).map_err(|_| Malformed)
    }
}

/// A length and how many octets say it; none while there are too few of them.
pub(super) fn length(octets: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(&first) = octets.first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((first.into(), 1)));
    }
    let more = usize::from(first & 0x7f);
    // Nought says that the end is marked, which RFC 4511 does not allow.
    if more == 0 || more >= LENGTH {
        return Err(Malformed);
    }
    let Some(said) = octets.get(1..=more) else { return Ok(None) };
    Ok(Some((said.iter().fold(0, |length, octet| (length << 8) | usize::from(*octet)), 1 + more)))
}

/// A value: its tag and what is in it, parts one after the other.
pub(super) fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // With room for all of it, so that growing leaves no copy of a password behind.
    let mut octets = Vec::with_capacity(length + 2 + size_of::<u32>());
    octets.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => octets.push(short),
        _ => {
            let said = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
            octets.push(0x84);
            octets.extend(said);
        }
    }
    for part in parts {
        octets.extend_from_slice(part);
    }
    octets
}

/// A number that is not negative.
pub(super) fn number(tag: u8, number: u32) -> Vec<u8> {
    let octets = u64::from(number).to_be_bytes();
    // One octet more than it takes, so that its first bit is nought.
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    let first = if octets.get(first).is_none_or(|octet| octet & 0x80 != 0) { first - 1 } else { first };
    value(tag, &[&octets[first..]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for n in [0, 1, 127, 128, 255, 256, 65_535, 1 << 31, u32::MAX] {
            let octets = number(INTEGER, n);
            let mut reader = Reader::new(&octets);
            assert_eq!(reader.number(INTEGER), Ok(n));
            assert!(reader.is_empty());
        }
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let inside = vec![7; length];
            let octets = value(OCTETS, &[&inside[..length / 2], &inside[length / 2..]]);
            assert_eq!(Reader::new(&octets).expect(OCTETS), Ok(&inside[..]));
        }
    }

    #[test]
    fn what_says_more_than_there_is_is_refused() {
        for octets in [
            &[][..],
            &[0x04],
            &[0x04, 0x05, 1, 2, 3, 4],
            &[0x04, 0x80, 0, 0],
            &[0x04, 0x81],
            &[0x04, 0x82, 1],
            &[0x04, 0x85, 0, 0, 0, 0, 0],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x04, 0xff],
            &[0x1f, 0x01, 0],
            &[0x04, 0x83, 0xff, 0xff, 0xff, 0],
        ] {
            assert_eq!(Reader::new(octets).any(), Err(Malformed), "{octets:?}");
        }
        for octets in [&[0x02, 0x00][..], &[0x02, 0x01, 0x80], &[0x02, 6, 0, 0, 0, 0, 0, 1], &[0x02, 5, 1, 0, 0, 0, 0]]
        {
            assert_eq!(Reader::new(octets).number(INTEGER), Err(Malformed), "{octets:?}");
        }
        assert_eq!(Reader::new(&[0x04, 0]).expect(SEQUENCE), Err(Malformed));
    }

    #[test]
    fn every_start_of_a_message_is_too_short_or_refused() {
        let whole = value(SEQUENCE, &[&number(INTEGER, 1), &value(OCTETS, &[b"abc"])]);
        for end in 0..whole.len() {
            assert_eq!(Reader::new(&whole[..end]).any(), Err(Malformed));
        }
    }
}
