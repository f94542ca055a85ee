//! The two shapes of a deployment, and the macro that runs a test in both.

/// How the services are spread over processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `heliograph serve`: all in one process, state embedded.
    One,
    /// Four processes with gRPC between them, and a Redis.
    Four,
}

/// Makes of each function one test per shape.
#[macro_export]
macro_rules! both_shapes {
    ($($(#[$meta:meta])* async fn $name:ident($shape:ident: $kind:ty) $body:block)+) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn behaviour($shape: $kind) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_one_process() {
                Box::pin(behaviour(::heliograph_tests::Shape::One)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_four_processes() {
                Box::pin(behaviour(::heliograph_tests::Shape::Four)).await;
            }
        }
    )+ };
}
