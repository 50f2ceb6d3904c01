//! DER, as far as it is needed: one octet of tag, a length in its shortest form, nothing behind the last value. It does
//! not call itself and takes no memory.

/// Values that follow one another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    /// These.
    pub(super) fn of(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The content of the next value, which has this tag.
    pub(super) fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        if *found != tag {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7F => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                let length = octets.iter().fold(0_u32, |length, octet| length << 8 | u32::from(*octet));
                // Longer than it need be is another spelling.
                if octets.first() == Some(&0) || length < 0x80 {
                    return None;
                }
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// The next value, if it has this tag.
    ///
    /// # Errors
    /// It has, and is none.
    pub(super) fn perhaps(&mut self, tag: u8) -> Result<Option<&'a [u8]>, ()> {
        if self.0.first() == Some(&tag) { self.next(tag).map(Some).ok_or(()) } else { Ok(None) }
    }

    /// The content of the next value, whose whole content is a value of the other tag.
    pub(super) fn within(&mut self, outer: u8, inner: u8) -> Option<&'a [u8]> {
        only(self.next(outer)?, inner)
    }

    /// What is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Is there no more?
    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The content of a value of this tag, which is all there is.
pub(super) fn only(octets: &[u8], tag: u8) -> Option<&[u8]> {
    let mut values = Values::of(octets);
    let content = values.next(tag)?;
    values.end().map(|()| content)
}

/// A number of at most 32 bits, in its shortest form.
pub(super) fn number(content: &[u8]) -> Option<i64> {
    let shortest = match content {
        [] => false,
        [0, next, ..] => next & 0x80 != 0,
        [0xFF, next, ..] => next & 0x80 == 0,
        _ => true,
    };
    if !shortest || content.len() > 5 {
        return None;
    }
    let negative = content[0] & 0x80 != 0;
    let start = if negative { -1_i64 } else { 0 };
    let number = content.iter().fold(start, |number, octet| number << 8 | i64::from(*octet));
    (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&number).then_some(number)
}

/// A value, written.
pub(super) fn written(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ ..=0x7F) => octets.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let from = length.iter().position(|octet| *octet != 0).unwrap_or(length.len());
            octets.push(0x80 | u8::try_from(length.len() - from).expect("a length has eight octets at most"));
            octets.extend_from_slice(&length[from..]);
        }
    }
    octets.extend_from_slice(content);
    octets
}
