//! Servers that an attacker controls, or an attacker on the way to the server. Every attack ends
//! with an error, and the client goes on.

use std::{net::TcpListener, time::Duration};

use rstest::rstest;
use tokenward::directory::{Directory, DirectoryError, DirectorySettings, Lookup};

use super::{find, grace_entry, settings_of_fake, start_tls_settings};
use crate::support::directory::{
    FakeServer,
    ber::{Request, element, nested_sequences, result, tag},
    fake_server::{Response, accept, grant_start_tls},
};

/// The longest time until an error, on tokio's clock.
const LIMIT: Duration = Duration::from_secs(5);

/// The nesting that overflows the stack of a recursive parser.
const LEVELS: usize = 100_000;

/// Asserts that searches and the probe end with errors.
async fn assert_fails(settings: DirectorySettings, is_expected: Expectation) {
    let client = Directory::new(settings).unwrap();
    for _ in 0..2 {
        let failed = client.find_by_login("grace").await.expect_err("an error");
        assert!(is_expected(&failed), "{failed:?}");
    }
    assert!(client.probe().await.is_err());
}

fn is_invalid(error: &DirectoryError) -> bool {
    matches!(error, DirectoryError::InvalidAnswer(_))
}

fn is_rejected(error: &DirectoryError) -> bool {
    matches!(error, DirectoryError::StartTlsRejected { .. })
}

fn is_disconnected(error: &DirectoryError) -> bool {
    matches!(error, DirectoryError::Unreachable { .. } | DirectoryError::Tls { .. } | DirectoryError::InvalidAnswer(_))
}

type Answer = fn(&Request) -> Response;
type Expectation = fn(&DirectoryError) -> bool;

/// Responses to `StartTLS` that must not lead to a bind.
const START_TLS_RESPONSES: [(&str, Answer, Expectation); 9] = [
    ("unavailable", |request| Some(request.response(tag::EXTENDED_RESPONSE, &result(52, "", &[]))), is_rejected),
    ("protocol error", |request| Some(request.response(tag::EXTENDED_RESPONSE, &result(2, "", &[]))), is_rejected),
    ("nested", |_| Some(nested_sequences(LEVELS)), is_invalid),
    ("bytes after", |request| Some([grant_start_tls(request), grant_start_tls(request)].concat()), is_invalid),
    ("one byte after", |request| Some([grant_start_tls(request), vec![0]].concat()), is_invalid),
    ("other message ID", |_| Some(message(9, tag::EXTENDED_RESPONSE, &result(0, "", &[]))), is_invalid),
    ("bind response", |request| Some(request.response(tag::BIND_RESPONSE, &result(0, "", &[]))), is_invalid),
    ("indefinite length", |_| Some(vec![0x30, 0x80, 0, 0]), is_invalid),
    ("another protocol", |_| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), is_invalid),
];

fn message(id: u8, operation: u8, contents: &[u8]) -> Vec<u8> {
    element(0x30, &[element(2, &[id]), element(operation, contents)].concat())
}

#[tokio::test]
async fn start_tls_must_be_granted_and_nothing_else() {
    for (name, response, is_expected) in START_TLS_RESPONSES {
        println!("{name}");
        let server = FakeServer::with_start_tls_response(response);
        assert_fails(start_tls_settings(&server), is_expected).await;
        assert_eq!(server.binds(), 0);
    }
}

/// The server does not respond to `StartTLS`. The paused clock advances when all tasks wait.
#[tokio::test(start_paused = true)]
async fn a_missing_response_to_start_tls_is_an_error() {
    let server = FakeServer::with_start_tls_response(|_| None);
    let begin = tokio::time::Instant::now();
    let failed = Directory::new(start_tls_settings(&server)).unwrap().find_by_login("grace").await.unwrap_err();
    assert!(begin.elapsed() <= LIMIT, "{:?}: {failed:?}", begin.elapsed());
    assert!(matches!(failed, DirectoryError::Unreachable { .. } | DirectoryError::Timeout { .. }), "{failed:?}");
}

/// Responses within TLS to a bind or to a search.
const ANSWERS: [(&str, Answer); 12] = [
    ("nested", |_| Some(nested_sequences(LEVELS))),
    ("thirteen levels", |_| Some(nested_sequences(13))),
    ("indefinite length", |_| Some(vec![0x30, 0x80, 0, 0])),
    ("one gibibyte", |_| Some(vec![0x30, 0x84, 0x40, 0, 0, 0])),
    ("another protocol", |_| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
    ("empty message", |_| Some(element(0x30, b""))),
    ("no operation", |_| Some(element(0x30, &element(2, &[1])))),
    ("unknown operation", |request| Some(request.response(0x7e, b""))),
    ("empty result", |request| Some(request.response(response_to(request), b""))),
    ("text as code", |request| Some(request.response(response_to(request), &element(4, b"zero")))),
    ("no code", |request| Some(request.response(response_to(request), &element(4, b"").repeat(2)))),
    ("long message ID", |_| {
        let id = element(2, &[1; 40]);
        Some(element(0x30, &[id, element(tag::BIND_RESPONSE, &result(0, "", &[]))].concat()))
    }),
];

fn response_to(request: &Request) -> u8 {
    if request.operation == tag::BIND_REQUEST { tag::BIND_RESPONSE } else { tag::SEARCH_DONE }
}

/// Some of these messages are no answers to the request, so that the client waits. All rows
/// therefore run at the same time.
#[tokio::test]
async fn invalid_answers_are_errors() {
    let rows = ANSWERS.into_iter().flat_map(|row| [(row, true), (row, false)]);
    let attacks = rows.map(async |((name, answer), at_bind)| {
        let server = FakeServer::with_tls(move |request| {
            let is_attacked = at_bind || request.operation == tag::SEARCH_REQUEST;
            if is_attacked { answer(request) } else { accept(request) }
        });
        assert_fails(settings_of_fake(&server), |_| true).await;
        println!("{name}, at the bind: {at_bind}");
    });
    futures_util::future::join_all(attacks).await;
}

/// The same after a granted `StartTLS`.
#[tokio::test]
async fn a_nested_answer_after_start_tls_is_an_error() {
    let server = FakeServer::granting_start_tls(|_| Some(nested_sequences(LEVELS)));
    assert_fails(start_tls_settings(&server), is_invalid).await;
    let listed = Directory::new(start_tls_settings(&server)).unwrap().list_people().await;
    assert!(listed.is_err_and(|error| is_invalid(&error)));
    let server = FakeServer::granting_start_tls(accept);
    let client = Directory::new(start_tls_settings(&server)).unwrap();
    assert_eq!(client.find_by_login("grace").await.unwrap(), Lookup::None);
}

/// Malformed entries between well-formed messages.
const ENTRIES: [(&str, &[u8]); 5] = [
    ("empty", b""),
    ("no attributes", &[4, 1, b'x']),
    ("text as attributes", &[4, 1, b'x', 4, 1, b'x']),
    ("DN not in UTF-8", &[4, 1, 0xff, 0x30, 0]),
    ("attribute without values", &[4, 1, b'x', 0x30, 5, 0x30, 3, 4, 1, b'y']),
];

#[tokio::test]
async fn malformed_entries_are_errors() {
    for (name, entry) in ENTRIES {
        println!("{name}");
        let server = FakeServer::with_tls(move |request| match request.operation {
            tag::SEARCH_REQUEST => Some([request.response(tag::SEARCH_ENTRY, entry), accept(request)?].concat()),
            _ => accept(request),
        });
        assert_fails(settings_of_fake(&server), |_| true).await;
    }
}

/// The server sends entries without end.
#[tokio::test]
async fn endless_entries_are_an_error() {
    let server = FakeServer::with_tls(|request| match request.operation {
        tag::SEARCH_REQUEST => {
            let entries = (0..50_000).map(|number| {
                let login = format!("person{number}");
                request.entry(&format!("uid={login},dc=example,dc=org"), &[("uid", &login), ("entryUUID", &login)])
            });
            Some(entries.flatten().collect())
        }
        _ => accept(request),
    });
    let client = Directory::new(settings_of_fake(&server)).unwrap();
    let found = client.find_by_login("grace").await;
    assert!(matches!(found, Ok(Lookup::Several) | Err(_)), "{found:?}");
}

/// The server closes the connection instead of an answer, or in the middle of one.
#[tokio::test]
async fn a_server_that_hangs_up_is_an_error() {
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = FakeServer::with_tls(accept);
    let servers = vec![super::server_url(&format!("ldaps://{}", closing.local_addr().unwrap()))];
    std::thread::spawn(move || closing.incoming().for_each(drop));
    assert_fails(DirectorySettings { servers, ..settings_of_fake(&server) }, is_disconnected).await;
}

/// The server accepts the bind and then stays silent, or sends the beginning of a message.
#[rstest]
#[case::silent(&[])]
#[case::incomplete(&[0x30, 0x84, 0, 0, 1, 0, 2])]
#[tokio::test]
async fn a_silent_server_is_an_error(#[case] answer: &'static [u8]) {
    let server = FakeServer::with_tls(move |request| match request.operation {
        tag::SEARCH_REQUEST if request.contains(b"eve") => accept(request),
        tag::SEARCH_REQUEST => Some(answer.to_vec()),
        _ => accept(request),
    });
    let client = Directory::new(settings_of_fake(&server)).unwrap();
    assert_eq!(client.find_by_login("eve").await.unwrap(), Lookup::None);
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    let failed = client.find_by_login("grace").await.unwrap_err();
    assert!(begin.elapsed() <= LIMIT, "{:?}: {failed:?}", begin.elapsed());
    tokio::time::resume();
    assert_eq!(client.find_by_login("eve").await.unwrap(), Lookup::None);
}

/// The client never connects to another server because a server says so.
#[tokio::test]
async fn referrals_are_not_followed() {
    let elsewhere = FakeServer::with_tls(accept);
    let url = format!("ldap://{}/dc=example,dc=org", elsewhere.address);
    let server = FakeServer::with_tls(move |request| {
        let urls = element(4, url.as_bytes());
        let referral = result(10, "", &element(0xa3, &urls));
        match request.operation {
            tag::BIND_REQUEST if request.contains(b"grace") => Some(request.response(tag::BIND_RESPONSE, &referral)),
            tag::SEARCH_REQUEST if request.contains(b"eve") => Some(request.response(tag::SEARCH_DONE, &referral)),
            // A reference beside the entries, as Active Directory sends it.
            tag::SEARCH_REQUEST if request.contains(b"grace") => {
                Some([grace_entry(request), request.response(tag::SEARCH_REFERENCE, &urls), accept(request)?].concat())
            }
            _ => accept(request),
        }
    });
    let client = Directory::new(settings_of_fake(&server)).unwrap();
    let failed = client.find_by_login("eve").await.unwrap_err();
    assert!(matches!(failed, DirectoryError::Result { code: 10, .. }), "{failed:?}");
    let grace = find(&client, "grace").await;
    let failed = client.check_password(&grace, "grace-password").await.unwrap_err();
    assert!(matches!(failed, DirectoryError::Result { code: 10, .. }), "{failed:?}");
    assert_eq!(elsewhere.connections(), 0);
}
