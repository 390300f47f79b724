//! Searches of a person's entry.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use tokenward::{
    directory::{Directory, Lookup},
    domain::directory::{DirectoryPerson, EntryState},
};
use uuid::Uuid;

use super::{client_of, find, settings_of};
use crate::support::directory::{Flavor, ODD_LOGIN, TestDirectory, password_of};

#[rstest]
#[case::slapd(Flavor::Slapd)]
#[case::samba(Flavor::Samba)]
#[tokio::test]
async fn an_entry_is_found_by_each_of_its_names(#[case] flavor: Flavor) {
    let directory = TestDirectory::start(flavor);
    let client = client_of(&directory, &[]);

    let ada = find(&client, "ada").await;
    assert_eq!(ada.dn, directory.dn_of("ada"));
    assert_eq!(ada.subject, subject_of(&directory, "ada"));
    assert_eq!(ada.login, "ada");
    assert_eq!(ada.email.as_ref().unwrap().as_str(), "ada@example.org");
    assert_eq!(ada.name.as_str(), "Ada Lovelace");
    assert_eq!(ada.state, EntryState::Active);
    for name in ["ADA", "ada@example.org", "Ada@Example.org"] {
        assert_eq!(find(&client, name).await, ada, "{name}");
    }
    if flavor == Flavor::Samba {
        assert_eq!(find(&client, "ada@ad.example.org").await, ada);
    }
    assert_eq!(client.find_by_subject(&ada.subject).await.unwrap().as_ref(), Some(&ada));
    let unknown = Uuid::from_u128(7).to_string();
    assert_eq!(client.find_by_subject(&unknown).await.unwrap(), None);
    let not_a_uuid = client.find_by_subject("*").await;
    assert!(matches!(not_a_uuid, Ok(None) | Err(_)), "{not_a_uuid:?}");

    // Two entries have this address.
    assert_eq!(client.find_by_login("twins@example.org").await.unwrap(), Lookup::Several);
    assert_injected_names_find_no_other_person(&client, &directory).await;
    assert_the_filter_limits_people(&directory).await;

    // The subject stays. The login and the DN do not.
    directory.rename("ada", "countess");
    directory.move_away("countess");
    let moved = client.find_by_subject(&ada.subject).await.unwrap().unwrap();
    assert_eq!(moved.dn, directory.dn_of("countess"));
    assert_ne!(moved.dn, ada.dn);
    assert_eq!(find(&client, "countess").await, moved);
    assert_eq!(client.find_by_login("ada").await.unwrap(), Lookup::None);
    assert_eq!(find(&client, "ada@example.org").await.subject, ada.subject);
    assert_eq!(client.check_password(&moved, &password_of("ada")).await.unwrap(), Ok(()));

    directory.delete("countess");
    assert_eq!(client.find_by_subject(&ada.subject).await.unwrap(), None);
}

async fn assert_injected_names_find_no_other_person(client: &Directory, directory: &TestDirectory) {
    // A person really has this name.
    let odd_login = match directory.flavor {
        Flavor::Slapd => ODD_LOGIN.to_owned(),
        Flavor::Samba => format!("{ODD_LOGIN}@ad.example.org"),
    };
    let odd = find(client, &odd_login).await;
    assert_eq!(odd.email.as_ref().unwrap().as_str(), "odd@example.org");
    assert_eq!(client.check_password(&odd, &password_of(ODD_LOGIN)).await.unwrap(), Ok(()));

    let long = "x".repeat(300);
    let names = ["*", "a*", "ada)(uid=*", ")(uid=*", "*)(objectClass=*", "\\", "\\2a", "ada\\00", "\0", "", &long];
    for name in names {
        assert_eq!(client.find_by_login(name).await.unwrap(), Lookup::None, "{name:?}");
    }
    // Samba compares up to the first NUL.
    let with_nul = client.find_by_login("ada\0)(uid=*").await.unwrap();
    let is_ada = |person: &DirectoryPerson| person.login == "ada" && directory.flavor == Flavor::Samba;
    assert!(matches!(&with_nul, Lookup::None) || matches!(&with_nul, Lookup::One(person) if is_ada(person)));
    for subject in ["*", ")(uid=*", "\\2a", ""] {
        let found = client.find_by_subject(subject).await;
        assert!(matches!(found, Ok(None) | Err(_)), "{subject:?}: {found:?}");
    }
}

/// A configured filter is combined with the client's own.
async fn assert_the_filter_limits_people(directory: &TestDirectory) {
    let filter = Some("(mail=grace@example.org)".to_owned());
    let client =
        Directory::new(super::DirectorySettings { user_filter: filter, ..settings_of(directory, &[]) }).unwrap();
    assert_eq!(client.find_by_login("ada").await.unwrap(), Lookup::None);
    assert_eq!(find(&client, "grace").await.login, "grace");
    assert_eq!(client.list_people().await.unwrap().len(), 1);
}

/// Returns the identifier of an entry, read with another client.
fn subject_of(directory: &TestDirectory, login: &str) -> String {
    match directory.flavor {
        Flavor::Slapd => directory.attribute(login, "entryUUID").unwrap(),
        Flavor::Samba => {
            let bytes = STANDARD.decode(directory.attribute(login, "objectGUID").unwrap()).unwrap();
            Uuid::from_bytes_le(bytes.try_into().unwrap()).to_string()
        }
    }
}
