//! The client's side of a gRPC connection, with the trace context in every call.

use std::{error::Error, time::Duration};

use http::uri::PathAndQuery;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::traced::Traced;

/// A connection to one instance. It connects when first used, and again after a loss.
#[derive(Debug, Clone)]
pub struct Link(pub(crate) Connection);

/// A channel whose calls are spans, and carry the trace context.
pub(crate) type Connection = Traced<Channel>;

impl Link {
    /// A link to `url` (`http://host:port`). Each call has `timeout` until its head arrives.
    pub fn connect_lazy(url: &str, timeout: Duration) -> Result<Self, tonic::transport::Error> {
        Ok(Self::over(Self::endpoint(url)?.timeout(timeout).connect_lazy()))
    }

    /// How other processes of ours are connected to.
    pub(crate) fn endpoint(url: &str) -> Result<Endpoint, tonic::transport::Error> {
        Ok(Endpoint::from_shared(url.to_owned())?
            .connect_timeout(Duration::from_secs(2))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true))
    }

    /// Whether the role that serves `method` (`/package.Service/Method`) answers at `url`. Calls
    /// it with a request in which everything is missing: it is refused, but by that role.
    pub async fn knock(url: &str, method: &'static str, timeout: Duration) -> Result<(), String> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| deepest(&error))?;
        let connected = endpoint.connect_timeout(timeout).timeout(timeout).connect().await;
        let mut client = Grpc::new(connected.map_err(|error| deepest(&error))?);
        client.ready().await.map_err(|error| deepest(&error))?;
        let codec = ProstCodec::<(), ()>::default();
        let answer = client.unary(Request::new(()), PathAndQuery::from_static(method), codec).await;
        answer.map_or_else(|status| judge_refusal(&status), |_| Ok(()))
    }

    /// A link over a connection that is there already.
    pub fn over(channel: Channel) -> Self {
        Self(Traced::new(channel))
    }
}

fn judge_refusal(status: &Status) -> Result<(), String> {
    match status.code() {
        Code::Unimplemented => Err("another role, or another program, answers there".to_owned()),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
            Err(format!("no answer: {}", deepest(status)))
        }
        _ => Ok(()),
    }
}

/// The last cause: those before say little.
fn deepest(error: &dyn Error) -> String {
    let Some(mut cause) = error.source() else { return error.to_string() };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
