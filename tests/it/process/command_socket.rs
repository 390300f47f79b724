//! The command socket beside a SQLite database: commands while the service runs, who may use the
//! socket, and clients that send something else or nothing.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::commands::{run_failing, run_ok};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    http_client,
    postgres::unprivileged_user,
};

const NEW_PASSWORD: &str = "another password altogether";

fn database_file(database: &Database) -> PathBuf {
    database.url.trim_start_matches("sqlite:").into()
}

fn socket_of(database: &Database) -> PathBuf {
    format!("{}.socket", database_file(database).display()).into()
}

fn json(url: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&run_ok(url, arguments, "")).unwrap()
}

/// Returns the status of a request with this password.
async fn sign_in(running: &ServerProcess, email: &str, password: &str) -> u16 {
    let request = http_client().get(format!("{}/v4/people/current", running.url));
    request.basic_auth(email, Some(password)).send().await.unwrap().status().as_u16()
}

async fn check_token(running: &ServerProcess, value: &str) -> u16 {
    let request = http_client().get(format!("{}/v4/auth", running.url));
    request.bearer_auth(value).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_change_people_and_workspaces_of_a_running_service() {
    let database = Database::empty(Engine::Sqlite).await;
    let (url, running) = (database.url.as_str(), ServerProcess::start(&database.url));
    let (password, new_password) = (format!("{PASSWORD} 1\n"), format!("{NEW_PASSWORD}\n"));
    let add = ["person", "add", "ada@example.com", "--admin", "--password-stdin"];
    assert_eq!(run_ok(url, &add, &password), "2\tada@example.com\n");
    assert_eq!(sign_in(&running, "ada@example.com", password.trim()).await, 200);
    run_ok(url, &["person", "set-password", "ADA@example.com", "--password-stdin"], &new_password);
    assert_eq!(sign_in(&running, "ada@example.com", password.trim()).await, 401);
    assert_eq!(sign_in(&running, "ada@example.com", NEW_PASSWORD).await, 200);
    run_ok(url, &["person", "disable", "ada@example.com"], "");
    assert_eq!(sign_in(&running, "ada@example.com", NEW_PASSWORD).await, 401);
    let list = run_ok(url, &["person", "list"], "");
    assert!(list.starts_with("id\temail\t") && list.contains("ada@example.com\t\tadministrator\tdisabled"), "{list}");
    assert_eq!(json(url, &["person", "show", "ada@example.com", "--json"])["state"], "disabled");
    let add = ["workspace", "add", "Lab", "--admin-email", "eve@example.com", "--password-stdin"];
    assert_eq!(run_ok(url, &add, &password), "2\tLab\teve@example.com\n");
    assert_eq!(json(url, &["workspace", "list", "--json"])[1]["name"], "Lab");
    run_ok(url, &["person", "remove", "ada@example.com"], "");

    // Failures are those of the same commands without a service.
    for (arguments, input, expected) in [
        (&["person", "show", "ada@example.com"][..], "", "tokenward: no person has the e-mail ada@example.com\n"),
        (&["person", "list", "--workspace", "7"], "", "tokenward: there is no workspace 7;"),
        (&["person", "add", "x@example.com", "--password-stdin"], "short\n", "tokenward: failed to add the person: "),
        (&["person", "add", "x@example.com"], "", "tokenward: standard input is not a terminal;"),
    ] {
        let stderr = run_failing(url, arguments, input, 1);
        assert!(stderr.starts_with(expected), "{arguments:?}: {stderr}");
    }
    assert!(run_failing(url, &["person", "nonsense"], "", 2).contains("unrecognized subcommand"));
    let events = run_ok(url, &["audit", "export"], "");
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let added = events.iter().find(|event| event["action"] == "person.added").expect("an event");
    assert_eq!(added["actor"], "operator", "{added}");
    let verified = run_ok(url, &["audit", "verify"], "");
    assert!(verified.starts_with("end 1:") && verified.contains("none altered or missing"), "{verified}");
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0));
    assert!(log.contains("\"command\":\"person set-password\"") && !log.contains(NEW_PASSWORD), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains("ada@example.com"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_deleted_by_a_command_is_rejected_at_once() {
    let database = Database::empty(Engine::Sqlite).await;
    let (url, running) = (database.url.as_str(), ServerProcess::start(&database.url));
    let create = ["token", "create", "admin@example.com", "--description", "CI", "--password-stdin"];
    let value = run_ok(url, &create, PASSWORD);
    let value = value.trim();
    // The second check is answered from the cache.
    assert_eq!((check_token(&running, value).await, check_token(&running, value).await), (200, 200));
    let listed = json(url, &["token", "list", "--json"]);
    assert_eq!((&listed[0]["description"], &listed[0]["status"]), (&"CI".into(), &"active".into()));
    let id = listed[0]["tokenId"].as_str().unwrap();
    run_ok(url, &["token", "delete", id], "");
    assert_eq!(check_token(&running, value).await, 401);
    assert!(run_failing(url, &["token", "delete", id], "", 1).contains("there is no token"));
    assert!(run_failing(url, &create, "not the password\n", 1).contains("e-mail or password is wrong"));
    // Disabling the owner revokes the cached tokens as well.
    run_ok(url, &["person", "add", "eve@example.com", "--admin", "--password-stdin"], PASSWORD);
    let value = run_ok(url, &["token", "create", "eve@example.com", "--password-stdin"], PASSWORD);
    assert_eq!(check_token(&running, value.trim()).await, 200);
    run_ok(url, &["person", "disable", "eve@example.com"], "");
    assert_eq!(check_token(&running, value.trim()).await, 401);
    assert!(!running.log().contains(value.trim()) && !running.log().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_accepts_its_own_user_and_root_only() {
    let database = Database::empty(Engine::Sqlite).await;
    let file = database_file(&database);
    let folder = file.parent().unwrap();
    let Some((uid, gid)) = unprivileged_user(folder) else { return };
    std::os::unix::fs::chown(folder, Some(uid), Some(gid)).unwrap();
    let mut serve = tokenward_command(&database.url);
    serve.uid(uid).gid(gid).current_dir("/");
    let running = ServerProcess::start_with(serve);
    let socket = socket_of(&database);
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    let run_as = |uid: u32| {
        let mut command = tokenward_command(&database.url);
        command.args(["person", "list"]).uid(uid).gid(uid).current_dir("/").stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run_as(uid), (Some(0), String::new()));
    assert_eq!(run_as(0), (Some(0), String::new()));
    let (code, stderr) = run_as(65_534);
    assert!(code == Some(1) && stderr.contains("permission denied"), "{stderr}");
    // Even if the file system lets the user connect, and read the owner of the database.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let (code, stderr) = run_as(65_534);
    let expected = format!("tokenward: uid 65534 may not use the command socket: run the command as uid {uid}");
    assert!(code == Some(1) && stderr.starts_with(&expected), "{stderr}");
    drop(running);

    // A client does not send a password to the socket of another user.
    let script = "import os, socket, sys, time\n\
                  os.unlink(sys.argv[1]); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n\
                  print(flush=True); connection, _ = s.accept(); print(len(connection.recv(9)), flush=True)";
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(&socket).uid(65_534).gid(65_534).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let mut stdout = std::io::BufReader::new(python.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut String::new()).unwrap();
    let set = ["person", "set-password", "admin@example.com", "--password-stdin"];
    let stderr = run_failing(&database.url, &set, NEW_PASSWORD, 1);
    assert!(stderr.contains("runs as uid 65534, but the database belongs to uid"), "{stderr}");
    let mut received = String::new();
    stdout.read_to_string(&mut received).unwrap();
    python.wait().unwrap();
    assert_eq!(received, "0\n", "bytes were sent to the impostor");
}

/// Sends bytes and returns the kind and the payload of the last frame of the response.
fn last_frame(mut stream: &UnixStream, bytes: &[u8]) -> (u8, String) {
    stream.write_all(bytes).unwrap();
    let (mut header, mut last) = ([0; 5], None);
    while stream.read_exact(&mut header).is_ok() {
        let length = u32::from_be_bytes(header[..4].try_into().unwrap());
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        last = Some((header[4], String::from_utf8(payload).unwrap()));
    }
    last.expect("a response")
}

fn request(arguments: &[&str], password: Option<&str>) -> Vec<u8> {
    let body = serde_json::json!({
        "version": "0", "arguments": arguments,
        "invocation": {"directory": "/", "is_terminal": false, "password": password},
    });
    let body = body.to_string().into_bytes();
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], &[1], &body].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_silent_clients_do_not_disturb_commands() {
    const FAILURE: u8 = 5;
    let database = Database::empty(Engine::Sqlite).await;
    let running = ServerProcess::start(&database.url);
    let connect = || UnixStream::connect(socket_of(&database)).unwrap();
    // Half-open connections occupy all slots but one, until their time is over.
    let mut silent: Vec<UnixStream> = (0..7).map(|_| connect()).collect();
    silent[0].write_all(&[0, 0]).unwrap();
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), "cannot read the request: unknown kind of frame"),
        ([&[0, 1, 0, 1, 1][..], &vec![b'x'; 65_537]].concat(), "cannot read the request: the frame is too long"),
        (vec![0xff; 5], "cannot read the request: unknown kind of frame"),
        (vec![0, 0, 0, 1, 1, b'{'], "the request is malformed"),
        (vec![0, 0, 0, 0, 4], "the first frame is not a request"),
        (vec![0, 0, 0, 2, 1, 0xc3, 0x28], "the request is malformed"),
        (request(&["person", "nonsense"], None), "rejected the command (version 0)"),
        (request(&["person", "add", "x@example.com"], None), "the command needs a password"),
        (request(&["serve"], None), "does not execute tokenward serve"),
        (request(&["migrate"], None), "does not execute tokenward migrate"),
        (request(&["config", "print"], None), "does not execute tokenward config print"),
        (request(&["--help"], None), "rejected the command"),
        (request(&[], None), "does not execute"),
    ] {
        let (kind, text) = last_frame(&connect(), &bytes);
        assert!(kind == FAILURE && text.contains(expected), "{expected}: {text}");
    }
    // A connection that is half closed before the request is complete.
    let stream = connect();
    (&stream).write_all(&[0, 0, 0, 9, 1, b'{']).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(last_frame(&stream, b"").1.contains("cannot read the request"));
    // A client that does not wait for the response: the command is executed.
    let add = ["person", "add", "ada@example.com", "--password-stdin"];
    connect().write_all(&request(&add, Some(NEW_PASSWORD))).unwrap();
    while !running.log().contains("\"command\":\"person add\"") {
        tokio::task::yield_now().await;
    }
    // Commands wait until the silent clients have lost their slots.
    silent.push(connect());
    let commands = (0..4).map(|_| {
        let url = database.url.clone();
        std::thread::spawn(move || run_ok(&url, &["person", "list"], ""))
    });
    for command in commands.collect::<Vec<_>>() {
        assert!(command.join().unwrap().contains("ada@example.com"));
    }
    let mut rest = Vec::new();
    silent[1].read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"the request did not arrive in time"), "{}", String::from_utf8_lossy(&rest));
    drop(silent);
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert!(code == Some(0) && !log.contains("panicked") && !log.contains(NEW_PASSWORD), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_replaced_after_a_kill_and_removed_at_a_clean_stop() {
    let database = Database::empty(Engine::Sqlite).await;
    let (url, socket) = (database.url.as_str(), socket_of(&database));
    // Dropping the value kills the process.
    drop(ServerProcess::start(url));
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket(), "the socket of a killed process remains");
    assert!(run_ok(url, &["person", "list"], "").contains("admin@example.com"));
    let running = ServerProcess::start(url);
    assert!(run_ok(url, &["person", "list"], "").contains("admin@example.com"));
    // A link to the database leads to the same socket.
    let link = database_file(&database).with_file_name("link.db");
    std::os::unix::fs::symlink(database_file(&database), &link).unwrap();
    assert!(run_ok(&format!("sqlite:{}", link.display()), &["person", "list"], "").contains("admin@example.com"));
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    assert!(!socket.exists());
    fs::write(&socket, "notes").unwrap();
    let stderr = run_failing(url, &["serve", "--listen", "127.0.0.1:0"], "", 1);
    assert!(stderr.contains("is not a socket: move it away"), "{stderr}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "notes");
    assert!(run_ok(url, &["person", "list"], "").contains("admin@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_too_long_for_a_socket_is_no_reason_not_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x".repeat(100 - folder.path().as_os_str().as_bytes().len())).join("tokenward.db");
    fs::create_dir(file.parent().unwrap()).unwrap();
    let url = format!("sqlite:{}", file.display());
    let running = ServerProcess::start(&url);
    let log = running.log();
    assert!(log.contains("no command socket") && log.contains("the maximum is 107"), "{log}");
    let run = |arguments: &[&str]| {
        let mut command = tokenward_command(&url);
        command.args(arguments).env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "100ms");
        command.env("TOKENWARD_LISTEN__HTTP", running.url.trim_start_matches("http://"));
        run_with_stdin(command, "")
    };
    let output = run(&["person", "list"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("accepts no commands at"), "{stderr}");
    let output = run(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && status["service"] == "ready", "{status}");
    assert!(!Path::new(&format!("{}.socket", file.display())).exists());
}
