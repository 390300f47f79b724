//! Random changes of signed responses. No changed response is accepted with other claims.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokenward_saml::{Assertion, VerificationKey};

use crate::{
    fixtures,
    support::{
        UNSIGNED, read,
        signing::{KEY, Signed, sign},
        xmlsec1::{Pem, accepts},
    },
};

/// The changes of each response. `TOKENWARD_SAML_MUTATIONS` sets another number.
const MUTATIONS: usize = 600;

const FRAGMENTS: [&str; 30] = [
    "<!-- c -->",
    "<![CDATA[x]]>",
    "<![CDATA[]]>",
    "<?x y?>",
    "&#97;",
    "&amp;",
    "&#xD;",
    "\r\n",
    "\t",
    " ",
    "7f3c0e6a-eve",
    "admins",
    "<saml:NameID>eve</saml:NameID>",
    "<NameID xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\">eve</NameID>",
    " ID=\"_assertion\"",
    " xmlns=\"\"",
    " xmlns=\"urn:x\"",
    " xmlns:saml=\"urn:x\"",
    " xmlns:x=\"urn:x\"",
    " x:ID=\"a\"",
    " xml:id=\"a\"",
    "<saml:Assertion>",
    "</saml:Assertion>",
    "<ds:Object>",
    "</ds:Object>",
    "#default saml",
    "\"",
    "'",
    "<",
    ">",
];

/// A signed response with its claims.
struct Original {
    response: String,
    claims: Assertion,
    keys: Vec<VerificationKey>,
}

fn originals() -> Vec<Original> {
    let signed =
        [Signed::Response, Signed::Assertion, Signed::Both].map(|signed| (sign(UNSIGNED, signed), KEY.pinned()));
    let fixtures = fixtures::all().into_iter().map(|(_, response)| (response, fixtures::keys()));
    let new = |(response, keys): (String, Vec<_>)| Original { claims: read(&response, &keys).unwrap(), response, keys };
    signed.into_iter().chain(fixtures).map(new).collect()
}

/// Returns a random place, of which characters are not split.
fn place(text: &str, random: &mut StdRng) -> usize {
    let mut at = random.random_range(0..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Applies a change: of a character, of a fragment, or of whole elements.
fn mutate(text: &mut String, random: &mut StdRng) {
    let at = place(text, random);
    let end = place(text, random).clamp(at, (at + 12).min(text.len()));
    let end = (at..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(at);
    match random.random_range(0..8) {
        0 => text.replace_range(at..end, ""),
        1 => text.insert(at, char::from(random.random_range(b' '..=b'~'))),
        2 | 3 => text.insert_str(at, FRAGMENTS.choose(random).copied().unwrap_or_default()),
        4 => text.replace_range(at..end, FRAGMENTS.choose(random).copied().unwrap_or_default()),
        5 => {
            let piece = text[at..end].to_owned();
            text.insert_str(place(text, random), &piece);
        }
        kind => move_element(text, kind == 6, random),
    }
}

/// Copies or moves an element to a place between elements.
fn move_element(text: &mut String, is_copied: bool, random: &mut StdRng) {
    let Ok(document) = roxmltree::Document::parse(text) else { return };
    let elements: Vec<_> =
        document.descendants().filter(roxmltree::Node::is_element).map(|node| node.range()).collect();
    let (Some(range), Some(target)) = (elements.choose(random).cloned(), elements.choose(random)) else { return };
    let piece = text[range.clone()].replace("7f3c", if is_copied { "eve" } else { "7f3c" });
    let target = if random.random() { target.start } else { target.end };
    text.insert_str(target, &piece);
    if !is_copied {
        let start = if target <= range.start { range.start + piece.len() } else { range.start };
        let end = start + range.len();
        if text.is_char_boundary(start) && text.is_char_boundary(end) && !(range.start < target && target < range.end) {
            text.replace_range(start..end, "");
        }
    }
}

#[test]
fn no_mutation_is_accepted_with_other_claims() {
    let count = std::env::var("TOKENWARD_SAML_MUTATIONS").map_or(MUTATIONS, |count| count.parse().unwrap());
    let pem = KEY.pem();
    let pems = ["rsa.pem", "p256.pem", "p384.pem"].map(fixtures::file);
    let keys: Vec<_> = pems.iter().map(|pem| Pem::Certificate(pem)).chain([Pem::Key(&pem)]).collect();
    let mut random = StdRng::seed_from_u64(7);
    let (mut accepted, mut rejected) = (0, 0);
    for Original { response, claims, keys: pinned } in originals() {
        for _ in 0..count {
            let mut mutated = response.clone();
            for _ in 0..random.random_range(1..4) {
                mutate(&mut mutated, &mut random);
            }
            if mutated == response {
                continue;
            }
            match read(&mutated, &pinned) {
                Ok(found) => {
                    assert_eq!(found.id, claims.id, "{mutated}");
                    assert!(found.name_id == claims.name_id && found.attributes == claims.attributes, "{mutated}");
                    assert!(found.remember_until == claims.remember_until, "{mutated}");
                    assert!(found.authn_instant == claims.authn_instant, "{mutated}");
                    accepted += 1;
                    // A process for each is slow, so that a part is compared. xmlsec1 reads KeyInfo, too.
                    if accepted % 4 == 0 && !response.contains("KeyInfo") {
                        assert!(accepts(&mutated, &keys), "xmlsec1 does not accept {mutated}");
                    }
                }
                Err(_) => rejected += 1,
            }
        }
    }
    assert!(accepted > count / 20 && rejected > accepted, "{accepted} accepted, {rejected} rejected");
}
