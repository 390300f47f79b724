//! Shell commands in the documentation.

use super::{Command, code_spans, commands, pages, split};

#[test]
fn shell_blocks_parse() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (file, text) in pages() {
        for fence in split(&text).0.into_iter().filter(|fence| fence.language == "sh") {
            count += 1;
            let output = std::process::Command::new("bash").args(["-n", "-c", &fence.text]).output().unwrap();
            if !output.status.success() {
                let message = String::from_utf8_lossy(&output.stderr).into_owned();
                wrong.push(format!("{}:{}: {message}", file.display(), fence.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 0, "no page has a shell block");
}

#[test]
fn every_documented_command_exists() {
    let commands = commands();
    let mut count = 0;
    let mut wrong = Vec::new();
    for (file, text) in pages() {
        for (line, used) in used(&text) {
            count += 1;
            if let Some(reason) = problem(&used, &commands) {
                wrong.push(format!("{}:{line}: tokenward {}: {reason}", file.display(), used.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 0, "no page uses a command");
}

/// Returns the uses of the program in a page, each as the words after its name, with their lines.
fn used(text: &str) -> Vec<(usize, Vec<String>)> {
    let (fences, others) = split(text);
    let mut found = Vec::new();
    for (line, content) in others {
        for span in code_spans(content) {
            found.extend(words_of(span).map(|words| (line, words)));
        }
    }
    for fence in fences {
        if !matches!(fence.language.as_str(), "sh" | "bash" | "console") {
            continue;
        }
        // A backslash at the end of a line joins it with the next one.
        let joined = fence.text.replace("\\\n", " ");
        for piece in joined.split(['\n', '|', ';', '&']) {
            found.extend(words_of(piece).map(|words| (fence.line, words)));
        }
    }
    found
}

/// Returns the words after the program's name, if a command begins with it.
fn words_of(command: &str) -> Option<Vec<String>> {
    let words =
        command.split_whitespace().skip_while(|word| matches!(*word, "$" | "sudo" | "exec") || is_assignment(word));
    let words = words.take_while(|word| !word.starts_with(['#', '>', '<']) && !word.starts_with("2>"));
    let mut words = words.map(str::to_owned);
    let program = words.next()?;
    (program == "tokenward" || program.ends_with("/tokenward")).then(|| words.collect())
}

fn is_assignment(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    word.contains('=') && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Returns what the program does not know of a command.
fn problem(words: &[String], commands: &[Command]) -> Option<String> {
    let find = |path: &[String]| commands.iter().find(|command| command.path == path);
    let mut path: Vec<String> = Vec::new();
    for word in words {
        // Options, values and placeholders are no names of commands.
        if !word.chars().all(|c| c.is_ascii_lowercase() || c == '-') || word.starts_with('-') {
            break;
        }
        let longer: Vec<String> = path.iter().chain([word]).cloned().collect();
        if find(&longer).is_some() {
            path = longer;
        } else if word == "help" {
            return None;
        } else if find(&path)?.help.contains("\nCommands:\n") {
            return Some(format!("there is no command {word}"));
        } else {
            break;
        }
    }
    let help = &find(&path)?.help;
    let mut options = words.iter().filter_map(|word| word.split('=').next()).filter(|word| word.starts_with("--"));
    let is_known = |option: &str| {
        help.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|known| known == option)
            || option == "--version"
            || option == "--"
    };
    options.find(|option| !is_known(option)).map(|option| format!("there is no option {option}"))
}
