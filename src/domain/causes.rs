//! The text of an error with its causes.

use std::{error::Error, fmt};

/// Displays an error and its causes, separated by colons. A cause is left out if the text already
/// contains it, because many libraries repeat the text of their source.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            let cause = error.to_string();
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
            source = error.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store")]
    struct Outer(#[source] Repeating);

    #[derive(Debug, thiserror::Error)]
    #[error("error communicating with the database: {0}")]
    struct Repeating(#[source] std::io::Error);

    #[test]
    fn a_repeated_cause_is_written_once() {
        let error = Outer(Repeating(std::io::Error::other("connection refused")));
        assert_eq!(
            Causes(&error).to_string(),
            "cannot open the store: error communicating with the database: connection refused"
        );
    }
}
