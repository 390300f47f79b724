//! The guarded HTTP client: which addresses it connects to, and what it does with slow receivers.

use std::{net::IpAddr, time::Duration};

use tokenward::outbound::{AddressPolicy, Lookup, OutboundClient, OutboundError, OutboundRequest};

use crate::support::receiver::{Reaction, Receiver};

const TIMEOUT: Duration = Duration::from_secs(30);

fn client(allow_private: bool, addresses: &[&str], timeout: Duration) -> OutboundClient {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let lookup = Lookup::from_fn(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    OutboundClient::new(AddressPolicy { allow_private }, lookup, timeout).unwrap()
}

async fn post(client: &OutboundClient, url: &str) -> Result<u16, OutboundError> {
    let url = client.parse_url(url).unwrap();
    let request = OutboundRequest { url, headers: Vec::new(), body: "{}".to_owned() };
    client.post_json(request).await.map(|status| status.as_u16())
}

#[tokio::test]
async fn a_name_with_forbidden_and_allowed_addresses_is_connected_to_at_the_allowed_ones() {
    let mut receiver = Receiver::start().await;
    let url = format!("http://hooks.example.com:{}/", receiver.address.port());
    let mixed = client(true, &["169.254.169.254", "127.0.0.1", "fe80::1"], TIMEOUT);
    assert_eq!(post(&mixed, &url).await, Ok(204));
    assert_eq!(receiver.received().len(), 1);
    for forbidden in [&["127.0.0.1"][..], &["::ffff:127.0.0.1", "127.0.0.1", "::1"], &["64:ff9b::7f00:1"]] {
        assert_eq!(post(&client(false, forbidden, TIMEOUT), &url).await, Err(OutboundError::AddressNotAllowed));
    }
    assert_eq!(post(&client(true, &[], TIMEOUT), &url).await, Err(OutboundError::NameNotResolved));
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn each_connection_is_checked_again() {
    let mut receiver = Receiver::start().await;
    let answers = std::sync::Mutex::new(vec!["169.254.169.254", "127.0.0.1"]);
    let lookup = Lookup::from_fn(move |_| {
        let address: IpAddr = answers.lock().unwrap().pop().unwrap().parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    });
    let client = OutboundClient::new(AddressPolicy { allow_private: true }, lookup, TIMEOUT).unwrap();
    let url = format!("http://hooks.example.com:{}/", receiver.address.port());
    assert_eq!(post(&client, &url).await, Ok(204));
    assert_eq!(post(&client, &url).await, Err(OutboundError::AddressNotAllowed));
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_url_of_a_laxer_policy_is_checked_before_the_connection() {
    let mut receiver = Receiver::start().await;
    let url = client(true, &[], TIMEOUT).parse_url(&receiver.url()).unwrap();
    let request = OutboundRequest { url, headers: Vec::new(), body: String::new() };
    let strict = client(false, &[], TIMEOUT);
    assert_eq!(strict.post_json(request).await, Err(OutboundError::AddressNotAllowed));
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn slow_and_closed_receivers_are_failures() {
    let receiver = Receiver::start().await;
    receiver.react(Reaction::Hang);
    let client = client(true, &["127.0.0.1"], Duration::from_millis(200));
    assert_eq!(post(&client, &receiver.url()).await, Err(OutboundError::TimedOut));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(post(&client, &format!("http://{closed}/")).await, Err(OutboundError::ConnectionFailed));
}
