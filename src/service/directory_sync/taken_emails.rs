//! E-mail addresses of entries that other accounts have. People keep the old ones.

use super::{DirectorySyncs, PlannedChange, SyncPlan, TakenEmail};
use crate::{
    domain::{
        event::{Action, RequestContext},
        id::PersonId,
        person::{Email, EmailKey},
    },
    service::{Result, denied_attempts::DeniedAttempt, directories::DirectoryProvider},
};

impl DirectorySyncs {
    /// Leaves people their addresses whose new ones other accounts have.
    pub(super) async fn keep_taken_emails(&self, plan: &mut SyncPlan) -> Result<()> {
        for (person_id, email) in plan.new_emails() {
            let owner = self.store.find_person_by_email(&EmailKey::from_text(email.as_str())).await?;
            if let Some(owner) = owner.map(|found| found.person.id).filter(|owner| *owner != person_id) {
                plan.keep_email(person_id, owner);
            }
        }
        Ok(())
    }

    /// Records addresses that other accounts have, each once for each person.
    pub(super) fn report_taken_emails(&self, provider: &DirectoryProvider, plan: &SyncPlan) {
        for TakenEmail { person, email } in &plan.taken_emails {
            if !self.reported_emails.lock().insert((person.id, email.clone())) {
                continue;
            }
            tracing::warn!(
                provider = provider.name(),
                person.id = person.id.get(),
                "another account has the e-mail address of a directory entry; the person keeps the old one"
            );
            self.denied_attempts.record(
                DeniedAttempt {
                    workspace_id: person.workspace_id,
                    action: Action::IdentityEmailTaken,
                    person_id: Some(person.id),
                    target: person.id.to_string(),
                    label: person.email.clone(),
                    reason: format!("e-mail address taken; provider {}", provider.name()),
                    address: None,
                },
                RequestContext::default(),
            );
        }
    }
}

impl SyncPlan {
    /// Returns the people who get another e-mail address, with the new one.
    fn new_emails(&self) -> Vec<(PersonId, Email)> {
        let changed = self.changes.iter().filter_map(|planned| Some((planned.found.person.id, planned.new_email()?)));
        changed.map(|(id, email)| (id, email.clone())).collect()
    }

    /// Leaves a person the old address, because another account has the new one. If the sync also
    /// changes the address of this account, the new one may be free by then.
    fn keep_email(&mut self, person_id: PersonId, owner: PersonId) {
        let is_of = |planned: &PlannedChange, id| planned.found.person.id == id;
        if self.changes.iter().any(|planned| is_of(planned, owner) && planned.new_email().is_some()) {
            return;
        }
        if let Some(planned) = self.changes.iter_mut().find(|planned| is_of(planned, person_id))
            && let Some(email) = planned.change.email.take()
        {
            let person = planned.found.person.clone();
            self.taken_emails.push(TakenEmail { person, email: email.as_str().to_owned() });
        }
        self.changes.retain(|planned| planned.change.is_needed(&planned.found.person));
    }
}
