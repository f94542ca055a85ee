//! Points of presence: two edges before one core, and a wire between that counts.

mod keeping;
mod passing;
mod reading;
mod uploads;

use heliograph_blobs::testing::S3Server;
use heliograph_tests::{Deployment, Edge, Relay, Setup, Shape};

/// What questions and answers without content take on the wire.
const WORDS: u64 = 40_000;

const DOWNLOAD: &str = "/_matrix/client/v1/media/download";

/// How often an edge has given out a copy of its own.
async fn hits(edge: &Edge) -> u64 {
    edge.count("heliograph_edge_reads_total", "outcome=\"hit\"").await
}

/// Two edges, each at the end of a wire of its own.
struct Network {
    relays: [Relay; 2],
    edges: [Edge; 2],
    core: Deployment,
}

impl Network {
    async fn before(core: Deployment) -> Self {
        let relays = [Relay::start(core.address()).await, Relay::start(core.address()).await];
        let edges = [Edge::start(relays[0].address()).await, Edge::start(relays[1].address()).await];
        Self { relays, edges, core }
    }

    async fn start(shape: Shape) -> Self {
        Self::before(Setup::new(shape).start().await).await
    }

    /// With a bucket that uploads go straight into.
    async fn over(bucket: &S3Server, shape: Shape) -> Self {
        Self::before(over(bucket, shape).start().await).await
    }
}

fn over(bucket: &S3Server, shape: Shape) -> Setup {
    // Strings are understood by every setting.
    let setup = Setup::new(shape).set("uploads", "direct", true);
    bucket.settings().into_iter().fold(setup, |setup, (key, value)| setup.set("storage", key, value))
}
