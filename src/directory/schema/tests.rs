use super::*;

const GUID: &[u8; 16] = b"\x92\x95\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d*";
const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn windows_time(timestamp: Timestamp) -> String {
    ((timestamp.as_millis() + WINDOWS_EPOCH_MILLIS) * 10_000).to_string()
}

fn ad_person(control: &str, expires: &str) -> EntryState {
    let entry = Entry::of(
        "CN=a",
        &[("objectGUID", GUID), ("userAccountControl", control.as_bytes()), ("accountExpires", expires.as_bytes())],
    );
    to_person(DirectoryKind::ActiveDirectory, &entry, NOW).unwrap().state
}

#[test]
fn a_guid_is_written_in_mixed_byte_order_and_found_again() {
    let entry = Entry::of("CN=a", &[("objectGUID", GUID)]);
    let subject = subject(DirectoryKind::ActiveDirectory, &entry).unwrap();
    assert_eq!(subject, "02019592-0403-0605-0708-090a0b0c0d2a");
    assert_eq!(
        subject_filter(DirectoryKind::ActiveDirectory, &subject).unwrap(),
        r"(objectGUID=\92\95\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\2a)"
    );
    assert_eq!(subject_filter(DirectoryKind::ActiveDirectory, "*"), None);
    assert_eq!(subject_filter(DirectoryKind::OpenLdap, "*"), None);
    assert_eq!(subject_filter(DirectoryKind::FreeIpa, "*").unwrap(), r"(|(ipaUniqueID=\2a)(nsUniqueId=\2a))");
}

#[test]
fn names_are_escaped_in_filters() {
    for (login, escaped) in [
        ("*", r"\2a"),
        (")(uid=*", r"\29\28uid=\2a"),
        ("\\", r"\5c"),
        ("a\0b", r"a\00b"),
        ("ADTEST\\ada", r"ADTEST\5cada"),
    ] {
        let filter = login_filter(DirectoryKind::OpenLdap, login);
        assert_eq!(filter, format!("(|(uid={escaped})(mail={escaped}))"));
        assert!(ldap3::parse_filter(&filter).is_ok());
    }
}

#[test]
fn filters_for_people_include_the_filter_of_the_operator() {
    assert_eq!(
        person_filter(DirectoryKind::ActiveDirectory, Some("(department=IT)")),
        "(&(objectCategory=person)(objectClass=user)(department=IT))"
    );
    for kind in [DirectoryKind::ActiveDirectory, DirectoryKind::OpenLdap, DirectoryKind::FreeIpa] {
        let filter = format!("(&{}{})", person_filter(kind, None), login_filter(kind, "ada@example.org"));
        assert!(ldap3::parse_filter(filter).is_ok());
    }
}

#[test]
fn accounts_of_active_directory_are_disabled_by_a_bit_and_expire() {
    let never = i64::MAX.to_string();
    assert_eq!(ad_person("512", "0"), EntryState::Active);
    assert_eq!(ad_person("512", &never), EntryState::Active);
    assert_eq!(ad_person("514", &never), EntryState::Disabled);
    assert_eq!(ad_person("66050", "0"), EntryState::Disabled);
    assert_eq!(ad_person("512", &windows_time(NOW)), EntryState::Expired);
    assert_eq!(ad_person("512", &windows_time(NOW.plus_seconds(1))), EntryState::Active);
    assert_eq!(ad_person("512", "-1"), EntryState::Expired);
    assert_eq!(ad_person("514", &windows_time(NOW)), EntryState::Disabled);
}

#[test]
fn accounts_of_other_directories_are_disabled_by_an_attribute() {
    let state = |kind, attribute, value: &str| {
        let id: (&str, &[u8]) =
            if kind == DirectoryKind::OpenLdap { ("entryUUID", b"AB") } else { ("nsUniqueId", b"AB") };
        let person = to_person(kind, &Entry::of("uid=a", &[id, (attribute, value.as_bytes())]), NOW).unwrap();
        assert_eq!(person.subject, "ab");
        person.state
    };
    let locked = "pwdAccountLockedTime";
    assert_eq!(state(DirectoryKind::OpenLdap, locked, "000001010000Z"), EntryState::Disabled);
    assert_eq!(state(DirectoryKind::OpenLdap, locked, "20261126120000Z"), EntryState::Active);
    assert_eq!(state(DirectoryKind::FreeIpa, "nsAccountLock", "TRUE"), EntryState::Disabled);
    assert_eq!(state(DirectoryKind::FreeIpa, "nsAccountLock", "FALSE"), EntryState::Active);
}

#[test]
fn people_have_a_login_a_name_and_an_address_where_the_entry_has_one() {
    let person = |attributes: &[(&str, &[u8])]| {
        let all = [&[("entryUUID", &b"1"[..])], attributes].concat();
        to_person(DirectoryKind::OpenLdap, &Entry::of("uid=a", &all), NOW).unwrap()
    };
    let full = person(&[("uid", b"ada"), ("mail", b"no address"), ("mail", b"ada@example.org"), ("cn", b"Ada")]);
    assert_eq!((full.login.as_str(), full.name.as_str()), ("ada", "Ada"));
    assert_eq!(full.email.unwrap().as_str(), "ada@example.org");
    let principal = person(&[("userPrincipalName", b"ada@example.org"), ("displayName", b"A\x07"), ("cn", b"Ada")]);
    assert_eq!((principal.login.as_str(), principal.name.as_str()), ("ada@example.org", "Ada"));
    let empty = person(&[("cn", b"\xff")]);
    assert_eq!((empty.login.as_str(), empty.name.as_str(), empty.email), ("uid=a", "", None));
}

#[test]
fn an_entry_without_identifier_is_an_error() {
    for (kind, attribute) in [
        (DirectoryKind::ActiveDirectory, "objectGUID"),
        (DirectoryKind::OpenLdap, "entryUUID"),
        (DirectoryKind::FreeIpa, "ipaUniqueID"),
    ] {
        let error = to_person(kind, &Entry::of("cn=a", &[("objectGUID", b"short")]), NOW).unwrap_err();
        assert!(error.to_string().contains(attribute), "{error}");
    }
    let error =
        to_person(DirectoryKind::ActiveDirectory, &Entry::of("cn=a", &[("objectGUID", GUID)]), NOW).unwrap_err();
    assert!(error.to_string().contains("userAccountControl"), "{error}");
}
