//! `tokenward scanner-rules`: rules with which secret scanners detect token values and SCIM credentials.

use clap::{Args, ValueEnum};

use super::{GlobalOptions, output};
use crate::domain::scim::credential_format;
use tokenward_guard::token_format::TokenFormat;

/// The arguments of `tokenward scanner-rules`.
#[derive(Debug, Args)]
pub(super) struct ScannerRules {
    /// Secret scanner
    #[arg(value_enum)]
    scanner: Scanner,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scanner {
    /// Section of a gitleaks configuration (TOML)
    Gitleaks,
    /// Custom detector for TruffleHog (YAML)
    Trufflehog,
    /// Plugin for detect-secrets (Python), which also verifies the checksum
    DetectSecrets,
}

impl ScannerRules {
    pub(super) fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let config = global.load(None)?;
        let rules = render_rules(self.scanner, &config.token_format()?, &config.public_url());
        output::print(format_args!("{rules}"))
    }
}

/// Renders the rules for SCIM credentials, and for all issued and accepted prefixes of the configuration.
fn render_rules(scanner: Scanner, format: &TokenFormat, issuer: &str) -> String {
    let template = match scanner {
        Scanner::Gitleaks => include_str!("../../templates/scanners/gitleaks.toml"),
        Scanner::Trufflehog => include_str!("../../templates/scanners/trufflehog.yaml"),
        Scanner::DetectSecrets => include_str!("../../templates/scanners/detect_secrets_tokenward.py"),
    };
    let credentials = credential_format();
    let pattern = format!("(?:{}|{})", credentials.pattern(), format.pattern());
    let keywords: Vec<String> =
        format.prefixes().chain(credentials.prefixes()).map(|prefix| format!("\"{}_\"", prefix.as_str())).collect();
    template.replace("@PATTERN@", &pattern).replace("@KEYWORDS@", &keywords.join(", ")).replace("@ISSUER@", issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_replaced() {
        for scanner in [Scanner::Gitleaks, Scanner::Trufflehog, Scanner::DetectSecrets] {
            let rules = render_rules(scanner, &TokenFormat::default(), "https://tokens.example");
            assert!(rules.contains("(?:twdscim_[0-9A-Za-z]{49}|twd_[0-9A-Za-z]{49})"), "{rules}");
            assert!(!rules.contains(['@']), "{rules}");
        }
    }
}
