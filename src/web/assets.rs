//! Static files of the pages, embedded in the binary. Their paths contain a content hash, so that
//! browsers can cache them forever.

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

use super::{
    error::PageError,
    minify::{minify_css, minify_script, shorten_properties},
    state::WebState,
};

/// An embedded static file.
pub(super) struct Asset {
    path: String,
    content_type: &'static str,
    content: String,
}

/// The style sheet of all pages. The others use its custom properties.
const STYLE_SOURCE: &str = include_str!("../../static/style.css");

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", style_sheet(STYLE_SOURCE)));
pub(super) static REFERENCE_STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = style_sheet(include_str!("../../static/reference.css"));
    Asset::new("reference", "css", "text/css; charset=utf-8", content)
});
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("script", "js", "text/javascript; charset=utf-8", minify_script(include_str!("../../static/script.js")))
});
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("../../static/icon.svg").to_owned()));

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, content: String) -> Self {
        let digest = Sha256::digest(content.as_bytes());
        let hash = hex::encode(&digest[..6]);
        Self { path: format!("/assets/{name}-{hash}.{extension}"), content_type, content }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// Returns the style sheet that browsers get.
fn style_sheet(source: &str) -> String {
    shorten_properties(&minify_css(source), &minify_css(STYLE_SOURCE))
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/assets/{file}", get(serve_asset)).route("/favicon.ico", get(serve_favicon))
}

async fn serve_asset(Path(name): Path<String>) -> Response {
    let is_requested = |asset: &&&'static LazyLock<Asset>| asset.path.strip_prefix("/assets/") == Some(&name);
    match [&STYLE, &REFERENCE_STYLE, &SCRIPT, &ICON].iter().find(is_requested) {
        Some(asset) => asset_response(asset, "public, max-age=31536000, immutable"),
        None => PageError::not_found().into_response(),
    }
}

/// Serves `/favicon.ico`. Browsers request it for responses that link no icon, such as those of the
/// API.
async fn serve_favicon() -> Response {
    asset_response(&ICON, "public, max-age=86400")
}

fn asset_response(asset: &'static Asset, cache_control: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (CACHE_CONTROL, HeaderValue::from_static(cache_control)),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    (StatusCode::OK, headers, asset.content.as_str()).into_response()
}
