//! Boundaries and limits of the messages that a directory server sends.
//!
//! An LDAP message is a BER sequence (RFC 4511, section 5.1). The check walks it without recursion,
//! so that no input can overflow the stack.

/// The maximum length of a message, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The maximum nesting of a message, including the outermost sequence. Responses have up to 6
/// levels.
pub const MAX_DEPTH: usize = 12;
/// The maximum number of elements in a message, which bounds the memory of the parsed message.
pub const MAX_ELEMENTS: usize = 1 << 16;

/// The identifier octet of a sequence.
const SEQUENCE: u8 = 0x30;
/// The bit of an identifier octet that announces elements as contents.
const CONSTRUCTED: u8 = 0x20;
/// The bits of an identifier octet that announce further identifier octets, which LDAP never uses.
const LONG_TAG: u8 = 0x1f;

/// Bytes that are not an acceptable LDAP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// The first byte is not the one of a sequence.
    #[error("it begins with byte 0x{0:02x} instead of 0x30")]
    NotASequence(u8),
    /// A length of the indefinite form, which RFC 4511 forbids.
    #[error("it contains an element of indefinite length")]
    IndefiniteLength,
    /// A length with more than four bytes.
    #[error("it contains a length of more than four bytes")]
    LengthOfLength,
    /// A tag with more than one byte, which LDAP does not use.
    #[error("it contains a tag of more than one byte")]
    LongTag,
    /// An element that ends after the element that contains it.
    #[error("an element is longer than the element that contains it")]
    Overrun,
    /// Longer than [`MAX_BYTES`].
    #[error("it is longer than {} bytes", MAX_BYTES)]
    TooLong,
    /// More than [`MAX_DEPTH`] levels.
    #[error("it has more than {} levels", MAX_DEPTH)]
    TooDeep,
    /// More than [`MAX_ELEMENTS`] elements.
    #[error("it has more than {} elements", MAX_ELEMENTS)]
    TooManyElements,
    /// The connection ended within a message.
    #[error("the connection ended within a message")]
    Truncated,
}

/// Returns the length in bytes of the message at the beginning of `bytes`, or `None` if more bytes
/// are needed. A message is walked once it is complete; before, its header is checked.
///
/// # Errors
/// A [`PduError`] if no continuation of `bytes` begins with an acceptable message.
pub fn message_length(bytes: &[u8]) -> Result<Option<usize>, PduError> {
    match bytes.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(&other) => return Err(PduError::NotASequence(other)),
    }
    let Some(header) = read_header(bytes)? else { return Ok(None) };
    let length = header.end(0)?;
    let Some(message) = bytes.get(..length) else { return Ok(None) };
    walk(message).map(|()| Some(length))
}

/// The identifier and the length of an element.
pub(super) struct Header {
    is_constructed: bool,
    /// The number of bytes of the header itself.
    pub(super) bytes: usize,
    /// The number of bytes of the contents.
    contents: usize,
}

impl Header {
    /// Returns the position after the element that begins at `start`.
    pub(super) fn end(&self, start: usize) -> Result<usize, PduError> {
        let length = self.bytes.saturating_add(self.contents);
        if length > MAX_BYTES { Err(PduError::TooLong) } else { Ok(start + length) }
    }
}

/// Reads the header at the beginning of `bytes`. Returns `None` if it is incomplete.
pub(super) fn read_header(bytes: &[u8]) -> Result<Option<Header>, PduError> {
    let Some(&tag) = bytes.first() else { return Ok(None) };
    if tag & LONG_TAG == LONG_TAG {
        return Err(PduError::LongTag);
    }
    let is_constructed = tag & CONSTRUCTED != 0;
    let Some(&first) = bytes.get(1) else { return Ok(None) };
    let more = usize::from(first & 0x7f);
    if first < 0x80 {
        return Ok(Some(Header { is_constructed, bytes: 2, contents: more }));
    }
    match more {
        0 => return Err(PduError::IndefiniteLength),
        // Active Directory writes every length in four bytes.
        1..=4 => {}
        _ => return Err(PduError::LengthOfLength),
    }
    let Some(digits) = bytes.get(2..2 + more) else { return Ok(None) };
    let contents = digits.iter().fold(0_u64, |length, digit| length << 8 | u64::from(*digit));
    let contents = usize::try_from(contents).map_err(|_| PduError::TooLong)?;
    Ok(Some(Header { is_constructed, bytes: 2 + more, contents }))
}

/// Checks all elements of a complete message.
fn walk(message: &[u8]) -> Result<(), PduError> {
    // The ends of the elements that contain the current position, outermost first.
    let mut ends = [0_usize; MAX_DEPTH];
    let mut depth = 0;
    let mut at = 0;
    let mut elements = 0;
    while at < message.len() {
        elements += 1;
        if elements > MAX_ELEMENTS {
            return Err(PduError::TooManyElements);
        }
        if depth == MAX_DEPTH {
            return Err(PduError::TooDeep);
        }
        let limit = if depth == 0 { message.len() } else { ends[depth - 1] };
        let header = read_header(&message[at..limit])?.ok_or(PduError::Overrun)?;
        let end = header.end(at)?;
        if end > limit {
            return Err(PduError::Overrun);
        }
        if header.is_constructed {
            ends[depth] = end;
            depth += 1;
            at += header.bytes;
        } else {
            at = end;
        }
        while depth > 0 && ends[depth - 1] == at {
            depth -= 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
