use tokio::io::duplex;

use super::*;

fn server() -> ServerUrl {
    ServerUrl::parse("ldap://dc1.example.org").unwrap()
}

/// Runs `StartTLS` against a server that sends `answer` and closes the connection.
async fn start_tls_with(answer: &[u8]) -> Result<(), DirectoryError> {
    let (mut ours, mut theirs) = duplex(1 << 20);
    theirs.write_all(answer).await.unwrap();
    let mut request = [0; START_TLS.len()];
    let url = server();
    let (started, read) = tokio::join!(start_tls(&mut ours, &url), async {
        let read = theirs.read_exact(&mut request).await;
        drop(theirs);
        read
    });
    read.unwrap();
    assert_eq!(&request, START_TLS);
    started
}

fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..levels {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        bytes = [&[0x30, 0x84], &length[..], &bytes].concat();
    }
    bytes
}

const SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

#[tokio::test]
async fn start_tls_succeeds_with_one_response() {
    start_tls_with(SUCCESS).await.unwrap();
    // Active Directory: lengths of four bytes, and the name of the operation.
    let long = b"\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x16\
        1.3.6.1.4.1.1466.20037";
    start_tls_with(long).await.unwrap();
}

#[tokio::test]
async fn a_rejected_start_tls_is_reported_with_the_result_code() {
    let error = start_tls_with(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00").await.unwrap_err();
    assert!(matches!(error, DirectoryError::StartTlsRejected { code: 52, .. }), "{error}");
    assert!(error.to_string().contains("use ldaps://"), "{error}");
}

#[tokio::test]
async fn bytes_after_the_response_to_start_tls_are_an_error() {
    let error = start_tls_with(&[SUCCESS, b"\x30"].concat()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::InvalidAnswer(InvalidAnswer::AfterStartTls)), "{error}");
}

#[tokio::test]
async fn a_deeply_nested_response_to_start_tls_is_an_error() {
    for levels in [13, 10_000] {
        let error = start_tls_with(&nested(levels)).await.unwrap_err();
        let expected = InvalidAnswer::Pdu(PduError::TooDeep);
        assert!(matches!(&error, DirectoryError::InvalidAnswer(found) if *found == expected), "{error}");
    }
}

#[tokio::test]
async fn other_messages_are_not_a_response_to_start_tls() {
    for answer in [
        // Another message ID, a bind response, a negative result code, nothing in the message.
        &b"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00"[..],
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\xff\x04\x00\x04\x00",
        b"\x30\x00",
    ] {
        let error = start_tls_with(answer).await.unwrap_err();
        assert!(matches!(error, DirectoryError::InvalidAnswer(InvalidAnswer::NotStartTls)), "{error}");
    }
}

#[tokio::test]
async fn a_missing_response_to_start_tls_is_an_error() {
    let closed = start_tls_with(b"").await.unwrap_err();
    assert!(matches!(closed, DirectoryError::Unreachable { .. }), "{closed}");
    let truncated = start_tls_with(&SUCCESS[..5]).await.unwrap_err();
    assert!(matches!(truncated, DirectoryError::InvalidAnswer(InvalidAnswer::Pdu(PduError::Truncated))), "{truncated}");
}
