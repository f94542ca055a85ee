//! The frame around a process: threads, signals, an ordered end.

use std::{future::Future, io};

use actix_rt::System;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Ended, Life, ProcessConfig};

/// What the shell shows for a process that was interrupted.
const INTERRUPTED: i32 = 130;

/// Runs a process: calls `start`, which returns when everything has been started, then waits
/// for the end to be asked for (SIGINT, SIGTERM, or a server that failed), and ends in order.
///
/// Blocks; must be called outside of any runtime.
pub fn run<E, F>(config: &ProcessConfig, start: impl FnOnce(Life) -> F) -> Result<Ended, E>
where
    E: From<io::Error>,
    F: Future<Output = Result<(), E>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("heliograph").build()?;
    let system = System::with_tokio_rt(|| runtime);
    let result = system.block_on(live(config, start));
    if !matches!(result, Ok(Ended::Finished)) {
        // Dropping the runtime would wait for blocking work that has not ended in its time.
        std::mem::forget(system);
    }
    result
}

async fn live<E, F>(config: &ProcessConfig, start: impl FnOnce(Life) -> F) -> Result<Ended, E>
where
    E: From<io::Error>,
    F: Future<Output = Result<(), E>>,
{
    let life = Life::begin(config)?;
    let signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    life.tasks.spawn(watch(signals, life.clone()));
    let started = tokio::select! {
        result = start(life.clone()) => result,
        () = life.shutdown.cancelled() => Ok(()),
    };
    if started.is_ok() {
        life.shutdown.cancelled().await;
    }
    let ended = life.end().await;
    started.map(|()| ended)
}

/// The first signal asks for the end, the second one ends at once.
async fn watch([mut interrupt, mut terminate]: [Signal; 2], life: Life) {
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        () = next() => {}
        () = life.shutdown.cancelled() => {}
    }
    let ending = async {
        if !life.shutdown.is_cancelled() {
            tracing::info!("ending: finishing what is in progress; another signal ends at once");
            life.leave().await;
        }
        life.idle.cancelled().await;
    };
    tokio::select! {
        () = next() => {
            tracing::warn!("ending at once");
            std::process::exit(INTERRUPTED);
        }
        () = ending => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config() -> ProcessConfig {
        ProcessConfig { shutdown_grace: Duration::from_secs(5), drain_delay: Duration::ZERO, actor_threads: None }
    }

    #[test]
    fn a_failed_start_is_the_result() {
        let result: Result<Ended, io::Error> = run(&config(), |_| async { Err(io::Error::other("port taken")) });

        assert_eq!(result.unwrap_err().to_string(), "port taken");
    }

    #[test]
    fn a_process_lives_until_it_is_asked_to_end() {
        let result: Result<Ended, io::Error> = run(&config(), |life| async move {
            let asked = life.clone();
            life.serve("test", async move {
                asked.shutdown.cancelled().await;
                Ok::<_, io::Error>(())
            });
            life.tasks.spawn(async move { life.shutdown.cancel() });
            Ok(())
        });

        assert_eq!(result.unwrap(), Ended::Finished);
    }
}
