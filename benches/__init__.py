"""Load measurements of Tokenward. Run them with scripts/bench."""
