//! The exchange of an authorization code for an ID token (RFC 6749, section 4.1.3).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, HeaderValue},
};
use serde::Deserialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::{
    ClientSettings, Denial, Endpoint, Error, Flow, Secret, UnavailableCause,
    fetch::Fetched,
    metadata::{Metadata, SecretPlace},
    provider::Provider,
};

/// The longest authorization code, in bytes.
const MAX_CODE_BYTES: usize = 8 * 1024;

#[derive(Deserialize)]
struct TokenResponse {
    id_token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
}

/// Exchanges a code and the verifier of its flow for an ID token, which is not verified yet.
pub(crate) async fn exchange(
    provider: &Provider,
    settings: &ClientSettings,
    metadata: &Metadata,
    code: &str,
    flow: &Flow,
) -> Result<Secret, Error> {
    if code.is_empty() || code.len() > MAX_CODE_BYTES {
        return Err(Denial::Code.into());
    }
    let unavailable = |cause| provider.unavailable(Endpoint::Token, cause);
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", settings.redirect_uri.as_str()),
        ("code_verifier", flow.code_verifier()),
    ];
    let url = metadata.token_endpoint().map_err(unavailable)?;
    let mut request = provider.fetcher().post(url);
    match &settings.client_secret {
        None => form.push(("client_id", &settings.client_id)),
        Some(secret) => match metadata.secret_place().map_err(unavailable)? {
            SecretPlace::Basic => {
                request = request.header(AUTHORIZATION, basic_credential(&settings.client_id, secret));
            }
            SecretPlace::Post => {
                form.extend([("client_id", settings.client_id.as_str()), ("client_secret", secret.expose())]);
            }
        },
    }
    let response = provider.fetcher().send(request.form(&form)).await.map_err(unavailable)?;
    match interpret(&response) {
        Ok(Some(id_token)) => Ok(id_token),
        Ok(None) => Err(Denial::IdTokenMissing.into()),
        Err(Rejection::Code) => Err(Denial::Code.into()),
        Err(Rejection::Client) => Err(Error::ClientRejected),
        Err(Rejection::Other(cause)) => Err(unavailable(cause).into()),
    }
}

enum Rejection {
    Code,
    Client,
    Other(UnavailableCause),
}

/// Returns the ID token of a response. Texts of the provider are not repeated: they may have the
/// code.
fn interpret(response: &Fetched) -> Result<Option<Secret>, Rejection> {
    if response.status == StatusCode::OK {
        let body: TokenResponse =
            serde_json::from_slice(&response.body).map_err(|_| Rejection::Other(UnavailableCause::InvalidDocument))?;
        return Ok(body.id_token.map(|mut token| Secret::new(std::mem::take(&mut *token))));
    }
    // RFC 6749, section 5.2.
    let error: Option<ErrorResponse> = serde_json::from_slice(&response.body).ok();
    Err(match error.as_ref().map(|body| body.error.as_str()) {
        Some("invalid_grant") => Rejection::Code,
        Some("invalid_client" | "unauthorized_client") => Rejection::Client,
        _ if response.status == StatusCode::UNAUTHORIZED => Rejection::Client,
        _ => Rejection::Other(UnavailableCause::Status { status: response.status.as_u16() }),
    })
}

/// Returns the header of HTTP Basic with both parts encoded as in forms (RFC 6749, section 2.3.1).
fn basic_credential(client_id: &str, secret: &Secret) -> HeaderValue {
    let encode = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encode(client_id), *encode(secret.expose())));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    // Base64 has only characters that a header may have.
    let mut header = HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    header.set_sensitive(true);
    header
}
