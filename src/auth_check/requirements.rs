//! What an operator asks of a caller: the one segment behind `/v4/auth/`, or a gRPC filter's context extension.

use tokenward_guard::Requirements;

/// A text that is no list of requirements. A typing error must close the door, not open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

/// Reads `any`, or `workspace=<id>` and `admin`, each at most once, joined by a comma. Taken literally: nothing is decoded.
pub(super) fn parse(text: &str) -> Result<Requirements, Unknown> {
    if text == "any" {
        return Ok(Requirements::default());
    }
    let mut asked = Requirements::default();
    for word in text.split(',') {
        match word.strip_prefix("workspace=") {
            Some(id) if asked.workspace_id.is_none() => asked.workspace_id = Some(workspace_id(id)?),
            None if word == "admin" && !asked.admin => asked.admin = true,
            _ => return Err(Unknown),
        }
    }
    Ok(asked)
}

/// A number as we write it: digits, no sign, no leading zero.
fn workspace_id(text: &str) -> Result<i64, Unknown> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if is_plain { text.parse().map_err(|_| Unknown) } else { Err(Unknown) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenward_guard::Principal;

    #[test]
    fn known_lists_are_read() {
        let asked = |workspace_id, admin| Ok(Requirements { workspace_id, admin });
        assert_eq!(parse("any"), asked(None, false));
        assert_eq!(parse("admin"), asked(None, true));
        assert_eq!(parse("workspace=12"), asked(Some(12), false));
        assert_eq!(parse("workspace=1,admin"), asked(Some(1), true));
        assert_eq!(parse("admin,workspace=1"), asked(Some(1), true));
    }

    #[test]
    fn everything_else_is_unknown() {
        for wrong in [
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
            assert_eq!(parse(wrong), Err(Unknown), "{wrong}");
        }
    }

    #[test]
    fn a_caller_meets_all_of_them_or_not() {
        let ada = Principal::for_tests(7, "ada@example.com");
        let met = |text| parse(text).unwrap().are_met_by(&ada);
        assert!(met("any") && met("workspace=1"));
        assert!(!met("workspace=2") && !met("admin") && !met("workspace=1,admin"));
    }
}
