//! The error of an invalid configuration.

/// An invalid configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{path} contains a secret and is readable by other users (mode {mode:03o}): run chmod 600 {path}")]
    Public { path: String, mode: u32 },
    #[error("{0}")]
    Key(String),
    /// A value that is not accepted. `reason` continues the sentence that begins with the key.
    #[error("{key} {reason}")]
    Value { key: &'static str, reason: String },
}
