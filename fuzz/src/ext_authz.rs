//! The check request of Envoy: the extension `require` in the first line, and one header per
//! further line. A leading `!` puts a header into the raw header map.
//!
//! The response is OK for a valid token that meets the requirements, and for nothing else. Client
//! headers that could be mistaken for identity headers are removed or overwritten.

use super::test_service::{is_bearer_of, with_service};
use tokenward::auth_check::envoy_messages::{
    AttributeContext, CheckRequest, HeaderMap, HeaderValue, HttpRequest, HttpResponse, Request,
};

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    with_service(|service| {
        let bytes = service.substitute(bytes);
        let mut lines = bytes.split(|b| *b == b'\n');
        let require = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let (mut http, mut raw) = (HttpRequest::default(), Vec::new());
        for line in lines {
            let at = line.iter().position(|b| *b == b':').unwrap_or(line.len());
            let name = String::from_utf8_lossy(&line[..at]).into_owned();
            let value = line.get(at + 1..).unwrap_or_default().to_vec();
            match name.strip_prefix('!') {
                Some(name) => {
                    raw.push(HeaderValue { key: name.to_owned(), raw_value: value, ..HeaderValue::default() });
                }
                None => drop(http.headers.insert(name, String::from_utf8_lossy(&value).into_owned())),
            }
        }
        // Several credentials are an error.
        let texts = http.headers.iter().map(|(name, value)| (name, value.as_bytes()));
        let fields = texts.chain(raw.iter().map(|header| (&header.key, header.raw_value.as_slice())));
        let mut fields =
            fields.filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value.to_vec());
        let field = fields.next().filter(|_| fields.next().is_none()).unwrap_or_default();
        let names: Vec<String> = http.headers.keys().chain(raw.iter().map(|header| &header.key)).cloned().collect();
        http.header_map = (!raw.is_empty()).then_some(HeaderMap { headers: raw });
        let request = Request { http: Some(http) };
        let extensions = if require == "-" { Vec::new() } else { vec![("require".to_owned(), require.clone())] };
        let attributes = AttributeContext {
            request: Some(request),
            context_extensions: extensions.into_iter().collect(),
            ..AttributeContext::default()
        };
        let response = service.check(CheckRequest { attributes: Some(attributes) }).expect("a response");
        let is_admin = is_bearer_of(&field, &service.valid_token);
        let is_met = match require.as_str() {
            "-" | "any" | "workspace=1" => is_admin || is_bearer_of(&field, &service.user_token),
            "admin" | "workspace=1,admin" | "admin,workspace=1" => is_admin,
            _ => false,
        };
        let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
            assert!(!is_met, "{require}");
            return;
        };
        assert!(is_met && response.status.is_some_and(|status| status.code == 0), "{require}");
        let identity_headers: Vec<String> =
            ok.headers.into_iter().filter_map(|option| Some(option.header?.key)).collect();
        for name in names {
            let plain = name.to_ascii_lowercase().replace(['_', '.'], "-");
            if plain.starts_with("x-tokenward-") || plain.starts_with("remote-") && identity_headers.contains(&plain) {
                assert!(
                    identity_headers.contains(&name) || ok.headers_to_remove.contains(&name),
                    "{name} is forwarded"
                );
            }
        }
    });
}
