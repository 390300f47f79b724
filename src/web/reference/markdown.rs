//! Descriptions in Markdown (`CommonMark`) as HTML.

use std::fmt;

use askama::filters::HtmlSafe;
use pulldown_cmark::{CowStr, Event, Parser, Tag, TagEnd, html::push_html};

/// HTML that templates insert without escaping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SafeHtml(String);

impl HtmlSafe for SafeHtml {}

impl fmt::Display for SafeHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SafeHtml {
    /// Renders a description. HTML in it is shown as text.
    pub(super) fn from_markdown(text: &str) -> Self {
        let mut html = String::with_capacity(text.len() + 32);
        push_html(&mut html, Parser::new(text).filter_map(to_safe_event));
        Self(html.trim_end().to_owned())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Escapes HTML, and removes what could load a resource, run a script or disturb the headings of
/// the page.
fn to_safe_event(event: Event<'_>) -> Option<Event<'_>> {
    Some(match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => return None,
        Event::Start(Tag::Heading { .. } | Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::Heading(_) | TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = if is_web_link(&dest_url) { dest_url } else { CowStr::Borrowed("#") };
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        event => event,
    })
}

fn is_web_link(url: &str) -> bool {
    ["https://", "http://", "/", "#"].iter().any(|start| url.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_lists_code_and_links_are_rendered() {
        for (text, html) in [
            ("Needs `workspace=<id>`.", "<p>Needs <code>workspace=&lt;id&gt;</code>.</p>"),
            ("One\nline.\n\nTwo.", "<p>One\nline.</p>\n<p>Two.</p>"),
            ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
            ("[RFC](https://example.com/a?b&c)", "<p><a href=\"https://example.com/a?b&amp;c\">RFC</a></p>"),
        ] {
            assert_eq!(SafeHtml::from_markdown(text).to_string(), html, "{text}");
        }
        assert!(SafeHtml::from_markdown("").is_empty());
    }

    #[test]
    fn html_and_scripts_in_descriptions_are_text() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "![x](https://evil.example/x.png)",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>)",
            "[x](  vbscript:x)",
            "<javascript:alert(1)>",
            "# <b onclick=x>",
            "<div style=\"x\">\n<script>\n</div>",
        ] {
            let html = SafeHtml::from_markdown(text).to_string();
            let tags: Vec<&str> = html.split('<').skip(1).map(|tag| tag.split(['>', ' ']).next().unwrap()).collect();
            assert!(tags.iter().all(|tag| ["p", "/p", "a", "/a", "code", "/code"].contains(tag)), "{text}: {html}");
            assert!(html.split("href=\"").skip(1).all(|link| link.starts_with('#')), "{text}: {html}");
        }
    }
}
