//! Detection of misspelled names of query parameters and body fields.

/// The maximum length of a name that an error message contains. A token value is longer, so no
/// message contains one.
const MAX_ECHOED_CHARS: usize = 40;

/// Returns a name in lower case without separators. Clients send `person_id` and `personid` for
/// `personId`.
pub(super) fn normalize(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the candidate that is most similar to a name. `None` if there are no candidates.
pub(super) fn find_nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let sent = normalize(&name.chars().take(MAX_ECHOED_CHARS).collect::<String>());
    let similarity = |candidate: &str| strsim::normalized_damerau_levenshtein(&sent, &normalize(candidate));
    candidates.into_iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
}

/// Returns the field of which a name is probably a misspelling.
pub(super) fn find_intended<'a>(name: &str, fields: &[&'a str]) -> Option<&'a str> {
    let sent = normalize(name);
    fields.iter().copied().find(|field| {
        let field = normalize(field);
        is_probable_typo(&sent, &field) || is_probable_typo(strip_is_prefix(&sent), strip_is_prefix(&field))
    })
}

/// Returns whether a normalized name is probably a misspelling of a normalized field. Short names
/// tolerate fewer typos, because one letter makes another word of them (`name`, `lname`).
fn is_probable_typo(sent: &str, field: &str) -> bool {
    if sent == field {
        return true;
    }
    let max_distance = match field.len() {
        0..=3 => 0,
        4..=9 => 1,
        _ => 2,
    };
    // Digits distinguish fields (`password2`), and a short name with another first letter is
    // another word.
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    sent.len().abs_diff(field.len()) <= max_distance
        && (field.len() > 5 || sent.chars().next() == field.chars().next())
        && digits(sent) == digits(field)
        && strsim::osa_distance(sent, field) <= max_distance
}

/// Removes the prefix `is`, because clients send `admin` and `disabled` for `isAdmin` and
/// `isDisabled`.
fn strip_is_prefix(normalized: &str) -> &str {
    normalized.strip_prefix("is").filter(|rest| rest.len() >= 4).unwrap_or(normalized)
}

/// Returns a name if an error message may contain it. `None` if it does not look like a name and
/// could be a secret.
pub(super) fn echoable_name(name: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$' | '[' | ']');
    (!name.is_empty() && name.len() <= MAX_ECHOED_CHARS && name.chars().all(is_name)).then_some(name)
}

/// Returns the field of a person that another name means.
pub(super) fn find_person_field_alias(normalized: &str) -> Option<&'static str> {
    match normalized {
        "mail" | "emailaddress" => Some("email"),
        "newpassword" | "passwd" | "passphrase" => Some("password"),
        _ => None,
    }
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
        for (fields, sent, expected) in [
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
            assert_eq!(find_intended(sent, fields), Some(expected), "{sent}");
        }
    }

    #[test]
    fn other_fields_that_clients_send_are_not_misspellings() {
        for (fields, names) in [
            (&TOKEN[..], &["name", "tokenId", "createdAt", "lastUsed", "status", "hint", "label", "tags", "id"][..]),
            (&TOKEN, &["", "_", "description2", "subscription", "\u{540d}\u{524d}", "userId"]),
            (
                &PERSON,
                &[
                    "accept",
                    "workspaceId",
                    "isPlatformAdmin",
                    "state",
                    "disabledBy",
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
            for name in names {
                assert_eq!(find_intended(name, fields), None, "{name}");
            }
        }
    }

    #[test]
    fn the_nearest_name_is_found_for_any_name() {
        let candidates = ["limit", "offset", "sort", "includeCount", "allUsers", "personId", "status", "cursor"];
        for (sent, expected) in [
            ("person_id", "personId"),
            ("personid", "personId"),
            ("PERSONID", "personId"),
            ("userId", "personId"),
            ("include_count", "includeCount"),
            ("all_users", "allUsers"),
            ("Limit", "limit"),
        ] {
            assert_eq!(find_nearest(sent, candidates), Some(expected), "{sent}");
        }
        assert!(["", "\u{0}", "orderBy"].iter().all(|sent| find_nearest(sent, candidates).is_some()));
        assert_eq!(find_nearest("x", []), None);
        assert_eq!(find_nearest(&"x".repeat(60_000), ["limit"]), Some("limit"));
    }

    #[test]
    fn text_that_is_not_a_name_is_not_echoed() {
        assert_eq!(echoable_name("person_id"), Some("person_id"));
        for secret in ["twd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1234567", "", "a b", "<x>", "\u{e9}"] {
            assert_eq!(echoable_name(secret), None);
        }
    }
}
