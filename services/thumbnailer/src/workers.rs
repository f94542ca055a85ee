//! Which program works on pictures, and whether it can.

use std::{path::PathBuf, time::Duration};

use actix::ArbiterHandle;
use heliograph_jail::{Jail, Limits, Lost, Policy, Program, Support, try_out};
use heliograph_proto::MOST_THUMBNAIL_BYTES;
use tokio::runtime::Handle;

use crate::{
    actors::pool::PoolConfig,
    bench::{Processes, address_space},
    config::ThumbnailsConfig,
};

/// A machine that is busy starting everything else takes its time.
const TRIAL_WITHIN: Duration = Duration::from_secs(20);
/// Thumbnails of one job: those that are made at once of an upload.
const MOST_IMAGES: usize = 4;

/// The program that works on pictures: it calls [`work_in_jail`](crate::work_in_jail) with a policy, which is its
/// last argument.
#[derive(Debug, Clone)]
pub struct Workers {
    /// Its file.
    pub path: PathBuf,
    /// Its arguments, before the policy.
    pub arguments: Vec<String>,
}

/// Why there are no workers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotStart {
    /// A first one did not come as far as its jail.
    #[error("no process can be started that works on pictures: {0}")]
    NoWorker(#[from] Lost),
    /// This system does not offer what is asked for.
    #[error(
        "must not be \"strict\" here, since this system lacks {}: make that available, or set it to \"available\"",
        .0.join(", ")
    )]
    Lacking(Vec<&'static str>),
}

impl Workers {
    /// Starts a worker to see what it can enter, and ends it. Blocks for some milliseconds.
    pub fn try_out(&self, config: &ThumbnailsConfig) -> Result<Support, Lost> {
        // A strict one would say no more than that it is lacking something.
        let jail = if Jail::from(config.jail) == Jail::Off { Jail::Off } else { Jail::Available };
        try_out(&self.program(config, jail), TRIAL_WITHIN)
    }

    /// Sees whether they will do, says what they lack, and starts the pool of them on `arbiter`.
    pub(crate) fn start(self, config: &ThumbnailsConfig, arbiter: &ArbiterHandle) -> Result<Processes, CannotStart> {
        let jail = Jail::from(config.jail);
        let support = self.try_out(config)?;
        tell(jail, support)?;
        let pool = PoolConfig {
            program: self.program(config, jail),
            runtime: Handle::current(),
            workers: config.workers(),
            jobs_per_worker: config.worker_jobs.get(),
            memory_bytes: config.memory(),
        };
        Ok(Processes::start(config.clone(), pool, arbiter))
    }

    fn program(&self, config: &ThumbnailsConfig, jail: Jail) -> Program {
        let limits = Limits { memory_bytes: address_space(config), ..Limits::default() };
        let policy = Policy { jail, limits };
        Program {
            path: self.path.clone(),
            arguments: self.arguments.iter().cloned().chain([policy.to_string()]).collect(),
            most_payload_bytes: MOST_IMAGES * (MOST_THUMBNAIL_BYTES + 1),
        }
    }
}

/// Says what is missing; of a strict jail nothing may be.
fn tell(jail: Jail, support: Support) -> Result<(), CannotStart> {
    let missing = support.missing();
    match jail {
        Jail::Off => {
            tracing::warn!("thumbnails.jail is off: a picture that takes over its decoder has all that we have");
        }
        Jail::Strict if !support.is_strict() => return Err(CannotStart::Lacking(missing)),
        Jail::Strict | Jail::Available if missing.is_empty() => {
            tracing::info!(landlock = support.landlock, "pictures are worked on in a jail");
        }
        Jail::Strict | Jail::Available => {
            tracing::warn!("the jail for pictures is not whole: this system lacks {}", missing.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Support = Support { seccomp: true, landlock: Some(1), no_new_privileges: true, memory_per_call: true };

    #[test]
    fn only_a_strict_jail_must_be_whole() {
        let lacking = Support { landlock: None, ..WHOLE };

        for jail in [Jail::Strict, Jail::Available, Jail::Off] {
            assert_eq!(tell(jail, WHOLE), Ok(()));
            assert_eq!(tell(jail, lacking).is_err(), jail == Jail::Strict);
        }
        assert!(tell(Jail::Strict, lacking).unwrap_err().to_string().contains("landlock"));
    }
}
