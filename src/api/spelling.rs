//! Names that clients misspell, of query parameters and of body fields.

/// The longest name that an error repeats. A token value is longer, so none is repeated.
const MAX_SHOWN_CHARS: usize = 40;

/// The name without case and separators: clients write `person_id` and `personid` for `personId`.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the known name that is most like this one; none where nothing is known.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let sent = plain(&name.chars().take(MAX_SHOWN_CHARS).collect::<String>());
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&sent, &plain(known));
    known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// Returns the known name that this one is probably a misspelling of.
pub(super) fn misspelled<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let sent = plain(name);
    known.iter().copied().find(|known| {
        let known = plain(known);
        is_slip(&sent, &known) || is_slip(bare(&sent), bare(&known))
    })
}

/// Fewer slips are forgiven in short names, in which one letter makes another word (`name`, `lname`).
fn is_slip(sent: &str, known: &str) -> bool {
    if sent == known {
        return true;
    }
    let allowed = match known.len() {
        0..=3 => 0,
        4..=9 => 1,
        _ => 2,
    };
    // Digits distinguish fields (`password2`), and a short name that begins differently is another word.
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    sent.len().abs_diff(known.len()) <= allowed
        && (known.len() > 5 || sent.chars().next() == known.chars().next())
        && digits(sent) == digits(known)
        && strsim::osa_distance(sent, known) <= allowed
}

/// `admin` and `disabled` are meant for `isAdmin` and `isDisabled`.
fn bare(plain: &str) -> &str {
    plain.strip_prefix("is").filter(|rest| rest.len() >= 4).unwrap_or(plain)
}

/// The name as an error repeats it; none where it could be anything, a secret included.
pub(super) fn shown(name: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$' | '[' | ']');
    (!name.is_empty() && name.len() <= MAX_SHOWN_CHARS && name.chars().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: [&str; 2] = ["lifetimeSeconds", "description"];
    const PERSON: [&str; 5] = ["email", "name", "password", "password2", "isAdmin"];
    const CHANGE: [&str; 8] =
        ["name", "password", "password2", "email", "isAdmin", "isDisabled", "tokenAccess", "forcePasswordChange"];

    #[test]
    fn misspellings_are_recognized() {
        for (known, sent, meant) in [
            (&TOKEN[..], "descripton", "description"),
            (&TOKEN, "Description", "description"),
            (&TOKEN, "descriptions", "description"),
            (&TOKEN, "decsription", "description"),
            (&TOKEN, "lifetimeSecond", "lifetimeSeconds"),
            (&TOKEN, "lifetime_seconds", "lifetimeSeconds"),
            (&TOKEN, "lifetime-seconds", "lifetimeSeconds"),
            (&TOKEN, "lifetimeseconds", "lifetimeSeconds"),
            (&TOKEN, "lifeTimeSeconds", "lifetimeSeconds"),
            (&TOKEN, "lifetimSecond", "lifetimeSeconds"),
            (&PERSON, "is_admin", "isAdmin"),
            (&PERSON, "admin", "isAdmin"),
            (&PERSON, "isAdmn", "isAdmin"),
            (&PERSON, "emial", "email"),
            (&PERSON, "eMail", "email"),
            (&PERSON, "Name", "name"),
            (&PERSON, "pasword", "password"),
            (&PERSON, "pasword2", "password2"),
            (&PERSON, "password_2", "password2"),
            (&CHANGE, "isDisable", "isDisabled"),
            (&CHANGE, "disabled", "isDisabled"),
            (&CHANGE, "disable", "isDisabled"),
            (&CHANGE, "token_access", "tokenAccess"),
            (&CHANGE, "tokenAcess", "tokenAccess"),
            (&CHANGE, "forcePaswordChange", "forcePasswordChange"),
            (&["key", "value"], "values", "value"),
            (&["key", "value"], "Key", "key"),
            (&["settings"], "setting", "settings"),
        ] {
            assert_eq!(misspelled(sent, known), Some(meant), "{sent}");
        }
    }

    #[test]
    fn what_clients_send_beside_known_fields_is_no_misspelling() {
        for (known, fields) in [
            (&TOKEN[..], &["name", "tokenId", "createdAt", "lastUsed", "status", "hint", "label", "tags", "id"][..]),
            (&TOKEN, &["", "_", "description2", "subscription", "\u{540d}\u{524d}", "userId"]),
            (
                &PERSON,
                &[
                    "accept",
                    "workspaceId",
                    "isPlatformAdmin",
                    "state",
                    "ssoPrincipal",
                    "hadoopPrincipal",
                    "id",
                    "roles",
                ],
            ),
            (
                &PERSON,
                &["lname", "fname", "firstName", "lastName", "userName", "displayName", "outputHomeDir", "title"],
            ),
            (
                &CHANGE,
                &["accept", "cloudPrincipal", "fileUploadPath", "lastStateChange", "createdBy", "x", "awsConfig"],
            ),
            (&["email", "name", "password", "password2"], &["accept", "workspaceId", "isAdmin"]),
            (&["key", "value"], &["id", "type", "workspaceId", "createdAt", "updatedAt", "val", "kye"]),
            (&["id", "createdAt", "updatedAt"], &["createdBy", "updatedBy", "ids", "deletedAt", "creatorId"]),
        ] {
            for field in fields {
                assert_eq!(misspelled(field, known), None, "{field}");
            }
        }
    }

    #[test]
    fn the_nearest_name_is_found_whatever_was_sent() {
        let known = ["limit", "offset", "sort", "includeCount", "allUsers", "personId", "status", "cursor"];
        for (sent, meant) in [
            ("person_id", "personId"),
            ("personid", "personId"),
            ("PERSONID", "personId"),
            ("userId", "personId"),
            ("include_count", "includeCount"),
            ("all_users", "allUsers"),
            ("Limit", "limit"),
        ] {
            assert_eq!(nearest(sent, known), Some(meant), "{sent}");
        }
        assert!(["", "\u{0}", "orderBy"].iter().all(|sent| nearest(sent, known).is_some()));
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest(&"x".repeat(60_000), ["limit"]), Some("limit"));
    }

    #[test]
    fn only_names_are_repeated() {
        assert_eq!(shown("person_id"), Some("person_id"));
        for secret in ["twd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1234567", "", "a b", "<x>", "\u{e9}"] {
            assert_eq!(shown(secret), None);
        }
    }
}
