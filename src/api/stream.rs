//! Lists of any length as a response: read page by page, written piece by piece, and never longer in memory than a page.
//!
//! The first page is read before the response begins, so that what goes wrong until then has a status. What goes wrong later ends the
//! body with an error: the connection is closed without the last chunk, and no client takes a part of a list for all of it.

use axum::{
    body::{Body, Bytes},
    extract::FromRequestParts,
    http::{HeaderValue, header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Serialize;

use super::{ApiError, authenticate::Proof, error::ApiResult};
use crate::{
    app::App,
    service::{list_pages::Pages, tokens::Reading},
};
use tokenward_guard::{AuthError, Credential, Principal};

/// The size of a piece, in bytes. hyper holds sixteen of them for a client that does not read.
const PIECE: usize = 2 * 1024;

/// The caller as the reader of a list: verified again before each further page.
pub(super) struct Reader(Reading);

impl FromRequestParts<App> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let principal = parts.extensions.get::<Principal>().ok_or(ApiError::Unauthenticated(AuthError::Missing))?;
        let bearer = match Credential::from_headers(&parts.headers) {
            Ok(Credential::Bearer(bearer)) => Some(bearer),
            _ => None,
        };
        let proof = parts.extensions.get::<Proof>().and_then(|Proof(proof)| proof.as_ref());
        Ok(Self(app.tokens().reading(principal, bearer, proof)))
    }
}

/// What follows the rows of a list, as fields of the same object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tail {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Responds with `{"data": [...]}`: each row as `view` shows it, and after them what `tail` gives once the last page has been read.
///
/// # Errors
/// Whatever kept the first page from being read.
pub(super) async fn respond<P, V>(
    mut pages: P,
    Reader(reading): Reader,
    view: impl Fn(P::Row) -> V + Send + 'static,
    tail: impl Fn(&P) -> Tail + Send + 'static,
) -> ApiResult<Response>
where
    P: Pages,
    V: Serialize,
{
    let rows = pages.next().await?.into_iter();
    let is_whole = pages.is_at_end();
    let mut list = List { pages, reading, rows, view, tail, written: 0, is_over: false };
    let body = if is_whole {
        let mut text = Vec::new();
        while let Some(piece) = list.piece().await.map_err(|Failed| ApiError::Internal)? {
            text.extend_from_slice(&piece);
        }
        Body::from(text)
    } else {
        Body::from_stream(stream::try_unfold(list, |mut list| async move {
            let piece = list.piece().await?;
            Ok::<_, Failed>(piece.map(|piece| (piece, list)))
        }))
    };
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A list of which a part has been sent.
struct List<P: Pages, F, T> {
    pages: P,
    reading: Reading,
    /// The rows of the page that is being written.
    rows: std::vec::IntoIter<P::Row>,
    view: F,
    tail: T,
    written: u64,
    is_over: bool,
}

/// A list that cannot be continued.
#[derive(Debug, thiserror::Error)]
#[error("the list was aborted")]
struct Failed;

impl<P, V, F, T> List<P, F, T>
where
    P: Pages,
    V: Serialize,
    F: Fn(P::Row) -> V,
    T: Fn(&P) -> Tail,
{
    /// Writes the next piece; none after the last one.
    async fn piece(&mut self) -> Result<Option<Bytes>, Failed> {
        if self.is_over {
            return Ok(None);
        }
        let mut text = Vec::with_capacity(PIECE + PIECE / 2);
        if self.written == 0 {
            text.extend_from_slice(br#"{"data":["#);
        }
        while text.len() < PIECE {
            match self.rows.next() {
                Some(row) => self.write(row, &mut text),
                None if self.pages.is_at_end() => {
                    self.finish(&mut text);
                    break;
                }
                // What is written is sent before the next page is waited for.
                None if self.written > 0 && !text.is_empty() => break,
                None => self.turn().await?,
            }
        }
        Ok(Some(text.into()))
    }

    fn write(&mut self, row: P::Row, text: &mut Vec<u8>) {
        if self.written > 0 {
            text.push(b',');
        }
        self.written += 1;
        push_json(text, &(self.view)(row));
    }

    fn finish(&mut self, text: &mut Vec<u8>) {
        text.push(b']');
        let mut tail = Vec::new();
        push_json(&mut tail, &(self.tail)(&self.pages));
        // The fields go on in the object that the rows are in.
        if tail.len() > b"{}".len() {
            tail[0] = b',';
            text.extend_from_slice(&tail);
        } else {
            text.push(b'}');
        }
        self.is_over = true;
    }

    /// Reads the next page for a caller who may still read it.
    async fn turn(&mut self) -> Result<(), Failed> {
        let read = async {
            self.reading.verify().await?;
            self.pages.next().await
        };
        match read.await {
            Ok(rows) => {
                self.rows = rows.into_iter();
                Ok(())
            }
            Err(refusal) => {
                let (error, rows) = (refusal.to_string(), self.written);
                let cause = ApiError::from(refusal).cause();
                tracing::warn!(error, cause, rows, "aborted a list that was being sent");
                Err(Failed)
            }
        }
    }
}

fn push_json(text: &mut Vec<u8>, value: &impl Serialize) {
    #[expect(
        clippy::expect_used,
        reason = "rows are strings, numbers and maps with strings as keys, and memory takes them"
    )]
    serde_json::to_writer(text, value).expect("a row is JSON");
}
