//! The harness of the end-to-end tests: real processes of Heliograph, of Redis, nginx and
//! Synapse, on loopback. One stand-in: a homeserver that knows nothing but tokens and keys.
//!
//! Everything here panics when it cannot go on: a test that cannot be set up has failed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on fails where it stands"
)]

mod act;
mod binary;
mod buckets;
mod client;
mod collector;
mod crowd;
mod deployment;
mod edge;
mod faults;
mod fuzz;
mod homeserver;
mod nginx;
mod origin;
mod pages;
mod peer;
mod picture;
mod ports;
mod process;
mod redis;
mod relay;
mod scripted;
mod server;
mod settings;
mod shape;
mod silence;
mod synapse;
mod tls;
mod twins;
mod watch;
mod wire;

pub use act::{Act, Script, answer, answer_with, head, in_chunks, two_parts, wrapped};
pub use binary::{as_root, heliograph, installed, node, program, python};
pub use buckets::{Azurite, Garage, Google};
pub use client::{Answer, Client};
pub use collector::{Collector, Seen};
pub use crowd::{Crowd, Pace};
pub use deployment::{Deployment, Setup};
pub use edge::Edge;
pub use faults::{Scale, faults, isolate};
pub use fuzz::{Finding, Report, fuzz};
pub use homeserver::{Homeserver, Mood};
pub use nginx::{Nginx, Site};
pub use origin::Origin;
pub use pages::{Page, Pages};
pub use peer::Peer;
pub use picture::{animated_png, gif, jpeg, jpeg_size, noise, png, png_size, turned_jpeg, veiled_png};
pub use ports::free_port;
pub use process::{Process, eventually, run};
pub use redis::{Redis, forms::RedisServers};
pub use relay::Relay;
pub use scripted::{Entrance, ScriptedOrigin};
pub use server::{Request, Server, answer_json};
pub use settings::Settings;
pub use shape::Shape;
pub use silence::Silence;
pub use synapse::{PASSWORD, Synapse, SynapseSetup};
pub use tls::{Authority, Identity};
pub use twins::Twins;
pub use watch::Watch;
pub use wire::Wire;
