//! Accounts whose correct password is rejected: locked ones, and those that need a new password first.

use crate::domain::directory::DirectoryKind;

use super::{Inner, entry::Entry, error::DirectoryError, schema::LOCKED_WITHOUT_END, search::Query};

/// The bit of `userAccountControl` for a password that does not expire (MS-ADTS, section 2.2.16).
const PASSWORD_NEVER_EXPIRES: i64 = 0x1_0000;
/// The bit of `msDS-User-Account-Control-Computed` for an account that is locked now.
const LOCKED_OUT: i64 = 0x10;
/// The bit of `msDS-User-Account-Control-Computed` for a password that must be changed or has expired.
const PASSWORD_EXPIRED: i64 = 0x80_0000;

/// The reason why a directory rejects the correct password of an active entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordObstacle {
    /// Wrong passwords have locked the account. `OpenLDAP` keeps this mark after the time of the lock,
    /// until the next sign-in.
    LockedOut,
    /// The password must be changed before it is used.
    MustChange,
    /// The password has expired.
    Expired,
}

impl Inner {
    /// Reads the reason why the correct password of an entry would be rejected.
    ///
    /// # Errors
    /// A [`DirectoryError`] if the directory did not answer completely.
    pub(super) async fn password_obstacle(&self, dn: &str) -> Result<Option<PasswordObstacle>, DirectoryError> {
        let attributes: &[&str] = match self.settings.kind {
            DirectoryKind::ActiveDirectory => {
                &["msDS-User-Account-Control-Computed", "userAccountControl", "lockoutTime", "pwdLastSet"]
            }
            DirectoryKind::OpenLdap => &["pwdAccountLockedTime", "pwdReset"],
            // A bind at FreeIPA succeeds with an expired password, and its lock depends on a policy.
            DirectoryKind::FreeIpa => return Ok(None),
        };
        let found = self.client.search(&Query::base(dn, "(objectClass=*)", attributes)).await?.at_base()?;
        Ok(found.first().and_then(|entry| match self.settings.kind {
            DirectoryKind::ActiveDirectory => in_active_directory(entry),
            DirectoryKind::OpenLdap | DirectoryKind::FreeIpa => in_openldap(entry),
        }))
    }
}

fn in_active_directory(entry: &Entry) -> Option<PasswordObstacle> {
    let number = |attribute| entry.text(attribute).and_then(|text| text.parse::<i64>().ok());
    let must_change = number("pwdlastset") == Some(0);
    // The domain controller computes the current bits (MS-ADTS, section 3.1.1.4.5.17). If it hides them,
    // `lockoutTime` may belong to a lock that has ended.
    let (is_locked, is_expired) = match number("msds-user-account-control-computed") {
        Some(computed) => (computed & LOCKED_OUT != 0, computed & PASSWORD_EXPIRED != 0),
        None => {
            let never_expires = number("useraccountcontrol").is_some_and(|bits| bits & PASSWORD_NEVER_EXPIRES != 0);
            (number("lockouttime").is_some_and(|time| time != 0), must_change && !never_expires)
        }
    };
    match (is_locked, is_expired, must_change) {
        (true, ..) => Some(PasswordObstacle::LockedOut),
        (false, true, true) => Some(PasswordObstacle::MustChange),
        (false, true, false) => Some(PasswordObstacle::Expired),
        (false, false, _) => None,
    }
}

fn in_openldap(entry: &Entry) -> Option<PasswordObstacle> {
    if entry.text("pwdaccountlockedtime").is_some_and(|time| time != LOCKED_WITHOUT_END) {
        return Some(PasswordObstacle::LockedOut);
    }
    let must_change = entry.texts("pwdreset").any(|reset| reset.eq_ignore_ascii_case("true"));
    must_change.then_some(PasswordObstacle::MustChange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_the_domain_controller_decide() {
        let of = |attributes: &[(&str, &[u8])]| in_active_directory(&Entry::of("CN=a", attributes));
        let computed = "msDS-User-Account-Control-Computed";
        for (attributes, expected) in [
            (&[(computed, &b"16"[..]), ("pwdLastSet", b"0")][..], Some(PasswordObstacle::LockedOut)),
            (&[(computed, b"8388608"), ("pwdLastSet", b"0")], Some(PasswordObstacle::MustChange)),
            (&[(computed, b"8388608"), ("pwdLastSet", b"134000000000000000")], Some(PasswordObstacle::Expired)),
            // The lock has ended, and the password never expires.
            (&[(computed, b"0"), ("lockoutTime", b"134000000000000000"), ("pwdLastSet", b"0")], None),
            (&[("lockoutTime", b"134000000000000000")], Some(PasswordObstacle::LockedOut)),
            (&[("lockoutTime", b"0"), ("pwdLastSet", b"0")], Some(PasswordObstacle::MustChange)),
            (&[("pwdLastSet", b"0"), ("userAccountControl", b"66048")], None),
            (&[], None),
        ] {
            assert_eq!(of(attributes), expected, "{attributes:?}");
        }
    }

    #[test]
    fn a_password_policy_states_locks_and_resets() {
        let of = |attributes: &[(&str, &[u8])]| in_openldap(&Entry::of("uid=a", attributes));
        let locked = [("pwdAccountLockedTime", &b"20260101000000Z"[..]), ("pwdReset", b"TRUE")];
        assert_eq!(of(&locked), Some(PasswordObstacle::LockedOut));
        assert_eq!(of(&[("pwdReset", b"TRUE")]), Some(PasswordObstacle::MustChange));
        assert_eq!(of(&[("pwdReset", b"FALSE")]), None);
        // An administrator locked it, which is a state of the entry.
        assert_eq!(of(&[("pwdAccountLockedTime", LOCKED_WITHOUT_END.as_bytes())]), None);
    }
}
