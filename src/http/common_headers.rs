//! The headers that every answer has, and heads that are sent so often that they are made beforehand.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, VARY, X_CONTENT_TYPE_OPTIONS},
};

use super::request_id::{RequestId, X_REQUEST_ID, X_TRIFACTA_REQUEST_ID};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const AUTHORIZATION: HeaderValue = HeaderValue::from_static("authorization");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Gives an answer the headers that every answer has. One that says otherwise how it may be kept is left to it.
pub(crate) fn finish(headers: &mut HeaderMap, id: &RequestId) {
    let id = id.value();
    headers.insert(X_TRIFACTA_REQUEST_ID, id.clone());
    headers.insert(X_REQUEST_ID, id);
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    headers.entry(VARY).or_insert(AUTHORIZATION);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
}

/// The finished head of an answer in which only some values differ from time to time. Filling it in costs a copy and no
/// look-up.
#[derive(Clone, Debug)]
pub(crate) struct Head<const N: usize> {
    template: HeaderMap,
    /// Which of the values stands where, in the map's own order.
    order: Vec<Option<Filled>>,
}

#[derive(Clone, Copy, Debug)]
enum Filled {
    RequestId,
    Value(usize),
}

impl<const N: usize> Head<N> {
    /// A head with these values as they are, and with N to be filled in.
    pub(crate) fn new(fixed: &[(HeaderName, HeaderValue)], filled: &[HeaderName; N]) -> Self {
        let ids = [X_REQUEST_ID, X_TRIFACTA_REQUEST_ID];
        let every = [(CACHE_CONTROL, NO_STORE), (VARY, AUTHORIZATION), (X_CONTENT_TYPE_OPTIONS, NOSNIFF)];
        let open = filled.iter().chain(&ids).map(|name| (name.clone(), HeaderValue::from_static("-")));
        let template: HeaderMap = every.into_iter().chain(fixed.iter().cloned()).chain(open).collect();
        let stands_for = |name: &HeaderName| match filled.iter().position(|filled| filled == name) {
            Some(n) => Some(Filled::Value(n)),
            None => ids.contains(name).then_some(Filled::RequestId),
        };
        let order = template.keys().map(stands_for).collect();
        Self { template, order }
    }

    /// The head with these values, for the request of this id.
    pub(crate) fn fill(&self, id: &HeaderValue, mut values: [HeaderValue; N]) -> HeaderMap {
        let mut headers = self.template.clone();
        for (value, filled) in headers.values_mut().zip(&self.order) {
            match filled {
                None => {}
                Some(Filled::RequestId) => *value = id.clone(),
                Some(Filled::Value(n)) => std::mem::swap(value, &mut values[*n]),
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_under_its_name() {
        let names: [HeaderName; 12] =
            std::array::from_fn(|n| HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap());
        let values = || std::array::from_fn(|n| HeaderValue::from_str(&n.to_string()).unwrap());
        let fixed = [(HeaderName::from_static("x-fixed"), HeaderValue::from_static("yes"))];
        let id = RequestId::of(&HeaderMap::new());
        let headers = Head::new(&fixed, &names).fill(&id.value(), values());
        for (name, value) in names.iter().zip(values()) {
            assert_eq!(headers[name], value);
        }
        let mut expected = HeaderMap::new();
        finish(&mut expected, &id);
        expected.extend(fixed);
        expected.extend(names.into_iter().zip(values()));
        assert_eq!(headers, expected);
    }
}
