//! Detection of compressed request bodies, which no endpoint accepts (RFC 9110, section 8.4).

use axum::http::{HeaderMap, header::CONTENT_ENCODING};

/// Returns whether a body has a content coding other than `identity`.
#[must_use]
pub fn is_encoded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(CONTENT_ENCODING).iter().flat_map(|field| field.as_bytes().split(|b| *b == b','));
    codings.map(<[u8]>::trim_ascii).any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        fields.iter().map(|field| (CONTENT_ENCODING, field.parse().unwrap())).collect()
    }

    #[test]
    fn only_identity_counts_as_uncompressed() {
        for fields in [&[][..], &[""], &["identity"], &[" Identity , identity"], &["identity", "IDENTITY"]] {
            assert!(!is_encoded(&headers(fields)), "{fields:?}");
        }
        for fields in [&["gzip"][..], &["identity, gzip"], &["identity", "br"], &["x"], &["gzip, identity"]] {
            assert!(is_encoded(&headers(fields)), "{fields:?}");
        }
    }
}
