//! Distinguished names (RFC 4514), for comparison.

/// A distinguished name in a form in which equal names are equal texts: lower case, no spaces
/// around separators, one way of escaping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DnKey(String);

impl DnKey {
    /// Returns the key of a DN. Returns `None` if the text is empty or not a DN.
    pub(super) fn of(dn: &str) -> Option<Self> {
        let parts: Option<Vec<String>> = split(dn, b',').into_iter().map(normalize_rdn).collect();
        parts.map(|parts| Self(parts.join(",")))
    }
}

/// Returns the longest ending that a DN has in common with all others, in the spelling of the
/// first. Returns the first if nothing is common.
pub(super) fn common_ending<'a>(first: &'a str, others: &[String]) -> &'a str {
    let keys = |dn: &str| -> Vec<Option<String>> { split(dn, b',').into_iter().rev().map(normalize_rdn).collect() };
    let parts = keys(first);
    let common = others.iter().fold(parts.len(), |common, other| {
        let is_equal = |(one, other): &(&Option<String>, Option<String>)| one.is_some() && **one == *other;
        parts.iter().zip(keys(other)).take(common).take_while(is_equal).count()
    });
    let skipped = parts.len() - common;
    match split(first, b',').get(skipped) {
        Some(part) => first[part.as_ptr().addr() - first.as_ptr().addr()..].trim_start(),
        None => first,
    }
}

/// Returns the DN of the domain of an entry of Active Directory: the parts at the end that are domain
/// components (RFC 2247). Returns the whole DN if it ends otherwise.
pub(super) fn domain_of(dn: &str) -> &str {
    let parts = split(dn, b',');
    let is_component = |part: &&&str| normalize_rdn(part).is_some_and(|rdn| rdn.starts_with("dc="));
    let components = parts.iter().rev().take_while(is_component).count();
    match parts.get(parts.len() - components) {
        Some(part) => dn[part.as_ptr().addr() - dn.as_ptr().addr()..].trim_start(),
        None => dn,
    }
}

/// Splits a text at a separator that is not escaped.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut is_escaped) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        if byte == separator && !is_escaped {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// Normalizes a relative distinguished name: one or more pairs of a type and a value.
fn normalize_rdn(rdn: &str) -> Option<String> {
    let mut pairs = split(rdn, b'+').into_iter().map(normalize_pair).collect::<Option<Vec<String>>>()?;
    pairs.sort_unstable();
    Some(pairs.join("+"))
}

fn normalize_pair(pair: &str) -> Option<String> {
    let (name, value) = pair.split_once('=')?;
    let name = name.trim();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let value = unescape(value)?;
    let value = String::from_utf8(value.clone()).map_or(value, |text| text.to_lowercase().into_bytes());
    Some(format!("{}={}", name.to_ascii_lowercase(), escape(&value)))
}

/// Returns the bytes of a value, without the unescaped spaces around it.
fn unescape(value: &str) -> Option<Vec<u8>> {
    let value = value.trim_start_matches(' ');
    let mut bytes = Vec::with_capacity(value.len());
    // The length up to the last byte that is not an unescaped space.
    let mut length = 0;
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            if *first != b' ' {
                length = bytes.len();
            }
            continue;
        }
        let pair = rest.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        if let Some(byte) = pair.and_then(|pair| hex::decode(pair).ok()) {
            bytes.extend(byte);
            rest = &rest[2..];
        } else {
            let (escaped, after) = rest.split_first()?;
            bytes.push(*escaped);
            rest = after;
        }
        length = bytes.len();
    }
    bytes.truncate(length);
    Some(bytes)
}

/// Escapes all bytes but letters, digits, hyphens and spaces.
fn escape(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b' ') {
            text.push(char::from(*byte));
        } else {
            text.push('\\');
            text.push_str(&hex::encode([*byte]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_equal() {
        for (one, other) in [
            ("CN=Staff,OU=Groups,DC=example,DC=org", "cn = staff, ou=groups ,dc=EXAMPLE,dc=org"),
            (r"cn=a\,b,dc=x", r"CN=A\2Cb,DC=x"),
            (r"cn=Müller,dc=x", r"cn=m\c3\bcller,dc=x"),
            ("cn=a+uid=b,dc=x", "UID=b + CN=a,dc=x"),
            (r"cn=a\ ,dc=x", r"cn=a\20,dc=x"),
        ] {
            assert_eq!(DnKey::of(one).unwrap(), DnKey::of(other).unwrap(), "{one}");
        }
    }

    #[test]
    fn other_names_differ() {
        for (one, other) in [
            ("cn=a,dc=x", "cn=ab,dc=x"),
            (r"cn=a\,dc\=x", "cn=a,dc=x"),
            ("cn=a,dc=x", "ou=a,dc=x"),
            (r"cn=a\ ,dc=x", "cn=a,dc=x"),
            ("cn=a b,dc=x", "cn=ab,dc=x"),
            (r"cn=\e4,dc=x", "cn=ä,dc=x"),
        ] {
            assert_ne!(DnKey::of(one), DnKey::of(other), "{one}");
        }
    }

    #[test]
    fn texts_without_types_are_not_names() {
        for text in ["", "staff", "cn=a,", ",dc=x", "=a", "c n=a", r"cn=a\"] {
            assert_eq!(DnKey::of(text), None, "{text}");
        }
    }

    #[test]
    fn the_domain_of_an_entry_has_all_domain_components_at_the_end() {
        for (dn, domain) in [
            ("CN=Users,DC=ad, DC=example,dc=org", "DC=ad, DC=example,dc=org"),
            ("DC=example,DC=org", "DC=example,DC=org"),
            ("dc=x,ou=y, dc=org", "dc=org"),
            (r"cn=a\,dc=x,dc=org", "dc=org"),
            ("o=company", "o=company"),
        ] {
            assert_eq!(domain_of(dn), domain, "{dn}");
        }
    }

    #[test]
    fn the_common_ending_covers_people_and_groups() {
        let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let base = "ou=People, dc=Example,dc=org";
        assert_eq!(common_ending(base, &[]), base);
        assert_eq!(common_ending(base, &groups(&["cn=a,ou=groups,dc=example,dc=org"])), "dc=Example,dc=org");
        assert_eq!(common_ending(base, &groups(&["cn=a,ou=people,dc=example,dc=org"])), base);
        assert_eq!(common_ending(base, &groups(&["cn=a,dc=org", "cn=b,ou=people,dc=example,dc=org"])), "dc=org");
        assert_eq!(common_ending(base, &groups(&["cn=a,dc=net"])), base);
    }
}
