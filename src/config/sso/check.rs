//! Checks of the values of `[sso.NAME]`. Files are read at the start only.

use super::{AllowConfig, DirectoryConfig, OpenIdConnectConfig, ProviderConfig, SamlConfig, SsoConfig};
use crate::{config::ConfigDuration, directory::ServerUrl, domain::directory::ProviderName};

/// A key, and the continuation of the sentence that begins with it.
type Invalid = (String, String);

/// Checks the providers.
///
/// # Errors
/// The key and what is wrong with it.
pub(in crate::config) fn check(sso: &SsoConfig, has_public_url: bool) -> Result<(), Invalid> {
    for (name, provider) in sso {
        let section = format!("sso.{name}");
        if ProviderName::parse(name).is_err() {
            let reason = "has an invalid name; use 1 to 32 of a-z, 0-9 and hyphen";
            return Err((section, reason.to_owned()));
        }
        let in_section = |(key, reason): Invalid| (format!("{section}.{key}"), reason);
        match provider {
            ProviderConfig::Directory(directory) => {
                directory.check_connection().map_err(in_section)?;
                directory.check_limits().map_err(in_section)?;
                directory.check_password().map_err(|reason| (section.clone(), reason))?;
                check_rules(&directory.allow, &section)?;
            }
            ProviderConfig::OpenIdConnect(provider) => {
                require_public_url(has_public_url, &section)?;
                provider.check().map_err(in_section)?;
                check_rules(&provider.allow, &section)?;
            }
            ProviderConfig::Saml(provider) => {
                require_public_url(has_public_url, &section)?;
                provider.check().map_err(in_section)?;
                check_rules(&provider.allow, &section)?;
            }
        }
    }
    check_routes(sso)
}

fn require_public_url(has_public_url: bool, section: &str) -> Result<(), Invalid> {
    let reason = "requires public_url: the provider sends browsers back to it";
    if has_public_url { Ok(()) } else { Err((section.to_owned(), reason.to_owned())) }
}

fn directories(sso: &SsoConfig) -> impl Iterator<Item = (&String, &DirectoryConfig)> {
    sso.iter().filter_map(|(name, provider)| Some((name, provider.directory()?)))
}

/// Checks that each typed name belongs to one provider at most.
fn check_routes(sso: &SsoConfig) -> Result<(), Invalid> {
    let mut defaults = directories(sso).filter(|(_, directory)| directory.default);
    if let (Some((first, _)), Some((second, _))) = (defaults.next(), defaults.next()) {
        let reason = format!("is true, as is sso.{first}.default; only one provider may be the default");
        return Err((format!("sso.{second}.default"), reason));
    }
    let mut known: Vec<(&str, &str)> = Vec::new();
    for (name, directory) in directories(sso) {
        for domain in &directory.domains {
            if let Some((other, _)) = known.iter().find(|(_, known)| known.eq_ignore_ascii_case(domain)) {
                let reason =
                    format!("contains {domain:?}, as does sso.{other}.domains; a domain belongs to one provider");
                return Err((format!("sso.{name}.domains"), reason));
            }
        }
        known.extend(directory.domains.iter().map(|domain| (name.as_str(), domain.as_str())));
    }
    Ok(())
}

fn invalid(key: &str, reason: impl Into<String>) -> Result<(), Invalid> {
    Err((key.to_owned(), reason.into()))
}

impl DirectoryConfig {
    fn check_connection(&self) -> Result<(), Invalid> {
        if self.url.is_empty() {
            return invalid("url", "must name at least one server, such as \"ldaps://dc1.example.org\"");
        }
        for url in &self.url {
            if let Err(error) = ServerUrl::parse(url) {
                return invalid("url", format!("is invalid: {error}"));
            }
            if url.to_ascii_lowercase().starts_with("ldap:") && !self.starttls {
                let reason = format!(
                    "is {url} without starttls; set starttls = true, or use ldaps://, because passwords are never sent in \
                     plain text"
                );
                return invalid("url", reason);
            }
            if url.to_ascii_lowercase().starts_with("ldaps:") && self.starttls {
                let reason = format!(
                    "is true, but {url} is encrypted from the beginning; remove starttls, or write ldap:// in every url"
                );
                return invalid("starttls", reason);
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), Invalid> {
        let (min, max) = (ConfigDuration::from_secs(60), ConfigDuration::from_secs(86_400));
        if self.sync_interval < min || self.sync_interval > max {
            return invalid("sync_interval", format!("is {}; it must be from 1m to 1d", self.sync_interval));
        }
        if !(1..=10).contains(&self.lockout_guard) {
            return invalid("lockout_guard", format!("is {}; it must be from 1 to 10", self.lockout_guard));
        }
        Ok(())
    }

    fn check_password(&self) -> Result<(), String> {
        match (&self.bind_password, &self.bind_password_file) {
            (Some(_), Some(_)) => Err("has bind_password and bind_password_file; keep one of them".to_owned()),
            (None, None) => Err("requires bind_password_file or bind_password".to_owned()),
            _ => Ok(()),
        }
    }
}

impl OpenIdConnectConfig {
    fn check(&self) -> Result<(), Invalid> {
        let is_loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|prefix| {
            self.issuer.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        if !(self.issuer.starts_with("https://") || is_loopback) {
            return invalid("issuer", "must be an https URL, exactly as the provider's metadata has it");
        }
        if self.client_id.is_empty() {
            return invalid("client_id", "must not be empty");
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            return invalid("client_secret", "and client_secret_file are both set; keep one of them");
        }
        check_reaffirmation(self.reaffirm_after)
    }
}

/// Checks `reaffirm_after`.
fn check_reaffirmation(reaffirm_after: Option<ConfigDuration>) -> Result<(), Invalid> {
    let (min, max) = (ConfigDuration::from_secs(3_600), ConfigDuration::from_secs(366 * 86_400));
    match reaffirm_after {
        Some(time) if time < min || time > max => {
            invalid("reaffirm_after", format!("is {time}; it must be from 1h to 366d, or be removed"))
        }
        _ => Ok(()),
    }
}

impl SamlConfig {
    fn check(&self) -> Result<(), Invalid> {
        if self.subject_attribute.is_some() && self.name_id_format.is_some() {
            return invalid(
                "subject_attribute",
                "and name_id_format are both set; keep the one that identifies an account",
            );
        }
        let attributes = [
            ("subject_attribute", self.subject_attribute.as_ref()),
            ("email_attribute", Some(&self.email_attribute)),
            ("name_attribute", Some(&self.name_attribute)),
            ("groups_attribute", Some(&self.groups_attribute)),
        ];
        for (key, name) in attributes {
            if name.is_some_and(|name| name.is_empty() || name.trim() != name) {
                return invalid(key, "must be the name of an attribute, as in the assertion");
            }
        }
        let is_entity_id = |id: &String| {
            (1..=1024).contains(&id.chars().count())
                && id.contains(':')
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.entity_id.as_ref().is_some_and(|id| !is_entity_id(id)) {
            return invalid(
                "entity_id",
                "must be a URI of at most 1024 characters, such as \"https://tokens.example.org/saml\"",
            );
        }
        check_reaffirmation(self.reaffirm_after)
    }
}

fn check_rules(rules: &[AllowConfig], section: &str) -> Result<(), Invalid> {
    if rules.is_empty() {
        let reason = format!(
            "requires allow: without a rule, no person may sign in; add [[{section}.allow]] with group and workspace"
        );
        return Err((section.to_owned(), reason));
    }
    let wrong = rules.iter().enumerate().find(|(_, rule)| rule.workspace < 1);
    wrong.map_or(Ok(()), |(index, rule)| {
        let reason = format!("is {}; it must be the ID of a workspace, at least 1", rule.workspace);
        Err((format!("{section}.allow.{index}.workspace"), reason))
    })
}
