//! Who may look at a page: every page and every form, for everybody.

use crate::support::{PASSWORD, TestApp, Visitor};

on_both!(
    every_page_has_its_readers,
    every_form_has_its_senders,
    forms_from_elsewhere_are_refused_at_every_path,
    pages_take_no_header_and_the_api_no_cookie,
    a_workspace_is_closed_to_the_administrators_of_others,
    an_administrator_cannot_touch_a_platform_administrator,
);

/// Everybody that there is.
const ACTORS: [&str; 4] = ["stranger", "person", "administrator", "platform administrator"];

/// Each page, and who may look at it: from which of the actors on.
pub const PAGES: [(&str, &str); 20] = [
    ("/sign-in", "stranger"),
    ("/preferences/access-tokens", "person"),
    ("/preferences/access-tokens/generate", "administrator"),
    ("/preferences/access-tokens/delete-all", "person"),
    ("/preferences/profile", "person"),
    ("/preferences/activity", "person"),
    ("/admin/users", "administrator"),
    ("/admin/users/new", "administrator"),
    ("/admin/users/{person}", "administrator"),
    ("/admin/users/{person}/remove", "administrator"),
    ("/admin/users/{person}/delete-tokens", "administrator"),
    ("/admin/settings", "administrator"),
    ("/admin/settings/feature.apiAccessTokens.enabled", "administrator"),
    ("/admin/tokens", "administrator"),
    ("/admin/tokens?person={person}", "administrator"),
    ("/admin/tokens/{token}/delete", "administrator"),
    ("/admin/activity", "administrator"),
    ("/admin/workspaces", "platform administrator"),
    ("/admin/workspaces/new", "platform administrator"),
    ("/admin/workspaces/{workspace}", "platform administrator"),
];

/// Names and values of a form.
type Fields = &'static [(&'static str, &'static str)];

/// Each form, with fields that would do something, and who may send it.
const FORMS: [(&str, &str, Fields); 22] = [
    ("/preferences/access-tokens/generate", "administrator", &[("lifetime", "30")]),
    ("/preferences/access-tokens/delete-all", "person", &[]),
    ("/preferences/access-tokens/{token}/delete", "nobody", &[]),
    ("/preferences/profile", "person", &[("name", "Other")]),
    (
        "/preferences/profile/password",
        "person",
        &[("old_password", "x"), ("new_password", "y"), ("repeated_password", "y")],
    ),
    ("/preferences/profile/sessions/end-others", "person", &[]),
    ("/preferences/profile/sessions/00000000-0000-7000-8000-000000000000/end", "person", &[]),
    ("/change-password", "person", &[("old_password", "x"), ("new_password", "y"), ("repeated_password", "y")]),
    ("/admin/users/new", "administrator", &[("email", "x")]),
    ("/admin/users/{person}", "administrator", &[("email", "x")]),
    ("/admin/users/{person}/disable", "administrator", &[]),
    ("/admin/users/{person}/enable", "administrator", &[]),
    ("/admin/users/{person}/force-password-change", "administrator", &[]),
    ("/admin/users/{person}/end-sessions", "administrator", &[]),
    ("/admin/tokens/{token}/delete", "administrator", &[]),
    ("/admin/users/{person}/delete-tokens", "administrator", &[]),
    ("/admin/settings/feature.apiAccessTokens.maxLifetimeDays", "administrator", &[("value", "custom"), ("days", "7")]),
    ("/admin/users/{person}/remove", "administrator", &[]),
    ("/admin/workspaces/new", "platform administrator", &[("name", "x")]),
    ("/admin/workspaces/{workspace}", "platform administrator", &[("name", "Renamed")]),
    ("/admin/workspaces/{workspace}/remove", "platform administrator", &[("confirm", "x")]),
    ("/sign-out", "stranger", &[]),
];

/// A workspace with somebody in it for each actor, and what paths name.
struct Scene {
    names: Vec<(&'static str, String)>,
    actors: Vec<(&'static str, Visitor)>,
}

impl Scene {
    async fn new(app: &TestApp) -> Self {
        let target = app.person("target").await;
        app.admin().change(target.id, serde_json::json!({"tokenAccess": "enabled"})).await.expect(200);
        let token = target.bearer().await.token_id;
        let other = app.other_admin("other").await;
        app.person("person").await;
        app.admin().add("administrator", true).await;
        let actors = vec![
            ("stranger", app.visitor()),
            ("person", app.signed_in("person@example.com").await),
            ("administrator", app.signed_in("administrator@example.com").await),
            ("platform administrator", app.signed_in("admin@example.com").await),
        ];
        let names = vec![
            ("{person}", target.id.to_string()),
            ("{token}", token),
            ("{workspace}", other.workspace_id.to_string()),
        ];
        Self { names, actors }
    }

    fn path(&self, template: &str) -> String {
        self.names.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value))
    }
}

fn may(actor: &str, least: &str) -> bool {
    let rank = |name: &str| ACTORS.iter().position(|actor| *actor == name).unwrap_or(ACTORS.len());
    rank(actor) >= rank(least)
}

async fn every_page_has_its_readers(app: TestApp) {
    let scene = Scene::new(&app).await;
    for (template, least) in PAGES {
        let path = scene.path(template);
        for (actor, visitor) in &scene.actors {
            let reply = visitor.get(&path).await;
            let expected: &[u16] = match (may(actor, least), *actor) {
                (_, "person" | "administrator" | "platform administrator") if template == "/sign-in" => &[303],
                (true, _) => &[200],
                (false, "stranger") => &[303],
                (false, _) => &[403],
            };
            assert!(expected.contains(&reply.status), "{actor} at {path}: {}", reply.status);
            if *actor == "stranger" && reply.status == 303 {
                assert!(reply.headers["location"].to_str().unwrap().starts_with("/sign-in?next=%2F"), "{path}");
            }
        }
    }
}

async fn every_form_has_its_senders(app: TestApp) {
    let scene = Scene::new(&app).await;
    for (template, least, fields) in FORMS {
        let path = scene.path(template);
        for (actor, visitor) in &scene.actors {
            if may(actor, least) {
                continue;
            }
            let reply = visitor.post(&path, fields).await;
            match *actor {
                "stranger" => assert_eq!(
                    (reply.status, &reply.headers["location"]),
                    (303, &"/sign-in?ended=yes".parse().unwrap()),
                    "{path}"
                ),
                // Somebody else's token is nowhere among one's own.
                _ if least == "nobody" => assert_eq!(reply.status, 404, "{actor} at {path}"),
                _ => assert_eq!(reply.status, 403, "{actor} at {path}"),
            }
        }
    }
    // Those who may, may: in the order of the table, which takes the target apart bit by bit.
    let (_, administrator) = &scene.actors[2];
    for (template, least, fields) in FORMS.iter().filter(|(_, least, _)| *least == "administrator") {
        let reply = administrator.post(&scene.path(template), fields).await;
        assert!(
            matches!(reply.status, 200 | 303 | 400 | 409),
            "{least} at {template}: {} {}",
            reply.status,
            reply.text
        );
    }
    assert_eq!(app.admin().get(&format!("/v4/people/{}", scene.path("{person}"))).await.status, 404);
}

async fn forms_from_elsewhere_are_refused_at_every_path(app: TestApp) {
    let scene = Scene::new(&app).await;
    let admin = &scene.actors[3].1;
    let forged: [&[(&str, &str)]; 10] = [
        &[],
        &[("sec-fetch-site", "")],
        &[("sec-fetch-site", ""), ("origin", "")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:3006")],
        &[("sec-fetch-site", "nonsense"), ("origin", "http://127.0.0.1.evil.example:3005")],
    ];
    for (template, _, fields) in
        FORMS.iter().chain(&[("/sign-in", "", &[("email", "admin@example.com"), ("password", PASSWORD)] as &[_])])
    {
        for headers in forged {
            let mut request = admin.form(&scene.path(template), fields);
            for (name, value) in headers {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            let reply = admin.send(request).await;
            assert_eq!(reply.status, 403, "{template} with {headers:?}");
            assert!(
                reply.text.contains("This form came from elsewhere") && reply.header_values("set-cookie").is_empty()
            );
        }
    }
    // Nothing was done: the target is there, with the token, and the admin is signed in.
    assert_eq!(app.admin().get(&format!("/v4/apiAccessTokens/{}", scene.path("{token}"))).await.status, 200);
    admin.get("/admin/workspaces").await.expect(200);
    // What a browser without Fetch metadata says of itself is enough where it fits.
    let mut request = admin.form("/preferences/profile", &[("name", "Admin")]);
    request.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
    admin.send(request).await.expect(303);
}

async fn pages_take_no_header_and_the_api_no_cookie(app: TestApp) {
    let token = app.admin().bearer().await;
    let basic = crate::support::basic("admin@example.com", PASSWORD);
    for credential in [format!("Bearer {}", token.value), basic] {
        let visitor = app.visitor();
        let mut request = visitor.request("GET", "/preferences/access-tokens", axum::body::Body::empty());
        request.headers_mut().insert("authorization", credential.parse().unwrap());
        let reply = visitor.send(request).await.expect(303);
        assert!(reply.header_values("www-authenticate").is_empty());
    }
    let signed_in = app.signed_in("admin@example.com").await;
    for path in ["/v4/people/current", "/v4/auth", "/v4/apiAccessTokens"] {
        assert_eq!(signed_in.get(path).await.status, 401, "{path}");
    }
    // A session's value is no token either.
    let value = signed_in.cookie().unwrap().split_once('=').unwrap().1.to_owned();
    assert_eq!(app.presenting(&[&format!("Bearer {value}")]).get("/v4/people/current").await.status, 401);
}

async fn a_workspace_is_closed_to_the_administrators_of_others(app: TestApp) {
    let scene = Scene::new(&app).await;
    let other = app.signed_in("other@other.example").await;
    for template in [
        "/admin/users/{person}",
        "/admin/users/{person}/remove",
        "/admin/users/{person}/delete-tokens",
        "/admin/tokens?person={person}",
        "/admin/tokens/{token}/delete",
        "/preferences/access-tokens/{token}/delete",
    ] {
        assert_eq!(other.get(&scene.path(template)).await.status, 404, "{template}");
    }
    for (template, least, fields) in FORMS {
        if template.contains("{person}") || template.contains("{token}") {
            assert_eq!(other.post(&scene.path(template), fields).await.status, 404, "{template}");
        } else if least == "platform administrator" {
            assert_eq!(other.post(&scene.path(template), fields).await.status, 403, "{template}");
        }
    }
    let list = other.get("/admin/users").await.expect(200);
    assert!(list.text.contains("other@other.example") && !list.text.contains("person@example.com"));
    assert!(!other.get("/admin/activity").await.text.contains("target@example.com"));
    assert!(!other.get("/admin/tokens").await.text.contains("target@example.com"));
}

async fn an_administrator_cannot_touch_a_platform_administrator(app: TestApp) {
    let scene = Scene::new(&app).await;
    let (_, administrator) = &scene.actors[2];
    for (path, fields) in [
        (
            "/admin/users/1",
            &[("email", "mine@example.com"), ("role", "administrator"), ("token_access", "default")] as &[_],
        ),
        ("/admin/users/1/disable", &[]),
        ("/admin/users/1/force-password-change", &[]),
        ("/admin/users/1/remove", &[]),
    ] {
        let reply = administrator.post(path, fields).await;
        assert_eq!(reply.status, 403, "{path}");
        assert!(reply.text.contains("Only a platform administrator may"), "{path}");
    }
}
