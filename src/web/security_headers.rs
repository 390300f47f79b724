//! The security headers of the pages, and the distinction of pages from the API.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

/// Allows only files and form targets of this service; no inline scripts or styles, no framing.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// The path prefixes of pages.
const PAGE_PREFIXES: [&str; 12] = [
    "/sign-in",
    "/sign-out",
    "/change-password",
    "/invite",
    "/forgot-password",
    "/reset-password",
    "/preferences",
    "/admin",
    "/device",
    "/api-reference",
    "/assets",
    "/favicon.ico",
];
/// The prefixes of paths that contain the secret of a password link.
const SECRET_PATH_PREFIXES: [&str; 2] = ["/invite/", "/reset-password/"];
/// The path prefixes of the API.
const API_PREFIXES: [&str; 4] = ["/v4", "/oauth2", "/.well-known", "/scim"];

/// Returns whether a request is for a page: a path of the pages, or any path outside the API if the
/// client accepts HTML.
pub(crate) fn is_page(path: &str, headers: &HeaderMap) -> bool {
    let is_below =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_below_ignoring_case = |prefix: &str| {
        let head = path.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        head && path[prefix.len()..].chars().next().is_none_or(|c| c == '/')
    };
    if API_PREFIXES.into_iter().any(is_below_ignoring_case) {
        return false;
    }
    let accepts_html = || headers.get(ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    path == "/" || PAGE_PREFIXES.into_iter().any(is_below) || accepts_html()
}

/// Adds the security headers to a page or a static file at `path`.
pub(super) fn insert(headers: &mut HeaderMap, path: &str, has_https_url: bool) {
    // Elsewhere not `no-referrer`: browsers send `Origin: null` with the forms of such a page, and
    // those without Fetch metadata could not submit them.
    let referrer_policy =
        if SECRET_PATH_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) { "no-referrer" } else { "same-origin" };
    let fixed = [
        (CONTENT_SECURITY_POLICY, CSP),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, referrer_policy),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(VARY).or_insert(HeaderValue::from_static("cookie"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if has_https_url {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_recognized_by_path_or_accept_header() {
        let browser: HeaderMap = [(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"))].into_iter().collect();
        let program = HeaderMap::new();
        for path in
            ["/", "/sign-in", "/preferences/access-tokens", "/admin", "/api-reference/people", "/assets/style.css"]
        {
            assert!(is_page(path, &program) && is_page(path, &browser), "{path}");
        }
        for path in ["/v4/apiAccessTokens", "/V4/nothing", "/oauth2/introspect", "/.well-known/x", "/v4"] {
            assert!(!is_page(path, &browser), "{path}");
        }
        for path in ["/nothing", "/v4x", "/administrator"] {
            assert!(is_page(path, &browser) && !is_page(path, &program), "{path}");
        }
    }
}
