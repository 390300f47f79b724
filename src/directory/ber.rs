//! A reader of single BER elements, for control values and the response to `StartTLS`. It does not
//! recurse.
//!
//! The parsers of ldap3 for control values recurse without a limit, and [`pdu`](super::pdu) does
//! not look into octet strings. So this client never calls them.

use super::pdu;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;

/// Reads the element at the beginning of `bytes`. Returns its tag, its contents and the bytes after
/// it, or `None` if it is invalid or incomplete.
pub(super) fn read_any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let header = pdu::read_header(bytes).ok()??;
    let end = header.end(0).ok()?;
    Some((*bytes.first()?, bytes.get(header.bytes..end)?, &bytes[end..]))
}

/// Reads the element with the given tag at the beginning of `bytes`. Returns its contents and the
/// bytes after it.
pub(super) fn read(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    read_any(bytes).filter(|(found, ..)| *found == tag).map(|(_, contents, rest)| (contents, rest))
}

/// Returns the value of the contents of an integer or enumeration, if it is from 0 to 2^31 - 1.
pub(super) fn small_number(contents: &[u8]) -> Option<u32> {
    let is_valid = (1..=4).contains(&contents.len()) && contents[0] < 0x80;
    is_valid.then(|| contents.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_one_after_another() {
        let (first, rest) = read(b"\x02\x01\x07\x04\x02ab\xff", INTEGER).unwrap();
        assert_eq!(small_number(first), Some(7));
        assert_eq!(read(rest, OCTET_STRING), Some((&b"ab"[..], &b"\xff"[..])));
        assert_eq!(read(rest, INTEGER), None);
        assert_eq!(read_any(b"\x04\x03ab"), None);
        assert_eq!(read_any(b""), None);
    }

    #[test]
    fn numbers_are_small_and_not_negative() {
        assert_eq!(small_number(b"\x00\x80"), Some(128));
        for wrong in [&b""[..], b"\x80", b"\xff", b"\x00\x00\x00\x00\x00"] {
            assert_eq!(small_number(wrong), None);
        }
    }
}
