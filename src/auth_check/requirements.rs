//! Requirements of an auth check: the segment after `/v4/auth/`, or the context extension of an
//! Envoy filter.

use tokenward_guard::Requirements;

/// The text is not a valid list of requirements. A typing error must deny all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParseRequirementsError;

/// Parses `any`, or `workspace=<id>` and `admin`, each at most once, joined by a comma. Nothing is
/// percent-decoded.
///
/// # Errors
/// If the text has any other form.
pub(super) fn parse(text: &str) -> Result<Requirements, ParseRequirementsError> {
    if text == "any" {
        return Ok(Requirements::default());
    }
    let mut requirements = Requirements::default();
    for word in text.split(',') {
        match word.strip_prefix("workspace=") {
            Some(id) if requirements.workspace_id.is_none() => {
                requirements.workspace_id = Some(parse_workspace_id(id)?);
            }
            None if word == "admin" && !requirements.admin => requirements.admin = true,
            _ => return Err(ParseRequirementsError),
        }
    }
    Ok(requirements)
}

/// Parses a workspace ID: digits without sign and leading zero.
fn parse_workspace_id(text: &str) -> Result<i64, ParseRequirementsError> {
    let is_canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if is_canonical { text.parse().map_err(|_| ParseRequirementsError) } else { Err(ParseRequirementsError) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenward_guard::Principal;

    #[test]
    fn valid_lists_are_parsed() {
        let requirements = |workspace_id, admin| Ok(Requirements { workspace_id, admin });
        assert_eq!(parse("any"), requirements(None, false));
        assert_eq!(parse("admin"), requirements(None, true));
        assert_eq!(parse("workspace=12"), requirements(Some(12), false));
        assert_eq!(parse("workspace=1,admin"), requirements(Some(1), true));
        assert_eq!(parse("admin,workspace=1"), requirements(Some(1), true));
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
            "..",
        ] {
            assert_eq!(parse(invalid), Err(ParseRequirementsError), "{invalid}");
        }
    }

    #[test]
    fn a_caller_must_meet_all_requirements() {
        let caller = Principal::for_tests(7, "ada@example.com");
        let is_met = |text| parse(text).unwrap().are_met_by(&caller);
        assert!(is_met("any") && is_met("workspace=1"));
        assert!(!is_met("workspace=2") && !is_met("admin") && !is_met("workspace=1,admin"));
    }
}
