//! A database role without any privilege but CONNECT. It receives the messages of the nodes and
//! forges messages.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use sqlx::{Connection as _, PgConnection, postgres::PgListener};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The channel of messages to all nodes.
pub const CHANNEL: &str = "tokenward";

/// The messages that the role has received.
#[derive(Debug, Default)]
pub struct Received {
    pub messages: Vec<String>,
    pub nodes: BTreeSet<String>,
    pub callers: BTreeSet<String>,
    /// The number of pings that the role has acknowledged in the name of all nodes.
    pub forged_acks: usize,
}

/// A connected role. It listens until it is dropped.
pub struct UnprivilegedRole {
    pub received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
}

/// Sends one notification.
pub async fn notify(connection: &mut PgConnection, channel: &str, line: &str) {
    sqlx::query("select pg_notify($1, $2)::text").bind(channel).bind(line).execute(connection).await.unwrap();
}

/// Returns the channel of messages to one node.
fn reply_channel(caller: &str) -> String {
    format!("{CHANNEL}-{}", caller.replace('-', ""))
}

impl UnprivilegedRole {
    /// Connects and listens to all channels. With `forges_acks`, also forges acknowledgements and
    /// replays messages of nodes.
    pub async fn connect(url: &str, forges_acks: bool) -> Self {
        let mut listener = PgListener::connect(url).await.unwrap();
        listener.listen(CHANNEL).await.unwrap();
        let sender = PgConnection::connect(url).await.unwrap();
        let received = Arc::<Mutex<Received>>::default();
        let task = tokio::spawn(run(listener, sender, Arc::clone(&received), forges_acks));
        Self { received, task }
    }

    pub fn forged_acks(&self) -> usize {
        self.received.lock().unwrap().forged_acks
    }

    pub fn messages(&self) -> Vec<String> {
        self.received.lock().unwrap().messages.clone()
    }
}

impl Drop for UnprivilegedRole {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut listener: PgListener, mut sender: PgConnection, received: Arc<Mutex<Received>>, forges_acks: bool) {
    while let Ok(notification) = listener.recv().await {
        let line = notification.payload().to_owned();
        let fields: Vec<&str> = line.split(' ').collect();
        let (is_new, forged) = {
            let mut received = received.lock().unwrap();
            received.messages.push(line.clone());
            match fields.as_slice() {
                ["lease", node, ..] => {
                    received.nodes.insert((*node).to_owned());
                    (None, Vec::new())
                }
                ["ping", caller, number, ..] => {
                    let is_new = received.callers.insert((*caller).to_owned()).then(|| reply_channel(caller));
                    let forged = if forges_acks { forge_acks(&mut received, caller, number) } else { Vec::new() };
                    (is_new, forged)
                }
                _ => (None, Vec::new()),
            }
        };
        if let Some(channel) = is_new {
            // Acknowledgements are received from now on, and can be replayed.
            listener.listen(&channel).await.unwrap();
        }
        for (channel, line) in forged {
            notify(&mut sender, &channel, &line).await;
        }
    }
}

/// Forges messages that should make the sender of a ping believe that all nodes have acknowledged
/// it.
fn forge_acks(received: &mut Received, caller: &str, number: &str) -> Vec<(String, String)> {
    let reply_channel = reply_channel(caller);
    let auth_code = "0123456789abcdef".repeat(4);
    let mut forged = Vec::new();
    for node in &received.nodes {
        forged.push((reply_channel.clone(), format!("ack {caller} {number} {node}")));
        forged.push((reply_channel.clone(), format!("ack {caller} {number} {node} {auth_code}")));
        // The acknowledgement of an earlier ping, with its authentication code.
        let replayed =
            received.messages.iter().rev().find(|line| line.starts_with("ack ") && line.contains(node.as_str()));
        if let Some(replayed) = replayed {
            let auth_code = replayed.rsplit(' ').next().unwrap();
            forged.push((reply_channel.clone(), format!("ack {caller} {number} {node} {auth_code}")));
            forged.push((reply_channel.clone(), replayed.clone()));
        }
        forged.push((CHANNEL.to_owned(), format!("leave {node}")));
        forged.push((CHANNEL.to_owned(), format!("leave {node} {auth_code}")));
        forged.push((CHANNEL.to_owned(), format!("lease {node} 1 4000000000000")));
        forged.push((CHANNEL.to_owned(), format!("lease {node} 99999999 2000 {auth_code}")));
    }
    let replayed =
        received.messages.iter().rev().filter(|line| line.starts_with("leave ") || line.starts_with("lease "));
    forged.extend(replayed.take(5).map(|line| (CHANNEL.to_owned(), line.clone())));
    received.forged_acks += 1;
    forged
}

/// Returns forged messages of every kind.
pub fn forged_messages() -> Vec<String> {
    let (node, auth_code) = (Uuid::from_u128(7), "ab".repeat(32));
    let unsigned = [
        "everything".to_owned(),
        "everything 5".to_owned(),
        "person 1".to_owned(),
        "workspace 1 99999999".to_owned(),
        format!("token {}", "00".repeat(32)),
        format!("lease {node} 1 4000000000000"),
        format!("lease {node} 18446744073709551615 2000"),
        format!("ping {node} 1"),
        format!("ping {node} 18446744073709551615"),
        format!("ack {node} 1 {node}"),
        format!("leave {node}"),
        "settings 1".to_owned(),
        "\u{1F512}".repeat(16),
    ];
    let signed = unsigned.clone().map(|line| format!("{line} {auth_code}"));
    let malformed = [
        "".to_owned(),
        " ".repeat(99),
        "x".repeat(7_999),
        format!("everything {}", auth_code.repeat(120)),
        auth_code.clone(),
    ];
    unsigned.into_iter().chain(signed).chain(malformed).collect()
}
