//! The tokens that conflict with a value that an administrator has entered, before it is saved.

use crate::{
    domain::{
        setting::{SettingKey, SettingValue},
        setting_conflict::SettingConflict,
    },
    web::{
        error::PageResult,
        format::{TokenOwner, TokenRow, TokenState},
        session_user::AdminUser,
        state::WebState,
    },
};

/// The number of tokens that a page lists.
const MAX_ROWS: i64 = 20;

/// The effect of a value on existing tokens.
pub(super) struct Preview {
    /// A sentence with the numbers.
    pub text: String,
    pub rows: Vec<TokenRow>,
    /// The number of tokens that are not listed.
    pub more: i64,
}

/// Returns whether values of a setting can be previewed. The page of `enabled` always shows its effect.
pub(super) fn has_preview(key: SettingKey) -> bool {
    key != SettingKey::Enabled && SettingConflict::KEYS.contains(&key)
}

/// Returns the tokens that conflict with a value. Nothing is changed.
pub(super) async fn preview(
    user: &AdminUser,
    state: &WebState,
    key: SettingKey,
    value: &SettingValue,
) -> PageResult<Preview> {
    let found = state.tokens.preview_setting(&user.actor(), (key, value), (MAX_ROWS, 0)).await?;
    let now = state.tokens.now();
    let row = |listed: crate::service::tokens::ListedToken| {
        let token_state = TokenState::for_token(&listed.token, listed.status, listed.is_blocked, now);
        let owner = TokenOwner { id: listed.token.person_id, email: listed.email };
        TokenRow::new(listed.token, token_state, Some(owner), "/admin/tokens")
    };
    let rows: Vec<TokenRow> = found.listed.into_iter().map(row).collect();
    let more = found.tokens - i64::try_from(rows.len()).unwrap_or(found.tokens);
    Ok(Preview { text: sentence(found.tokens, found.people), rows, more })
}

fn sentence(tokens: i64, people: i64) -> String {
    let owners = if people == 1 { "1 owner".to_owned() } else { format!("{people} owners") };
    match tokens {
        0 => "No active token conflicts with this value.".to_owned(),
        1 => format!("1 active token of {owners} conflicts with this value. It keeps working."),
        tokens => format!("{tokens} active tokens of {owners} conflict with this value. They keep working."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_agrees_with_the_numbers() {
        assert_eq!(sentence(0, 0), "No active token conflicts with this value.");
        assert_eq!(sentence(1, 1), "1 active token of 1 owner conflicts with this value. It keeps working.");
        assert_eq!(sentence(12, 4), "12 active tokens of 4 owners conflict with this value. They keep working.");
    }
}
