//! Canonical forms, with expected results that `xmlsec1` and libxml2 agree with.
use roxmltree::Document;

use super::{PrefixList, canonicalize};

fn canonical(text: &str, prefixes: &str) -> String {
    let document = Document::parse(text).unwrap();
    let element = document.root().descendants().find(|node| node.tag_name().name() == "e").unwrap();
    canonicalize(element, None, &PrefixList::parse(prefixes).unwrap()).unwrap()
}

/// Each row has a document, a list of prefixes, and the canonical form of its element `e`.
#[test]
fn elements_have_their_canonical_form() {
    let rows = [
        ("<e/>", "", "<e></e>"),
        ("<e  b = '2'\n a='1' />", "", r#"<e a="1" b="2"></e>"#),
        ("<?xml version='1.0'?><!-- c --><e>a<!-- c -->b</e>", "", "<e>ab</e>"),
        ("<e><![CDATA[<&>]]>\r\n&#13;&#x9;\"'</e>", "", "<e>&lt;&amp;&gt;\n&#xD;\t\"'</e>"),
        (
            "<e a='&lt;&amp;&gt;&quot;&apos;&#9;&#10;&#13;\t\n'/>",
            "",
            "<e a=\"&lt;&amp;>&quot;'&#x9;&#xA;&#xD;  \"></e>",
        ),
        // Only used prefixes are declared, where they are used first.
        (
            "<r xmlns:u='urn:u' xmlns='urn:d' xmlns:x='urn:x'><e><u:i/><u:i/></e></r>",
            "",
            r#"<e xmlns="urn:d"><u:i xmlns:u="urn:u"></u:i><u:i xmlns:u="urn:u"></u:i></e>"#,
        ),
        (
            "<x:e xmlns:x='urn:x' xmlns:a='urn:a' a:k='1'><x:i a:k='2'/></x:e>",
            "",
            r#"<x:e xmlns:a="urn:a" xmlns:x="urn:x" a:k="1"><x:i a:k="2"></x:i></x:e>"#,
        ),
        // A prefix that means something else inside, and a default namespace that ends.
        (
            "<x:e xmlns:x='urn:1'><x:i xmlns:x='urn:2'/><x:i/></x:e>",
            "",
            r#"<x:e xmlns:x="urn:1"><x:i xmlns:x="urn:2"></x:i><x:i></x:i></x:e>"#,
        ),
        ("<e xmlns='urn:d'><i xmlns=''><j xmlns=''/></i></e>", "", r#"<e xmlns="urn:d"><i xmlns=""><j></j></i></e>"#),
        ("<r xmlns='urn:d'><x:e xmlns:x='urn:x'><i xmlns=''/></x:e></r>", "", r#"<x:e xmlns:x="urn:x"><i></i></x:e>"#),
        // Attributes are in the order of their namespaces, not of their prefixes.
        (
            "<e xmlns:b='urn:1' xmlns:a='urn:2' a:k='2' b:k='1' z='0'/>",
            "",
            r#"<e xmlns:a="urn:2" xmlns:b="urn:1" z="0" b:k="1" a:k="2"></e>"#,
        ),
        ("<r xml:lang='en'><e xml:space='preserve'/></r>", "", r#"<e xml:space="preserve"></e>"#),
        // Listed prefixes are declared where they are in scope.
        (
            "<r xmlns:u='urn:u' xmlns='urn:d'><x:e xmlns:x='urn:x'><x:i xmlns:u='urn:v'/></x:e></r>",
            "u y #default",
            r#"<x:e xmlns="urn:d" xmlns:u="urn:u" xmlns:x="urn:x"><x:i xmlns:u="urn:v"></x:i></x:e>"#,
        ),
        ("<é:e xmlns:é='urn:é' é:ü='ß'>語</é:e>", "", "<é:e xmlns:é=\"urn:é\" é:ü=\"ß\">語</é:e>"),
    ];
    for (text, prefixes, expected) in rows {
        assert_eq!(canonical(text, prefixes), expected, "{text}");
        // A canonical form is its own canonical form.
        assert_eq!(canonical(expected, prefixes), expected);
    }
}

#[test]
fn a_child_is_left_out_and_the_text_around_it_stays() {
    let document = Document::parse("<e>a<s>b</s>c<s>d</s></e>").unwrap();
    let signature = document.root_element().first_element_child().unwrap();
    let text = canonicalize(document.root_element(), Some(signature.id()), &PrefixList::default()).unwrap();
    assert_eq!(text, "<e>ac<s>d</s></e>");
}

#[test]
fn lists_have_up_to_32_prefixes() {
    let list = |length: usize| (0..length).map(|n| format!("p{n} ")).collect::<String>();
    assert_eq!((PrefixList::parse(&list(32)).is_some(), PrefixList::parse(&list(33))), (true, None));
}

/// Without a limit, 200 KB would become 4 GB.
#[test]
fn a_canonical_form_that_grows_is_an_error() {
    let text = format!("<e xmlns:x='urn:{}'>{}</e>", "x".repeat(100_000), "<x:i/>".repeat(16_000));
    let document = Document::parse(&text).unwrap();
    assert!(canonicalize(document.root_element(), None, &PrefixList::default()).is_err());
}
