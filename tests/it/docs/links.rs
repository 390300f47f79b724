//! Relative links of the documentation.

use std::{collections::HashMap, path::Path};

use super::{code_spans, is_markdown, pages, root, split};

#[test]
fn every_relative_link_resolves() {
    let mut broken = Vec::new();
    for (file, text) in pages() {
        for (line, target) in links(&text) {
            if let Some(reason) = problem(&file, &target) {
                broken.push(format!("{}:{line}: {target}: {reason}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Returns why a link does not resolve.
fn problem(file: &Path, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = root().join(file.parent().unwrap_or(Path::new("")));
    let linked = if path.is_empty() { root().join(file) } else { folder.join(path) };
    if path.starts_with('/') || !linked.exists() {
        return Some("no such file");
    }
    if anchor.is_empty() || !is_markdown(&linked) {
        return None;
    }
    let text = std::fs::read_to_string(&linked).unwrap();
    (!anchors(&text).iter().any(|known| known == anchor)).then_some("no such heading")
}

/// Returns the targets of the links in a page, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line, content) in split(text).1 {
        let content = without_code(content);
        let mut targets: Vec<&str> = content.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        for attribute in ["src=\"", "href=\"", "srcset=\""] {
            targets.extend(content.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()));
        }
        if content.starts_with('[')
            && let Some((_, target)) = content.split_once("]: ")
        {
            targets.push(target);
        }
        // A title may follow the target.
        let targets = targets.into_iter().filter_map(|target| target.split_whitespace().next());
        links.extend(targets.map(|target| (line, target.trim_matches(['<', '>']).to_owned())));
    }
    links
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Returns the anchors of a page's headings, as GitHub forms them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (_, content) in split(text).1 {
        for attribute in ["id=\"", "name=\""] {
            anchors
                .extend(content.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
        let title = content.trim_start_matches('#');
        let level = content.len() - title.len();
        if !(1..=6).contains(&level) || !title.starts_with(' ') {
            continue;
        }
        let slug = slug(title);
        let count = seen.entry(slug.clone()).or_default();
        anchors.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

fn slug(title: &str) -> String {
    let kept = title.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_and_anchors_are_found() {
    let text = "# A `b`: c\n\n[x](a.md#b) and [`y`](c.md \"title\"), `[no](code.md)`\n\n```sh\n[no](fence.md)\n```\n## A b c\n[z]: d.md\n";
    let targets: Vec<String> = links(text).into_iter().map(|(line, target)| format!("{line} {target}")).collect();
    assert_eq!(targets, ["3 a.md#b", "3 c.md", "9 d.md"]);
    assert_eq!(anchors(text), ["a-b-c", "a-b-c-1"]);
    assert_eq!(slug("`GET /v4/people/{id}`"), "get-v4peopleid");
    assert_eq!(code_spans("a `b` c `d`").collect::<Vec<_>>(), ["b", "d"]);
}
