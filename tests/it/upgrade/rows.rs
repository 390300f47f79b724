//! The rows that older releases left, as SQL.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokenward::domain::{person::EmailKey, session::SessionDigest};
use uuid::Uuid;

use super::{NOW, OldData, USER_AGENT, literals::SqlLiterals};
use crate::support::Engine;

impl OldData {
    /// Returns the statements that insert the rows. People 1 to 4 are the administrator, Ada, a
    /// disabled person, and the administrator of the second workspace.
    pub(super) fn row_statements(&self, engine: Engine, password_hash: &str) -> Vec<String> {
        let sql = SqlLiterals(engine);
        let (before, later) = (sql.timestamp(-86_400), sql.timestamp(-3_600));
        let mut rows = vec![
            format!(
                "insert into workspace (id, name, created_at, updated_at) values (1, 'Workspace 1', {before}, {before})"
            ),
            format!("insert into workspace (name, created_at, updated_at) values ('Lab', {before}, {later})"),
        ];
        rows.extend(Self::person_statements(&sql, password_hash));
        rows.extend([
            sql.insert_token(&self.unlimited, (1, 1), -3_600, None),
            sql.insert_token(&self.expires_later, (1, 1), -3_600, Some(3_600)),
            sql.insert_token(&self.expired, (1, 1), -3_600, Some(-1)),
            sql.insert_token(&self.of_disabled_person, (1, 3), -3_600, None),
            sql.insert_token(&self.of_ada, (1, 2), -3_600, None),
            sql.insert_token(&self.revoked, (2, 4), -3_600, None),
            sql.insert_token(&self.created_after_revocation, (2, 4), -1_800, None),
            format!(
                "insert into setting (workspace_id, key, value, updated_at) \
                 values (1, 'feature.apiAccessTokens.maxLifetimeDays', '7', {before})"
            ),
        ]);
        rows.extend(self.descendant_statements(&sql));
        let [key, body] = [sql.bytes(&[1; 32]), sql.bytes(&[2; 32])];
        let token_id = sql.uuid(self.unlimited.id);
        rows.push(format!(
            "insert into idempotency_record (key_digest, body_digest, person_id, encrypted_value, token_id, display_prefix, \
             description, created_at) values ({key}, {body}, 1, {key}, {token_id}, 'twd_', '', {later})"
        ));
        if self.version >= 2 {
            rows.extend(self.session_statements(&sql));
            let digest = sql.bytes(EmailKey::from_text("unknown@example.com").digest().as_bytes());
            rows.push(format!(
                "insert into login_failure (email_digest, failures, last_at) values ({digest}, 12, {later})"
            ));
        }
        if self.version >= 3 {
            rows.extend(Self::event_statements(&sql));
        }
        if self.version >= 7 {
            let (digest, end) = (sql.bytes(self.invite.digest().as_bytes()), sql.timestamp(3_600));
            rows.push(format!(
                "insert into password_link (person_id, workspace_id, kind, digest, created_at, expires_at) \
                 values (2, 1, 'invite', {digest}, {later}, {end})"
            ));
        }
        if self.version >= 9 {
            rows.extend(Self::directory_statements(&sql));
        }
        if self.version >= 19 {
            let (id, digest, end) = (sql.uuid(Uuid::from_u128(19)), sql.bytes(&[19; 32]), sql.timestamp(600));
            rows.push(format!(
                "insert into device_authorization (id, device_digest, user_code_digest, state, description, user_agent, \
                 created_at, expires_at, poll_interval_seconds) values ({id}, {digest}, {digest}, 'pending', '', '', {later}, \
                 {end}, 5)"
            ));
        }
        rows
    }

    /// Returns the statements that insert people 1 to 4.
    fn person_statements(sql: &SqlLiterals, password_hash: &str) -> Vec<String> {
        let (before, later) = (sql.timestamp(-86_400), sql.timestamp(-3_600));
        let mut rows = Vec::new();
        for (workspace, email, is_admin, is_platform_admin, is_disabled, access) in [
            (1, "admin@example.com", true, true, false, "default"),
            (1, "ada@example.com", false, false, false, "enabled"),
            (1, "off@example.com", false, false, true, "enabled"),
            (2, "eve@other.example", true, false, false, "default"),
        ] {
            let [is_admin, is_platform_admin, is_disabled, must_change] =
                [is_admin, is_platform_admin, is_disabled, false].map(|flag| sql.boolean(flag));
            rows.push(format!(
                "insert into person (workspace_id, email, email_key, name, password_hash, is_admin, is_platform_admin, is_disabled, \
                 token_access, force_password_change, created_at, updated_at) values ({workspace}, '{email}', '{email}', 'Old data', \
                 '{password_hash}', {is_admin}, {is_platform_admin}, {is_disabled}, '{access}', {must_change}, {before}, {later})"
            ));
        }
        rows
    }

    /// Returns statements that insert a person of a directory, attempts and a sync.
    fn directory_statements(sql: &SqlLiterals) -> Vec<String> {
        let (id, digest) = (sql.uuid(Uuid::from_u128(9)), sql.bytes(&[9; 32]));
        let (before, later, end) = (sql.timestamp(-86_400), sql.timestamp(-3_600), sql.timestamp(600));
        let flag = sql.boolean(true);
        vec![
            format!(
                "insert into person (workspace_id, email, email_key, name, is_admin, is_platform_admin, is_disabled, disabled_by_directory, \
                 token_access, force_password_change, created_at, updated_at) values (2, 'linked@other.example', \
                 'linked@other.example', 'Old data', {no}, {no}, {flag}, {flag}, 'default', {no}, {before}, {later})",
                no = sql.boolean(false)
            ),
            format!(
                "insert into external_identity (id, workspace_id, person_id, provider, issuer, subject, label, linked_at, \
                 last_sign_in_at, seen_at) values ({id}, 2, 5, 'company', 'ldap', 'subject-5', 'linked', {before}, {later}, \
                 {later})"
            ),
            format!(
                "insert into directory_attempt (account_digest, attempts, window_ends_at) values ({digest}, 2, {end})"
            ),
            format!(
                "insert into directory_sync (provider, started_at, finished_at, succeeded_at, outcome, message, entries, \
                 disabled, enabled, held) values ('company', {later}, {later}, {before}, 'held', 'confirm it', 7, 1, 2, 3)"
            ),
        ]
    }

    fn session_statements(&self, sql: &SqlLiterals) -> Vec<String> {
        let (id, form) = (sql.uuid(self.session_id), sql.uuid(self.consumed_form));
        let digest: SessionDigest = self.session.digest();
        let (digest, created, last_seen) = (sql.bytes(digest.as_bytes()), sql.timestamp(-600), sql.timestamp(-60));
        let mut rows = vec![
            format!(
                "insert into web_session (id, digest, workspace_id, person_id, created_at, authenticated_at, last_seen_at, user_agent) \
                 values ({id}, {digest}, 1, 1, {created}, {created}, {last_seen}, '{USER_AGENT}')"
            ),
            format!("insert into consumed_form (session_id, id) values ({id}, {form})"),
        ];
        if self.version >= 8 {
            let key = sql.bytes(&[3; 32]);
            rows.extend([
                format!(
                    "update web_session set address = '192.0.2.8', last_address = '2001:db8::8', draft_key = {key}"
                ),
                format!("update person set last_sign_in_at = {created} where id = 1"),
            ]);
        }
        rows
    }

    /// Returns statements that insert two chained events.
    fn event_statements(sql: &SqlLiterals) -> Vec<String> {
        let details = ["{}", r#"{"from":"5","to":"7"}"#];
        let targets = ["feature.apiAccessTokens.enabled", "feature.apiAccessTokens.maxLifetimeDays"];
        let mut rows = Vec::new();
        let mut link = "0".repeat(64);
        for (n, (details, target)) in details.into_iter().zip(targets).enumerate() {
            let (seq, seconds) = (n + 1, i64::try_from(n).unwrap() - 3_600);
            let (at, millis) = (sql.timestamp(seconds), NOW.plus_seconds(seconds).as_millis());
            let columns = "workspace_id, occurred_at, actor_id, actor, action, outcome, target, label, details";
            let values =
                format!("1, {at}, 1, 'admin@example.com', 'setting.changed', 'success', '{target}', '', '{details}'");
            // SHA-256 of the previous hash in hexadecimal, a line feed and the columns as JSON. The
            // format is repeated here so that later releases must verify databases of today.
            let text = json!([
                seq,
                1,
                millis,
                1,
                "admin@example.com",
                null,
                "setting.changed",
                null,
                target,
                "",
                details,
                "192.0.2.1",
                "",
                "r",
                "success"
            ]);
            link = hex::encode(Sha256::digest(format!("{link}\n{text}")));
            let hash = sql.bytes(&hex::decode(&link).unwrap());
            rows.push(format!(
                "insert into event ({columns}, seq, hash, address, request_id) values ({values}, {seq}, {hash}, '192.0.2.1', 'r')"
            ));
        }
        let hash = sql.bytes(&hex::decode(&link).unwrap());
        rows.push(format!("update event_chain set seq = 2, hash = {hash} where workspace_id = 1"));
        rows
    }

    fn descendant_statements(&self, sql: &SqlLiterals) -> Vec<String> {
        let (child, parent, deleted) =
            (sql.uuid(self.child.id), sql.uuid(self.unlimited.id), sql.uuid(self.deleted.id));
        let (digest, display_prefix, at, revoked_before) =
            (sql.bytes(&self.deleted.digest), &self.deleted.value[..8], sql.timestamp(-60), sql.timestamp(-2_700));
        vec![
            format!("update person set tokens_revoked_before = {revoked_before} where email = 'eve@other.example'"),
            sql.insert_token(&self.child, (1, 1), -600, None),
            format!("update token set parent_id = {parent} where id = {child}"),
            format!(
                "insert into token_tombstone (id, digest, workspace_id, person_id, display_prefix, deleted_at) \
                 values ({deleted}, {digest}, 1, 1, '{display_prefix}', {at})"
            ),
        ]
    }
}
