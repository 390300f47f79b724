//! The gRPC service `envoy.service.auth.v3.Authorization` with its one method, `Check`.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::http;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
};
use tonic_prost::ProstCodec;

use super::{
    envoy_messages::{CheckRequest, CheckResponse},
    ext_authz::ExtAuthz,
};

const CHECK_PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Serves the checks of [`ExtAuthz`] over gRPC.
#[derive(Clone)]
pub(super) struct AuthorizationServer(pub(super) ExtAuthz);

impl NamedService for AuthorizationServer {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

impl tower_service::Service<http::Request<Body>> for AuthorizationServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let check = Check(self.0.clone());
        Box::pin(async move {
            if request.uri().path() != CHECK_PATH {
                return Ok(Status::unimplemented("the service has one method, Check").into_http());
            }
            Ok(Grpc::new(ProstCodec::default()).unary(check, request).await)
        })
    }
}

/// The method `Check`.
struct Check(ExtAuthz);

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = BoxFuture<Response<CheckResponse>, Status>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move { service.check(request.into_inner()).await.map(Response::new) })
    }
}
