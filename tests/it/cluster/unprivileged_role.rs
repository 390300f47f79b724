//! A role of the server that owns nothing, was given nothing, and may connect: it listens, and speaks in the name of nodes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use sqlx::{Connection as _, PgConnection, postgres::PgListener};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Where all nodes are told something.
pub const CHANNEL: &str = "tokenward";

/// What a stranger heard until now.
#[derive(Debug, Default)]
pub struct Heard {
    pub lines: Vec<String>,
    pub nodes: BTreeSet<String>,
    pub callers: BTreeSet<String>,
    /// Calls that the stranger has answered in the name of all nodes.
    pub answered: usize,
}

/// Listens until it is dropped.
pub struct Stranger {
    pub heard: Arc<Mutex<Heard>>,
    listening: JoinHandle<()>,
}

/// Sends one notification.
pub async fn notify(connection: &mut PgConnection, channel: &str, line: &str) {
    sqlx::query("select pg_notify($1, $2)::text").bind(channel).bind(line).execute(connection).await.unwrap();
}

/// Where one process alone is told something.
fn channel_of(caller: &str) -> String {
    format!("{CHANNEL}-{}", caller.replace('-', ""))
}

impl Stranger {
    /// Listens to everything. One that answers also forges what nodes say, and repeats what they have said.
    pub async fn at(url: &str, answers: bool) -> Self {
        let mut listener = PgListener::connect(url).await.unwrap();
        listener.listen(CHANNEL).await.unwrap();
        let voice = PgConnection::connect(url).await.unwrap();
        let heard = Arc::<Mutex<Heard>>::default();
        let listening = tokio::spawn(listen(listener, voice, Arc::clone(&heard), answers));
        Self { heard, listening }
    }

    pub fn answered(&self) -> usize {
        self.heard.lock().unwrap().answered
    }

    pub fn lines(&self) -> Vec<String> {
        self.heard.lock().unwrap().lines.clone()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(mut listener: PgListener, mut voice: PgConnection, heard: Arc<Mutex<Heard>>, answers: bool) {
    while let Ok(notification) = listener.recv().await {
        let line = notification.payload().to_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let (is_new, forged) = {
            let mut heard = heard.lock().unwrap();
            heard.lines.push(line.clone());
            match words.as_slice() {
                ["lease", node, ..] => {
                    heard.nodes.insert((*node).to_owned());
                    (None, Vec::new())
                }
                ["call", caller, number, ..] => {
                    let is_new = heard.callers.insert((*caller).to_owned()).then(|| channel_of(caller));
                    let forged = if answers { forge(&mut heard, caller, number) } else { Vec::new() };
                    (is_new, forged)
                }
                _ => (None, Vec::new()),
            }
        };
        if let Some(channel) = is_new {
            // From here on also what nodes answer is heard, and can be repeated.
            listener.listen(&channel).await.unwrap();
        }
        for (channel, line) in forged {
            notify(&mut voice, &channel, &line).await;
        }
    }
}

/// What makes a caller believe that all nodes have heard it, if anything does.
fn forge(heard: &mut Heard, caller: &str, number: &str) -> Vec<(String, String)> {
    let own = channel_of(caller);
    let code = "0123456789abcdef".repeat(4);
    let mut forged = Vec::new();
    for node in &heard.nodes {
        forged.push((own.clone(), format!("heard {caller} {number} {node}")));
        forged.push((own.clone(), format!("heard {caller} {number} {node} {code}")));
        // What a node has said of an earlier call, with its code.
        let said = heard.lines.iter().rev().find(|line| line.starts_with("heard ") && line.contains(node.as_str()));
        if let Some(said) = said {
            let code = said.rsplit(' ').next().unwrap();
            forged.push((own.clone(), format!("heard {caller} {number} {node} {code}")));
            forged.push((own.clone(), said.clone()));
        }
        forged.push((CHANNEL.to_owned(), format!("left {node}")));
        forged.push((CHANNEL.to_owned(), format!("left {node} {code}")));
        forged.push((CHANNEL.to_owned(), format!("lease {node} 1 4000000000000")));
        forged.push((CHANNEL.to_owned(), format!("lease {node} 99999999 2000 {code}")));
    }
    let said = heard.lines.iter().rev().filter(|line| line.starts_with("left ") || line.starts_with("lease "));
    forged.extend(said.take(5).map(|line| (CHANNEL.to_owned(), line.clone())));
    heard.answered += 1;
    forged
}

/// Lines of every kind that nobody of ours has sent.
pub fn forgeries() -> Vec<String> {
    let (some, code) = (Uuid::from_u128(7), "ab".repeat(32));
    let plain = [
        "everything".to_owned(),
        "everything 5".to_owned(),
        "person 1".to_owned(),
        "workspace 1 99999999".to_owned(),
        format!("token {}", "00".repeat(32)),
        format!("lease {some} 1 4000000000000"),
        format!("lease {some} 18446744073709551615 2000"),
        format!("call {some} 1"),
        format!("call {some} 18446744073709551615"),
        format!("heard {some} 1 {some}"),
        format!("left {some}"),
        "settings 1".to_owned(),
        "\u{1F512}".repeat(16),
    ];
    let signed = plain.clone().map(|line| format!("{line} {code}"));
    let odd =
        ["".to_owned(), " ".repeat(99), "x".repeat(7_999), format!("everything {}", code.repeat(120)), code.clone()];
    plain.into_iter().chain(signed).chain(odd).collect()
}
