//! Checks of passwords, and the reasons for denials.

use rstest::rstest;
use tokenward::{
    directory::{BindPassword, Directory, DirectoryError, DirectorySettings, PasswordObstacle},
    domain::directory::{DirectoryDenial, DirectoryPerson, EntryState},
};

use super::{accept_with_grace, client_of, find, settings_of, settings_of_fake};
use crate::support::directory::{
    FakeServer, Flavor, TestDirectory,
    ber::{result, tag},
    password_of,
};

#[rstest]
#[case::slapd(Flavor::Slapd)]
#[case::samba(Flavor::Samba)]
#[tokio::test]
async fn a_directory_decides_about_passwords(#[case] flavor: Flavor) {
    let directory = TestDirectory::start(flavor);
    let client = client_of(&directory, &[]);
    let ada = find(&client, "ada").await;
    let check = async |password: &str| client.check_password(&ada, password).await.unwrap();

    assert_eq!(check(&password_of("ada")).await, Ok(()));
    for wrong in ["ada-passwor", "ada-password ", "ADA-PASSWORD", "*", "\0"] {
        assert_eq!(check(wrong).await, Err(DirectoryDenial::WrongPassword), "{wrong:?}");
        // The right one resets the count of wrong ones.
        assert_eq!(check(&password_of("ada")).await, Ok(()));
    }
    assert!(check("").await.is_err());

    // Passwords are sent as they were typed: composed and decomposed characters differ.
    directory.set_password("ada", "e\u{301}t\u{e9} \u{2603} of the year");
    assert_eq!(check("e\u{301}t\u{e9} \u{2603} of the year").await, Ok(()));
    assert!(check("\u{e9}t\u{e9} \u{2603} of the year").await.is_err());

    directory.disable("ada");
    let denied = check("e\u{301}t\u{e9} \u{2603} of the year").await;
    // OpenLDAP disables an account by a lockout without an end.
    let expected = if flavor == Flavor::Samba { DirectoryDenial::Disabled } else { DirectoryDenial::LockedOut };
    assert_eq!(denied, Err(expected));
    assert_eq!(find(&client, "ada").await.state, EntryState::Disabled);
    directory.enable("ada");
    assert_eq!(find(&client, "ada").await.state, EntryState::Active);

    // The entry was deleted after it was found.
    let eve = find(&client, "eve").await;
    directory.delete("eve");
    let denied = client.check_password(&eve, &password_of("eve")).await.unwrap();
    assert!(matches!(denied, Err(DirectoryDenial::WrongPassword | DirectoryDenial::Unknown)), "{denied:?}");

    // The search connection is still that of the service.
    let grace = find(&client, "grace").await;
    assert_eq!(grace.login, "grace");

    assert_reasons(&client, &directory).await;
    assert_the_service_is_denied(&directory, &grace).await;
}

/// The directory states the reasons for its denials: Active Directory in a diagnostic message,
/// OpenLDAP in a control (draft-behera-ldap-password-policy-10).
async fn assert_reasons(client: &Directory, directory: &TestDirectory) {
    let denial = async |login: &str| {
        let person = find(client, login).await;
        // The entry has the same facts before a password is checked.
        let obstacle = client.password_obstacle(&person).await.unwrap();
        let denial = client.check_password(&person, &password_of(login)).await.unwrap();
        let expected = match denial {
            Err(DirectoryDenial::PasswordExpired) => Some(PasswordObstacle::MustChange),
            Err(DirectoryDenial::LockedOut) => Some(PasswordObstacle::LockedOut),
            _ => None,
        };
        assert_eq!(obstacle, expected, "{login}");
        (denial, person.state)
    };
    directory.require_password_change("twin-one");
    assert_eq!(denial("twin-one").await, (Err(DirectoryDenial::PasswordExpired), EntryState::Active));
    directory.lock_out("twin-two");
    assert_eq!(denial("twin-two").await, (Err(DirectoryDenial::LockedOut), EntryState::Active));
    assert_eq!(denial("grace").await, (Ok(()), EntryState::Active));
    if directory.flavor == Flavor::Samba {
        directory.expire_account("grace");
        assert_eq!(denial("grace").await, (Err(DirectoryDenial::AccountExpired), EntryState::Expired));
    }
}

/// The service's own password is wrong. No person's is.
async fn assert_the_service_is_denied(directory: &TestDirectory, grace: &DirectoryPerson) {
    let bind_password = BindPassword::new("another".to_owned());
    let settings = DirectorySettings { bind_password, ..settings_of(directory, &["operators"]) };
    let client = Directory::new(settings).unwrap();
    for failed in [
        client.find_by_login("grace").await.unwrap_err(),
        client.groups_of(grace).await.unwrap_err(),
        client.list_people().await.unwrap_err(),
        client.probe().await.unwrap_err(),
    ] {
        assert!(matches!(failed, DirectoryError::ServiceBindDenied), "{failed:?}");
        assert!(!failed.to_string().contains("another"), "{failed}");
    }
}

/// A server may answer a bind without a password with success (RFC 4513 section 5.1.2).
#[tokio::test]
async fn an_empty_password_is_denied_without_asking() {
    let server = FakeServer::with_tls(accept_with_grace);
    let client = Directory::new(settings_of_fake(&server)).unwrap();
    let grace = find(&client, "grace").await;
    let (binds, connections) = (server.binds(), server.connections());
    assert_eq!(client.check_password(&grace, "").await.unwrap(), Err(DirectoryDenial::WrongPassword));
    assert_eq!((server.binds(), server.connections()), (binds, connections));
    assert_eq!(client.check_password(&grace, "x").await.unwrap(), Ok(()));
    assert_eq!((server.binds(), server.connections()), (binds + 1, connections + 1));
}

/// Result codes of a bind that say nothing about the password.
#[tokio::test]
async fn other_result_codes_of_a_bind_are_errors() {
    for code in [1, 2, 3, 8, 10, 11, 13, 51, 52, 53, 80] {
        let server = FakeServer::with_tls(move |request| match request.operation {
            tag::BIND_REQUEST if request.contains(b"grace") => {
                Some(request.response(tag::BIND_RESPONSE, &result(code, "not now", &[])))
            }
            _ => accept_with_grace(request),
        });
        let client = Directory::new(settings_of_fake(&server)).unwrap();
        let grace = find(&client, "grace").await;
        let failed = client.check_password(&grace, "a password").await.unwrap_err();
        let is_expected = match failed {
            DirectoryError::TlsRequired { code: found } => matches!(code, 8 | 13) && found == u32::from(code),
            DirectoryError::Incomplete { code: found } => matches!(code, 3 | 11) && found == u32::from(code),
            DirectoryError::Result { code: found, .. } => !matches!(code, 8 | 13) && found == u32::from(code),
            _ => false,
        };
        assert!(is_expected, "{code}: {failed:?}");
        assert!(!format!("{failed} {failed:?}").contains("a password"));
    }
}
