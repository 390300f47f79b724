//! The keys of `[sso.NAME]`. `config/default.toml` does not have them, because a provider has no
//! defaults.

use crate::config::known_keys::nearest;

/// The keys of `[sso.NAME]`, in the order of `docs/reference/identity-providers.md`.
pub const DIRECTORY_KEYS: [&str; 15] = [
    "kind",
    "url",
    "starttls",
    "ca_file",
    "server_name",
    "bind",
    "bind_password_file",
    "bind_password",
    "base",
    "user_filter",
    "domains",
    "default",
    "sync_interval",
    "lockout_guard",
    "allow",
];

/// The keys of `[sso.NAME]` with `kind = "openid-connect"`, in the order of
/// `docs/reference/identity-providers.md`.
pub const OPENID_CONNECT_KEYS: [&str; 11] = [
    "kind",
    "issuer",
    "client_id",
    "client_secret_file",
    "client_secret",
    "scopes",
    "subject_claim",
    "groups_claim",
    "ca_file",
    "reaffirm_after",
    "allow",
];

/// The keys of `[sso.NAME]` with `kind = "saml"`, in the order of `docs/reference/identity-providers.md`.
pub const SAML_KEYS: [&str; 11] = [
    "kind",
    "metadata_file",
    "entity_id",
    "name_id_format",
    "subject_attribute",
    "email_attribute",
    "name_attribute",
    "groups_attribute",
    "sign_requests_key",
    "reaffirm_after",
    "allow",
];

/// The keys of `[[sso.NAME.allow]]`.
pub const ALLOW_KEYS: [&str; 5] = ["group", "workspace", "admin", "token_access", "create"];

/// Returns the known key that is most similar to an unknown one: of the same provider, in either
/// kind of section.
///
/// `key` is the full key, such as `sso.company.bnd`; `expected` are the keys of its section.
pub(in crate::config) fn nearest_key(key: &str, expected: &[&str]) -> Option<String> {
    let mut parts = key.splitn(4, '.').skip(1);
    let section = format!("sso.{}", parts.next()?);
    let (_, name) = key.rsplit_once('.')?;
    let is_rule = parts.next() == Some("allow");
    let other: &[&str] = if is_rule { &DIRECTORY_KEYS } else { &ALLOW_KEYS };
    // A key of the other kind of section is misplaced, not misspelled.
    let found = match other.iter().find(|known| **known == name) {
        Some(misplaced) => (*misplaced).to_owned(),
        None => nearest(name, expected.iter().map(|known| (*known).to_owned()))?,
    };
    let is_of_rule = ALLOW_KEYS.contains(&found.as_str());
    Some(if is_of_rule { format!("{section}.allow.{found}") } else { format!("{section}.{found}") })
}

/// Returns the key without the positions in lists: they are counted from 0, and the error names the
/// line.
pub(in crate::config) fn without_index(key: &str) -> String {
    let is_index = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> =
        key.split('.').enumerate().filter(|(n, part)| *n < 2 || !is_index(part)).map(|(_, part)| part).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AllowConfig, DirectoryConfig, OpenIdConnectConfig, SamlConfig};

    /// Returns the names in "unknown field `?`, expected one of `kind`, `url`".
    fn expected<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let error = toml::from_str::<T>("unknown = 1").err().map(|error| error.message().to_owned()).unwrap();
        let mut names: Vec<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
        names.sort();
        names
    }

    fn sorted(keys: &[&str]) -> Vec<String> {
        let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.sort();
        keys
    }

    #[test]
    fn the_lists_have_exactly_the_keys_of_the_sections() {
        assert_eq!(expected::<DirectoryConfig>(), sorted(&DIRECTORY_KEYS));
        assert_eq!(expected::<OpenIdConnectConfig>(), sorted(&OPENID_CONNECT_KEYS));
        assert_eq!(expected::<SamlConfig>(), sorted(&SAML_KEYS));
        assert_eq!(expected::<AllowConfig>(), sorted(&ALLOW_KEYS));
    }

    #[test]
    fn the_nearest_key_is_of_the_same_provider() {
        for (key, nearest) in [
            ("sso.login.isuer", "sso.login.issuer"),
            ("sso.adfs.metadata", "sso.adfs.metadata_file"),
            ("sso.adfs.group_attribute", "sso.adfs.groups_attribute"),
            ("sso.company.bnd", "sso.company.bind"),
            ("sso.company.bind_pasword_file", "sso.company.bind_password_file"),
            ("sso.company.start_tls", "sso.company.starttls"),
            ("sso.company.group", "sso.company.allow.group"),
            ("sso.company.allow.0.goup", "sso.company.allow.group"),
            ("sso.company.allow.0.base", "sso.company.base"),
        ] {
            let expected: &[&str] = match key {
                _ if key.contains(".allow.") => &ALLOW_KEYS,
                _ if key.starts_with("sso.login.") => &OPENID_CONNECT_KEYS,
                _ if key.starts_with("sso.adfs.") => &SAML_KEYS,
                _ => &DIRECTORY_KEYS,
            };
            assert_eq!(nearest_key(key, expected).as_deref(), Some(nearest), "{key}");
        }
        assert_eq!(without_index("sso.1.allow.0.group"), "sso.1.allow.group");
    }
}
