//! Sign-ins that browsers have begun, and logouts at identity providers.

use uuid::Uuid;

use super::{Result, Store, from_row, on_pool};
use crate::domain::{
    sign_in_flow::{FlowPurpose, SignInFlow, TextDigest},
    time::Timestamp,
};

/// A logout token of an identity provider: all sessions of a subject, or those of a session there.
#[derive(Clone, Copy, Debug)]
pub struct ProviderLogout<'a> {
    pub issuer: &'a str,
    pub subject: Option<&'a str>,
    pub session_id: Option<&'a str>,
    /// Digest of the identifier of the token.
    pub token: TextDigest,
    pub expires_at: Timestamp,
}

struct Row {
    provider: String,
    nonce: String,
    code_verifier: String,
    next_path: String,
    session_id: Option<Uuid>,
    is_link: bool,
    created_at: Timestamp,
}

from_row!(Row { provider, nonce, code_verifier, next_path, session_id, is_link, created_at });

impl Store {
    /// Records a sign-in that a browser begins.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn insert_sign_in_flow(&self, digest: &TextDigest, flow: &SignInFlow) -> Result<()> {
        const INSERT: &str = "insert into sign_in_flow (digest, provider, nonce, code_verifier, next_path, session_id, \
             created_at, is_link) values ($1, $2, $3, $4, $5, $6, $7, $8)";
        on_pool!(self, pool => sqlx::query(INSERT)
            .bind(digest.as_bytes().as_slice())
            .bind(&flow.provider)
            .bind(&flow.nonce)
            .bind(&flow.code_verifier)
            .bind(&flow.next_path)
            .bind(flow.purpose.session_id())
            .bind(flow.created_at)
            .bind(matches!(flow.purpose, FlowPurpose::Link(_)))
            .execute(pool)
            .await
            .map(|_| ()))?;
        Ok(())
    }

    /// Removes and returns the sign-in of a provider that began after `since`. Of several requests at once,
    /// on any node, one gets it.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn take_sign_in_flow(
        &self,
        digest: &TextDigest,
        provider: &str,
        since: Timestamp,
    ) -> Result<Option<SignInFlow>> {
        const DELETE: &str = "delete from sign_in_flow where digest = $1 and provider = $2 and created_at > $3 \
             returning provider, nonce, code_verifier, next_path, session_id, is_link, created_at";
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(DELETE)
            .bind(digest.as_bytes().as_slice()).bind(provider).bind(since).fetch_optional(pool).await)?;
        Ok(row.map(|row| SignInFlow {
            purpose: match (row.session_id, row.is_link) {
                (None, _) => FlowPurpose::SignIn,
                (Some(id), false) => FlowPurpose::Confirmation(id),
                (Some(id), true) => FlowPurpose::Link(id),
            },
            provider: row.provider,
            nonce: row.nonce,
            code_verifier: row.code_verifier,
            next_path: row.next_path,
            created_at: row.created_at,
        }))
    }

    /// Ends the sessions that a logout token names, and records that the token is used until it expires.
    /// Returns their number, or `None` if it was used before, on any node.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn end_provider_sessions(&self, provider: &str, logout: &ProviderLogout<'_>) -> Result<Option<u64>> {
        const SPEND: &str = "insert into spent_assertion (issuer, id_digest, expires_at) values ($1, $2, $3) \
             on conflict do nothing";
        const DELETE: &str = "delete from web_session where identity_id in (select id from external_identity \
             where provider = $1 and issuer = $2 and (cast($3 as text) is null or subject = $3)) \
             and (cast($4 as text) is null or provider_session_id = $4)";
        let ProviderLogout { issuer, subject, session_id, token, expires_at } = *logout;
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let spent = sqlx::query(SPEND).bind(issuer).bind(token.as_bytes().as_slice()).bind(expires_at)
                .execute(&mut *tx).await?;
            if spent.rows_affected() == 0 {
                return Ok(None);
            }
            let ended = match (subject, session_id) {
                (None, None) => 0,
                _ => sqlx::query(DELETE).bind(provider).bind(issuer).bind(subject).bind(session_id)
                    .execute(&mut *tx).await?.rows_affected(),
            };
            tx.commit().await?;
            Ok(Some(ended))
        })
    }

    /// Deletes sign-ins that began at or before `flows_before`, responses that arrived at or before
    /// `responses_before`, and assertions that have expired. Returns the number of rows.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn purge_sign_in_flows(
        &self,
        flows_before: Timestamp,
        responses_before: Timestamp,
        now: Timestamp,
    ) -> Result<u64> {
        const FLOWS: &str = "delete from sign_in_flow where created_at <= $1";
        const RESPONSES: &str = "delete from saml_response where received_at <= $1";
        const ASSERTIONS: &str = "delete from spent_assertion where expires_at <= $1";
        let mut deleted = 0;
        for (statement, time) in [(FLOWS, flows_before), (RESPONSES, responses_before), (ASSERTIONS, now)] {
            deleted += on_pool!(self, pool => sqlx::query(statement).bind(time).execute(pool).await
                .map(|result| result.rows_affected()))?;
        }
        Ok(deleted)
    }
}
