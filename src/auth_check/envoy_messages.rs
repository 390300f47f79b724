//! The messages of `envoy.service.auth.v3` that an auth check reads and writes.
//!
//! Fields that no check uses are left out: the decoder skips them, as it skips unknown ones. The
//! names and tags are Envoy's (`api/envoy/service/auth/v3/*.proto`).

use std::collections::HashMap;

use prost::{Enumeration, Message, Oneof};

/// A request to check.
#[derive(Clone, PartialEq, Message)]
pub struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// The facts about the request that Envoy reports.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// Texts that the operator sets in the filter.
    #[prost(map = "string, string", tag = "10")]
    pub context_extensions: HashMap<String, String>,
}

/// One end of the client's connection.
#[derive(Clone, PartialEq, Message)]
pub struct Peer {
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// An address of any kind. Only IP sockets are read.
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// An IP address.
#[derive(Clone, PartialEq, Message)]
pub struct SocketAddress {
    #[prost(string, tag = "2")]
    pub address: String,
}

/// A request of any protocol.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// An HTTP request. Its header fields are in one of the two encodings.
#[derive(Clone, PartialEq, Message)]
pub struct HttpRequest {
    /// Names in lower case with values; several values of a name are joined with commas.
    #[prost(map = "string, string", tag = "3")]
    pub headers: HashMap<String, String>,
    /// The fields as sent, if the filter has `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// Header fields in the order of the request.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// A header field with its value as text or as bytes.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

/// The response to a check.
#[derive(Clone, PartialEq, Message)]
pub struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
}

/// `google.rpc.Status`: a code of gRPC, 0 if the request is allowed.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// The treatment of the request by Envoy.
#[derive(Clone, PartialEq, Oneof)]
pub enum HttpResponse {
    #[prost(message, tag = "2")]
    DeniedResponse(DeniedHttpResponse),
    #[prost(message, tag = "3")]
    OkResponse(OkHttpResponse),
}

/// The response to the client of a denied request.
#[derive(Clone, PartialEq, Message)]
pub struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    #[prost(string, tag = "3")]
    pub body: String,
}

/// A status of HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct HttpStatus {
    /// In Envoy's description an enumeration with the numbers of HTTP, which is an `int32` on the wire.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// The changes to an allowed request.
#[derive(Clone, PartialEq, Message)]
pub struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
    /// Added to the response of the upstream service.
    #[prost(message, repeated, tag = "6")]
    pub response_headers_to_add: Vec<HeaderValueOption>,
}

/// A header field to set.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    #[prost(enumeration = "HeaderAppendAction", tag = "3")]
    pub append_action: i32,
}

/// Treatment of a header field that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum HeaderAppendAction {
    AppendIfExistsOrAdd = 0,
    OverwriteIfExistsOrAdd = 2,
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::{
        envoy::{
            config::core::v3 as core,
            service::auth::v3::{self as auth, attribute_context, check_response},
            r#type::v3::HttpStatus as EnvoyHttpStatus,
        },
        google::rpc,
    };

    use super::*;

    fn pair(key: &str, value: &str) -> HashMap<String, String> {
        HashMap::from([(key.to_owned(), value.to_owned())])
    }

    /// Encodes a request with Envoy's complete messages, and decodes it with these.
    #[test]
    fn a_request_of_envoy_is_decoded() {
        let socket = core::SocketAddress { address: "192.0.2.7".to_owned(), ..core::SocketAddress::default() };
        let address = core::address::Address::SocketAddress(socket);
        let raw = core::HeaderValue { key: "b".to_owned(), value: "2".to_owned(), raw_value: vec![0xff] };
        let http = attribute_context::HttpRequest {
            id: "1".to_owned(),
            method: "GET".to_owned(),
            headers: pair("a", "1"),
            header_map: Some(core::HeaderMap { headers: vec![raw] }),
            path: "/x".to_owned(),
            size: -1,
            raw_body: b"body".to_vec(),
            ..attribute_context::HttpRequest::default()
        };
        let request = attribute_context::Request { http: Some(http), ..attribute_context::Request::default() };
        let source = attribute_context::Peer {
            address: Some(core::Address { address: Some(address) }),
            principal: "spiffe://x".to_owned(),
            ..attribute_context::Peer::default()
        };
        let attributes = auth::AttributeContext {
            source: Some(source),
            destination: Some(attribute_context::Peer::default()),
            request: Some(request),
            context_extensions: pair("require", "admin"),
            tls_session: Some(attribute_context::TlsSession { sni: "x".to_owned() }),
            ..auth::AttributeContext::default()
        };
        let bytes = auth::CheckRequest { attributes: Some(attributes) }.encode_to_vec();

        let raw = HeaderValue { key: "b".to_owned(), value: "2".to_owned(), raw_value: vec![0xff] };
        let http = HttpRequest { headers: pair("a", "1"), header_map: Some(HeaderMap { headers: vec![raw] }) };
        let address = Address { socket_address: Some(SocketAddress { address: "192.0.2.7".to_owned() }) };
        let expected = AttributeContext {
            source: Some(Peer { address: Some(address) }),
            request: Some(Request { http: Some(http) }),
            context_extensions: pair("require", "admin"),
        };
        assert_eq!(CheckRequest::decode(bytes.as_slice()).unwrap(), CheckRequest { attributes: Some(expected) });
    }

    fn header(append_action: HeaderAppendAction) -> HeaderValueOption {
        let header = HeaderValue { key: "k".to_owned(), value: "v".to_owned(), raw_value: Vec::new() };
        HeaderValueOption { header: Some(header), append_action: append_action as i32 }
    }

    fn envoy_header(append_action: core::header_value_option::HeaderAppendAction) -> core::HeaderValueOption {
        let header = core::HeaderValue { key: "k".to_owned(), value: "v".to_owned(), ..core::HeaderValue::default() };
        core::HeaderValueOption {
            header: Some(header),
            append_action: append_action as i32,
            ..core::HeaderValueOption::default()
        }
    }

    /// Encodes responses with these messages, and decodes them with Envoy's complete ones.
    #[test]
    fn responses_are_decoded_by_envoy() {
        use core::header_value_option::HeaderAppendAction as EnvoyAction;
        let ok = OkHttpResponse {
            headers: vec![header(HeaderAppendAction::OverwriteIfExistsOrAdd)],
            headers_to_remove: vec!["r".to_owned()],
            response_headers_to_add: vec![header(HeaderAppendAction::AppendIfExistsOrAdd)],
        };
        let denied = DeniedHttpResponse {
            status: Some(HttpStatus { code: 401 }),
            headers: vec![header(HeaderAppendAction::AppendIfExistsOrAdd)],
            body: "no".to_owned(),
        };
        let envoy_ok = auth::OkHttpResponse {
            headers: vec![envoy_header(EnvoyAction::OverwriteIfExistsOrAdd)],
            headers_to_remove: vec!["r".to_owned()],
            response_headers_to_add: vec![envoy_header(EnvoyAction::AppendIfExistsOrAdd)],
            ..auth::OkHttpResponse::default()
        };
        let envoy_denied = auth::DeniedHttpResponse {
            status: Some(EnvoyHttpStatus { code: 401 }),
            headers: vec![envoy_header(EnvoyAction::AppendIfExistsOrAdd)],
            body: "no".to_owned(),
        };
        let cases = [
            (0, HttpResponse::OkResponse(ok), check_response::HttpResponse::OkResponse(envoy_ok)),
            (16, HttpResponse::DeniedResponse(denied), check_response::HttpResponse::DeniedResponse(envoy_denied)),
        ];
        for (code, response, expected) in cases {
            let response = CheckResponse { status: Some(Status { code }), http_response: Some(response) };
            let decoded = auth::CheckResponse::decode(response.encode_to_vec().as_slice()).unwrap();
            let status = Some(rpc::Status { code, ..rpc::Status::default() });
            let http_response = Some(expected);
            assert_eq!(decoded, auth::CheckResponse { status, http_response, ..auth::CheckResponse::default() });
        }
    }
}
