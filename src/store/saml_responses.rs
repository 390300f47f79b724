//! Responses of SAML providers that were accepted, until the next request of the browser.

use super::{Result, Store, from_row, on_pool};
use crate::domain::{
    sign_in_flow::{ReceivedResponse, TextDigest},
    time::Timestamp,
};

/// A response whose signature was verified.
#[derive(Clone, Copy)]
pub struct AcceptedResponse<'a> {
    pub issuer: &'a str,
    /// Digest of the identifier of the assertion.
    pub assertion: TextDigest,
    /// Until when the assertion would be accepted again.
    pub expires_at: Timestamp,
    /// Digest of the value with which the browser's next request refers to the response.
    pub reference: TextDigest,
    pub provider: &'a str,
    pub received: &'a ReceivedResponse,
}

struct Row {
    response: Vec<u8>,
    received_at: Timestamp,
}

from_row!(Row { response, received_at });

impl Store {
    /// Records that an assertion is used, and keeps its response. Returns `false` if the assertion was used
    /// before, on any node.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn accept_saml_response(&self, accepted: AcceptedResponse<'_>) -> Result<bool> {
        const SPEND: &str = "insert into spent_assertion (issuer, id_digest, expires_at) values ($1, $2, $3) \
             on conflict do nothing";
        const KEEP: &str =
            "insert into saml_response (digest, provider, response, received_at) values ($1, $2, $3, $4)";
        let AcceptedResponse { issuer, assertion, expires_at, reference, provider, received } = accepted;
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let spent = sqlx::query(SPEND).bind(issuer).bind(assertion.as_bytes().as_slice()).bind(expires_at)
                .execute(&mut *tx).await?;
            if spent.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(KEEP).bind(reference.as_bytes().as_slice()).bind(provider).bind(&received.document)
                .bind(received.received_at).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Removes and returns the response to which a value refers, if the provider sent it after `since`. Of
    /// several requests at once, on any node, one gets it.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn take_saml_response(
        &self,
        reference: &TextDigest,
        provider: &str,
        since: Timestamp,
    ) -> Result<Option<ReceivedResponse>> {
        const DELETE: &str = "delete from saml_response where digest = $1 and provider = $2 and received_at > $3 \
             returning response, received_at";
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(DELETE)
            .bind(reference.as_bytes().as_slice()).bind(provider).bind(since).fetch_optional(pool).await)?;
        Ok(row.map(|Row { response, received_at }| ReceivedResponse { document: response, received_at }))
    }
}
