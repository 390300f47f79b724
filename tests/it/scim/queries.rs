//! Lists, filters and discovery.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use super::{ScimApp, USER, USERS, assert_error};
use crate::support::{Engine, both_databases};

#[apply(both_databases)]
async fn lists_have_pages_from_one(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(scim.user(&format!("{name}@example.com")).await);
    }
    let list = async |query: &str| {
        let json = scim.client.get(&format!("{USERS}{query}")).await.expect(200).json;
        let users: Vec<_> = json["Resources"].as_array().unwrap().iter().map(|user| user["id"].clone()).collect();
        assert_eq!(json["itemsPerPage"], users.len());
        assert_eq!(json["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
        (users, json["startIndex"].clone(), json["totalResults"].clone())
    };
    let ids: Vec<_> = ids.iter().map(|id| json!(id)).collect();
    assert_eq!(list("").await, (ids.clone(), json!(1), json!(3)));
    assert_eq!(list("?startIndex=2&count=1").await, (ids[1..2].to_vec(), json!(2), json!(3)));
    assert_eq!(list("?startIndex=0&count=2").await, (ids[..2].to_vec(), json!(1), json!(3)));
    assert_eq!(list("?count=0").await, (vec![], json!(1), json!(3)));
    assert_eq!(list("?startIndex=9223372036854775807").await.2, json!(3));
    assert_eq!(list("?count=-5&sortBy=userName").await.0, Vec::<serde_json::Value>::new());
    for query in ["?count=x", "?count=1&count=2", "?startIndex=1.5"] {
        assert_error(&scim.client.get(&format!("{USERS}{query}")).await, 400, Some("invalidValue"));
    }
}

#[apply(both_databases)]
async fn filters_find_by_name_in_any_case_and_by_exact_external_id(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let body = json!({"userName": "Ada@Example.com", "externalId": "X-1"});
    scim.client.post(USERS, &body).await.expect(201);
    scim.user("eve@example.com").await;
    for (filter, count) in [
        ("userName eq \"ada@example.com\"", 1),
        ("USERNAME EQ \"ADA@EXAMPLE.COM\"", 1),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"ada@example.com\"", 1),
        ("userName eq \"ada\"", 0),
        ("userName eq \"%\"", 0),
        ("userName eq \"a\\u0000da@example.com\"", 0),
        ("externalId eq \"X-1\"", 1),
        ("externalId eq \"x-1\"", 0),
        ("externalId eq \"\\u0000\"", 0),
        // The addresses of accounts that the client did not provision are no names of users.
        ("userName eq \"admin@example.com\"", 0),
    ] {
        assert_eq!(scim.client.find(filter).await.expect(200).json["totalResults"], count, "{filter}");
    }
    for filter in [
        "userName sw \"a\"",
        "userName eq \"a\" or userName pr",
        "email eq \"ada@example.com\"",
        "userName eq 'x' or 1=1 --'",
        "",
    ] {
        assert_error(&scim.client.find(filter).await, 400, Some("invalidFilter"));
    }
}

#[apply(both_databases)]
async fn a_search_has_the_query_in_its_body(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    scim.user("eve@example.com").await;
    for path in ["/scim/v2/.search", "/scim/v2/Users/.search"] {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "filter": "userName eq \"ada@example.com\"", "attributes": ["userName"], "startIndex": 1, "count": 5});
        let found = scim.client.post(path, &body).await.expect(200).json;
        assert_eq!(found["Resources"], json!([{"schemas": [USER], "id": id, "userName": "ada@example.com"}]));
        assert_eq!(scim.client.post(path, &json!({"count": 1})).await.expect(200).json["totalResults"], 2);
        for body in [json!({"count": "1"}), json!({"attributes": "userName"}), json!({"schemas": []})] {
            assert_error(&scim.client.post(path, &body).await, 400, Some("invalidValue"));
        }
        assert_error(&scim.client.post(path, &json!({"filter": "x"})).await, 400, Some("invalidFilter"));
    }
}

#[apply(both_databases)]
async fn responses_have_the_selected_attributes(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    let selected = scim.client.get(&format!("{USERS}/{id}?attributes=userName")).await.expect(200).json;
    assert_eq!(selected, json!({"schemas": [USER], "id": id, "userName": "ada@example.com"}));
    let listed = scim.client.get(&format!("{USERS}?excludedAttributes=emails,meta,active")).await.expect(200).json;
    assert_eq!(listed["Resources"], json!([selected]));
}

#[apply(both_databases)]
async fn discovery_describes_what_there_is(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let config = scim.client.get("/scim/v2/ServiceProviderConfig").await.expect(200).json;
    let supported = |option: &str| config[option]["supported"] == true;
    let options = ["patch", "filter", "bulk", "sort", "etag", "changePassword"].map(supported);
    assert_eq!(options, [true, true, false, false, false, false]);
    let types = scim.client.get("/scim/v2/ResourceTypes").await.expect(200).json;
    assert_eq!((&types["totalResults"], &types["Resources"][0]["endpoint"]), (&json!(1), &json!("/Users")));
    scim.client.get("/scim/v2/ResourceTypes/User").await.expect(200);
    let schema = scim.client.get(&format!("/scim/v2/Schemas/{USER}")).await.expect(200).json;
    let names: Vec<_> = schema["attributes"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["userName", "externalId", "displayName", "name", "emails", "active"]);
    for path in [
        "/scim/v2/ResourceTypes/Group",
        "/scim/v2/Schemas/x",
        "/scim/v2/Groups",
        "/scim/v2/Me",
        "/scim",
        "/scim/v1/Users",
    ] {
        assert_error(&scim.client.get(path).await, 404, None);
    }
    for path in ["ServiceProviderConfig", "ResourceTypes", "Schemas"] {
        let path = format!("/scim/v2/{path}");
        assert_error(&scim.client.get(&format!("{path}?filter=a%20eq%201")).await, 403, None);
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            assert_error(&scim.client.send(method, &path, "{}").await, 405, None);
        }
    }
    assert_error(&scim.client.send("DELETE", USERS, "").await, 405, None);
}
