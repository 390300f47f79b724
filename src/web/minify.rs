//! Removes comments, white space and optional zeros from the embedded style sheets and the script.
//!
//! The functions rely on how those files are written: strings are in double quotes, and a comment of
//! the script has lines of its own.

/// Removes comments, line breaks, optional spaces and optional zeros from a style sheet.
pub(super) fn minify_css(source: &str) -> String {
    let mut output = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
        } else if let Some(string) = rest.strip_prefix('"') {
            let end = string.find('"').map_or(rest.len(), |end| end + 2);
            output.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if next.is_whitespace() {
            rest = rest.trim_start();
            // A space before a colon or an opening parenthesis has a meaning in selectors.
            let is_optional = output.is_empty() || output.ends_with(['{', '}', ';', ':', ',']);
            if !is_optional && !rest.starts_with(['{', '}']) {
                output.push(' ');
            }
        } else if rest.starts_with("0.") && output.ends_with([' ', ':', ',', '(']) {
            // The zero before a decimal point is optional.
            rest = &rest[1..];
        } else {
            if next == '}' && output.ends_with(';') {
                output.pop();
            }
            output.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    output
}

/// Removes the indentation and the comments of a script. Line breaks stay, because they end
/// statements.
pub(super) fn minify_script(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("/**"));
    code.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_sheets_keep_their_meaning() {
        let source = "/* x */\na { b: c;\n  d: \" : \"; }\n\n.x :is(y) > z , w { e: 1px 0.5px 10.5px; }\n@media (f: 1px) {\n  g { h: i; }\n}\n";
        let expected = "a{b:c;d:\" : \"}.x :is(y) > z ,w{e:1px .5px 10.5px}@media (f:1px){g{h:i}}";
        assert_eq!(minify_css(source), expected);
    }

    #[test]
    fn scripts_keep_their_line_breaks() {
        assert_eq!(
            minify_script("// a\n\"use strict\";\n\n/** b */\nif (x) {\n  y();\n}\n"),
            "\"use strict\";\nif (x) {\ny();\n}"
        );
    }
}
