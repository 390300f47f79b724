//! What is logged, and what never is.

use crate::support::http_client;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command},
};

on_both_databases!(no_secret_is_logged_even_at_trace);

/// A password that occurs nowhere by accident.
const SECRET: &str = "Zanzibar quietly 7 lemons";
const NEW_SECRET: &str = "Quokka loudly 9 oranges";

async fn no_secret_is_logged_even_at_trace(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut serve = command(&database.url);
    serve.env("RUST_LOG", "trace").env("TOKENWARD_ADMIN_PASSWORD", SECRET);
    let running = Running::start_with(serve);
    let mut secrets = vec![SECRET.to_owned(), NEW_SECRET.to_owned(), PASSWORD.to_owned()];
    let values = whole_flow(&running.url).await;
    secrets.extend(values.iter().cloned());
    secrets.extend(values.iter().map(|value| hex(&sha2::Sha256::digest(value))));
    for password in [SECRET, NEW_SECRET] {
        secrets.push(STANDARD.encode(format!("admin@example.com:{password}")));
        secrets.push(STANDARD.encode(password));
        secrets.push(password.replace(' ', "%20"));
    }
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("insert into token"), "statements are logged at this level, their values are not");
    for secret in secrets {
        // The hint, a prefix and four characters, may be seen.
        assert!(!log.contains(&secret), "logged: {secret}");
    }
    assert!(!log.contains("$argon2id"), "a password hash was logged");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Does a little of everything, right and wrong; gives the token values it got.
async fn whole_flow(url: &str) -> Vec<String> {
    let http = http_client();
    let tokens = format!("{url}/v4/apiAccessTokens");
    let body = json!({"lifetimeSeconds": 60, "description": "log test"});
    let made = http.post(&tokens).basic_auth("admin@example.com", Some(SECRET)).json(&body).send().await.unwrap();
    let first: Value = made.json().await.unwrap();
    let value = first["tokenValue"].as_str().unwrap().to_owned();
    let made = http.post(&tokens).bearer_auth(&value).json(&body).send().await.unwrap();
    let second: Value = made.json().await.unwrap();
    let other = second["tokenValue"].as_str().unwrap().to_owned();
    http.get(&tokens).bearer_auth(&value).send().await.unwrap();
    http.get(format!("{tokens}?access_token={other}")).bearer_auth(&value).send().await.unwrap();
    http.get(format!("{tokens}/{other}")).bearer_auth(&value).send().await.unwrap();
    http.get(&tokens).header("authorization", format!("Bearer {value},{other}")).send().await.unwrap();
    http.get(&tokens).basic_auth("admin@example.com", Some(NEW_SECRET)).send().await.unwrap();
    http.get(&tokens).basic_auth(&value, Some(SECRET)).send().await.unwrap();
    let wrong = json!({"password": [SECRET], "email": SECRET});
    http.post(format!("{url}/v4/people")).bearer_auth(&value).json(&wrong).send().await.unwrap();
    let person = json!({"email": "ada@example.com", "name": "Ada", "password": PASSWORD});
    assert_eq!(
        http.post(format!("{url}/v4/people")).bearer_auth(&value).json(&person).send().await.unwrap().status(),
        201
    );
    let change = json!({"password": NEW_SECRET, "password2": NEW_SECRET});
    let changed = http.patch(format!("{url}/v4/people/1")).basic_auth("admin@example.com", Some(SECRET)).json(&change);
    assert_eq!(changed.send().await.unwrap().status(), 200);
    let id = second["tokenInfo"]["tokenId"].as_str().unwrap();
    assert_eq!(http.delete(format!("{tokens}/{id}")).bearer_auth(&value).send().await.unwrap().status(), 204);
    http.get(&tokens).bearer_auth(&other).send().await.unwrap();
    let mut secrets = vec![value, other];
    secrets.extend(pages(url).await);
    secrets
}

/// The same on the pages; gives the session's value and the token's.
async fn pages(url: &str) -> [String; 2] {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = async |path: &str, cookie: &str, body: String| {
        let form = http.post(format!("{url}{path}")).header("origin", url).header("cookie", cookie);
        form.header("content-type", "application/x-www-form-urlencoded").body(body).send().await.unwrap()
    };
    let sign_in = async |password: &str| {
        post("/sign-in", "", format!("email=admin%40example.com&password={}", password.replace(' ', "%20"))).await
    };
    assert_eq!(sign_in(SECRET).await.status(), 403);
    let signed_in = sign_in(NEW_SECRET).await;
    let cookies = signed_in.headers().get_all("set-cookie").iter();
    let cookie = cookies
        .map(|field| field.to_str().unwrap())
        .find(|field| field.starts_with("tokenward=") && !field.contains("Max-Age"));
    let cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
    let generate = "/preferences/access-tokens/generate";
    let page =
        http.get(format!("{url}{generate}")).header("cookie", &cookie).send().await.unwrap().text().await.unwrap();
    let form = &page.split(r#"name="form" value=""#).nth(1).unwrap()[..36];
    let made = post(generate, &cookie, format!("form={form}&lifetime=30")).await.text().await.unwrap();
    let value = made.split(r#"id="token-value" translate="no">"#).nth(1).unwrap().split('<').next().unwrap().to_owned();
    let passwords = format!("old_password={}&new_password=x&repeated_password=x", NEW_SECRET.replace(' ', "%20"));
    assert_eq!(post("/preferences/profile/password", &cookie, passwords).await.status(), 400);
    post("/sign-out", &cookie, String::new()).await;
    [cookie.split_once('=').unwrap().1.to_owned(), value]
}

#[tokio::test]
async fn each_request_is_one_line_with_route_status_and_ids() {
    let database = Database::empty(Engine::Sqlite).await;
    let running = Running::start(&database.url);
    let http = http_client();
    let made = running.make_token(&http).await.unwrap();
    let id = made["tokenInfo"]["tokenId"].as_str().unwrap();
    let value = made["tokenValue"].as_str().unwrap();
    let url = format!("{}/v4/apiaccesstokens/{id}/", running.url);
    http.get(&url).bearer_auth(value).header("x-request-id", "look-for-me").send().await.unwrap();
    http.get(&url).bearer_auth(format!("{value}x")).header("x-request-id", "and-me").send().await.unwrap();
    running.signal("TERM");
    let (_, log) = running.wait();
    let lines: Vec<Value> =
        log.lines().filter(|line| line.contains("-me\"")).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!((&lines[0]["http.status"], &lines[1]["http.status"]), (&json!(200), &json!(401)));
    let span = &lines[0]["span"];
    assert_eq!((&span["http.method"], &span["http.route"]), (&json!("GET"), &json!("/v4/apiAccessTokens/{tokenId}")));
    assert_eq!(
        (&span["request.id"], &span["person.id"], &span["token.id"]),
        (&json!("look-for-me"), &json!(1), &json!(id))
    );
    assert!(lines[0]["duration_ms"].is_number());
    assert_eq!(lines[1]["cause"], "the credential was refused: not a credential");
}
