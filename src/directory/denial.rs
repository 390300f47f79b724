//! Results of a password check.

use ldap3::LdapResult;

use crate::domain::directory::{DirectoryDenial, DirectoryKind};

use super::{
    ber,
    connection::PASSWORD_POLICY,
    error::DirectoryError,
    search::{code, result_error},
};

/// Converts the result of a bind as a person.
///
/// # Errors
/// [`DirectoryError::TlsRequired`] for the result codes 8 and 13, [`DirectoryError::Result`] for a
/// result that does not decide about the password.
pub(super) fn decide(kind: DirectoryKind, result: &LdapResult) -> Result<Result<(), DirectoryDenial>, DirectoryError> {
    let policy = policy_denial(result);
    match result.rc {
        code::SUCCESS => Ok(policy.map_or(Ok(()), Err)),
        code::INVALID_CREDENTIALS if kind == DirectoryKind::ActiveDirectory => {
            match active_directory_data(&result.text) {
                None => Ok(Err(DirectoryDenial::WrongPassword)),
                Some(data) => active_directory_denial(data).map(Err).ok_or_else(|| result_error("bind", result)),
            }
        }
        code::INVALID_CREDENTIALS => Ok(Err(policy.unwrap_or(DirectoryDenial::WrongPassword))),
        // The entry has no password.
        code::INAPPROPRIATE_AUTHENTICATION => Ok(Err(DirectoryDenial::WrongPassword)),
        code::NO_SUCH_OBJECT => Ok(Err(DirectoryDenial::Unknown)),
        code::CONSTRAINT_VIOLATION | code::UNWILLING_TO_PERFORM if kind == DirectoryKind::FreeIpa => {
            free_ipa_denial(result).map(Err).ok_or_else(|| result_error("bind", result))
        }
        _ => Err(result_error("bind", result)),
    }
}

/// Returns the code after `data` in the diagnostic message of Active Directory, such as
/// `80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v4563`.
fn active_directory_data(diagnostic: &str) -> Option<u32> {
    let (_, after) = diagnostic.split_once(" data ")?;
    let digits = after.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u32::from_str_radix(digits, 16).ok()
}

fn active_directory_denial(data: u32) -> Option<DirectoryDenial> {
    Some(match data {
        0x52e => DirectoryDenial::WrongPassword,
        0x525 => DirectoryDenial::Unknown,
        0x533 => DirectoryDenial::Disabled,
        0x532 | 0x773 => DirectoryDenial::PasswordExpired,
        0x701 => DirectoryDenial::AccountExpired,
        0x775 => DirectoryDenial::LockedOut,
        _ => return None,
    })
}

/// Returns the denial in the response control of a password policy: a sequence of an optional
/// warning `[0]` and an optional error `[1]`. `changeAfterReset` also comes with success.
fn policy_denial(result: &LdapResult) -> Option<DirectoryDenial> {
    let control = result.ctrls.iter().map(|control| &control.1).find(|control| control.ctype == PASSWORD_POLICY)?;
    let (mut fields, _) = ber::read(control.val.as_ref()?, ber::SEQUENCE)?;
    while let Some((tag, contents, rest)) = ber::read_any(fields) {
        if tag == 0x81 {
            return match ber::small_number(contents)? {
                0 | 2 => Some(DirectoryDenial::PasswordExpired),
                1 => Some(DirectoryDenial::LockedOut),
                _ => None,
            };
        }
        fields = rest;
    }
    None
}

/// Returns the denial in the diagnostic message of 389 Directory Server and `FreeIPA`.
fn free_ipa_denial(result: &LdapResult) -> Option<DirectoryDenial> {
    let text = result.text.to_ascii_lowercase();
    if text.contains("inactivated") {
        Some(DirectoryDenial::Disabled)
    } else if text.contains("retry limit") || text.contains("too many failed logins") {
        Some(DirectoryDenial::LockedOut)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use ldap3::controls::{Control, RawControl};

    use super::*;

    fn result(rc: u32, text: &str, policy: Option<&[u8]>) -> LdapResult {
        let raw =
            |value: &[u8]| RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: Some(value.to_vec()) };
        let ctrls = policy.map(|value| Control(None, raw(value))).into_iter().collect();
        LdapResult { rc, matched: String::new(), text: text.to_owned(), refs: Vec::new(), ctrls }
    }

    #[test]
    fn active_directory_states_the_reason_as_data() {
        for (data, denial) in [
            ("52e", DirectoryDenial::WrongPassword),
            ("525", DirectoryDenial::Unknown),
            ("533", DirectoryDenial::Disabled),
            ("532", DirectoryDenial::PasswordExpired),
            ("773", DirectoryDenial::PasswordExpired),
            ("701", DirectoryDenial::AccountExpired),
            ("775", DirectoryDenial::LockedOut),
        ] {
            let text =
                format!("80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {data}, v4563");
            let decided = decide(DirectoryKind::ActiveDirectory, &result(49, &text, None));
            assert_eq!(decided.unwrap(), Err(denial), "{data}");
        }
        let without = decide(DirectoryKind::ActiveDirectory, &result(49, "Simple Bind Failed", None));
        assert_eq!(without.unwrap(), Err(DirectoryDenial::WrongPassword));
        let unknown = decide(DirectoryKind::ActiveDirectory, &result(49, "error, data 999, v1", None));
        assert!(matches!(unknown, Err(DirectoryError::Result { code: 49, .. })));
    }

    #[test]
    fn a_password_policy_states_the_reason_in_a_control() {
        for (rc, control, decided) in [
            (0, &b"\x30\x00"[..], Ok(())),
            (0, b"\x30\x05\xa0\x03\x80\x01\x05", Ok(())),
            (0, b"\x30\x03\x81\x01\x02", Err(DirectoryDenial::PasswordExpired)),
            (49, b"\x30\x03\x81\x01\x00", Err(DirectoryDenial::PasswordExpired)),
            (49, b"\x30\x08\xa0\x03\x81\x01\x00\x81\x01\x01", Err(DirectoryDenial::LockedOut)),
            (49, b"\x30\x00", Err(DirectoryDenial::WrongPassword)),
            (49, b"\x30\x84\xff", Err(DirectoryDenial::WrongPassword)),
        ] {
            let result = result(rc, "", Some(control));
            assert_eq!(decide(DirectoryKind::OpenLdap, &result).unwrap(), decided, "{}", control.escape_ascii());
        }
    }

    #[test]
    fn other_result_codes_are_errors() {
        for kind in [DirectoryKind::ActiveDirectory, DirectoryKind::OpenLdap, DirectoryKind::FreeIpa] {
            for rc in [8, 13] {
                let decided = decide(kind, &result(rc, "", None));
                assert!(matches!(decided, Err(DirectoryError::TlsRequired { .. })), "{rc}");
            }
            for rc in [1, 2, 10, 19, 34, 50, 51, 52, 53, 80] {
                assert!(matches!(decide(kind, &result(rc, "", None)), Err(DirectoryError::Result { .. })), "{rc}");
            }
        }
    }

    #[test]
    fn free_ipa_states_the_reason_as_text() {
        for (rc, text, denial) in [
            (53, "Account inactivated. Contact system administrator.", DirectoryDenial::Disabled),
            (53, "Too many failed logins.\n", DirectoryDenial::LockedOut),
            (19, "Exceed password retry limit. Please try later.", DirectoryDenial::LockedOut),
            (32, "", DirectoryDenial::Unknown),
            (48, "", DirectoryDenial::WrongPassword),
        ] {
            assert_eq!(decide(DirectoryKind::FreeIpa, &result(rc, text, None)).unwrap(), Err(denial), "{text}");
        }
    }
}
