//! Searches: one request, or one page of a paged one.

use std::time::Duration;

use ldap3::{
    LdapResult, Scope, SearchOptions,
    controls::{MakeCritical as _, PagedResults, RawControl},
};

use super::{
    ber,
    connection::{Connection, OperationError},
    entry::Entry,
    error::{DirectoryError, InvalidAnswer},
};

/// The maximum time of one search of a sign-in.
pub(super) const SEARCH_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The maximum time of one search, or one page, of a list.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The numbers of entries of a page. The next one is tried if the server rejects one as too large;
/// after the last, 1.
const PAGE_SIZES: [i32; 3] = [500, 50, 10];
/// The maximum number of messages that answer one search: a page with a few referrals.
const MAX_MESSAGES: usize = 2_000;
/// The maximum number of pages of a list.
const MAX_PAGES: usize = 20_000;
/// The control for paged results (RFC 2696).
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// Result codes (RFC 4511, section 4.1.9).
pub(super) mod code {
    pub const SUCCESS: u32 = 0;
    pub const OPERATIONS_ERROR: u32 = 1;
    pub const TIME_LIMIT_EXCEEDED: u32 = 3;
    pub const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub const STRONGER_AUTH_REQUIRED: u32 = 8;
    pub const ADMIN_LIMIT_EXCEEDED: u32 = 11;
    pub const CONFIDENTIALITY_REQUIRED: u32 = 13;
    pub const CONSTRAINT_VIOLATION: u32 = 19;
    pub const NO_SUCH_OBJECT: u32 = 32;
    pub const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub const INVALID_CREDENTIALS: u32 = 49;
    pub const UNAVAILABLE: u32 = 52;
    pub const UNWILLING_TO_PERFORM: u32 = 53;
}

/// A search.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) base: String,
    pub(super) scope: Scope,
    pub(super) filter: String,
    pub(super) attributes: Vec<&'static str>,
    /// The maximum number of entries; 0 for no maximum.
    pub(super) size_limit: i32,
}

impl Query {
    /// Returns a search of one entry by its DN.
    pub(super) fn base(dn: &str, filter: &str, attributes: &[&'static str]) -> Self {
        Self {
            base: dn.to_owned(),
            scope: Scope::Base,
            filter: filter.to_owned(),
            attributes: attributes.to_vec(),
            size_limit: 0,
        }
    }

    /// Returns a search of all entries below a DN.
    pub(super) fn below(base: &str, filter: String, attributes: &[&'static str]) -> Self {
        Self { base: base.to_owned(), scope: Scope::Subtree, filter, attributes: attributes.to_vec(), size_limit: 0 }
    }
}

/// The entries that a search returned, with the result of the search.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) result: LdapResult,
}

impl Found {
    /// Returns the entries.
    ///
    /// # Errors
    /// [`DirectoryError::Incomplete`] or another error for any result code but 0.
    pub(super) fn complete(self) -> Result<Vec<Entry>, DirectoryError> {
        match self.result.rc {
            code::SUCCESS => Ok(self.entries),
            code::TIME_LIMIT_EXCEEDED | code::SIZE_LIMIT_EXCEEDED | code::ADMIN_LIMIT_EXCEEDED => {
                Err(DirectoryError::Incomplete { code: self.result.rc })
            }
            _ => Err(result_error("search", &self.result)),
        }
    }

    /// Returns the entries of a base search; none if the base does not exist.
    ///
    /// # Errors
    /// As [`Found::complete`].
    pub(super) fn at_base(self) -> Result<Vec<Entry>, DirectoryError> {
        if self.result.rc == code::NO_SUCH_OBJECT { Ok(Vec::new()) } else { self.complete() }
    }
}

/// Returns the error for a result code that is not an outcome of the operation.
pub(super) fn result_error(operation: &'static str, result: &LdapResult) -> DirectoryError {
    if matches!(result.rc, code::STRONGER_AUTH_REQUIRED | code::CONFIDENTIALITY_REQUIRED) {
        return DirectoryError::TlsRequired { code: result.rc };
    }
    if operation == "search" && result.rc == code::NO_SUCH_OBJECT {
        return DirectoryError::NoSuchBase;
    }
    let diagnostic = result.text.chars().filter(|c| !c.is_control()).take(200).collect();
    DirectoryError::Result { operation, code: result.rc, diagnostic }
}

impl Connection {
    /// Runs one search. Referrals are dropped.
    ///
    /// # Errors
    /// A [`DirectoryError`] if there was no response. Any result code is a response.
    pub(super) async fn search(&self, query: &Query, limit: Duration) -> Result<Found, DirectoryError> {
        self.run(limit, self.collect(query, None)).await
    }

    /// Runs a search of a list, page by page.
    ///
    /// # Errors
    /// [`DirectoryError::Incomplete`] unless each page ends with result code 0 and says whether it
    /// is the last.
    pub(super) async fn search_pages(&self, query: &Query) -> Result<Vec<Entry>, DirectoryError> {
        let mut entries = Vec::new();
        let mut cookie = Vec::new();
        let mut sizes = PAGE_SIZES.into_iter().peekable();
        for _ in 0..MAX_PAGES {
            let size = sizes.peek().copied().unwrap_or(1);
            let page = PagedResults { size, cookie: cookie.clone() }.critical();
            let found = self.run(PAGE_TIMEOUT, self.collect(query, Some(page.into()))).await?;
            // slapd rejects a page that is larger than its limit for the account.
            if found.result.rc == code::ADMIN_LIMIT_EXCEEDED && cookie.is_empty() && size > 1 {
                sizes.next();
                continue;
            }
            let next = next_cookie(&found.result);
            entries.extend(found.complete()?);
            cookie = next.ok_or(DirectoryError::Incomplete { code: code::SUCCESS })?;
            if cookie.is_empty() {
                return Ok(entries);
            }
        }
        Err(DirectoryError::Incomplete { code: code::SUCCESS })
    }

    async fn collect(&self, query: &Query, page: Option<RawControl>) -> Result<Found, OperationError> {
        let mut ldap = self.handle();
        ldap.with_search_options(SearchOptions::new().sizelimit(query.size_limit));
        if let Some(page) = page {
            ldap.with_controls(vec![page]);
        }
        let mut stream =
            ldap.streaming_search(&query.base, query.scope, &query.filter, query.attributes.clone()).await?;
        let mut entries = Vec::new();
        let mut messages = 0;
        while let Some(message) = stream.next().await? {
            messages += 1;
            if messages > MAX_MESSAGES {
                return Err(InvalidAnswer::TooManyEntries.into());
            }
            if !message.is_ref() && !message.is_intermediate() {
                entries.push(Entry::read(message.0).ok_or(InvalidAnswer::Malformed)?);
            }
        }
        Ok(Found { entries, result: stream.finish().await })
    }
}

/// Returns the cookie of the next page, empty after the last, or `None` if the result does not say.
fn next_cookie(result: &LdapResult) -> Option<Vec<u8>> {
    let control = result.ctrls.iter().map(|control| &control.1).find(|control| control.ctype == PAGED_RESULTS)?;
    let (value, _) = ber::read(control.val.as_ref()?, ber::SEQUENCE)?;
    let (_, rest) = ber::read(value, ber::INTEGER)?;
    ber::read(rest, ber::OCTET_STRING).map(|(cookie, _)| cookie.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(rc: u32, control: Option<&[u8]>) -> LdapResult {
        let raw = |value: &[u8]| RawControl { ctype: PAGED_RESULTS.to_owned(), crit: false, val: Some(value.to_vec()) };
        let ctrls = control.map(|value| ldap3::controls::Control(None, raw(value))).into_iter().collect();
        LdapResult { rc, matched: String::new(), text: "bad\u{7}news".to_owned(), refs: Vec::new(), ctrls }
    }

    #[test]
    fn the_cookie_of_a_page_is_read_without_recursion() {
        assert_eq!(next_cookie(&result(0, Some(b"\x30\x07\x02\x01\x00\x04\x02ab"))), Some(b"ab".to_vec()));
        assert_eq!(next_cookie(&result(0, Some(b"\x30\x05\x02\x01\x00\x04\x00"))), Some(Vec::new()));
        assert_eq!(next_cookie(&result(0, Some(b"\x30\x03\x02\x01\x00"))), None);
        assert_eq!(next_cookie(&result(0, None)), None);
        assert_eq!(next_cookie(&result(0, Some(&[0x30, 0x84].repeat(100_000)))), None);
    }

    #[test]
    fn only_result_code_0_is_complete() {
        let found = |rc| Found { entries: Vec::new(), result: result(rc, None) };
        assert!(found(0).complete().is_ok());
        assert!(matches!(found(4).complete(), Err(DirectoryError::Incomplete { code: 4 })));
        assert!(matches!(found(13).complete(), Err(DirectoryError::TlsRequired { code: 13 })));
        assert!(found(32).at_base().unwrap().is_empty());
        let error = found(10).complete().unwrap_err().to_string();
        assert!(error.contains("search with result code 10 (badnews)"), "{error}");
    }
}
