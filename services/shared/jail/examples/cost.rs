//! Prints the processor time per call, of parent and worker together, with a jail and without.
//!
//! `cargo run --release -p heliograph-jail --bin jail-trial` once builds the worker, then
//! `cargo run --release -p heliograph-jail --example cost`.
#![expect(clippy::expect_used, reason = "a tool for developers")]

use std::{os::fd::AsFd, path::PathBuf, time::Duration};

use heliograph_jail::{Budget, Jail, Limits, Policy, Program, SealedFile, Worker};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: u32 = 2000;
const FILE_BYTES: usize = 3_400_000;
const BUDGET: Budget =
    Budget { processor: Duration::from_secs(10), wall: Duration::from_mins(1), memory_bytes: 64 << 20 };

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{:<12} {:>14} {:>24}", "", "empty call", "all of a 3.4 MB file");
    for jail in [Jail::Off, Jail::Available] {
        let empty = measure(jail, b"echo", 0).await;
        let file = measure(jail, b"sum", FILE_BYTES).await;
        println!("{:<12} {:>11.1} us {:>21.1} us", jail.to_string(), micros(empty), micros(file));
    }
}

/// Time on the processor per call.
async fn measure(jail: Jail, head: &[u8], file_bytes: usize) -> Duration {
    let file = SealedFile::of(&vec![1; file_bytes]).expect("memory for a file");
    let (mut worker, _) = Worker::start(&program(jail), Duration::from_secs(10)).await.expect("a worker");
    let mut used = Duration::ZERO;
    for round in 0..2 * ROUNDS {
        let before = own_time();
        let reply;
        (worker, reply) = worker.call(head, Some(file.as_fd()), BUDGET).await.expect("an answer");
        // The first half warms up.
        if round >= ROUNDS {
            used += reply.took + (own_time().saturating_sub(before));
        }
    }
    used / ROUNDS
}

fn program(jail: Jail) -> Program {
    let policy = Policy { jail, limits: Limits::default() };
    Program { path: worker_path(), arguments: vec![policy.to_string()], most_payload_bytes: 64 << 20 }
}

/// Beside the folder of examples.
fn worker_path() -> PathBuf {
    let own = std::env::current_exe().expect("a program has a path");
    own.ancestors().nth(2).expect("a folder above").join("jail-trial")
}

fn own_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}
