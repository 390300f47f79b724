//! Workspaces, their settings, and the first start.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::id::WorkspaceId;
use tokenward::domain::setting::SettingKey;
use tokenward::domain::setting::SettingValue;
use tokenward::domain::workspace::WorkspaceName;
use tokenward::store::Error;

use super::{NOW, NoCache, WORKSPACE, new_person, operator_mutation};
use crate::support::Engine;
use crate::support::TestApp;
use crate::support::both_databases;

#[apply(both_databases)]
async fn only_the_first_start_creates_workspace_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    assert!(app.store.is_bootstrapped().await.unwrap());
    let name = WorkspaceName::parse("again").unwrap();
    assert!(!app.store.bootstrap(&name, &new_person("again@example.com"), NOW).await.unwrap());
    assert_eq!(app.store.count_people_and_tokens(WORKSPACE).await.unwrap(), (1, 0));
}

#[apply(both_databases)]
async fn workspaces_are_inserted_found_listed_renamed_and_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let name = WorkspaceName::parse("Lab").unwrap();
    let (lab, admin) =
        app.store.insert_workspace(&name, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    assert_eq!((lab.id, admin.workspace_id, lab.created_at), (WorkspaceId::new(2), WorkspaceId::new(2), NOW));
    assert_eq!(app.store.find_workspace(WorkspaceId::new(2)).await.unwrap(), Some(lab.clone()));
    assert_eq!(app.store.list_workspaces(1, 1).await.unwrap(), [lab]);
    assert_eq!(app.store.count_workspaces().await.unwrap(), 2);
    let renamed = WorkspaceName::parse("Laboratory").unwrap();
    assert!(app.store.rename_workspace(WorkspaceId::new(2), &renamed, &operator_mutation()).await.unwrap());
    assert!(!app.store.rename_workspace(WorkspaceId::new(3), &renamed, &operator_mutation()).await.unwrap());
    assert_eq!(app.store.find_workspace(WorkspaceId::new(2)).await.unwrap().unwrap().name, "Laboratory");
    app.store
        .set_settings(
            WorkspaceId::new(2),
            &[(SettingKey::AllowUsers, SettingValue::Switch(true))],
            &operator_mutation(),
        )
        .await
        .unwrap()
        .wait_for(&NoCache)
        .await;
    assert!(
        app.store.delete_workspace(WorkspaceId::new(2), &operator_mutation()).await.unwrap().wait_for(&NoCache).await
            && !app
                .store
                .delete_workspace(WorkspaceId::new(2), &operator_mutation())
                .await
                .unwrap()
                .wait_for(&NoCache)
                .await
    );
    assert_eq!(app.store.find_person(WorkspaceId::new(2), admin.id).await.unwrap(), None);
    assert_eq!(app.store.find_settings(WorkspaceId::new(2)).await.unwrap(), []);
    let (next, _) =
        app.store.insert_workspace(&name, &new_person("eve@example.com"), &operator_mutation()).await.unwrap();
    assert_eq!(next.id, WorkspaceId::new(3));
}

#[apply(both_databases)]
async fn a_workspace_is_not_created_if_its_administrator_cannot_be(engine: Engine) {
    let app = TestApp::start(engine).await;
    let name = WorkspaceName::parse("Lab").unwrap();
    let taken = app.store.insert_workspace(&name, &new_person("ADMIN@example.com"), &operator_mutation()).await;
    assert!(matches!(taken, Err(Error::Conflict)));
    assert_eq!(app.store.count_workspaces().await.unwrap(), 1);
}

#[apply(both_databases)]
async fn settings_are_set_read_and_reset(engine: Engine) {
    let app = TestApp::start(engine).await;
    let store = &app.store;
    let both =
        [(SettingKey::Enabled, SettingValue::Switch(false)), (SettingKey::MaxLifetimeDays, SettingValue::Days(7))];
    assert!(store.set_settings(WORKSPACE, &both, &operator_mutation()).await.unwrap().wait_for(&NoCache).await);
    assert!(
        store
            .set_settings(WORKSPACE, &[(SettingKey::Enabled, SettingValue::Switch(true))], &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await
    );
    let mut set = store.find_settings(WORKSPACE).await.unwrap();
    set.sort_by_key(|(key, _)| key.as_str());
    assert_eq!(
        set,
        [(SettingKey::Enabled, SettingValue::Switch(true)), (SettingKey::MaxLifetimeDays, SettingValue::Days(7))]
    );
    assert_eq!(
        store
            .reset_settings(WORKSPACE, &[SettingKey::Enabled, SettingKey::AllowUsers], &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        Some(1)
    );
    assert_eq!(store.find_settings(WORKSPACE).await.unwrap(), [(SettingKey::MaxLifetimeDays, SettingValue::Days(7))]);
    assert!(
        !store.set_settings(WorkspaceId::new(99), &both, &operator_mutation()).await.unwrap().wait_for(&NoCache).await
    );
    assert_eq!(
        store
            .reset_settings(WorkspaceId::new(99), &[SettingKey::Enabled], &operator_mutation())
            .await
            .unwrap()
            .wait_for(&NoCache)
            .await,
        None
    );
}
