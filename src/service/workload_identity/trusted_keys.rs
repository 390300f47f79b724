//! The keys of issuers that trust rules name.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tokenward_oidc::{AddressRule, IssuerKeys, SettingsError};

use crate::{domain::trust_rule::TrustRuleDraft, outbound::AddressPolicy};

/// The maximum number of issuers whose keys are kept. Each further one evicts another.
const MAX_ISSUERS: usize = 256;
/// Any issuer, to check the file with certificate authorities.
const ANY_ISSUER: &str = "https://localhost";

/// The keys of issuers. All rules share those of an issuer that is found by discovery. Cheap to clone.
#[derive(Clone)]
pub(super) struct TrustedKeys {
    addresses: AddressPolicy,
    ca_file: Option<PathBuf>,
    discovered: Arc<Mutex<HashMap<String, IssuerKeys>>>,
}

impl TrustedKeys {
    /// Creates an empty set.
    ///
    /// # Errors
    /// A [`SettingsError`] if the file with certificate authorities is not usable.
    pub(super) fn new(addresses: AddressPolicy, ca_file: Option<PathBuf>) -> Result<Self, SettingsError> {
        let keys = Self { addresses, ca_file, discovered: Arc::default() };
        if keys.ca_file.is_some() {
            keys.discover(ANY_ISSUER)?;
        }
        Ok(keys)
    }

    /// Returns the keys that verify the JWTs of a rule. Does not connect.
    ///
    /// # Errors
    /// A [`SettingsError`] if there can be no such keys.
    pub(super) fn of(&self, terms: &TrustRuleDraft) -> Result<IssuerKeys, SettingsError> {
        if let Some(key_set) = &terms.key_set {
            return IssuerKeys::from_jwks(key_set.as_str());
        }
        if let Some(keys) = self.discovered.lock().get(&terms.issuer) {
            return Ok(keys.clone());
        }
        let keys = self.discover(&terms.issuer)?;
        let mut discovered = self.discovered.lock();
        if discovered.len() >= MAX_ISSUERS
            && let Some(evicted) = discovered.keys().next().cloned()
        {
            discovered.remove(&evicted);
        }
        Ok(discovered.entry(terms.issuer.clone()).or_insert(keys).clone())
    }

    /// Checks that there can be keys for a rule. Keeps nothing: the rule may not be stored.
    ///
    /// # Errors
    /// A [`SettingsError`] if there can be no such keys.
    pub(super) fn validate(&self, terms: &TrustRuleDraft) -> Result<(), SettingsError> {
        match &terms.key_set {
            Some(key_set) => IssuerKeys::from_jwks(key_set.as_str()).map(drop),
            None if self.discovered.lock().contains_key(&terms.issuer) => Ok(()),
            None => self.discover(&terms.issuer).map(drop),
        }
    }

    fn discover(&self, issuer: &str) -> Result<IssuerKeys, SettingsError> {
        let policy = self.addresses;
        let rule = AddressRule::new(move |address| policy.check(address).is_ok());
        IssuerKeys::discovered(issuer, self.ca_file.as_deref(), rule)
    }
}
