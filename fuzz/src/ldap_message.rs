//! Messages of a directory server. The check must find the same length as an independent
//! implementation, and the parser that reads accepted messages must consume exactly that length.

use tokenward::directory::pdu::{MAX_BYTES, MAX_DEPTH, message_length};

/// The result for bytes of which more may follow.
#[derive(Debug, PartialEq, Eq)]
enum Reference {
    Complete(usize),
    Incomplete,
    Invalid,
}

/// Reads a tag and a length. Returns whether contents are elements, and where they begin and end.
fn read_header(bytes: &[u8]) -> Result<(bool, usize, usize), Reference> {
    let tag = *bytes.first().ok_or(Reference::Incomplete)?;
    if tag % 32 == 31 {
        return Err(Reference::Invalid);
    }
    let is_constructed = tag / 32 % 2 == 1;
    let (start, length) = match *bytes.get(1).ok_or(Reference::Incomplete)? {
        short @ 0..=127 => (2, usize::from(short)),
        long @ 129..=132 => {
            let start = 2 + usize::from(long - 128);
            let digits = bytes.get(2..start).ok_or(Reference::Incomplete)?;
            (start, digits.iter().fold(0, |length, digit| length * 256 + usize::from(*digit)))
        }
        _ => return Err(Reference::Invalid),
    };
    if start + length > MAX_BYTES { Err(Reference::Invalid) } else { Ok((is_constructed, start, start + length)) }
}

/// Returns whether the bytes are whole elements of at most `depth` levels.
fn are_elements(mut bytes: &[u8], depth: usize) -> bool {
    while !bytes.is_empty() {
        let Ok((is_constructed, start, end)) = read_header(bytes) else { return false };
        let Some(contents) = bytes.get(start..end) else { return false };
        if depth == 0 || is_constructed && !are_elements(contents, depth - 1) {
            return false;
        }
        bytes = &bytes[end..];
    }
    true
}

fn reference(bytes: &[u8]) -> Reference {
    match bytes.first() {
        None => return Reference::Incomplete,
        Some(0x30) => {}
        Some(_) => return Reference::Invalid,
    }
    match read_header(bytes) {
        Err(result) => result,
        Ok((_, _, end)) if bytes.len() < end => Reference::Incomplete,
        Ok((_, start, end)) if are_elements(&bytes[start..end], MAX_DEPTH - 1) => Reference::Complete(end),
        Ok(_) => Reference::Invalid,
    }
}

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    let expected = reference(bytes);
    let found = match message_length(bytes) {
        Ok(Some(length)) => Reference::Complete(length),
        Ok(None) => Reference::Incomplete,
        Err(_) => Reference::Invalid,
    };
    assert_eq!(found, expected);
    if let Reference::Complete(length) = found {
        let (rest, _) = ldap3::asn1::parse_tag(bytes).expect("the parser reads an accepted message");
        assert_eq!(bytes.len() - rest.len(), length);
    }
}
