//! The peer: a service of `tonic` that gives back what it gets. Each receiver is a server on a port of its own, in a runtime of
//! its own; requesters have one channel to each, which all of their calls share, as is usual.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::TcpListener as StdTcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::client;
use tonic::codegen::Service;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request, Response};
use tonic::server::{self, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_prost::ProstCodec;

use super::{Message, Requester, Shape};

/// What goes over the wire.
#[derive(Clone, PartialEq, prost::Message)]
struct Echo {
    #[prost(string, tag = "1")]
    about: String,
    #[prost(string, tag = "2")]
    body: String,
}

/// The one method.
struct Answer;

impl UnaryService<Echo> for Answer {
    type Response = Echo;
    type Future = Ready<Result<tonic::Response<Echo>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Echo>) -> Self::Future {
        ready(Ok(tonic::Response::new(request.into_inner())))
    }
}

/// The service, whose only method is asked for whatever the path.
#[derive(Clone)]
struct EchoService;

impl Service<Request<Body>> for EchoService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = server::Grpc::new(ProstCodec::<Echo, Echo>::default());
            Ok(grpc.unary(Answer, request).await)
        })
    }
}

/// Servers, which end when they go out of scope.
pub struct Servers {
    runtime: Option<Runtime>,
    ports: Vec<u16>,
}

impl Servers {
    /// As many as wanted.
    ///
    /// # Panics
    /// If they cannot serve.
    pub fn start(count: usize) -> Servers {
        let runtime = Runtime::new().expect("a runtime");
        let ports = (0..count).map(|_| serve(&runtime)).collect();
        Servers { runtime: Some(runtime), ports }
    }

    /// All requesters of a shape.
    pub async fn requesters(&self, shape: &Shape) -> Result<Vec<GrpcRequester>, String> {
        let mut channels = Vec::new();
        for port in &self.ports {
            let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
            let endpoint = endpoint.map_err(|error| error.to_string())?.tcp_nodelay(true);
            channels.push(endpoint.connect().await.map_err(|error| error.to_string())?);
        }
        Ok((0..shape.requesters).map(|_| GrpcRequester { channels: channels.clone() }).collect())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // It is dropped by a task of another runtime, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts a server; its port.
fn serve(runtime: &Runtime) -> u16 {
    let listener = StdTcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("its address").port();
    let _inside = runtime.enter();
    let incoming = TcpIncoming::from(TcpListener::from_std(listener).expect("a socket"));
    runtime.spawn(Server::builder().serve_with_incoming(EchoService, incoming.with_nodelay(Some(true))));
    port
}

/// Who calls.
pub struct GrpcRequester {
    channels: Vec<Channel>,
}

impl Requester for GrpcRequester {
    async fn round(&mut self, messages: &[Message]) -> Result<BTreeMap<String, String>, String> {
        let calls = messages.iter().map(|message| call(self.channels[message.to].clone(), message));
        let answers = try_join_all(calls).await.map_err(|status| status.to_string())?;
        Ok(answers.into_iter().map(|answer| (answer.about, answer.body)).collect())
    }
}

async fn call(channel: Channel, message: &Message) -> Result<Echo, tonic::Status> {
    let mut grpc = client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
    let request = Echo { about: message.about.clone(), body: message.body.clone() };
    let path = PathAndQuery::from_static("/bench.Echo/Echo");
    let codec: ProstCodec<Echo, Echo> = ProstCodec::default();
    Ok(grpc.unary(tonic::Request::new(request), path, codec).await?.into_inner())
}
