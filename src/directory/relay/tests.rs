use tokio::io::{DuplexStream, duplex};

use super::*;

const MESSAGE: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

/// Starts a relay. Returns the server's end, the client's end, and the task.
fn start() -> (DuplexStream, UnixStream, tokio::task::JoinHandle<RelayEnd>) {
    let (server, theirs) = duplex(1 << 20);
    let (client, ours) = UnixStream::pair().unwrap();
    (server, client, tokio::spawn(relay(theirs, ours)))
}

#[tokio::test]
async fn messages_arrive_whole_however_they_are_sent() {
    let (mut server, mut client, _relay) = start();
    let mut received = vec![0; MESSAGE.len()];
    for byte in MESSAGE {
        server.write_all(&[*byte]).await.unwrap();
    }
    client.read_exact(&mut received).await.unwrap();
    assert_eq!(received, MESSAGE);
    server.write_all(&MESSAGE.repeat(1_000)).await.unwrap();
    let mut received = vec![0; MESSAGE.len() * 1_000];
    client.read_exact(&mut received).await.unwrap();
    assert_eq!(received, MESSAGE.repeat(1_000));
}

#[tokio::test]
async fn requests_reach_the_server() {
    let (mut server, mut client, relay) = start();
    client.write_all(b"request").await.unwrap();
    let mut received = [0; 7];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"request");
    drop(client);
    assert!(matches!(relay.await.unwrap(), RelayEnd::Closed(_)));
    assert_eq!(server.read(&mut received).await.unwrap(), 0);
}

#[tokio::test]
async fn an_invalid_message_ends_the_connection_after_the_messages_before_it() {
    let (mut server, mut client, relay) = start();
    server.write_all(&[MESSAGE, b"\x30\x80\x00\x00"].concat()).await.unwrap();
    assert!(matches!(relay.await.unwrap(), RelayEnd::Invalid(PduError::IndefiniteLength)));
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, MESSAGE);
}

#[tokio::test]
async fn a_part_of_a_message_is_never_passed_on() {
    let (mut server, mut client, relay) = start();
    server.write_all(&MESSAGE[..10]).await.unwrap();
    drop(server);
    assert!(matches!(relay.await.unwrap(), RelayEnd::Invalid(PduError::Truncated)));
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert!(received.is_empty());
}
