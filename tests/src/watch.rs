//! What a piece of work takes of a process.

use std::time::{Duration, Instant};

use crate::Process;

/// Processor time and time, from its start.
#[derive(Debug)]
pub struct Watch {
    cpu: Duration,
    began: Instant,
}

impl Watch {
    /// Begins now.
    pub fn start(process: &Process) -> Self {
        Self { cpu: process.cpu_time(), began: Instant::now() }
    }

    /// What each of `times` has taken: processor time of the process, and time.
    pub fn each(&self, process: &Process, times: u32) -> (Duration, Duration) {
        (process.cpu_time().saturating_sub(self.cpu) / times, self.began.elapsed() / times)
    }
}
