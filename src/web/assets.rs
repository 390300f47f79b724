//! The files that pages use: inside the program, under names that change with their content, so that a browser keeps them.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest as _, Sha256};

use super::{error::PageError, state::Site};

/// A file.
pub(super) struct Asset {
    path: String,
    kind: &'static str,
    text: &'static str,
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("../../static/style.css")));
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("../../static/script.js"))
});
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../../static/icon.svg")));

impl Asset {
    fn new(name: &str, ending: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mark: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("/assets/{name}-{mark}.{ending}"), kind, text }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/assets/{file}", get(file)).route("/favicon.ico", get(favicon))
}

async fn file(Path(name): Path<String>) -> Response {
    let asked = |asset: &&&'static LazyLock<Asset>| asset.path.strip_prefix("/assets/") == Some(&name);
    match [&STYLE, &SCRIPT, &ICON].iter().find(asked) {
        Some(asset) => answer(asset, "public, max-age=31536000, immutable"),
        None => PageError::not_found().into_response(),
    }
}

/// Browsers ask for it where a page names none, such as one of the API.
async fn favicon() -> Response {
    answer(&ICON, "public, max-age=86400")
}

fn answer(asset: &Asset, keep: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (CACHE_CONTROL, HeaderValue::from_static(keep)),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    (StatusCode::OK, headers, asset.text).into_response()
}
