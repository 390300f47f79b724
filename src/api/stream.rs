//! Lists as JSON, streamed by [`list_stream`].

use axum::{extract::FromRequestParts, http::request::Parts, response::Response};
use serde::Serialize;

use super::{ApiError, error::ApiResult};
use crate::{
    app::App,
    http::{
        authenticate::Authenticated,
        list_stream::{self, ListWriter},
    },
    service::{list_pages::Pages, tokens::ReadAccess},
};
use tokenward_guard::{AuthError, Credential};

/// The caller's permission to read a list. It is checked again before each further page.
pub(super) struct ListReader(pub(super) ReadAccess);

impl FromRequestParts<App> for ListReader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let authenticated = parts.extensions.get::<Authenticated>();
        let authenticated = authenticated.ok_or(ApiError::Unauthenticated(AuthError::Missing))?;
        let bearer = match Credential::from_headers(&parts.headers) {
            Ok(Credential::Bearer(bearer)) => Some(bearer),
            _ => None,
        };
        let login = authenticated.password_login.as_ref();
        Ok(Self(app.tokens().read_access(&authenticated.principal, bearer, login)))
    }
}

/// The fields after the rows, in the same JSON object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTrailer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Returns the response `{"data": [...]}`. `view` converts each row; `trailer` returns the further
/// fields after the last page has been read.
///
/// # Errors
/// The error of reading the first page.
pub(super) async fn respond<P, V>(
    pages: P,
    ListReader(access): ListReader,
    view: impl Fn(P::Row) -> V + Send + 'static,
    trailer: impl Fn(&P) -> ListTrailer + Send + 'static,
) -> ApiResult<Response>
where
    P: Pages,
    V: Serialize,
{
    list_stream::respond(pages, access, JsonWriter { view, trailer }).await
}

/// Writes lists as JSON.
struct JsonWriter<F, T> {
    view: F,
    trailer: T,
}

impl<P, V, F, T> ListWriter<P> for JsonWriter<F, T>
where
    P: Pages,
    V: Serialize,
    F: Fn(P::Row) -> V + Send + 'static,
    T: Fn(&P) -> ListTrailer + Send + 'static,
{
    const CONTENT_TYPE: &'static str = "application/json";

    fn start(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(br#"{"data":["#);
    }

    fn write_row(&self, row: P::Row, is_first: bool, buffer: &mut Vec<u8>) {
        if !is_first {
            buffer.push(b',');
        }
        write_json(buffer, &(self.view)(row));
    }

    fn finish(&self, pages: &P, buffer: &mut Vec<u8>) {
        buffer.push(b']');
        let mut trailer = Vec::new();
        write_json(&mut trailer, &(self.trailer)(pages));
        // The fields continue the object that contains the rows.
        if trailer.len() > b"{}".len() {
            trailer[0] = b',';
            buffer.extend_from_slice(&trailer);
        } else {
            buffer.push(b'}');
        }
        buffer.push(b'\n');
    }
}

fn write_json(buffer: &mut Vec<u8>, value: &impl Serialize) {
    #[expect(
        clippy::expect_used,
        reason = "rows contain only strings, numbers and maps with string keys, and a `Vec` accepts all bytes"
    )]
    serde_json::to_writer(buffer, value).expect("a row serializes to JSON");
}
