//! Requirements of an auth check: the segment after `/v4/auth/`, or the context extension of an
//! Envoy filter.

use super::denied::Denied;
use crate::{domain::token_limits::is_scope_word, http::ApiError, service::Error};
use tokenward_guard::{Principal, Requirements, UnmetRequirement};

/// The text is not a valid list of requirements. A typing error must deny all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParseRequirementsError;

/// Parses `any`, or `workspace=<id>`, `admin`, `unrestricted` and `scope=<word>`, joined by commas.
/// Only scopes may repeat, with different words. Nothing is percent-decoded.
///
/// # Errors
/// If the text has any other form.
pub(super) fn parse(text: &str) -> Result<Requirements, ParseRequirementsError> {
    let mut requirements = Requirements::default();
    if text == "any" {
        return Ok(requirements);
    }
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("workspace", id)) if requirements.workspace_id.is_none() => {
                requirements.workspace_id = Some(parse_workspace_id(id)?);
            }
            Some(("scope", word)) if is_scope_word(word) && !requirements.scopes.iter().any(|other| other == word) => {
                requirements.scopes.push(word.to_owned());
            }
            None if part == "admin" && !requirements.admin => requirements.admin = true,
            None if part == "unrestricted" && !requirements.unrestricted => requirements.unrestricted = true,
            _ => return Err(ParseRequirementsError),
        }
    }
    Ok(requirements)
}

/// Returns the caller if it meets the requirements.
///
/// # Errors
/// [`Error::RequirementsNotMet`] or [`Error::InsufficientScope`].
pub(super) fn check(requirements: &Requirements, caller: Principal) -> Result<Principal, Denied<ApiError>> {
    let error = match requirements.check(&caller) {
        Ok(()) => return Ok(caller),
        Err(UnmetRequirement::Owner) => Error::RequirementsNotMet,
        Err(UnmetRequirement::Scope) => Error::InsufficientScope { required: requirements.scope_attribute() },
    };
    Err(Denied::of(&caller, error.into()))
}

/// Parses a workspace ID: digits without sign and leading zero.
fn parse_workspace_id(text: &str) -> Result<i64, ParseRequirementsError> {
    let is_canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if is_canonical { text.parse().map_err(|_| ParseRequirementsError) } else { Err(ParseRequirementsError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_lists_are_parsed() {
        let requirements = |workspace_id, admin| Ok(Requirements { workspace_id, admin, ..Requirements::default() });
        assert_eq!(parse("any"), requirements(None, false));
        assert_eq!(parse("admin"), requirements(None, true));
        assert_eq!(parse("workspace=12"), requirements(Some(12), false));
        assert_eq!(parse("workspace=1,admin"), requirements(Some(1), true));
        assert_eq!(parse("admin,workspace=1"), requirements(Some(1), true));
        let scopes = vec!["reports:read".to_owned(), "b".to_owned()];
        let expected = Requirements { workspace_id: Some(1), unrestricted: true, scopes, ..Requirements::default() };
        assert_eq!(parse("scope=reports:read,workspace=1,scope=b,unrestricted"), Ok(expected));
    }

    #[test]
    fn everything_else_is_rejected() {
        for invalid in [
            "",
            ",",
            "any,admin",
            "any,",
            "Any",
            "admin,admin",
            "workspace=",
            "workspace=0",
            "workspace=01",
            "workspace=+1",
            "workspace=-1",
            "workspace=1,workspace=2",
            "workspace=1 ",
            "workspace%3D1",
            "workspace=1;admin",
            "root",
            "scope",
            "scope=",
            "scope=A",
            "scope=a,scope=a",
            "scope=a b",
            "scope==a",
            "unrestricted,unrestricted",
            "unrestricted=true",
            "admin=",
            "..",
        ] {
            assert_eq!(parse(invalid), Err(ParseRequirementsError), "{invalid}");
        }
    }

    #[test]
    fn a_caller_must_meet_all_requirements() {
        let caller = Principal::for_tests(7, "ada@example.com");
        let is_met = |text| parse(text).unwrap().check(&caller).is_ok();
        assert!(is_met("any") && is_met("workspace=1"));
        assert!(!is_met("workspace=2") && !is_met("admin") && !is_met("workspace=1,admin"));
    }
}
