//! Entries of search results.

use std::collections::HashMap;

use ldap3::asn1::{PL, StructureTag};

/// The tag number of a search result entry.
const SEARCH_RESULT_ENTRY: u64 = 4;

/// An entry with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: String,
    /// Values by attribute name in lower case.
    attributes: HashMap<String, Vec<Vec<u8>>>,
}

impl Entry {
    /// Converts a search result entry (RFC 4511, section 4.5.2). Returns `None` if it has another
    /// form, for which the conversion of ldap3 panics.
    pub(super) fn read(message: StructureTag) -> Option<Self> {
        if message.id != SEARCH_RESULT_ENTRY {
            return None;
        }
        let mut parts = constructed(message)?.into_iter();
        let dn = String::from_utf8(primitive(parts.next()?)?).ok()?;
        let mut attributes = HashMap::new();
        for attribute in constructed(parts.next()?)? {
            let mut parts = constructed(attribute)?.into_iter();
            let mut name = String::from_utf8(primitive(parts.next()?)?).ok()?;
            name.make_ascii_lowercase();
            let values = constructed(parts.next()?)?.into_iter().map(primitive);
            attributes.insert(name, values.collect::<Option<Vec<_>>>()?);
        }
        Some(Self { dn, attributes })
    }

    /// Returns the values of an attribute, given in lower case.
    pub(super) fn values(&self, attribute: &str) -> &[Vec<u8>] {
        debug_assert!(!attribute.contains(|c: char| c.is_ascii_uppercase()), "{attribute}");
        self.attributes.get(attribute).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the first value of an attribute.
    pub(super) fn bytes(&self, attribute: &str) -> Option<&[u8]> {
        self.values(attribute).first().map(Vec::as_slice)
    }

    /// Returns the values of an attribute that are text.
    pub(super) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.values(attribute).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Returns the first value of an attribute that is text and not empty.
    pub(super) fn text(&self, attribute: &str) -> Option<&str> {
        self.texts(attribute).find(|text| !text.is_empty())
    }

    /// Creates an entry for a test.
    #[cfg(test)]
    pub(super) fn of(dn: &str, attributes: &[(&str, &[u8])]) -> Self {
        let mut entry = Self { dn: dn.to_owned(), attributes: HashMap::new() };
        for (name, value) in attributes {
            entry.attributes.entry(name.to_ascii_lowercase()).or_default().push(value.to_vec());
        }
        entry
    }
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Option<Entry> {
        Entry::read(ldap3::asn1::parse_tag(bytes).unwrap().1)
    }

    #[test]
    fn attributes_are_found_in_lower_case() {
        let entry =
            parse(b"\x64\x1b\x04\x03a=b\x30\x14\x30\x09\x04\x03CnX\x31\x02\x04\x00\x30\x07\x04\x01g\x31\x02\x04\x00")
                .or_else(|| {
                    parse(b"\x64\x19\x04\x03a=b\x30\x12\x30\x09\x04\x03CnX\x31\x02\x04\x00\x30\x05\x04\x01g\x31\x00")
                });
        let entry = entry.unwrap();
        assert_eq!(entry.dn, "a=b");
        assert_eq!(entry.bytes("cnx"), Some(&b""[..]));
        assert_eq!(entry.text("cnx"), None);
        assert_eq!(entry.bytes("missing"), None);
    }

    #[test]
    fn other_messages_are_not_entries() {
        for bytes in [
            // A search result reference.
            &b"\x73\x05\x04\x03a=b"[..],
            // No attributes.
            b"\x64\x05\x04\x03a=b",
            b"\x64\x00",
            // A primitive entry, and a DN that is not text.
            b"\x44\x05\x04\x03a=b",
            b"\x64\x05\x04\x01\xff\x30\x00",
            // An attribute without a set of values, and one with constructed values.
            b"\x64\x0a\x04\x01a\x30\x05\x30\x03\x04\x01g",
            b"\x64\x0e\x04\x01a\x30\x09\x30\x07\x04\x01g\x31\x02\x24\x00",
        ] {
            assert_eq!(parse(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
