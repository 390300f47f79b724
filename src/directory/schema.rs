//! Filters and attributes by kind of directory.

use std::fmt::Write as _;

use ldap3::ldap_escape;
use uuid::Uuid;

use crate::domain::{
    directory::{DirectoryKind, DirectoryPerson, EntryState},
    person::{Email, PersonName},
    time::Timestamp,
};

use super::{entry::Entry, error::DirectoryError};

/// The bit of `userAccountControl` for a disabled account.
const ACCOUNT_DISABLED: i64 = 2;
/// The `pwdAccountLockedTime` of an account that an administrator locked, without an end
/// (draft-behera-ldap-password-policy-10, section 5.3.3).
pub(super) const LOCKED_WITHOUT_END: &str = "000001010000Z";
/// The milliseconds from 1601, where the time of Windows begins, to 1970.
const WINDOWS_EPOCH_MILLIS: i64 = 11_644_473_600_000;

/// The filter for entries that can have members.
pub(super) const GROUPS: &str =
    "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=ipaUserGroup)(member=*)(uniqueMember=*))";

/// Returns the filter for groups.
pub(super) fn group_filter(kind: DirectoryKind) -> &'static str {
    match kind {
        DirectoryKind::ActiveDirectory => "(objectClass=group)",
        DirectoryKind::OpenLdap | DirectoryKind::FreeIpa => GROUPS,
    }
}

/// The attributes of a person that the client reads.
pub(super) fn person_attributes(kind: DirectoryKind) -> &'static [&'static str] {
    match kind {
        DirectoryKind::ActiveDirectory => &[
            "objectGUID",
            "objectSid",
            "primaryGroupID",
            "sAMAccountName",
            "userPrincipalName",
            "mail",
            "displayName",
            "cn",
            "userAccountControl",
            "accountExpires",
        ],
        DirectoryKind::OpenLdap => &["entryUUID", "uid", "mail", "displayName", "cn", "pwdAccountLockedTime"],
        DirectoryKind::FreeIpa => &["ipaUniqueID", "nsUniqueId", "uid", "mail", "displayName", "cn", "nsAccountLock"],
    }
}

/// Returns the filter for people: the kind's own and the operator's.
pub(super) fn person_filter(kind: DirectoryKind, user_filter: Option<&str>) -> String {
    let own = match kind {
        DirectoryKind::ActiveDirectory => "(objectCategory=person)(objectClass=user)",
        DirectoryKind::OpenLdap | DirectoryKind::FreeIpa => "(objectClass=inetOrgPerson)",
    };
    format!("(&{own}{})", user_filter.unwrap_or_default())
}

/// Returns the filter for entries with a sign-in name.
pub(super) fn login_filter(kind: DirectoryKind, login: &str) -> String {
    let attributes: &[&str] = match kind {
        DirectoryKind::ActiveDirectory => &["userPrincipalName", "sAMAccountName", "mail"],
        DirectoryKind::OpenLdap | DirectoryKind::FreeIpa => &["uid", "mail"],
    };
    any_equals(attributes, &[login])
}

/// Returns the filter for entries with a subject, or `None` if no entry can have it.
pub(super) fn subject_filter(kind: DirectoryKind, subject: &str) -> Option<String> {
    match kind {
        DirectoryKind::ActiveDirectory => {
            let guid = Uuid::try_parse(subject).ok()?;
            let escaped = guid.to_bytes_le().iter().fold(String::new(), |mut text, byte| {
                write!(text, "\\{byte:02x}").ok();
                text
            });
            Some(format!("(objectGUID={escaped})"))
        }
        DirectoryKind::OpenLdap => Some(any_equals(&["entryUUID"], &[Uuid::try_parse(subject).ok()?.to_string()])),
        DirectoryKind::FreeIpa => Some(any_equals(&["ipaUniqueID", "nsUniqueId"], &[subject])),
    }
}

/// Returns the filter for entries one of whose attributes has one of the values.
pub(super) fn any_equals(attributes: &[&str], values: &[impl AsRef<str>]) -> String {
    let mut filter = "(|".to_owned();
    for value in values {
        let value = ldap_escape(value.as_ref());
        for attribute in attributes {
            write!(filter, "({attribute}={value})").ok();
        }
    }
    filter.push(')');
    filter
}

/// Converts the entry of a person.
///
/// # Errors
/// [`DirectoryError::MissingAttribute`] if it has no identifier, or in Active Directory no
/// `userAccountControl`.
pub(super) fn to_person(kind: DirectoryKind, entry: &Entry, now: Timestamp) -> Result<DirectoryPerson, DirectoryError> {
    let missing = |attribute| DirectoryError::MissingAttribute { dn: entry.dn.clone(), attribute };
    let subject = subject(kind, entry).map_err(missing)?;
    if entry.dn.is_empty() {
        return Err(missing("distinguished name"));
    }
    let email = entry.texts("mail").chain(entry.texts("userprincipalname")).find_map(|text| Email::parse(text).ok());
    let names = entry.texts("displayname").chain(entry.texts("cn")).filter(|text| !text.trim().is_empty());
    let login = entry.text("samaccountname").or_else(|| entry.text("uid")).or(email.as_ref().map(Email::as_str));
    Ok(DirectoryPerson {
        login: login.unwrap_or(&entry.dn).to_owned(),
        name: names.filter_map(|text| PersonName::parse(text).ok()).next().unwrap_or_default(),
        state: state(kind, entry, now).map_err(missing)?,
        dn: entry.dn.clone(),
        subject,
        email,
    })
}

/// Returns the identifier of an entry, or the name of the missing attribute.
pub(super) fn subject(kind: DirectoryKind, entry: &Entry) -> Result<String, &'static str> {
    match kind {
        DirectoryKind::ActiveDirectory => {
            let guid = entry.bytes("objectguid").and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            guid.map(|bytes| Uuid::from_bytes_le(bytes).to_string()).ok_or("objectGUID")
        }
        DirectoryKind::OpenLdap => entry.text("entryuuid").map(str::to_lowercase).ok_or("entryUUID"),
        DirectoryKind::FreeIpa => {
            let id = entry.text("ipauniqueid").filter(|id| *id != "autogenerate").or_else(|| entry.text("nsuniqueid"));
            id.map(str::to_lowercase).ok_or("ipaUniqueID")
        }
    }
}

fn state(kind: DirectoryKind, entry: &Entry, now: Timestamp) -> Result<EntryState, &'static str> {
    let number = |attribute| entry.text(attribute).and_then(|text| text.parse::<i64>().ok());
    let (is_disabled, is_expired) = match kind {
        DirectoryKind::ActiveDirectory => {
            let control = number("useraccountcontrol").ok_or("userAccountControl")?;
            (control & ACCOUNT_DISABLED != 0, number("accountexpires").is_some_and(|time| has_expired(time, now)))
        }
        DirectoryKind::OpenLdap => (entry.texts("pwdaccountlockedtime").any(|time| time == LOCKED_WITHOUT_END), false),
        DirectoryKind::FreeIpa => (entry.texts("nsaccountlock").any(|lock| lock.eq_ignore_ascii_case("true")), false),
    };
    Ok(match (is_disabled, is_expired) {
        (true, _) => EntryState::Disabled,
        (false, true) => EntryState::Expired,
        (false, false) => EntryState::Active,
    })
}

/// Returns whether an `accountExpires` is in the past. It counts 100 nanoseconds since 1601; 0 and
/// the largest number mean never.
fn has_expired(account_expires: i64, now: Timestamp) -> bool {
    let is_limited = account_expires != 0 && account_expires != i64::MAX;
    is_limited && account_expires / 10_000 - WINDOWS_EPOCH_MILLIS <= now.as_millis()
}

#[cfg(test)]
mod tests;
