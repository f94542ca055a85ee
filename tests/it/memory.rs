//! Memory does not grow with the file.

use bytes::Bytes;
use heliograph_tests::{Setup, Shape, both_shapes, noise};

const PIECE: usize = 1 << 20;
const PIECES: usize = 1024;

/// How much a process may take for one large file above what it takes at rest.
const CEILING: u64 = 64 << 20;

both_shapes! {
    async fn a_gibibyte_goes_through_in_little_memory(shape: Shape) {
        let mut deployment = Setup::new(shape).set("uploads", "max_bytes", "2 GiB").start().await;
        let piece = Bytes::from(noise(PIECE, 1));
        deployment.alice().upload("warm", "text/plain").await;
        let idle: Vec<u64> = deployment.processes().iter().map(|process| process.memory("VmRSS:")).collect();

        let id = deployment.alice().upload_repeated(piece, PIECES).await;
        let received = deployment.bob().download_length(&id).await;

        assert_eq!(received, PIECE * PIECES);
        for (process, idle) in deployment.processes().iter().zip(idle) {
            let peak = process.memory("VmHWM:");
            assert!(peak - idle <= CEILING, "{} MiB more than at rest", (peak - idle) >> 20);
        }
    }
}
