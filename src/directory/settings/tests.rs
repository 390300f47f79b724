use super::*;

#[test]
fn server_urls_have_default_ports() {
    for (text, url) in [
        ("ldaps://dc1.example.org", "ldaps://dc1.example.org:636"),
        ("LDAP://dc1.example.org/", "ldap://dc1.example.org:389"),
        ("ldaps://127.0.0.1:6361", "ldaps://127.0.0.1:6361"),
        ("ldaps://[2001:db8::1]", "ldaps://[2001:db8::1]:636"),
        ("ldap://[::1]:3891", "ldap://[::1]:3891"),
    ] {
        assert_eq!(ServerUrl::parse(text).unwrap().to_string(), url);
    }
}

#[test]
fn other_urls_are_rejected() {
    for text in [
        "dc1.example.org",
        "http://dc1.example.org",
        "ldapi://%2Frun%2Fldapi",
        "ldaps://",
        "ldaps://:636",
        "ldaps://a:0",
        "ldaps://a:65536",
        "ldaps://a:+1",
        "ldaps://a/b",
        "ldaps://a//",
        "ldaps://user@a",
        "ldaps://a?b",
        "ldaps://2001:db8::1",
        "ldaps://[a]",
        "ldaps://[::1]x",
        "ldaps://a b",
    ] {
        let error = ServerUrl::parse(text).unwrap_err();
        assert!(error.to_string().contains("write ldaps://HOST"), "{text}: {error}");
    }
}

#[test]
fn the_bind_password_is_hidden() {
    assert_eq!(format!("{:?}", BindPassword::new("secret".to_owned())), "BindPassword([hidden])");
}
