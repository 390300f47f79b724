//! A server process that ends with the test that started it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::support::binary::{is_suspended, send_signal};

/// Runs the server `$3...` until `$2` succeeds, prints its process ID, and reads commands from
/// standard input: `start` and `stop`. When standard input closes, which happens however the test
/// ends, it kills the server and removes the folder `$1`.
const SUPERVISOR_SCRIPT: &str = r#"
set -u
dir=$1 probe=$2 pid=
shift 2
trap '' INT TERM
run() {
  "$@" >>"$dir/server.log" 2>&1 </dev/null &
  pid=$!
  until sh -c "$probe" >"$dir/probe.log" 2>&1; do
    kill -0 "$pid" 2>/dev/null || { pid=; echo exited; return; }
  done
  echo "$pid"
}
stop() {
  [ -n "$pid" ] || return
  kill -"$1" "$pid"
  kill -CONT "$pid"
  wait "$pid"
  pid=
} 2>/dev/null
run "$@"
while read -r command; do
  case $command in
    start) run "$@" ;;
    stop) stop TERM; echo stopped ;;
  esac
done
stop KILL
rm -rf "$dir"
"#;

/// A server that runs until this is dropped.
pub struct SupervisedServer {
    supervisor: Child,
    /// Standard input of the supervisor. The server is killed when it closes.
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    pid: u32,
}

impl SupervisedServer {
    /// Starts a server, and waits until the shell command `probe` succeeds. The server must stay in
    /// the foreground. The folder gets its output, and is removed at the end.
    pub fn start(folder: &Path, probe: &str, command: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISOR_SCRIPT, "sh"]).arg(folder).arg(probe).args(command).current_dir(folder);
        let mut supervisor = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = supervisor.stdin.take();
        let replies = BufReader::new(supervisor.stdout.take().unwrap());
        let mut server = Self { supervisor, commands, replies, pid: 0 };
        server.read_pid(folder);
        server
    }

    /// Stops the server and waits until it has exited. Its data stay.
    pub fn stop(&mut self) {
        assert_eq!(self.send_command("stop"), "stopped");
    }

    /// Starts the stopped server again and waits until it responds.
    pub fn start_again(&mut self, folder: &Path) {
        writeln!(self.commands.as_ref().unwrap(), "start").unwrap();
        self.read_pid(folder);
    }

    /// Suspends the server: the kernel accepts connections, but it does not respond.
    pub fn pause(&self) {
        send_signal(self.pid, "STOP");
        while !is_suspended(self.pid) {
            std::thread::yield_now();
        }
    }

    pub fn resume(&self) {
        send_signal(self.pid, "CONT");
    }

    fn send_command(&mut self, command: &str) -> String {
        writeln!(self.commands.as_ref().unwrap(), "{command}").unwrap();
        self.read_reply()
    }

    fn read_pid(&mut self, folder: &Path) {
        let reply = self.read_reply();
        let log = |name| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        self.pid = reply
            .parse()
            .unwrap_or_else(|_| panic!("the server did not start: {reply} {} {}", log("server.log"), log("probe.log")));
    }

    fn read_reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for SupervisedServer {
    fn drop(&mut self) {
        drop(self.commands.take());
        self.supervisor.wait().ok();
    }
}
