//! Groups, and the list of all people.

use std::collections::HashMap;

use rstest::rstest;
use tokenward::{
    directory::{Directory, DirectoryError, DirectorySettings},
    domain::directory::EntryState,
};

use super::{client_of, find, grace_entry, settings_of, settings_of_fake};
use crate::support::directory::{
    CROWD, FakeServer, Flavor, TestDirectory,
    ber::{result, tag},
    crowd_login,
    fake_server::accept,
};

const GROUPS: [&str; 4] = ["token-users", "token-admins", "circle", "primaries"];

#[rstest]
#[case::slapd(Flavor::Slapd)]
#[case::samba(Flavor::Samba)]
#[tokio::test]
async fn groups_are_found_through_other_groups(#[case] flavor: Flavor) {
    let directory = TestDirectory::start(flavor);
    let client = client_of(&directory, &GROUPS);
    let assert_groups = async |login: &str, expected: &[&str]| {
        let mut groups = client.groups_of(&find(&client, login).await).await.unwrap();
        let mut expected: Vec<_> = expected.iter().map(|group| flavor.group_dn(group)).collect();
        groups.sort();
        expected.sort();
        assert_eq!(groups, expected, "{login}");
    };
    assert_groups("ada", &["token-users", "token-admins"]).await;
    // One of these groups contains itself.
    assert_groups("grace", &["token-users", "circle"]).await;
    assert_groups("eve", &[]).await;
    // The primary group, in Active Directory: the entry of the group does not name its members.
    assert_groups("prim", &["primaries"]).await;

    assert_the_list_agrees(&client).await;
    assert_a_missing_group_is_an_error(&directory).await;

    // Out of a group in the middle.
    directory.remove_member("token-admins", "operators");
    assert_groups("ada", &[]).await;
    directory.add_member("engineers", "ada");
    assert_groups("ada", &["token-users"]).await;
    // Two groups that contain each other.
    directory.add_member("operators", "token-users");
    directory.add_member("token-admins", "operators");
    assert_groups("ada", &["token-users", "token-admins"]).await;
    assert_groups("grace", &["token-users", "token-admins", "circle"]).await;
    assert_the_list_agrees(&client).await;
}

/// A sign-in and the sync admit the same people, also if a primary group is outside the entry below
/// which people and the configured groups are.
#[tokio::test]
async fn a_primary_group_can_be_anywhere_in_the_domain() {
    let directory = TestDirectory::start(Flavor::Samba);
    directory.add_member("token-users", "primaries");
    directory.move_away("primaries");
    let settings = settings_of(&directory, &["token-users"]);
    let base = format!("CN=Users,{}", Flavor::Samba.base());
    let client = Directory::new(DirectorySettings { base, ..settings }).unwrap();
    let token_users = [Flavor::Samba.group_dn("token-users")];
    let prim = find(&client, "prim").await;
    assert_eq!(client.groups_of(&prim).await.unwrap(), token_users);
    let list = client.list_people().await.unwrap();
    let (_, groups) = list.iter().find(|(person, _)| *person == prim).expect("the person");
    assert_eq!(*groups, token_users);
}

/// The list has all people, and for each the same groups as a question about this person.
async fn assert_the_list_agrees(client: &Directory) {
    let list = client.list_people().await.unwrap();
    let people: HashMap<_, _> = list.iter().map(|(person, groups)| (person.login.as_str(), (person, groups))).collect();
    assert_eq!(people.len(), list.len(), "a login is listed twice");
    for number in 1..=CROWD {
        let (person, groups) = people[crowd_login(number).as_str()];
        assert_eq!(person.state, EntryState::Active);
        assert!(groups.is_empty(), "{person:?}: {groups:?}");
    }
    assert!(!people.contains_key("token-users"), "a group is listed");
    for login in ["ada", "grace", "eve", "prim", "twin-one", "twin-two"] {
        let (person, groups) = people[login];
        assert_eq!(*person, find(client, login).await);
        let sorted = |groups: &[String]| {
            let mut groups = groups.to_vec();
            groups.sort();
            groups
        };
        assert_eq!(sorted(groups), sorted(&client.groups_of(person).await.unwrap()), "{login}");
    }
}

/// A configured group does not exist. The list is an error, so that the sync disables no member.
async fn assert_a_missing_group_is_an_error(directory: &TestDirectory) {
    let client = client_of(directory, &["token-users", "token-user"]);
    let grace = find(&client, "grace").await;
    assert_eq!(client.groups_of(&grace).await.unwrap(), [directory.flavor.group_dn("token-users")]);
    let failed = client.list_people().await.unwrap_err();
    assert!(matches!(failed, DirectoryError::NoSuchGroup { .. }), "{failed:?}");
    assert!(failed.to_string().contains(&directory.flavor.group_dn("token-user")), "{failed}");
}

/// The server returns the first pages and ends the search with result code 4.
#[tokio::test]
async fn a_list_that_the_server_cuts_short_is_an_error() {
    let directory = TestDirectory::with_page_limit(120);
    let client = client_of(&directory, &[]);
    let failed = client.list_people().await.unwrap_err();
    assert!(matches!(failed, DirectoryError::Incomplete { code: 4 | 11 }), "{failed:?}");
    assert_eq!(find(&client, "grace").await.login, "grace");
}

/// Result codes after an entry.
#[tokio::test]
async fn entries_before_an_error_are_not_a_list() {
    for code in [1, 3, 4, 10, 11, 32, 51, 52, 53, 80] {
        let server = FakeServer::with_tls(move |request| match request.operation {
            tag::SEARCH_REQUEST => {
                let done = request.response(tag::SEARCH_DONE, &result(code, "", &[]));
                Some([grace_entry(request), done].concat())
            }
            _ => accept(request),
        });
        let client = Directory::new(settings_of_fake(&server)).unwrap();
        for failed in [client.list_people().await.unwrap_err(), client.find_by_login("grace").await.unwrap_err()] {
            let is_expected = match failed {
                DirectoryError::Incomplete { code: found } => matches!(code, 3 | 4 | 11) && found == u32::from(code),
                DirectoryError::NoSuchBase => code == 32,
                DirectoryError::Result { code: found, .. } => {
                    !matches!(code, 3 | 4 | 11 | 32) && found == u32::from(code)
                }
                _ => false,
            };
            assert!(is_expected, "{code}: {failed:?}");
        }
    }
}
