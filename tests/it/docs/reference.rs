//! Pages of the reference: generated ones are up to date, and the others name what the program has.
//!
//! `UPDATE_DOCS=1` writes the generated pages instead of comparing them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::support::binary::tokenward_command;

use super::{code_spans, commands, root, split, texts};

const CONFIGURATION: &str = "\
# Configuration

<!-- Generated from config/default.toml by a test: UPDATE_DOCS=1 writes this page. -->

The service reads its configuration once, at startup. Later sources override earlier ones:

1. the defaults below
2. the file of `--config FILE`, in TOML
3. `DATABASE_URL`, which sets `database.url`
4. environment variables named `TOKENWARD_SECTION__KEY`, and `TOKENWARD_PUBLIC_URL`
5. `--database-url` and `--listen`

`tokenward config default` prints every key with its default. `tokenward config print` prints every key with its value in force and the source of
the value, without secrets. `tokenward config check` checks the configuration.

- An unknown key or an invalid value is an error that names its source, such as the line of the file, and what is accepted. Variables that Kubernetes sets for a service with this name are ignored.
- Durations are strings with a unit: `\"500ms\"`, `\"3s\"`, `\"30m\"`, `\"12h\"`, `\"90d\"`.
- In environment variables, lists are TOML arrays: `TOKENWARD_LISTEN__TRUSTED_PROXIES='[\"10.0.0.0/8\"]'`.
- `DATABASE_URL`, `TOKENWARD_SECTION__KEY` and the variables below can be given as a file: `DATABASE_URL_FILE=/run/secrets/url` names a file
  that contains the value. To set a variable and its file is an error.
- A file with a secret must not be accessible to all users of the machine, or the service does not start.

These environment variables have no key:

| Variable | Meaning |
| --- | --- |
| `TOKENWARD_ADMIN_EMAIL` | e-mail of the first administrator, read at the first start only; default `admin@localhost` |
| `TOKENWARD_ADMIN_PASSWORD` | password of the first administrator, read at the first start only; a random one if unset |
| `NO_COLOR` | no colors in the log on a terminal |

`RUST_LOG` filters the log. Its default is `info`.

## Top level
";

const COMMAND_LINE: &str = "\
# Command line

<!-- Generated from the program's help by a test: UPDATE_DOCS=1 writes this page. -->

| Exit code | Meaning |
| --- | --- |
| 0 | success, or a clean stop |
| 1 | failure; cause and remedy are on standard error |
| 2 | invalid command line |

| Signal | Effect on `tokenward serve` |
| --- | --- |
| SIGTERM, SIGINT | clean stop; a second signal ends the process at once |
| SIGHUP | clean stop on a terminal, otherwise ignored |
| SIGUSR1 | writes a backup of a SQLite database |

`--config` and `--database-url` may stand before or after the command. Commands that list rows print aligned columns on a terminal, columns separated
by tabs elsewhere, and JSON with `--json`. Times are in UTC.

While the service runs on SQLite, it executes `person`, `token`, `workspace`, `sso`, `audit`, `backup` and `status` itself, through its
[command socket](../how-to/sqlite.md#run-commands-while-the-service-runs). `sso test` runs without it, with the configuration as it is now.
`migrate` and `clock` need the service stopped.
";

#[test]
fn the_configuration_page_is_up_to_date() {
    let file = std::fs::read_to_string(root().join("config/default.toml")).unwrap();
    check_page("configuration.md", &configuration(&file));
}

#[test]
fn the_command_line_page_is_up_to_date() {
    let mut page = COMMAND_LINE.to_owned();
    for command in commands() {
        let mut title = command.path;
        title.insert(0, "tokenward".to_owned());
        write!(page, "\n## `{}`\n\n```text\n", title.join(" ")).unwrap();
        for line in command.help.trim().lines() {
            writeln!(page, "{}", line.trim_end()).unwrap();
        }
        page.push_str("```\n");
    }
    check_page("cli.md", &page);
}

/// Compares a generated page with the file, or writes the file.
fn check_page(name: &str, expected: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return;
    }
    let same = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(end of file)").to_owned();
    panic!(
        "docs/reference/{name} is out of date; UPDATE_DOCS=1 writes it. Line {}:\n{}\ninstead of\n{}",
        same + 1,
        line(&found),
        line(expected)
    );
}

/// Renders the default configuration as a page: a heading for each section and each key, with the comment above it as text.
fn configuration(file: &str) -> String {
    let mut page = CONFIGURATION.to_owned();
    let mut section = String::new();
    let mut comment = String::new();
    for line in file.lines() {
        let content = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            write!(page, "\n## `[{name}]`\n").unwrap();
            if !comment.is_empty() {
                write!(page, "\n{comment}").unwrap();
            }
            section = format!("{name}.");
            comment.clear();
        } else if let Some((key, value)) = entry(content) {
            let variable = format!("TOKENWARD_{section}{key}").to_uppercase().replace('.', "__");
            write!(page, "\n### `{section}{key}`\n\n{comment}\n").unwrap();
            if line.starts_with('#') {
                writeln!(page, "- Default: unset. Example: `{value}`").unwrap();
            } else {
                writeln!(page, "- Default: `{value}`").unwrap();
            }
            writeln!(page, "- Environment variable: `{variable}`").unwrap();
            comment.clear();
        } else if line.is_empty() {
            comment.clear();
        } else {
            comment.push_str(content);
            comment.push('\n');
        }
    }
    page
}

/// Splits `key = value`.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_key.then_some((key, value))
}

#[test]
fn every_operation_is_documented() {
    let output = tokenward_command("sqlite:x").arg("openapi").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                operations.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let page = page("api.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let documented: BTreeSet<String> = headings.map(str::to_owned).collect();
    assert_eq!(documented, operations);
}

#[test]
fn every_documented_error_is_in_the_code() {
    let sources = sources();
    let page = page("api.md");
    let rows = rows(&page, "### Status codes and exception names");
    assert!(rows.len() > 10);
    for row in rows {
        let name = code_spans(&row[1]).next().unwrap();
        assert!(is_literal(&sources, name), "no source file has the exception name {name}");
        assert!(is_literal(&sources, &row[2]), "no source file has the message {:?}", row[2]);
    }
}

#[test]
fn every_documented_metric_is_in_the_code() {
    let sources = sources();
    let page = page("metrics.md");
    let metrics =
        first_cells(&page).into_iter().filter(|name| name.starts_with("tokenward_") || name.starts_with("process_"));
    let metrics: BTreeSet<String> = metrics.collect();
    assert!(metrics.len() > 10);
    for metric in metrics {
        // The registry adds the prefix, and the encoder adds unit and suffix.
        let mut name = metric.strip_prefix("tokenward_").unwrap_or(&metric);
        let mut is_known = is_literal(&sources, &metric) || is_literal(&sources, name);
        for suffix in ["_total", "_seconds", "_bytes"] {
            name = name.strip_suffix(suffix).unwrap_or(name);
            is_known |= is_literal(&sources, name);
        }
        assert!(is_known, "no source file has the metric {metric}");
    }
}

#[test]
fn every_event_is_documented() {
    let source = std::fs::read_to_string(root().join("src/domain/event.rs")).unwrap();
    // Lines such as: TokenCreated = "token.created", Success;
    let lines = source.lines().filter(|line| line.trim_end().ends_with(';'));
    let names = lines.filter_map(|line| line.split_once(" = \"")?.1.split_once("\", ").map(|(name, _)| name));
    let actions: BTreeSet<String> = names.filter(|name| name.contains('.')).map(str::to_owned).collect();
    let page = page("events.md");
    let documented: BTreeSet<String> =
        rows(&page, "## Actions").iter().filter_map(|row| code_spans(&row[0]).next()).map(str::to_owned).collect();
    assert!(actions.len() > 10);
    assert_eq!(documented, actions);
}

#[test]
fn every_parameter_of_a_database_url_is_documented() {
    let files = texts("src/store");
    let source = files.iter().find_map(|(_, text)| text.split_once("PARAMETERS: &[(&str,")).unwrap().1;
    let table = source.split_once("= &[").unwrap().1.split_once("\n];").unwrap().0;
    // Entries are ("name", Treatment) or ("name", Treatment(..)), on one line or several.
    let table = table.split_whitespace().collect::<Vec<_>>().join(" ").replace("( \"", "(\"");
    let entries = table.split("(\"").skip(1).filter_map(|entry| entry.split_once("\", "));
    let mut treatments: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, rest) in entries {
        let treatment: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-'));
        if is_name && !treatment.is_empty() {
            treatments.entry(treatment).or_default().insert(name.to_owned());
        }
    }
    let page = page("database-url.md");
    let mut documented = Vec::new();
    for heading in ["Used", "Ignored", "Restricted", "Rejected"] {
        let rows = rows(&page, &format!("### {heading} parameters"));
        let names = rows.iter().flat_map(|row| code_spans(&row[0])).map(str::to_owned);
        documented.push(names.collect::<BTreeSet<String>>());
    }
    let mut expected: Vec<BTreeSet<String>> = treatments.into_values().collect();
    documented.sort();
    expected.sort();
    assert_eq!(documented, expected);
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs/reference").join(name)).unwrap()
}

/// Returns all source text of the service.
fn sources() -> String {
    let texts =
        texts("src").into_iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "rs"));
    texts.map(|(_, text)| text).collect()
}

fn is_literal(sources: &str, text: &str) -> bool {
    sources.contains(&format!("\"{text}\""))
}

/// Returns the cells of the first table after a heading, without its head.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split_once(&format!("{heading}\n")).unwrap().1;
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    lines.take_while(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// Returns the code in the first cells of all tables.
fn first_cells(page: &str) -> Vec<String> {
    let lines = split(page).1.into_iter().map(|(_, line)| line).filter(|line| line.starts_with('|'));
    lines.filter_map(|line| code_spans(&cells(line)[0]).next().map(str::to_owned)).collect()
}
