//! Password input from the terminal or standard input. Passwords are never arguments, which other
//! users of the machine can read.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

/// Reads a new password: the first line of standard input with `--password-stdin`, otherwise twice
/// from the terminal.
pub(super) fn read_new_password(from_stdin: bool) -> anyhow::Result<Zeroizing<String>> {
    if from_stdin {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line).context("failed to read the password from standard input")?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if !std::io::stdin().is_terminal() {
        bail!("standard input is not a terminal; pass the password on standard input with --password-stdin");
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    let second = Zeroizing::new(rpassword::prompt_password("Repeat password: ")?);
    if *first != *second {
        bail!("the passwords do not match");
    }
    Ok(first)
}
