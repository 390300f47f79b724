//! Changing and removing people, and keeping somebody in charge.

use super::{IN_CHARGE, role};
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        person::{Email, EmailKey, PersonName, TokenAccess},
    },
    store::{
        Result, Store,
        authority::begin,
        events::{Done, record},
        login_failures, on_pool, removal, sessions, sources,
    },
};

/// What is to change about a person; `None` leaves it.
#[derive(Clone, Default)]
pub struct PersonChange {
    pub email: Option<Email>,
    pub name: Option<PersonName>,
    pub password_hash: Option<String>,
    pub is_admin: Option<bool>,
    pub is_disabled: Option<bool>,
    pub token_access: Option<TokenAccess>,
    pub force_password_change: Option<bool>,
    /// Nothing is changed unless the password hash is still this one.
    pub proven_hash: Option<String>,
}

/// What came of a change that may not take away the last administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    Changed,
    /// There is no such person in the workspace.
    Absent,
    /// Nothing was done: the password that was proven is no longer the person's.
    ProofOver,
    /// Nothing was done: the workspace would have no enabled administrator.
    LastAdministrator,
    /// Nothing was done: the service would have no enabled platform administrator.
    LastPlatformAdministrator,
}

impl PersonChange {
    fn ends_sessions(&self, was_admin: bool) -> bool {
        let changes_role = self.is_admin.is_some_and(|is_admin| is_admin != was_admin);
        self.password_hash.is_some() || self.is_disabled == Some(true) || changes_role
    }

    /// What the change is, in the words of those who read of it.
    fn told(&self) -> Vec<(Action, Details)> {
        let mut told = Vec::new();
        if self.password_hash.is_some() {
            told.push((Action::PasswordChanged, Details::default()));
        }
        if let Some(is_disabled) = self.is_disabled {
            told.push((if is_disabled { Action::PersonDisabled } else { Action::PersonEnabled }, Details::default()));
        }
        let details = Details::default()
            .with_some("email", self.email.as_ref().map(Email::as_str))
            .with_some("name", self.name.as_ref().map(PersonName::as_str))
            .with_some("role", self.is_admin.map(role))
            .with_some("tokenAccess", self.token_access.map(TokenAccess::as_str))
            .with_some("forcePasswordChange", self.force_password_change);
        if details != Details::default() {
            told.push((Action::PersonChanged, details));
        }
        told
    }
}

impl Store {
    /// Changes a person of a workspace, unless that would leave nobody in charge. A new password, another role and being
    /// disabled end the person's web sessions; a new password and being enabled forget the wrong
    /// ones that were tried.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::store::Error::Conflict) where the e-mail is taken.
    pub async fn update_person(
        &self,
        workspace_id: i64,
        id: i64,
        change: &PersonChange,
        mutation: &Mutation,
    ) -> Result<Rank> {
        const UPDATE: &str = "update person set email = coalesce($3, email), email_key = coalesce($4, email_key), \
             name = coalesce($5, name), password_hash = coalesce($6, password_hash), is_admin = coalesce($7, is_admin), \
             is_disabled = coalesce($8, is_disabled), token_access = coalesce($9, token_access), \
             force_password_change = coalesce($10, force_password_change), updated_at = $11 \
             where workspace_id = $1 and id = $2 and removed_at is null returning email, email_key, is_platform_admin";
        const BEFORE: &str =
            "select is_admin, password_hash from person where workspace_id = $1 and id = $2 and removed_at is null";
        let email_key = change.email.as_ref().map(Email::key);
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, workspace_id, mutation);
            let before: Option<(bool, String)> =
                sqlx::query_as(BEFORE).bind(workspace_id).bind(id).fetch_optional(&mut *tx).await?;
            let Some((was_admin, password_hash)) = before else { return Ok(Rank::Absent) };
            if change.proven_hash.as_ref().is_some_and(|proven| *proven != password_hash) {
                return Ok(Rank::ProofOver);
            }
            let changed: Option<(String, String, bool)> = sqlx::query_as(UPDATE)
                .bind(workspace_id)
                .bind(id)
                .bind(change.email.as_ref().map(Email::as_str))
                .bind(email_key.as_ref().map(EmailKey::as_str))
                .bind(change.name.as_ref().map(PersonName::as_str))
                .bind(&change.password_hash)
                .bind(change.is_admin)
                .bind(change.is_disabled)
                .bind(change.token_access.map(TokenAccess::as_str))
                .bind(change.force_password_change)
                .bind(act.at)
                .fetch_optional(&mut *tx)
                .await?;
            let Some((email, email_key, is_platform_admin)) = changed else { return Ok(Rank::Absent) };
            if change.password_hash.is_some() || change.is_disabled == Some(false) {
                let digest = EmailKey::of(&email_key).digest();
                sqlx::query(login_failures::CLEAR).bind(digest.as_bytes().as_slice()).execute(&mut *tx).await?;
                sqlx::query(sources::FORGIVE).bind(id).execute(&mut *tx).await?;
            }
            if change.ends_sessions(was_admin) {
                sqlx::query(sessions::END_ALL).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            }
            for (action, details) in change.told() {
                let target = id.to_string();
                let done = Done { action, person_id: Some(id), target: &target, label: &email, details };
                record!(tx, workspace_id, act, done);
            }
            let left = sqlx::query_as(IN_CHARGE).bind(workspace_id).fetch_one(&mut *tx).await?;
            let rank = rank(left, is_platform_admin);
            if rank == Rank::Changed {
                tx.commit().await?;
            }
            Ok(rank)
        })
    }

    /// Removes a person of a workspace with the person's tokens, unless that would leave nobody in charge. Where the tokens are many,
    /// their rows and the person's are removed afterwards by [`Store::remove_remains`]; until then no method finds them.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn delete_person(&self, workspace_id: i64, id: i64, mutation: &Mutation) -> Result<Rank> {
        const FIND: &str =
            "select email, is_platform_admin from person where workspace_id = $1 and id = $2 and removed_at is null";
        const DELETE: &str = "delete from person where workspace_id = $1 and id = $2";
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, workspace_id, mutation);
            let found: Option<(String, bool)> =
                sqlx::query_as(FIND).bind(workspace_id).bind(id).fetch_optional(&mut *tx).await?;
            let Some((email, is_platform_admin)) = found else { return Ok(Rank::Absent) };
            let tokens: i64 = sqlx::query_scalar(removal::TOKENS_OF_PERSON).bind(workspace_id).bind(id)
                .bind(removal::MOST_AT_ONCE + 1).fetch_one(&mut *tx).await?;
            if tokens > removal::MOST_AT_ONCE {
                sqlx::query(removal::REVOKE_PERSON).bind(workspace_id).bind(id).bind(act.at).execute(&mut *tx).await?;
                sqlx::query(sessions::END_ALL).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            } else {
                sqlx::query(DELETE).bind(workspace_id).bind(id).execute(&mut *tx).await?;
            }
            let target = id.to_string();
            let done = Done { action: Action::PersonRemoved, person_id: Some(id), target: &target, label: &email, details: Details::default() };
            record!(tx, workspace_id, act, done);
            let left = sqlx::query_as(IN_CHARGE).bind(workspace_id).fetch_one(&mut *tx).await?;
            let rank = rank(left, is_platform_admin);
            if rank == Rank::Changed {
                tx.commit().await?;
            }
            Ok(rank)
        })
    }
}

/// Judges what a change left behind. It runs under the workspace's lock, so two changes cannot each spare the other.
fn rank((administrators, platform): (i64, i64), was_platform_admin: bool) -> Rank {
    if administrators == 0 {
        Rank::LastAdministrator
    } else if was_platform_admin && platform == 0 {
        Rank::LastPlatformAdministrator
    } else {
        Rank::Changed
    }
}
