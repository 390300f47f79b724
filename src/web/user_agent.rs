//! Browser and operating system names derived from `User-Agent` headers.

/// Returns the names of the browser and the operating system in a `User-Agent` header.
pub(super) fn browser_name(user_agent: &str) -> String {
    let find_first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(pattern, _)| user_agent.contains(pattern)).map(|(_, name)| *name)
    };
    // Browsers also name those that they derive from, so the most specific name comes first.
    let program = find_first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = find_first(&[
        ("Windows", "Windows"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_names_are_derived_from_the_user_agent() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(browser_name(chrome), "Chrome on Linux");
        assert_eq!(browser_name(&format!("{chrome} Edg/156")), "Edge on Linux");
        assert_eq!(
            browser_name("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"),
            "Safari on iPhone"
        );
        assert_eq!(browser_name("curl/8"), "Unknown browser");
    }
}
