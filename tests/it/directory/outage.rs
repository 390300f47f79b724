//! Servers that stop, hang and come back.

use std::{net::TcpListener, time::Duration};

use rstest::rstest;
use tokenward::{
    directory::{Directory, DirectoryError},
    domain::directory::{DirectoryDenial, DirectoryPerson},
};

use super::{DirectorySettings, client_of, find, server_url, settings_of};
use crate::support::directory::{Flavor, TestDirectory, password_of};

/// The longest time until an error.
const LIMIT: Duration = Duration::from_secs(5);

#[rstest]
#[case::slapd(Flavor::Slapd)]
#[case::samba(Flavor::Samba)]
#[tokio::test]
async fn a_server_that_stops_or_hangs_is_an_error_and_comes_back(#[case] flavor: Flavor) {
    let mut directory = TestDirectory::start(flavor);
    let client = client_of(&directory, &["token-users"]);
    let grace = find(&client, "grace").await;

    // The open connections stay, but nothing responds.
    directory.pause();
    assert_all_fail_in_time(&client, &grace).await;
    // A client without a connection.
    assert_all_fail_in_time(&client_of(&directory, &["token-users"]), &grace).await;
    directory.resume();
    assert_works(&client, &grace).await;

    directory.stop();
    assert_all_fail_in_time(&client, &grace).await;
    directory.start_again();
    assert_works(&client, &grace).await;

    // The connection of the searches ended without an error of the client's.
    directory.stop();
    directory.start_again();
    assert_works(&client, &grace).await;
}

/// Every operation ends with an error before the limit on tokio's clock. This clock advances when
/// all tasks wait, so that the test does not depend on the speed of the machine.
async fn assert_all_fail_in_time(client: &Directory, grace: &DirectoryPerson) {
    tokio::time::pause();
    for operation in 0..6 {
        let begin = tokio::time::Instant::now();
        let failed = match operation {
            0 => client.find_by_login("grace").await.err(),
            1 => client.find_by_subject(&grace.subject).await.err(),
            2 => client.check_password(grace, &password_of("grace")).await.err(),
            3 => client.groups_of(grace).await.err(),
            4 => client.list_people().await.err(),
            _ => client.probe().await.err(),
        };
        let failed = failed.expect("an error");
        assert!(begin.elapsed() <= LIMIT, "operation {operation} took {:?}: {failed:?}", begin.elapsed());
        let is_expected = matches!(
            failed,
            DirectoryError::Unreachable { .. } | DirectoryError::Timeout { .. } | DirectoryError::Tls { .. }
        );
        assert!(is_expected, "operation {operation}: {failed:?}");
    }
    tokio::time::resume();
}

async fn assert_works(client: &Directory, grace: &DirectoryPerson) {
    assert_eq!(find(client, "grace").await, *grace);
    assert_eq!(client.check_password(grace, &password_of("grace")).await.unwrap(), Ok(()));
    assert_eq!(client.check_password(grace, "wrong").await.unwrap(), Err(DirectoryDenial::WrongPassword));
    assert_eq!(client.groups_of(grace).await.unwrap().len(), 1);
}

/// The first server is off or hangs, the second responds.
#[tokio::test]
async fn the_next_server_is_asked() {
    let directory = TestDirectory::start(Flavor::Slapd);
    // A port without a listener, and one whose listener accepts nothing.
    let closed = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for first in [closed, silent.local_addr().unwrap()] {
        let servers = vec![server_url(&format!("ldaps://{first}")), server_url(&directory.url)];
        let settings = DirectorySettings { servers, ..settings_of(&directory, &["token-users"]) };
        let client = Directory::new(settings).unwrap();
        let grace = find(&client, "grace").await;
        assert_works(&client, &grace).await;
        assert_eq!(client.probe().await.unwrap().server, server_url(&directory.url));
    }
}

/// More checks than the limit wait for each other.
#[tokio::test]
async fn concurrent_password_checks_are_all_decided() {
    let directory = TestDirectory::start(Flavor::Slapd);
    let client = Directory::new(DirectorySettings { max_password_checks: 2, ..settings_of(&directory, &[]) }).unwrap();
    let grace = find(&client, "grace").await;
    let eve = find(&client, "eve").await;
    let checks = (0..20).map(|number| {
        let (person, password) = if number % 2 == 0 { (&grace, "grace-password") } else { (&eve, "eve-password") };
        client.check_password(person, password)
    });
    for decided in futures_util::future::join_all(checks).await {
        assert_eq!(decided.unwrap(), Ok(()));
    }
}
