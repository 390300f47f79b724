//! Users in responses.

use serde_json::{Map, Value, json};

use super::{BaseUrl, USER_SCHEMA, selection::Selection};
use crate::domain::scim::ScimUser;

/// Returns the URL of a user.
pub(super) fn location(base: &BaseUrl, user: &ScimUser) -> String {
    format!("{}/Users/{}", base.0, user.person.id)
}

/// Returns the selected attributes of a user. `active` is the state of the account, whichever party disabled it.
pub(super) fn view(base: &BaseUrl, user: &ScimUser, selection: &Selection) -> Value {
    let profile = serde_json::to_value(&user.attributes.profile).unwrap_or_default();
    let mut resource = match profile {
        Value::Object(profile) => profile,
        _ => Map::new(),
    };
    resource.insert("schemas".to_owned(), json!([USER_SCHEMA]));
    resource.insert("id".to_owned(), json!(user.person.id.to_string()));
    resource.insert("userName".to_owned(), json!(user.attributes.user_name));
    if let Some(external_id) = &user.attributes.external_id {
        resource.insert("externalId".to_owned(), json!(external_id));
    }
    resource.insert("active".to_owned(), json!(!user.person.is_disabled));
    let meta = json!({
        "resourceType": "User",
        "created": user.created_at.to_string(),
        "lastModified": user.updated_at.to_string(),
        "location": location(base, user),
    });
    resource.insert("meta".to_owned(), meta);
    selection.apply(&mut resource);
    Value::Object(resource)
}
