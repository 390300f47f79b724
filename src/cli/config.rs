//! `tokenward config`: checks and prints the configuration.

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::Subcommand;

use super::{GlobalOptions, output};
use crate::{
    config::{
        ALLOW_KEYS, Config, DEFAULT_FILE, DIRECTORY_KEYS, OPENID_CONNECT_KEYS, ProviderConfig, SAML_KEYS, Sources,
        known_keys,
    },
    directory::Directory,
    service::{OpenIdProviders, SamlProviders},
};

/// The subcommands of `tokenward config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the configuration and print where it was read from; exit code 1 if it is invalid
    Check,
    /// Print each key with its value in force and the source of the value, with secrets redacted
    Print,
    /// Print the default configuration with a description of each key
    Default,
}

impl ConfigCommand {
    pub(super) fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        match self {
            Self::Check => check(global),
            Self::Print => {
                let (config, sources) = global.load_with_sources(None)?;
                output::print(format_args!("{}", render(&config, &sources)?))
            }
            Self::Default => output::print(format_args!("{DEFAULT_FILE}")),
        }
    }
}

fn check(global: &GlobalOptions) -> anyhow::Result<()> {
    let (config, sources) = global.load_with_sources(None)?;
    check_providers(&config)?;
    config.mailer()?;
    let file = global.config.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let names = sources.names();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    output::print_line(format_args!("configuration file: {file}"))?;
    output::print_line(format_args!("variables and options: {names}"))?;
    output::print_line(format_args!("database: {}", config.database.url))?;
    output::print_line(format_args!("the configuration is valid"))
}

/// Checks what the start of the service checks: the files of the identity providers, and the syntax
/// of filters and names. Connects to none of them.
fn check_providers(config: &Config) -> anyhow::Result<()> {
    for settings in config.directories()? {
        let section = format!("sso.{}", settings.directory.name);
        Directory::new(settings.directory).context(section)?;
    }
    OpenIdProviders::new(config.openid_providers()?)?;
    SamlProviders::new(config.saml_providers()?)?;
    Ok(())
}

/// Renders the configuration as TOML. The comment after each value names its source; a key without
/// a value is a comment.
fn render(config: &Config, sources: &Sources) -> anyhow::Result<String> {
    let values = toml::Value::try_from(config)?;
    let mut text = String::new();
    let mut current_section = String::new();
    for key in known_keys() {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", &key));
        if section != current_section {
            write!(text, "\n[{section}]\n")?;
            section.clone_into(&mut current_section);
        }
        let value = key.split('.').try_fold(&values, |value, part| value.get(part));
        match value {
            Some(value) => writeln!(text, "{name} = {value}  # {}", sources.find(&key))?,
            // A comment: as a value, it would count as configured.
            None if key == "public_url" => {
                writeln!(text, "# {name} = \"{}\"  # derived from listen.http", config.public_url())?;
            }
            None => writeln!(text, "# {name} is unset")?,
        }
    }
    for (name, provider) in &config.sso {
        let keys: &[&str] = match provider {
            ProviderConfig::Directory(_) => &DIRECTORY_KEYS,
            ProviderConfig::OpenIdConnect(_) => &OPENID_CONNECT_KEYS,
            ProviderConfig::Saml(_) => &SAML_KEYS,
        };
        render_provider(&mut text, keys, &values, &format!("sso.{name}"), sources)?;
    }
    Ok(text)
}

/// Renders the sections of an identity provider.
fn render_provider(
    text: &mut String,
    keys: &[&str],
    values: &toml::Value,
    section: &str,
    sources: &Sources,
) -> anyhow::Result<()> {
    let provider =
        section.split('.').try_fold(values, |value, part| value.get(part)).context("a provider without values")?;
    write!(text, "\n[{section}]\n")?;
    let keys = keys.iter().filter(|key| **key != "allow");
    render_keys(text, keys, provider, section, sources)?;
    let rules = provider.get("allow").and_then(toml::Value::as_array);
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        write!(text, "\n[[{section}.allow]]\n")?;
        render_keys(text, ALLOW_KEYS.iter(), rule, &format!("{section}.allow.{index}"), sources)?;
    }
    Ok(())
}

fn render_keys<'a>(
    text: &mut String,
    keys: impl Iterator<Item = &'a &'a str>,
    values: &toml::Value,
    section: &str,
    sources: &Sources,
) -> anyhow::Result<()> {
    for key in keys {
        match values.get(key) {
            Some(value) => writeln!(text, "{key} = {value}  # {}", sources.find(&format!("{section}.{key}")))?,
            None => writeln!(text, "# {key} is unset")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_configuration_is_toml_with_every_key() {
        let config = Config::default();
        let text = render(&config, &Sources::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
        assert!(text.contains("\n# metrics is unset\n"), "{text}");
        assert!(text.contains("# public_url = \"http://127.0.0.1:3005\"  # derived from listen.http\n"), "{text}");
        assert!(text.contains("\nhttp = \"127.0.0.1:3005\"  # default\n"), "{text}");
    }
}
