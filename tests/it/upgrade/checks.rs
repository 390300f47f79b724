//! Checks of a migrated database.

use serde_json::{Value, json};
use tokenward::{
    domain::{directory_sync::SyncOutcome, external_identity::DisabledBy, person::EmailKey},
    service::audit_verify::verify,
};

use super::{NOW, OldData};
use crate::support::{PASSWORD, TestApp, TokenClient, basic_auth};

impl OldData {
    pub(super) async fn check_all(&self, app: TestApp) {
        self.check_tokens(&app).await;
        self.check_people_and_settings(&app).await;
        if self.version >= 2 {
            self.check_sessions(&app).await;
            let email = EmailKey::from_text("unknown@example.com").digest();
            assert_eq!(app.store.find_login_failures(&email, NOW).await.unwrap().unwrap().count, 12);
        }
        if self.version >= 3 {
            self.check_events(&app).await;
        }
        if self.version >= 9 {
            self.check_directory(&app).await;
        }
        let invite = app.browser().get(&format!("/invite/{}", self.invite.expose())).await.status;
        assert_eq!(invite, if self.version >= 7 { 200 } else { 404 }, "from version {}", self.version);
        assert_eq!(app.store.purge_idempotency_records(NOW).await.unwrap(), 1);
        self.check_new_writes(&app).await;
        assert_eq!(verify(&app.store).await.unwrap().findings, [], "from version {}", self.version);
    }

    async fn check_directory(&self, app: &TestApp) {
        let found = app.store.find_identity("company", "ldap", "subject-5").await.unwrap().expect("the identity");
        assert_eq!((found.person.email.as_str(), found.identity.label.as_str()), ("linked@other.example", "linked"));
        assert_eq!(found.person.disabled_by, DisabledBy { administrator: false, directory: true, scim: false });
        assert_eq!(found.identity.seen_at, Some(NOW.plus_seconds(-3_600)));
        let states = app.store.list_directory_syncs().await.unwrap();
        let [state] = &states[..] else { panic!("{states:?}") };
        assert_eq!((state.outcome, state.succeeded_at), (Some(SyncOutcome::Held), Some(NOW.plus_seconds(-86_400))));
        assert_eq!((state.report.entries, state.report.message.as_str()), (7, "confirm it"));
        assert_eq!(app.store.purge_directory_attempts(NOW.plus_seconds(599)).await.unwrap(), 0);
        assert_eq!(app.store.purge_directory_attempts(NOW.plus_seconds(600)).await.unwrap(), 1);
    }

    async fn check_tokens(&self, app: &TestApp) {
        for (token, status) in [
            (&self.unlimited, 200),
            (&self.expires_later, 200),
            (&self.expired, 401),
            (&self.of_disabled_person, 401),
            (&self.of_ada, 200),
            (&self.created_after_revocation, 200),
            (&self.revoked, 401),
            (&self.child, 200),
            (&self.deleted, 401),
        ] {
            let response = app.client_with_authorization(&[&format!("Bearer {}", token.value)]).get("/v4/auth").await;
            assert_eq!(response.status, status, "{} from version {}", token.id, self.version);
        }
        let listed = app.admin().get("/v4/apiAccessTokens").await.expect(200);
        let mut ids: Vec<&str> = listed.rows().iter().map(|row| row["tokenId"].as_str().unwrap()).collect();
        let mut expected: Vec<String> = [&self.unlimited, &self.expires_later, &self.expired, &self.child]
            .iter()
            .map(|token| token.id.to_string())
            .collect();
        ids.sort_unstable();
        expected.sort();
        assert_eq!(ids, expected);
        assert!(listed.rows().iter().all(|row| row["description"] == "old data"));
    }

    async fn check_people_and_settings(&self, app: &TestApp) {
        for (email, status) in
            [("admin@example.com", 200), ("ada@example.com", 200), ("eve@other.example", 200), ("off@example.com", 401)]
        {
            let response =
                app.client_with_authorization(&[&basic_auth(email, PASSWORD)]).get("/v4/people/current").await;
            assert_eq!(response.status, status, "{email}");
        }
        let days = |days: i64| json!({"lifetimeSeconds": days * 86_400});
        assert_eq!(
            app.admin().post("/v4/apiAccessTokens", &days(8)).await.status / 100,
            4,
            "the maximum lifetime is 7 days"
        );
        app.admin().post("/v4/apiAccessTokens", &days(7)).await.expect(201);
        let names = app.admin().get("/v4/workspaces").await.expect(200).text;
        assert!(names.contains("Workspace 1") && names.contains("Lab"), "{names}");
    }

    async fn check_sessions(&self, app: &TestApp) {
        let browser = app.browser().with_session_cookie(Some(format!("tokenward={}", self.session.expose())));
        let page = browser.get("/preferences/profile").await.expect(200).text;
        assert!(page.contains("admin@example.com") && page.contains("Firefox"));
        assert_eq!(page.contains(">192.0.2.8<"), self.version >= 8, "{page}");
        assert_eq!(page.contains(">—<"), self.version < 8, "{page}");
        let user = browser.get("/admin/users/1").await.expect(200).text;
        assert_eq!(user.contains("Last sign-in: —"), self.version < 8, "{user}");
        let form = self.consumed_form.to_string();
        let fields = [("form", form.as_str()), ("lifetime", "7")];
        let again = browser.post("/preferences/access-tokens/generate", &fields).await.status;
        assert!(matches!(again, 400 | 409), "{again}");
        browser.post("/preferences/profile/sessions/end-others", &[]).await.expect(303);
    }

    async fn check_events(&self, app: &TestApp) {
        let events = app.admin().get("/v4/events?allUsers=true&action=setting.changed").await.expect(200);
        let details: Vec<&Value> = events.rows().iter().map(|row| &row["details"]).collect();
        let expected = [json!({"from": "5", "to": "7"}), json!({})];
        assert_eq!(details, expected.iter().collect::<Vec<_>>(), "from version {}", self.version);
        assert!(events.rows().iter().all(|row| row["actor"] == "admin@example.com"));
    }

    /// Checks that new rows can be added and old ones deleted.
    async fn check_new_writes(&self, app: &TestApp) {
        let admin = app.admin();
        let bearer = TokenClient::from_response(
            &admin,
            &admin.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.expect(201),
        );
        assert!(bearer.is_accepted().await);
        admin.add_person("new", false).await;
        let created = app.create_workspace_with_admin("third").await;
        assert_eq!(created.workspace_id, 3);
        let family = format!("/v4/apiAccessTokens/{}?descendants=true", self.unlimited.id);
        let deleted = admin.delete(&family).await;
        assert_eq!(deleted.status / 100, 2, "{}", deleted.text);
        for token in [&self.unlimited, &self.child] {
            let response = app.client_with_authorization(&[&format!("Bearer {}", token.value)]).get("/v4/auth").await;
            assert_eq!(response.status, 401);
        }
        admin.delete("/v4/people/2").await.expect(204);
        let orphan = app.client_with_authorization(&[&format!("Bearer {}", self.of_ada.value)]).get("/v4/auth").await;
        assert_eq!(orphan.status, 401);
        admin.delete("/v4/workspaces/2").await.expect(204);
        assert_eq!(
            app.client_with_authorization(&[&basic_auth("eve@other.example", PASSWORD)])
                .get("/v4/people/current")
                .await
                .status,
            401
        );
        app.state.denied_attempts().flush(true).await.unwrap();
        let events = admin.get("/v4/events?allUsers=true&action=token.rejected_revoked").await.expect(200);
        let targets: Vec<&Value> = events.rows().iter().map(|row| &row["target"]).collect();
        assert!(targets.contains(&&json!(self.deleted.id.to_string())), "{targets:?}");
    }
}
