//! A reader of DER, as far as certificates and public keys need it.

/// Reads elements one after the other.
pub(crate) struct Der<'a> {
    rest: &'a [u8],
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

impl<'a> Der<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads the next element, which must have this tag, and returns its contents.
    pub(crate) fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.peek()? != tag {
            return None;
        }
        let (header, length) = header(self.rest)?;
        let end = header.checked_add(length)?;
        let contents = self.rest.get(header..end)?;
        self.rest = self.rest.get(end..)?;
        Some(contents)
    }

    /// Reads the next element, which must have this tag, and returns a reader of its contents.
    pub(crate) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.read(tag).map(Self::new)
    }

    /// Reads the next element, which must have this tag, and returns it with its header.
    pub(crate) fn read_whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        let before = self.rest;
        self.read(tag)?;
        before.get(..before.len() - self.rest.len())
    }

    /// Reads a bit string of whole bytes.
    pub(crate) fn read_bits(&mut self) -> Option<&'a [u8]> {
        match self.read(BIT_STRING)? {
            [0, bytes @ ..] => Some(bytes),
            _ => None,
        }
    }
}

/// Returns the lengths of a header and of the contents after it. Accepts the shortest form only.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [_, length @ 0..=0x7f, ..] => Some((2, usize::from(length))),
        [_, 0x81, length @ 0x80..=0xff, ..] => Some((3, usize::from(length))),
        [_, 0x82, high @ 1..=0xff, low, ..] => Some((4, usize::from(u16::from_be_bytes([high, low])))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Der, SEQUENCE};

    #[test]
    fn only_the_shortest_definite_lengths_are_read() {
        for bytes in [&[0x30][..], &[0x30, 0x80], &[0x30, 0x81, 0x7f], &[0x30, 0x82, 0, 0xff], &[0x30, 1], &[0x31, 0]] {
            assert_eq!(Der::new(bytes).read(SEQUENCE), None, "{bytes:02x?}");
        }
        let long = [&[0x30, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert_eq!(Der::new(&long).read(SEQUENCE), Some(&[7; 0x80][..]));
        let mut two = Der::new(&[0x30, 1, 9, 0x30, 0]);
        assert_eq!(two.read_whole(SEQUENCE), Some(&[0x30, 1, 9][..]));
        assert_eq!((two.read(SEQUENCE), two.is_empty()), (Some(&[][..]), true));
    }
}
