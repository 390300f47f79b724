//! What every page tells the browser to hold to.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

/// Nothing but our own files, no script or style in the page itself, no frame around it, forms only to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// Where the pages are.
const PLACES: [&str; 7] =
    ["/sign-in", "/sign-out", "/change-password", "/preferences", "/admin", "/assets", "/favicon.ico"];
/// Where programs ask.
const FOR_PROGRAMS: [&str; 3] = ["/v4", "/oauth2", "/.well-known"];

/// Whether what is asked for is a page: below one, or anything but the API where a browser asks.
pub(crate) fn is_page(path: &str, headers: &HeaderMap) -> bool {
    let below = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let for_programs = |place: &str| {
        let head = path.get(..place.len()).is_some_and(|head| head.eq_ignore_ascii_case(place));
        head && path[place.len()..].chars().next().is_none_or(|c| c == '/')
    };
    if FOR_PROGRAMS.into_iter().any(for_programs) {
        return false;
    }
    let reads_pages = || headers.get(ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    path == "/" || PLACES.into_iter().any(below) || reads_pages()
}

/// Gives a page, or a file of one, the headers of all pages.
pub(super) fn finish(headers: &mut HeaderMap, is_known_by_https: bool) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers then send forms from an origin called null.
        (REFERRER_POLICY, "same-origin"),
        (OPENER, "same-origin"),
        (RESOURCE, "same-origin"),
        (PERMISSIONS, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(VARY).or_insert(HeaderValue::from_static("cookie"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_known_by_https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_pages_and_programs_do_not() {
        let browser: HeaderMap = [(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"))].into_iter().collect();
        let program = HeaderMap::new();
        for path in ["/", "/sign-in", "/preferences/access-tokens", "/admin", "/assets/style.css"] {
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
