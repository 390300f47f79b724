//! Patterns for the values of claims.

/// Returns whether a text matches a pattern as a whole. In the pattern `*` stands for any number of
/// characters other than `/` and `:`, and `**` for any number of any characters. All other characters
/// stand for themselves.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let tokens = tokenize(pattern);
    let text: Vec<char> = text.chars().collect();
    // `reachable[n]` is true if the tokens so far match the first n characters.
    let mut reachable = vec![false; text.len() + 1];
    if let Some(start) = reachable.first_mut() {
        *start = true;
    }
    for token in tokens {
        let mut next = vec![false; reachable.len()];
        let mut spreads = false;
        for (n, is_reachable) in reachable.iter().enumerate() {
            match token {
                Token::Literal(expected) => {
                    if let (true, Some(found), Some(slot)) = (*is_reachable, text.get(n), next.get_mut(n + 1)) {
                        *slot = *found == expected;
                    }
                }
                Token::Segment | Token::Everything => {
                    spreads = spreads || *is_reachable;
                    if let Some(slot) = next.get_mut(n) {
                        *slot = spreads;
                    }
                    let ends = token == Token::Segment && text.get(n).is_some_and(|c| SEPARATORS.contains(c));
                    spreads = spreads && !ends;
                }
            }
        }
        reachable = next;
    }
    reachable.last() == Some(&true)
}

/// The characters that `*` does not match.
const SEPARATORS: [char; 2] = ['/', ':'];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    Segment,
    Everything,
}

fn tokenize(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for character in pattern.chars() {
        match (character, tokens.last()) {
            ('*', Some(Token::Segment | Token::Everything)) => {
                tokens.pop();
                tokens.push(Token::Everything);
            }
            ('*', _) => tokens.push(Token::Segment),
            (other, _) => tokens.push(Token::Literal(other)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn an_asterisk_stays_within_its_segment_and_two_do_not() {
        for (pattern, text, expected) in [
            ("refs/heads/*", "refs/heads/main", true),
            ("refs/heads/*", "refs/heads/", true),
            ("refs/heads/*", "refs/heads/release/1", false),
            ("refs/heads/**", "refs/heads/release/1", true),
            ("refs/heads/*/1", "refs/heads/release/1", true),
            ("refs/heads/*", "refs/heads", false),
            ("refs/heads/*", "xrefs/heads/main", false),
            ("refs/heads/*", "REFS/heads/main", false),
            ("repo:octo/*:ref:refs/heads/main", "repo:octo/app:ref:refs/heads/main", true),
            ("repo:octo/*:ref:refs/heads/main", "repo:octo/a:environment:x:ref:refs/heads/main", false),
            ("repo:octo/*:ref:refs/heads/main", "repo:octo/a:ref:refs/heads/main:x", false),
            ("v*.*", "v1.20", true),
            ("v*.*", "v1", false),
            ("*-prod", "a-prod-prod", true),
            ("**prod", "a/b:c-prod", true),
            ("a***b", "a/x/b", true),
            ("a*", "", false),
            ("ab", "ab", true),
            ("a.c", "abc", false),
            ("a?c", "abc", false),
            ("[a-z]*", "b", false),
            ("é*", "été", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_asterisks_take_little_time() {
        let pattern = "*a".repeat(127);
        let text = "a".repeat(20_000);
        assert!(!matches(&pattern, &format!("{text}b")));
        assert!(matches(&pattern, &text));
    }
}
