//! The part of BER (ITU-T X.690) and LDAP (RFC 4511) that the misbehaving server needs.

use std::io::{self, Read};

/// Tags of LDAP's protocol operations.
pub mod tag {
    pub const BIND_REQUEST: u8 = 0x60;
    pub const BIND_RESPONSE: u8 = 0x61;
    pub const SEARCH_REQUEST: u8 = 0x63;
    pub const SEARCH_ENTRY: u8 = 0x64;
    pub const SEARCH_DONE: u8 = 0x65;
    pub const SEARCH_REFERENCE: u8 = 0x73;
    pub const EXTENDED_REQUEST: u8 = 0x77;
    pub const EXTENDED_RESPONSE: u8 = 0x78;
}

/// Encodes an element.
pub fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], contents].concat()
}

/// Encodes a result: `extra` follows its code, matched DN and diagnostic message.
pub fn result(code: u8, diagnostic: &str, extra: &[u8]) -> Vec<u8> {
    [element(0x0a, &[code]), element(4, b""), element(4, diagnostic.as_bytes()), extra.to_vec()].concat()
}

/// Encodes this many sequences within each other.
pub fn nested_sequences(levels: usize) -> Vec<u8> {
    let mut headers = Vec::with_capacity(levels);
    let mut length = 0_u32;
    for _ in 0..levels {
        headers.push([&[0x30, 0x84], &length.to_be_bytes()[..]].concat());
        length += 6;
    }
    headers.reverse();
    headers.concat()
}

/// A request of the client.
pub struct Request {
    /// The encoded message ID.
    id: Vec<u8>,
    /// The tag of the operation.
    pub operation: u8,
    /// The encoded contents of the operation.
    pub contents: Vec<u8>,
}

impl Request {
    /// Reads the next request. The client's messages are trusted.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let (_, message) = read_element(from)?;
        let mut rest = message.as_slice();
        let (_, id) = read_element(&mut rest)?;
        let (operation, contents) = read_element(&mut rest)?;
        Ok(Self { id: element(2, &id), operation, contents })
    }

    /// Encodes a response to this request.
    pub fn response(&self, operation: u8, contents: &[u8]) -> Vec<u8> {
        element(0x30, &[self.id.clone(), element(operation, contents)].concat())
    }

    /// Encodes an entry without attributes except for these.
    pub fn entry(&self, dn: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
        let attributes = attributes.iter().flat_map(|(name, value)| {
            let values = element(0x31, &element(4, value.as_bytes()));
            element(0x30, &[element(4, name.as_bytes()), values].concat())
        });
        let attributes: Vec<u8> = attributes.collect();
        self.response(tag::SEARCH_ENTRY, &[element(4, dn.as_bytes()), element(0x30, &attributes)].concat())
    }

    /// Returns whether the encoded operation contains these bytes.
    pub fn contains(&self, bytes: &[u8]) -> bool {
        self.contents.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Reads an element with a definite length. Returns its tag and contents.
fn read_element(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let [tag, first] = read_bytes(from)?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        (0..first & 0x7f)
            .try_fold(0, |length, _| Ok::<_, io::Error>(length << 8 | usize::from(read_bytes::<1>(from)?[0])))?
    };
    let mut contents = vec![0; length];
    from.read_exact(&mut contents)?;
    Ok((tag, contents))
}

fn read_bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
