//! Who may look at a page: every page and every form, for everybody.

use crate::support::{PASSWORD, TestApp, Visitor};

on_both!(
    every_page_has_its_readers,
    every_form_has_its_senders,
    every_form_does_what_it_is_for,
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

const NEW_PASSWORD: &str = "a wholly different phrase of words";
/// Stands for the name of a form that was shown to its sender.
const FORM: &str = "{form}";

/// Fields with a form's name in its place.
fn filled<'a>(fields: &[(&'a str, &'a str)], form: &'a str) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|(name, value)| (*name, if *value == FORM { form } else { *value })).collect()
}

/// Each form, who may send it, fields that do something, and where its sender is sent once it is done: empty where a page is shown
/// at once. In an order in which one actor can send all that are open to it.
const FORMS: [(&str, &str, Fields, &str); 23] = [
    (
        "/preferences/access-tokens/generate",
        "administrator",
        &[("form", FORM), ("lifetime", "30"), ("description", "of a form")],
        "",
    ),
    ("/preferences/access-tokens/{token}/delete", "nobody", &[], ""),
    ("/preferences/access-tokens/{own}/delete", "person", &[], "/preferences/access-tokens?done=deleted"),
    ("/preferences/access-tokens/delete-all", "person", &[], "/preferences/access-tokens?done=all-deleted"),
    ("/preferences/profile", "person", &[("name", "Other")], "/preferences/profile?done=saved"),
    ("/preferences/profile/sessions/{session}/end", "person", &[], "/preferences/profile?done=ended"),
    ("/preferences/profile/sessions/end-others", "person", &[], "/preferences/profile?done=others-ended"),
    (
        "/preferences/profile/password",
        "person",
        &[("old_password", PASSWORD), ("new_password", NEW_PASSWORD), ("repeated_password", NEW_PASSWORD)],
        "/preferences/profile?done=password",
    ),
    (
        "/change-password",
        "person",
        &[("old_password", NEW_PASSWORD), ("new_password", PASSWORD), ("repeated_password", PASSWORD)],
        "/preferences/access-tokens",
    ),
    (
        "/admin/users/new",
        "administrator",
        &[("email", "new@example.com"), ("name", "New"), ("password", PASSWORD)],
        "/admin/users?done=added",
    ),
    (
        "/admin/users/{person}",
        "administrator",
        &[("email", "target@example.com"), ("name", "Target"), ("role", "user"), ("token_access", "enabled")],
        "/admin/users/{person}?done=saved",
    ),
    ("/admin/users/{person}/disable", "administrator", &[], "/admin/users/{person}?done="),
    ("/admin/users/{person}/enable", "administrator", &[], "/admin/users/{person}?done="),
    ("/admin/users/{person}/force-password-change", "administrator", &[], "/admin/users/{person}?done="),
    ("/admin/users/{person}/end-sessions", "administrator", &[], "/admin/users/{person}?done=sessions-ended"),
    ("/admin/tokens/{token}/delete", "administrator", &[], "/admin/tokens?done=deleted"),
    ("/admin/users/{person}/delete-tokens", "administrator", &[], "/admin/users/{person}?done=all-deleted"),
    (
        "/admin/settings/feature.apiAccessTokens.maxLifetimeDays",
        "administrator",
        &[("value", "custom"), ("days", "7")],
        "/admin/settings?done=setting",
    ),
    ("/admin/users/{person}/remove", "administrator", &[], "/admin/users?done=removed"),
    (
        "/admin/workspaces/new",
        "platform administrator",
        &[("name", "Third"), ("admin_email", "third@example.com"), ("password", PASSWORD)],
        "/admin/workspaces?done=workspace-added",
    ),
    (
        "/admin/workspaces/{workspace}",
        "platform administrator",
        &[("name", "Renamed")],
        "/admin/workspaces/{workspace}?done=saved",
    ),
    (
        "/admin/workspaces/{workspace}/remove",
        "platform administrator",
        &[("confirm", "Renamed")],
        "/admin/workspaces?done=workspace-removed",
    ),
    ("/sign-out", "stranger", &[], "/sign-in?out=yes"),
];

/// A workspace with somebody in it for each actor, and what paths name.
pub struct Scene {
    names: Vec<(&'static str, String)>,
    actors: Vec<(&'static str, Visitor)>,
    /// Whose password and tokens they are: the id of each actor's account.
    accounts: Vec<i64>,
    pub target: i64,
}

impl Scene {
    pub async fn new(app: &TestApp) -> Self {
        let target = app.person("target").await;
        app.admin().change(target.id, serde_json::json!({"tokenAccess": "enabled"})).await.expect(200);
        let token = target.bearer().await.token_id;
        let other = app.other_admin("other").await;
        let person = app.person("person").await;
        let administrator = app.admin().add("administrator", true).await;
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
        Self { names, actors, accounts: vec![0, person.id, administrator.id, 1], target: target.id }
    }

    /// A path with the scene's ids in it.
    pub fn path(&self, template: &str) -> String {
        self.names.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    /// Gives an actor a token, and a second session, and names both.
    async fn furnish(&mut self, app: &TestApp, actor: usize) {
        let (id, email) = (self.accounts[actor], ["", "person", "administrator", "admin"][actor]);
        if actor == 0 {
            return;
        }
        let access = |word: &str| serde_json::json!({"tokenAccess": word});
        app.admin().change(id, access("enabled")).await.expect(200);
        let account = app.presenting(&[&crate::support::basic(&format!("{email}@example.com"), PASSWORD)]);
        let made = account.post("/v4/apiAccessTokens", &crate::support::an_hour()).await.expect(201);
        app.admin().change(id, access("default")).await.expect(200);
        let before = app.store.list_sessions(1, id).await.unwrap();
        app.signed_in(&format!("{email}@example.com")).await;
        let sessions = app.store.list_sessions(1, id).await.unwrap();
        let second = sessions.iter().find(|session| before.iter().all(|other| other.id != session.id)).unwrap();
        self.names.push(("{own}", made.json["tokenInfo"]["tokenId"].as_str().unwrap().to_owned()));
        self.names.push(("{session}", second.id.to_string()));
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
    for (template, least, fields, _) in FORMS {
        let path = scene.path(template);
        for (actor, visitor) in &scene.actors {
            if may(actor, least) {
                continue;
            }
            let reply = visitor.post(&path, &filled(fields, "00000000-0000-7000-8000-000000000000")).await;
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
    let token = app.admin().get(&scene.path("/v4/apiAccessTokens/{token}")).await;
    assert_eq!(token.status, 200, "what was refused was not done");
}

/// The other half of the table: for each actor a service of its own, in which it sends all forms that are open to it, one after the other.
async fn every_form_does_what_it_is_for(app: TestApp) {
    for (number, actor) in ACTORS.into_iter().enumerate() {
        let app = TestApp::start(app.database.engine).await;
        let mut scene = Scene::new(&app).await;
        scene.furnish(&app, number).await;
        let visitor = &scene.actors[number].1;
        for (template, _, fields, then) in FORMS.into_iter().filter(|(_, least, ..)| may(actor, least)) {
            let needs_form = fields.iter().any(|(_, value)| *value == FORM);
            let form = if needs_form { visitor.new_form().await } else { String::new() };
            let reply = visitor.post(&scene.path(template), &filled(fields, &form)).await;
            if then.is_empty() {
                assert_eq!(reply.status, 200, "{actor} at {template}: {}", reply.text);
                continue;
            }
            assert_eq!(reply.status, 303, "{actor} at {template}: {}", reply.text);
            let place = reply.headers["location"].to_str().unwrap().to_owned();
            assert!(place.starts_with(&scene.path(then)), "{actor} at {template} is sent to {place}");
        }
        // What the last of them were for has happened.
        let is_left = app.admin().get(&scene.path("/v4/people/{person}")).await.status;
        assert_eq!(is_left, if number < 2 { 200 } else { 404 }, "{actor}");
        let workspaces = app.admin().get("/v4/workspaces").await.text;
        assert_eq!((workspaces.contains("Third"), workspaces.contains("Renamed")), (number == 3, false), "{actor}");
    }
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
    let sign_in: Fields = &[("email", "admin@example.com"), ("password", PASSWORD)];
    for (template, _, fields, _) in FORMS.iter().chain(&[("/sign-in", "", sign_in, "")]) {
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
    for (template, least, fields, _) in FORMS {
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
