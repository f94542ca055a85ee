//! The life of a process: telemetry, threads, health, gRPC and HTTP at the edges, an
//! ordered shutdown.
//!
//! Knows actix, tonic and the exporters; knows no service and no contract. What a role does
//! is its own; how it starts, is watched and ends is here.

mod accept;
mod cors;
mod drain;
mod farewell;
mod forwarded;
mod grpc;
mod health;
mod http_span;
mod life;
mod listen;
mod metrics;
mod range;
mod readiness;
mod rest;
mod run;
mod span_export;
mod span_fields;
mod telemetry;
mod trace;

pub use accept::names_media_type;
pub use cors::{allow_origins, cors};
pub use drain::{answer_and_drop_rest, declared_bytes, has_body};
pub use farewell::farewell;
pub use forwarded::client_address;
pub use grpc::{GrpcServerConfig, serve_grpc};
pub use health::{Health, configure_health, run_until, serve_health};
pub use http_span::HttpSpans;
pub use life::{Arbiters, Ended, Life, ProcessConfig};
pub use listen::{ListenError, bind};
pub use metrics::{Metrics, MetricsError};
pub use range::{Wanted, wanted_range};
pub use readiness::{Readiness, Report};
pub use rest::{Answer, Attentive, Line, Rest, Resting};
pub use run::run;
pub use telemetry::{LogFilter, LogFormat, SampleRatio, Telemetry, TelemetryConfig, TelemetryError};
/// The services that [`serve_grpc`] serves.
pub use tonic::service::Routes;
