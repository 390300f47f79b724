//! The headers of every response, and header templates for frequent responses.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, VARY, X_CONTENT_TYPE_OPTIONS},
};

use super::request_id::{RequestId, X_REQUEST_ID, X_TRIFACTA_REQUEST_ID};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const AUTHORIZATION: HeaderValue = HeaderValue::from_static("authorization");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Inserts the headers of every response. An existing `Cache-Control` or `Vary` header is kept.
pub(crate) fn insert_common_headers(headers: &mut HeaderMap, id: &RequestId) {
    let id = id.to_header_value();
    headers.insert(X_TRIFACTA_REQUEST_ID, id.clone());
    headers.insert(X_REQUEST_ID, id);
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    headers.entry(VARY).or_insert(AUTHORIZATION);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
}

/// A prebuilt header map in which only `N` values and the request ID differ between responses.
/// Rendering costs one copy and no lookup.
#[derive(Clone, Debug)]
pub(crate) struct HeaderTemplate<const N: usize> {
    headers: HeaderMap,
    /// The placeholder of each header, in iteration order of the map; `None`: fixed.
    placeholders: Vec<Option<Placeholder>>,
}

#[derive(Clone, Copy, Debug)]
enum Placeholder {
    RequestId,
    Value(usize),
}

impl<const N: usize> HeaderTemplate<N> {
    /// Creates a template with fixed headers and `N` headers to fill in.
    pub(crate) fn new(fixed: &[(HeaderName, HeaderValue)], names: &[HeaderName; N]) -> Self {
        let ids = [X_REQUEST_ID, X_TRIFACTA_REQUEST_ID];
        let common = [(CACHE_CONTROL, NO_STORE), (VARY, AUTHORIZATION), (X_CONTENT_TYPE_OPTIONS, NOSNIFF)];
        let variable = names.iter().chain(&ids).map(|name| (name.clone(), HeaderValue::from_static("-")));
        let headers: HeaderMap = common.into_iter().chain(fixed.iter().cloned()).chain(variable).collect();
        let placeholder_of = |name: &HeaderName| match names.iter().position(|variable| variable == name) {
            Some(n) => Some(Placeholder::Value(n)),
            None => ids.contains(name).then_some(Placeholder::RequestId),
        };
        let placeholders = headers.keys().map(placeholder_of).collect();
        Self { headers, placeholders }
    }

    /// Returns the headers with the request ID and the values in the order of [`Self::new`].
    pub(crate) fn render(&self, id: &HeaderValue, mut values: [HeaderValue; N]) -> HeaderMap {
        let mut headers = self.headers.clone();
        for (value, placeholder) in headers.values_mut().zip(&self.placeholders) {
            match placeholder {
                None => {}
                Some(Placeholder::RequestId) => *value = id.clone(),
                Some(Placeholder::Value(n)) => std::mem::swap(value, &mut values[*n]),
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_rendered_under_its_name() {
        let names: [HeaderName; 12] =
            std::array::from_fn(|n| HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap());
        let values = || std::array::from_fn(|n| HeaderValue::from_str(&n.to_string()).unwrap());
        let fixed = [(HeaderName::from_static("x-fixed"), HeaderValue::from_static("yes"))];
        let id = RequestId::from_headers(&HeaderMap::new());
        let headers = HeaderTemplate::new(&fixed, &names).render(&id.to_header_value(), values());
        for (name, value) in names.iter().zip(values()) {
            assert_eq!(headers[name], value);
        }
        let mut expected = HeaderMap::new();
        insert_common_headers(&mut expected, &id);
        expected.extend(fixed);
        expected.extend(names.into_iter().zip(values()));
        assert_eq!(headers, expected);
    }
}
