//! The shared state: Redis, or the file of one process.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_leases::{RedisState, Signals, StateConfig, StateError, StateFile, look_at_state_file};
use heliograph_types::{Finding, Trial};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use super::{Patient, absolute};
use crate::settings::Settings;

/// What older ones lack we do not know: nobody runs them with us.
const OLDEST_REDIS: u32 = 6;
/// More is felt by every request.
const SLOW: Duration = Duration::from_millis(50);
/// How often the way to Redis is measured.
const ROUNDS: usize = 5;
/// How long a signal may be on its way.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: &str = "start Redis, or correct state.redis_url (and its password)";

/// The trials of the shared state.
pub(super) fn patient(settings: &Settings) -> Patient {
    if settings.state.redis_url.is_none() {
        let file = absolute(&settings.data.folder).join("state.redb");
        let place = file.display().to_string();
        return Patient::new("state", place, vec![Trial::new("state file", look(file))]);
    }
    let place = format!("Redis at {}", host_of(&settings.state));
    match connect(&settings.state) {
        Ok(state) => Patient::new("state", place, of_redis(&state, settings.state.timeout)),
        Err(error) => {
            let finding = Finding::fail(error.to_string(), "correct state.redis_url");
            Patient::new("state", place, vec![Trial::new("URL", async { finding })])
        }
    }
}

/// Where it is, without the password.
fn host_of(config: &StateConfig) -> String {
    let url = config.redis_url.as_ref().and_then(|url| url.expose().parse::<Url>().ok());
    let place = url.map(|url| match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.path().to_owned(),
    });
    place.unwrap_or_default()
}

async fn look(file: PathBuf) -> Finding {
    let looked = tokio::task::spawn_blocking(move || judge_file(&file, look_at_state_file(&file)));
    looked.await.unwrap_or_else(|error| super::broken(&error.to_string()))
}

fn judge_file(file: &Path, found: StateFile) -> Finding {
    match found {
        StateFile::Absent => Finding::ok("is made at start"),
        StateFile::Whole => Finding::ok("can be opened"),
        StateFile::InUse => Finding::note(
            "a running heliograph has it, so no look at it is possible",
            "nothing, if that is meant to run: a second one with this data folder is refused",
        ),
        StateFile::Unfinished => {
            Finding::note("its last process was killed", "nothing: it is mended at the next start")
        }
        StateFile::Damaged(reason) => Finding::note(
            format!("damaged: {reason}"),
            "nothing: it is set aside at the next start, and made anew from the store",
        ),
        StateFile::Denied(reason) => {
            Finding::fail(reason, format!("let the user that runs heliograph read and write {}", file.display()))
        }
    }
}

/// Ends what it has started when it is dropped.
struct Redis {
    state: RedisState,
    shutdown: CancellationToken,
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn connect(config: &StateConfig) -> Result<Arc<Redis>, StateError> {
    let shutdown = CancellationToken::new();
    let state = RedisState::connect(config, &TaskTracker::new(), shutdown.clone())?;
    Ok(Arc::new(Redis { state, shutdown }))
}

fn of_redis(redis: &Arc<Redis>, patience: Duration) -> Vec<Trial> {
    let shared = || Arc::clone(redis);
    let (ping, version, memory, signal, lease) = (shared(), shared(), shared(), shared(), shared());
    vec![
        Trial::new("answers", async move { failed(measure(&ping.state, patience).await) }),
        Trial::new("version", async move { failed(look_at_version(&version.state).await) }),
        Trial::new("when memory is full", async move { failed(look_at_memory(&memory.state).await) }),
        Trial::new("signals", async move { failed(send_signal(&signal.state).await) }),
        Trial::new("leases", async move { failed(take_lease(&lease.state).await) }),
    ]
}

fn failed(outcome: Result<Finding, StateError>) -> Finding {
    outcome.unwrap_or_else(|error| Finding::fail(error.to_string(), LOOK))
}

async fn measure(state: &RedisState, patience: Duration) -> Result<Finding, StateError> {
    // Connects.
    state.ping().await?;
    let mut fastest = patience;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        state.ping().await?;
        fastest = fastest.min(begun.elapsed());
    }
    let told = format!("within {:.1} ms", fastest.as_secs_f64() * 1000.0);
    if fastest > SLOW {
        return Ok(Finding::note(told, "put Redis nearer: every request asks it several times"));
    }
    Ok(Finding::ok(told))
}

async fn look_at_version(state: &RedisState) -> Result<Finding, StateError> {
    let facts = state.facts().await?;
    Ok(match facts.major_version() {
        None => Finding::note("it does not tell", format!("see that it is Redis {OLDEST_REDIS} or newer")),
        Some(major) if major < OLDEST_REDIS => {
            Finding::fail(facts.version, format!("install Redis {OLDEST_REDIS} or newer"))
        }
        Some(_) => Finding::ok(facts.version),
    })
}

async fn look_at_memory(state: &RedisState) -> Result<Finding, StateError> {
    let facts = state.facts().await?;
    if facts.forgets_anything() {
        return Ok(Finding::note(
            format!(
                "{}: counts of who has stored how much may vanish, and are then made anew at some cost",
                facts.eviction
            ),
            "set maxmemory-policy to noeviction or volatile-lru, and give it memory enough",
        ));
    }
    Ok(match facts.eviction.as_str() {
        "" => Finding::note("it does not tell", "see that maxmemory-policy is noeviction or volatile-lru"),
        policy => Finding::ok(policy),
    })
}

async fn send_signal(state: &RedisState) -> Result<Finding, StateError> {
    let topic = trial_name();
    let mut heard = state.subscribe(&topic).await?;
    state.publish(&topic, "trial").await?;
    Ok(match timeout(PATIENCE, heard.next()).await {
        Ok(Some(message)) if message == "trial" => Finding::ok("what is sent is heard"),
        _ => {
            Finding::fail("what is sent is not heard", "see that the user of state.redis_url may publish and subscribe")
        }
    })
}

async fn take_lease(state: &RedisState) -> Result<Finding, StateError> {
    if state.try_lease(&trial_name()).await? {
        return Ok(Finding::ok("taken by one, and given back"));
    }
    Ok(Finding::fail("a lease was given out twice", "see that state.redis_url leads to one server, not to several"))
}

fn trial_name() -> String {
    format!("trial-{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use heliograph_types::Verdict;

    use super::*;

    #[test]
    fn a_state_file_fails_only_where_it_cannot_be_used() {
        let verdict = |found| judge_file(Path::new("/srv/state.redb"), found).verdict;
        let text = || "reason".to_owned();

        assert_eq!([StateFile::Absent, StateFile::Whole].map(verdict), [Verdict::Ok; 2]);
        let notes = [StateFile::InUse, StateFile::Unfinished, StateFile::Damaged(text())];
        assert_eq!(notes.map(verdict), [Verdict::Note; 3]);
        assert_eq!(verdict(StateFile::Denied(text())), Verdict::Fail);
    }
}
