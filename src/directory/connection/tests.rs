use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use crate::directory::{
    pdu::{self, PduError},
    search::{PAGE_TIMEOUT, Query, SEARCH_TIMEOUT},
};

use super::*;

const BIND_SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

/// A connection to a test server, and the server's end of it.
struct Harness {
    connection: Connection,
    server: DuplexStream,
    broken: Arc<AtomicU64>,
}

impl Harness {
    async fn start() -> Self {
        let (server, stream) = duplex(1 << 20);
        let broken = Arc::<AtomicU64>::default();
        let url = ServerUrl::parse("ldaps://dc1.example.org").unwrap();
        let transport = Transport { server: url, certificate_names: Vec::new(), stream };
        let connection = Connection::start(transport, Arc::clone(&broken)).await.unwrap();
        Self { connection, server, broken }
    }

    /// Binds, while the server answers the request with `answer`.
    async fn bind(&mut self, answer: &[u8]) -> Result<LdapResult, DirectoryError> {
        tokio::join!(self.connection.bind("cn=a", "secret", false), answer_request(&mut self.server, answer)).0
    }

    fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

/// Reads one request and sends the answer.
async fn answer_request(server: &mut DuplexStream, answer: &[u8]) {
    let mut request = Vec::new();
    while pdu::message_length(&request).unwrap().is_none() {
        assert_ne!(server.read_buf(&mut request).await.unwrap(), 0, "no request");
    }
    server.write_all(answer).await.unwrap();
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    let length = u8::try_from(operation.len() + 3).unwrap();
    [&[0x30, length, 0x02, 0x01, id], operation].concat()
}

fn invalid(error: &DirectoryError) -> &InvalidAnswer {
    match error {
        DirectoryError::InvalidAnswer(reason) => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_bind_returns_the_result_code() {
    let mut harness = Harness::start().await;
    assert_eq!(harness.bind(BIND_SUCCESS).await.unwrap().rc, 0);
    let denied = message(2, b"\x61\x07\x0a\x01\x31\x04\x00\x04\x00");
    assert_eq!(harness.bind(&denied).await.unwrap().rc, 49);
    assert_eq!(harness.broken(), 0);
}

#[tokio::test]
async fn a_message_that_the_relay_rejects_is_reported_with_the_reason() {
    let mut harness = Harness::start().await;
    let error = harness.bind(b"\x30\x80\x02\x01\x01").await.unwrap_err();
    assert_eq!(*invalid(&error), InvalidAnswer::Pdu(PduError::IndefiniteLength));
    assert_eq!(harness.broken(), 1);
}

/// Well-formed BER for which ldap3 panics: in its driver, or in the task of the caller.
#[tokio::test]
async fn a_panic_of_the_library_ends_only_its_connection() {
    for answer in [
        // No element in the message; no result in the response; a result without a matched DN.
        &b"\x30\x00"[..],
        &message(1, b"\x61\x00"),
        &message(1, b"\x61\x03\x0a\x01\x00"),
        // A control that is not a sequence.
        b"\x30\x12\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x04\x04\x02ab",
    ] {
        let mut harness = Harness::start().await;
        let error = harness.bind(answer).await.unwrap_err();
        assert_eq!(*invalid(&error), InvalidAnswer::Malformed, "{}", answer.escape_ascii());
        assert_eq!(harness.broken(), 1, "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn a_closed_connection_is_reported_as_unreachable() {
    let Harness { connection, server, broken } = Harness::start().await;
    drop(server);
    let error = connection.bind("cn=a", "secret", false).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Unreachable { .. }), "{error}");
    assert_eq!(broken.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_dropped_connection_is_closed() {
    let Harness { connection, mut server, .. } = Harness::start().await;
    drop(connection);
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_ends_in_a_timeout() {
    let harness = Harness::start().await;
    let error = harness.connection.bind("cn=a", "secret", false).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Timeout { limit: BIND_TIMEOUT }), "{error}");
}

#[tokio::test]
async fn referrals_of_a_search_are_dropped() {
    let mut harness = Harness::start().await;
    let answer = [
        message(1, b"\x73\x10\x04\x0eldap://evil/a="),
        message(1, b"\x64\x07\x04\x03a=b\x30\x00"),
        message(1, b"\x65\x07\x0a\x01\x00\x04\x00\x04\x00"),
    ]
    .concat();
    let query = Query::base("a=b", "(objectClass=*)", &["cn"]);
    let (found, ()) =
        tokio::join!(harness.connection.search(&query, SEARCH_TIMEOUT), answer_request(&mut harness.server, &answer));
    let entries = found.unwrap().complete().unwrap();
    assert_eq!(entries.iter().map(|entry| entry.dn.as_str()).collect::<Vec<_>>(), ["a=b"]);
}

#[tokio::test]
async fn a_malformed_entry_is_an_invalid_answer() {
    let mut harness = Harness::start().await;
    let query = Query::base("a=b", "(objectClass=*)", &["cn"]);
    let answer = message(1, b"\x64\x05\x04\x03a=b");
    let (found, ()) =
        tokio::join!(harness.connection.search(&query, SEARCH_TIMEOUT), answer_request(&mut harness.server, &answer));
    assert_eq!(*invalid(&found.unwrap_err()), InvalidAnswer::Malformed);
}

/// A done message with the paging control: `cookie` is empty after the last page.
fn page_end(id: u8, code: u8, cookie: &[u8]) -> Vec<u8> {
    let element = |tag: u8, contents: &[u8]| [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat();
    let value = element(0x30, &[b"\x02\x01\x00", &element(0x04, cookie)[..]].concat());
    let control = [element(0x04, b"1.2.840.113556.1.4.319"), element(0x04, &value)].concat();
    let controls = element(0xa0, &element(0x30, &control));
    message(id, &[&b"\x65\x07\x0a\x01"[..], &[code], b"\x04\x00\x04\x00", &controls].concat())
}

/// Runs a paged search, while the server sends one answer to each request.
async fn pages(answers: &[Vec<u8>]) -> Result<Vec<String>, DirectoryError> {
    let mut harness = Harness::start().await;
    let query = Query::below("dc=x", "(objectClass=*)".to_owned(), &["cn"]);
    let (found, ()) = tokio::join!(harness.connection.search_pages(&query), async {
        for answer in answers {
            answer_request(&mut harness.server, answer).await;
        }
    });
    assert!(PAGE_TIMEOUT > SEARCH_TIMEOUT);
    found.map(|entries| entries.into_iter().map(|entry| entry.dn).collect())
}

#[tokio::test]
async fn pages_are_read_until_the_cookie_is_empty() {
    let entry = |id, dn: &[u8; 3]| message(id, &[b"\x64\x07\x04\x03", &dn[..], b"\x30\x00"].concat());
    let first = [entry(1, b"a=1"), page_end(1, 0, b"next")].concat();
    let last = [entry(2, b"a=2"), page_end(2, 0, b"")].concat();
    assert_eq!(pages(&[first.clone(), last]).await.unwrap(), ["a=1", "a=2"]);
    // A page that is too large for the server.
    let smaller = [entry(2, b"a=1"), page_end(2, 0, b"")].concat();
    assert_eq!(pages(&[page_end(1, 11, b""), smaller]).await.unwrap(), ["a=1"]);
    // Result code 4, on the first or the second page, with or without a cookie.
    for answers in [
        vec![[entry(1, b"a=1"), page_end(1, 4, b"")].concat()],
        vec![[entry(1, b"a=1"), page_end(1, 4, b"next")].concat()],
        vec![first.clone(), page_end(2, 4, b"next")],
    ] {
        assert!(matches!(pages(&answers).await, Err(DirectoryError::Incomplete { code: 4 })));
    }
    // A result that does not say whether there are more pages.
    let silent = [entry(1, b"a=1"), message(1, b"\x65\x07\x0a\x01\x00\x04\x00\x04\x00")].concat();
    assert!(matches!(pages(&[silent]).await, Err(DirectoryError::Incomplete { code: 0 })));
}
