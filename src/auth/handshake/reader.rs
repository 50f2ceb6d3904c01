//! Octets of a TLS handshake, read from front to back. Every length is held against what is there; nothing is
//! indexed, and nothing is copied.

/// Octets that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    pub(super) fn of(octets: &'m [u8]) -> Self {
        Self(octets)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Nothing is left over.
    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, left) = self.0.split_first_chunk()?;
        self.0 = left;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u24(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()
    }

    /// A vector with a length of one octet.
    pub(super) fn short(&mut self) -> Option<&'m [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector with a length of two octets.
    pub(super) fn long(&mut self) -> Option<&'m [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A vector with a length of three octets.
    pub(super) fn longest(&mut self) -> Option<&'m [u8]> {
        let length = self.u24()?;
        self.take(length)
    }
}

/// Handshake messages, in their order.
#[derive(Debug)]
pub(super) struct Messages<'m> {
    whole: &'m [u8],
    left: Reader<'m>,
}

impl<'m> Messages<'m> {
    pub(super) fn of(whole: &'m [u8]) -> Self {
        Self { whole, left: Reader::of(whole) }
    }

    pub(super) fn next_is(&self, kind: u8) -> bool {
        self.left.0.first() == Some(&kind)
    }

    /// The body of the next message, which must be of that kind.
    pub(super) fn take(&mut self, kind: u8) -> Option<Reader<'m>> {
        if self.left.u8()? != kind {
            return None;
        }
        self.left.longest().map(Reader::of)
    }

    /// All that was taken.
    pub(super) fn so_far(&self) -> &'m [u8] {
        let taken = self.whole.len().saturating_sub(self.left.0.len());
        self.whole.get(..taken).unwrap_or_default()
    }

    /// Nothing is left over.
    pub(super) fn end(&self) -> Option<()> {
        self.left.end()
    }
}
