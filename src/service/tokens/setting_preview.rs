//! The existing tokens that conflict with a new value of a setting.

use super::{ListedToken, TokenScope, Tokens};
use crate::{
    domain::{
        id::PersonId,
        setting::{SettingKey, SettingValue},
        setting_conflict::SettingConflict,
        token::TokenStatus,
        token_filter::TokenFilter,
        token_query::{Sort, SortKey, TokenPageQuery},
    },
    service::{Result, read_budget::ReadRequester},
};
use tokenward_guard::Principal;

/// Active tokens that conflict with a value of a setting.
#[derive(Clone, Debug)]
pub struct SettingPreview {
    /// The number of tokens.
    pub tokens: i64,
    /// The number of their owners.
    pub people: i64,
    /// A section of the tokens; those that never expire come first.
    pub listed: Vec<ListedToken>,
}

impl Tokens {
    /// Counts the active tokens of the administrator's workspace that conflict with a value of a setting,
    /// and lists up to `limit` of them after the first `offset`.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`](crate::service::Error::NotAdministrator) if the caller is not an
    /// administrator, [`Error::Invalid`](crate::service::Error::Invalid) if no value of the setting
    /// conflicts with tokens.
    pub async fn preview_setting(
        &self,
        caller: &Principal,
        (key, value): (SettingKey, &SettingValue),
        (limit, offset): (i64, i64),
    ) -> Result<SettingPreview> {
        let conflict = SettingConflict::of(key, value)?;
        let filter = TokenFilter { status: Some(TokenStatus::Active), conflict, ..TokenFilter::default() };
        let query = self.build_list_query(caller, TokenScope::Workspace { person_id: None }, filter).await?;
        if conflict.is_none() {
            return Ok(SettingPreview { tokens: 0, people: 0, listed: Vec::new() });
        }
        let sort = Sort { key: SortKey::ExpiresAt, descending: true };
        let page = TokenPageQuery { sort, limit: Some(limit), offset, after: None };
        let (store, now) = (self.store.clone(), query.now);
        let read = async move {
            let counts = store.count_tokens_and_owners(&query).await?;
            Ok((counts, store.list_tokens(&query, &page).await?))
        };
        let (counts, rows) = self.read_budget.run(ReadRequester::person(PersonId::of(caller)), read).await?;
        let listed = rows.into_iter().map(|row| ListedToken::new(row, now)).collect();
        Ok(SettingPreview { tokens: counts.tokens, people: counts.people, listed })
    }
}
