//! `tokenward scanner-rules`: what secret scanners need to find token values.

use clap::{Args, ValueEnum};

use super::{Source, output};
use tokenward_guard::token_format::TokenFormat;

/// For which scanner.
#[derive(Debug, Args)]
pub(super) struct ScannerRules {
    /// The scanner
    #[arg(value_enum)]
    scanner: Scanner,
    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scanner {
    /// A part of a gitleaks configuration (TOML)
    Gitleaks,
    /// A custom detector of TruffleHog (YAML)
    Trufflehog,
    /// A plugin of detect-secrets (Python), which proves the checksum, too
    DetectSecrets,
}

impl ScannerRules {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = self.source.load(None)?;
        let rules = rules(self.scanner, &config.token_format()?, config.delegate.issuer());
        output::print(format_args!("{rules}"))
    }
}

/// The rules, for the prefixes that this configuration issues and accepts.
fn rules(scanner: Scanner, format: &TokenFormat, issuer: &str) -> String {
    let template = match scanner {
        Scanner::Gitleaks => include_str!("../../templates/scanners/gitleaks.toml"),
        Scanner::Trufflehog => include_str!("../../templates/scanners/trufflehog.yaml"),
        Scanner::DetectSecrets => include_str!("../../templates/scanners/detect_secrets_tokenward.py"),
    };
    let keywords: Vec<String> = format.prefixes().map(|prefix| format!("\"{}_\"", prefix.as_str())).collect();
    template
        .replace("@PATTERN@", &format.pattern())
        .replace("@KEYWORDS@", &keywords.join(", "))
        .replace("@ISSUER@", issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled_in() {
        for scanner in [Scanner::Gitleaks, Scanner::Trufflehog, Scanner::DetectSecrets] {
            let rules = rules(scanner, &TokenFormat::default(), "https://tokens.example");
            assert!(rules.contains("twd_[0-9A-Za-z]{49}") && !rules.contains(['@']), "{rules}");
        }
    }
}
