//! The changes of one sync, computed from the linked accounts and the entries of the directory.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    domain::{
        allow_rule::{AllowRule, grant_in},
        directory::{DirectoryPerson, EntryState},
        directory_sync::{SyncReport, max_disabled},
        person::{Email, Person},
    },
    store::{FoundIdentity, ProviderChange},
};

/// The changes that a sync makes.
#[derive(Clone, Debug, Default)]
pub struct SyncPlan {
    /// Entries that the directory returned.
    pub entries: i64,
    /// Accounts that are linked to the directory.
    pub linked: usize,
    pub changes: Vec<PlannedChange>,
    /// The identities whose entries the directory returned.
    pub seen: Vec<Uuid>,
    /// People who keep their e-mail address, because another account has the one of the entry.
    pub taken_emails: Vec<TakenEmail>,
}

/// An e-mail address of an entry that another account has.
#[derive(Clone, Debug)]
pub struct TakenEmail {
    /// The person of the entry.
    pub person: Person,
    pub email: String,
}

/// One change.
#[derive(Clone, Debug)]
pub struct PlannedChange {
    pub found: FoundIdentity,
    pub change: ProviderChange,
    /// The entry is missing, and a second search did not find it.
    pub(super) is_confirmed: bool,
}

/// The reason in the event of an account whose entry is missing.
const GONE: &str = "not in the directory";

impl SyncPlan {
    pub(super) fn new(
        rules: &[AllowRule],
        linked: Vec<FoundIdentity>,
        listed: &[(DirectoryPerson, Vec<String>)],
    ) -> Self {
        let entries: HashMap<&str, &(DirectoryPerson, Vec<String>)> =
            listed.iter().map(|listed| (listed.0.subject.as_str(), listed)).collect();
        let mut plan =
            Self { entries: i64::try_from(listed.len()).unwrap_or(i64::MAX), linked: linked.len(), ..Self::default() };
        for found in linked {
            let entry = entries.get(found.identity.subject.as_str());
            if entry.is_some() {
                plan.seen.push(found.identity.id);
            }
            let change = change_of(rules, &found, entry.map(|(person, groups)| (person, groups.as_slice())));
            let planned = PlannedChange { found, change, is_confirmed: true };
            if planned.change.is_needed(&planned.found.person) {
                plan.changes.push(planned);
            }
        }
        plan
    }

    /// Returns the changes of accounts whose entries are missing.
    pub(super) fn missing_mut(&mut self) -> impl Iterator<Item = &mut PlannedChange> {
        self.changes.iter_mut().filter(|planned| planned.change.disabled_for == Some(GONE))
    }

    /// Removes the changes of entries that a second search found.
    pub(super) fn drop_unconfirmed(&mut self) {
        self.changes.retain(|planned| planned.is_confirmed);
    }

    /// Returns the number of people whom the sync disables.
    #[must_use]
    pub fn disabled(&self) -> usize {
        self.changes.iter().filter(|planned| planned.disables()).count()
    }

    /// Returns why the sync must be confirmed, and what to do; `None`: it need not be.
    #[must_use]
    pub fn hold_reason(&self) -> Option<String> {
        if self.linked > 1 && self.seen.is_empty() && self.disabled() > 0 {
            return Some(format!(
                "none of the {} linked people is in the directory; check base and user_filter, then run tokenward sso \
                 sync --confirm if that is right",
                self.linked
            ));
        }
        let (disabled, max) = (self.disabled(), max_disabled(self.linked));
        if disabled > max {
            return Some(format!(
                "{disabled} of {} people would be disabled, more than {max} at once; look at tokenward sso sync \
                 --dry-run, then run it with --confirm if that is right",
                self.linked
            ));
        }
        (self.linked > 1 && disabled == self.linked).then(|| {
            format!(
                "all {disabled} linked people would be disabled; look at tokenward sso sync --dry-run, then run it with \
                 --confirm if that is right"
            )
        })
    }

    /// Adds the planned numbers to a report.
    pub(super) fn complete(&self, mut report: SyncReport) -> SyncReport {
        report.held = i64::try_from(self.disabled()).unwrap_or(i64::MAX);
        if let Some(reason) = self.hold_reason() {
            report.message = reason;
        }
        report
    }
}

impl PlannedChange {
    /// Returns whether the change disables a person who is not disabled by the directory yet.
    #[must_use]
    pub fn disables(&self) -> bool {
        self.change.disabled_for.is_some() && !self.found.person.disabled_by.directory
    }

    /// Returns whether the change lifts what the directory disabled.
    #[must_use]
    pub fn enables(&self) -> bool {
        self.change.disabled_for.is_none() && self.found.person.disabled_by.directory
    }

    /// Returns whether the person stays disabled because an administrator disabled the account.
    #[must_use]
    pub fn stays_disabled(&self) -> bool {
        self.found.person.disabled_by.administrator
    }

    /// Returns the e-mail address if it differs from that of the account.
    pub(super) fn new_email(&self) -> Option<&Email> {
        self.change.email.as_ref().filter(|email| email.as_str() != self.found.person.email)
    }
}

/// Returns what the directory says about an account. An account of an entry that is not admitted
/// keeps its address.
fn change_of(
    rules: &[AllowRule],
    found: &FoundIdentity,
    entry: Option<(&DirectoryPerson, &[String])>,
) -> ProviderChange {
    let disable = |reason| ProviderChange { disabled_for: Some(reason), grants_admin: false, email: None };
    let Some((entry, groups)) = entry else { return disable(GONE) };
    match (entry.state, grant_in(rules, groups, found.person.workspace_id)) {
        (EntryState::Disabled, _) => disable("disabled"),
        (EntryState::Expired, _) => disable("account_expired"),
        (EntryState::Active, None) => disable("not in an allowed group"),
        (EntryState::Active, Some(grant)) => {
            ProviderChange { disabled_for: None, grants_admin: grant.is_admin, email: entry.email.clone() }
        }
    }
}
