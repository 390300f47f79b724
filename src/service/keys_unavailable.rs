//! The error of an issuer whose keys cannot be loaded.

use tokenward_oidc::{SettingsError, Unavailable};

/// The keys of an issuer cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeysUnavailable {
    #[error(transparent)]
    Load(#[from] Unavailable),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the keys were not loaded in time")]
    TimedOut,
}
