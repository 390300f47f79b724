//! The README's commands, pasted one after another into a shell, do what it prints.

use std::process::Command;

use crate::support::{Database, Engine, PASSWORD, binary::Running};

on_both_databases!(the_commands_of_the_readme_do_what_it_prints);

async fn the_commands_of_the_readme_do_what_it_prints(engine: Engine) {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("## One curl per thing").nth(1).unwrap().split("\n## ").next().unwrap();
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    let script = commands(section)
        .replace("PASSWORD='ANRxKbs7evfXDNeyv33MbgLp'", &format!("PASSWORD='{PASSWORD}'"))
        .replace("URL=http://127.0.0.1:3005", &format!("URL={}", running.url))
        .replace("admin@localhost", "admin@example.com");
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = skeleton(&String::from_utf8(output.stdout).unwrap());
    // Each answer that the README prints is among those that came, in its order.
    let mut rest = seen.as_str();
    let answers = answers(section);
    for answer in answers.iter().map(|answer| skeleton(answer)) {
        let (_, behind) = rest.split_once(&answer).unwrap_or_else(|| panic!("{answer} is not in {rest}"));
        rest = behind;
    }
    assert!(answers.len() > 5);
}

/// The blocks of commands, one after another.
fn commands(text: &str) -> String {
    blocks(text).filter_map(|block| block.strip_prefix("sh\n")).collect()
}

/// The lines of the blocks that show answers.
fn answers(text: &str) -> Vec<String> {
    let shown = blocks(text).filter_map(|block| block.strip_prefix("json\n").or_else(|| block.strip_prefix("text\n")));
    shown.flat_map(str::lines).map(str::to_owned).collect()
}

fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").skip(1).step_by(2)
}

/// A text without what differs from run to run: values, ids, times, the address.
fn skeleton(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || "-_:.".contains(c) {
            word.push(c);
            continue;
        }
        let varies = word.len() > 9 && word.bytes().any(|b| b.is_ascii_digit());
        out.push_str(if varies { "*" } else { &word });
        word.clear();
        out.push(c);
    }
    out.replace("admin@localhost", "admin@example.com").trim().to_owned()
}
