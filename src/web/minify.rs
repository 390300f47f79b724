//! Removes comments, white space and optional zeros from the embedded style sheets and the script.
//!
//! The functions rely on how those files are written: strings are in double quotes, and a comment of
//! the script has lines of its own.

use std::{cmp::Reverse, collections::HashSet};

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

/// Shortens the names of the custom properties of a minified style sheet, in the order in which `root`
/// declares them. Style sheets of one page have the same `root`.
pub(super) fn shorten_properties(css: &str, root: &str) -> String {
    let declarations = root.split(['{', ';', '}']).filter_map(|part| part.trim().split_once(':'));
    let mut names: Vec<&str> = declarations.map(|(name, _)| name).filter(|name| name.starts_with("--")).collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(*name));
    let mut short: Vec<(&str, char)> = names.into_iter().zip('a'..='z').collect();
    // A name may begin with another one.
    short.sort_by_key(|(name, _)| Reverse(name.len()));
    short.iter().fold(css.to_owned(), |css, (name, letter)| css.replace(name, &format!("--{letter}")))
}

/// Removes the indentation, the comments and optional spaces of a script. Line breaks stay, because
/// they end statements.
pub(super) fn minify_script(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("/**"));
    code.map(without_optional_spaces).collect::<Vec<_>>().join("\n")
}

/// Removes the spaces of a line of a script beside signs that end a word. Texts stay: they begin and end
/// in one line.
fn without_optional_spaces(line: &str) -> String {
    let is_sign = |c: char| "=(){}[],;:?<>&|".contains(c);
    let mut output = String::with_capacity(line.len());
    let mut text_quote = None;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match text_quote {
            Some(quote) if c == quote => text_quote = None,
            None if c == '"' || c == '`' => text_quote = Some(c),
            None if c == ' ' => {
                let after_sign = output.chars().next_back().is_some_and(is_sign);
                if after_sign || characters.peek().copied().is_some_and(is_sign) {
                    continue;
                }
            }
            _ => {}
        }
        output.push(c);
    }
    output
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
    fn custom_properties_have_short_names() {
        let root = ":root{--accent:#fff;--accent-strong:#000}@media x{:root{--accent:#000}}";
        let expected = ":root{--a:#fff;--b:#000}@media x{:root{--a:#000}}";
        assert_eq!(shorten_properties(root, root), expected);
        assert_eq!(shorten_properties("p{color:var(--accent-strong)}", root), "p{color:var(--b)}");
    }

    #[test]
    fn scripts_keep_their_line_breaks() {
        assert_eq!(
            minify_script("// a\n\"use strict\";\n\n/** b */\nif (x) {\n  y();\n}\n"),
            "\"use strict\";\nif(x){\ny();\n}"
        );
        let source = "const a = (b, c) => `${b} = ${ c }` + \" = \" - new X();";
        assert_eq!(minify_script(source), "const a=(b,c)=>`${b} = ${ c }` + \" = \" - new X();");
    }
}
