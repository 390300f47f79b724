//! The commands of the tutorial, run one after another in a shell, print what the tutorial shows.

use rstest::rstest;
use rstest_reuse::apply;
use std::process::Command;

use crate::support::{Database, Engine, PASSWORD, binary::ServerProcess, both_databases_multi_thread};

#[apply(both_databases_multi_thread)]
async fn the_commands_of_the_tutorial_print_what_it_shows(engine: Engine) {
    let tutorial = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tutorial.md")).unwrap();
    let section = tutorial.split("## Work with tokens").nth(1).unwrap().split("\n## ").next().unwrap();
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let script = command_blocks(section)
        .replace("PASSWORD='ANRxKbs7evfXDNeyv33MbgLp'", &format!("PASSWORD='{PASSWORD}'"))
        .replace("URL=http://127.0.0.1:3005", &format!("URL={}", running.url))
        .replace("admin@localhost", "admin@example.com");
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = normalize(&String::from_utf8(output.stdout).unwrap());
    // The output contains each line that the tutorial shows, in the same order.
    let mut rest = printed.as_str();
    let expected = output_lines(section);
    for line in expected.iter().map(|line| normalize(line)) {
        let (_, after) = rest.split_once(&line).unwrap_or_else(|| panic!("{line} is not in {rest}"));
        rest = after;
    }
    assert!(expected.len() > 5);
}

/// Returns the commands of all `sh` blocks.
pub fn command_blocks(text: &str) -> String {
    code_blocks(text).filter_map(|block| block.strip_prefix("sh\n")).collect()
}

/// Returns the lines of the blocks that show output.
fn output_lines(text: &str) -> Vec<String> {
    let shown =
        code_blocks(text).filter_map(|block| block.strip_prefix("json\n").or_else(|| block.strip_prefix("text\n")));
    shown.flat_map(str::lines).map(str::to_owned).collect()
}

fn code_blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").skip(1).step_by(2)
}

/// Replaces everything that differs between runs: values, IDs, times, and the address.
fn normalize(text: &str) -> String {
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
