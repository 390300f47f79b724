//! The pages about identity providers: the reference names every key, and the examples are valid.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tokenward::config::{ALLOW_KEYS, Config, DIRECTORY_KEYS, OPENID_CONNECT_KEYS, Overrides, SAML_KEYS};

use super::{code_spans, root, split};

/// Returns the keys of the tables of a page whose first column is `Key`, in their order.
fn documented_keys(page: &str) -> Vec<Vec<String>> {
    let mut tables: Vec<Vec<String>> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("| Key |") {
            let rows = lines.by_ref().take_while(|line| line.starts_with('|')).skip(1);
            let first_cells = rows.filter_map(|row| row.trim_matches('|').split('|').next());
            tables.push(first_cells.filter_map(|cell| code_spans(cell).next()).map(str::to_owned).collect());
        }
    }
    tables
}

#[test]
fn the_reference_has_exactly_the_keys_of_a_provider() {
    let page = fs::read_to_string(root().join("docs/reference/identity-providers.md")).unwrap();
    let keys = [DIRECTORY_KEYS.to_vec(), OPENID_CONNECT_KEYS.to_vec(), SAML_KEYS.to_vec(), ALLOW_KEYS.to_vec()];
    assert_eq!(documented_keys(&page), keys);
}

/// The defaults in the tables are those of the program, where a table has one.
#[test]
fn the_reference_has_the_defaults_of_a_provider() {
    let page = fs::read_to_string(root().join("docs/reference/identity-providers.md")).unwrap();
    let allow = "[[sso.x.allow]]\ngroup = \"cn=x\"\nworkspace = 1\n";
    let directory = "[sso.x]\nkind = \"openldap\"\nurl = \"ldaps://x\"\nbind = \"cn=x\"\nbase = \"cn=x\"\n";
    let openid = "[sso.x]\nkind = \"openid-connect\"\nissuer = \"https://x\"\nclient_id = \"x\"\n";
    let saml = "[sso.x]\nkind = \"saml\"\nmetadata_file = \"x\"\n";
    let values = [directory, openid, saml].map(|section| {
        let config: Config = toml::from_str(&format!("{section}{allow}")).unwrap();
        toml::Value::try_from(&config.sso["x"]).unwrap()
    });
    let mut count = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let Some(default) = code_spans(cells[2]).next() else { continue };
        let key = code_spans(cells[0]).next().unwrap();
        let found = values.iter().find_map(|values| values.get(key).or_else(|| values["allow"][0].get(key)));
        assert_eq!(found.unwrap().to_string(), default, "{key}");
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn the_examples_of_the_guides_are_valid() {
    for (name, provider) in
        [("active-directory.md", "company"), ("openldap.md", "company"), ("oidc.md", "login"), ("saml.md", "company")]
    {
        let page = fs::read_to_string(root().join("docs/how-to").join(name)).unwrap();
        let examples: Vec<String> =
            split(&page).0.into_iter().filter(|fence| fence.language == "toml").map(|fence| fence.text).collect();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("tokenward.toml");
            // The files of the example are relative to the working directory of the service.
            let password = folder.path().join("ldap-password");
            fs::write(&password, "s3cret\n").unwrap();
            fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
            let path = format!("{:?}", password.to_str().unwrap());
            let text = example.replace("\"ldap-password\"", &path).replace("\"oidc-secret\"", &path);
            let metadata = format!("{:?}", root().join("saml/tests/fixtures/idp.xml").to_str().unwrap());
            let text = text.replace("\"idp.xml\"", &metadata);
            fs::write(&file, text).unwrap();
            let config = Config::load(Some(&file), &Overrides::default()).unwrap();
            let directories = config.directories().unwrap().into_iter().map(|settings| settings.directory.name);
            let providers = config.openid_providers().unwrap().into_iter().map(|settings| settings.name);
            let saml = config.saml_providers().unwrap().into_iter().map(|settings| settings.name);
            let names = directories.chain(providers).chain(saml);
            let names: Vec<String> = names.map(|name| name.as_str().to_owned()).collect();
            assert_eq!(names, [provider], "{name}");
        }
    }
}
