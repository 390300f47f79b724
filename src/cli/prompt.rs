//! Password input from the terminal or standard input. Passwords are never arguments, which other
//! users of the machine can read.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail, ensure};
use zeroize::Zeroizing;

/// A password that the caller of a command entered.
pub(super) type Password = Zeroizing<String>;

/// Reads a new password: the first line of standard input with `--password-stdin`, otherwise twice
/// from the terminal.
pub(super) fn read_new_password(from_stdin: bool) -> anyhow::Result<Password> {
    let first = read_password(from_stdin, "Password: ")?;
    if from_stdin {
        return Ok(first);
    }
    let second = Zeroizing::new(rpassword::prompt_password("Repeat password: ")?);
    ensure!(*first == *second, "the passwords do not match");
    Ok(first)
}

/// Reads a password: the first line of standard input with `--password-stdin`, otherwise once from
/// the terminal.
pub(super) fn read_password(from_stdin: bool, prompt: &str) -> anyhow::Result<Password> {
    if from_stdin {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line).context("failed to read the password from standard input")?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if !std::io::stdin().is_terminal() {
        bail!("standard input is not a terminal; pass the password on standard input with --password-stdin");
    }
    Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
}
