//! Device authorizations (RFC 8628): a program asks for a token, and a person approves it on a page.

mod attacks;
mod flow;
mod pages;
mod rules;

use axum::body::Body;
use serde_json::Value;

use crate::support::{ApiClient, Browser, TestApp, TestResponse};

const BEGIN: &str = "/oauth2/device_authorization";
const TOKEN: &str = "/oauth2/token";
const GRANT_TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";

/// The codes of a device authorization.
struct Codes {
    device: String,
    user: String,
}

/// Posts a form as a program does.
async fn post_form(client: &ApiClient, path: &str, form: &str) -> TestResponse {
    let mut request = client.request("POST", path, Body::from(form.to_owned()));
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    request.headers_mut().insert("user-agent", "tokenward/9.9 (test)".parse().unwrap());
    client.send(request).await
}

/// Begins a device authorization with these parameters.
async fn begin(app: &TestApp, form: &str) -> Codes {
    codes_of(&post_form(&app.anonymous(), BEGIN, form).await.expect(200).json)
}

fn codes_of(json: &Value) -> Codes {
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    Codes { device: text("device_code"), user: text("user_code") }
}

/// Polls with a device code.
async fn poll(app: &TestApp, codes: &Codes) -> TestResponse {
    poll_as(&app.anonymous(), &codes.device).await
}

async fn poll_as(client: &ApiClient, device_code: &str) -> TestResponse {
    let response =
        post_form(client, TOKEN, &format!("grant_type={GRANT_TYPE}&device_code={device_code}&client_id=tokenward"))
            .await;
    assert_eq!(response.headers["cache-control"], "no-store");
    response
}

/// Asserts an OAuth error, and returns its description.
#[track_caller]
fn expect_oauth_error(response: &TestResponse, status: u16, code: &str) -> String {
    assert_eq!((response.status, response.json["error"].as_str()), (status, Some(code)), "{}", response.text);
    response.json["error_description"].as_str().unwrap().to_owned()
}

/// Enters a user code, and returns the path of the page that follows.
async fn enter(browser: &Browser, user_code: &str) -> String {
    let response = browser.post("/device", &[("user_code", user_code)]).await.expect(303);
    response.header_values("location")[0].to_owned()
}

/// Enters the user code and approves.
async fn approve(browser: &Browser, codes: &Codes) -> String {
    let path = enter(browser, &codes.user).await;
    approve_at(browser, &path).await.expect(303);
    path
}

/// Opens the page of an authorization, and sends its form.
async fn approve_at(browser: &Browser, path: &str) -> TestResponse {
    let lifetime = shown_lifetime(browser, path).await;
    browser.post(&format!("{path}/approve"), &[("lifetime", &lifetime)]).await
}

/// Returns the lifetime in the form of the page.
pub async fn shown_lifetime(browser: &Browser, path: &str) -> String {
    let page = browser.get(path).await.expect(200).text;
    let field = r#"name="lifetime" value=""#;
    page.split_once(field).unwrap_or_else(|| panic!("{page}")).1.split_once('"').unwrap().0.to_owned()
}
