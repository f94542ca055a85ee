//! The shared state: Redis, or the file of one process.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_leases::{
    RedisFacts, RedisForm, RedisState, ServerFacts, Signals, StateConfig, StateError, StateFile, look_at_state_file,
};
use heliograph_types::{Finding, Trial};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

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
    let place = format!("Redis at {}", settings.state.redis_place());
    match connect(&settings.state) {
        Ok(state) => Patient::new("state", place, of_redis(&state, settings.state.timeout)),
        Err(error) => {
            let finding = Finding::fail(error.to_string(), "correct the settings in [state]");
            Patient::new("state", place, vec![Trial::new("URL", async { finding })])
        }
    }
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
    let (ping, form, version, memory, signal, lease) = (shared(), shared(), shared(), shared(), shared(), shared());
    vec![
        Trial::new("answers", async move { failed(measure(&ping.state, patience).await) }),
        Trial::new("servers", async move { failed(form.state.facts().await.map(|facts| judge_servers(&facts))) }),
        Trial::new("version", async move { failed(version.state.facts().await.map(|facts| judge_version(&facts))) }),
        Trial::new("when memory is full", async move {
            failed(memory.state.facts().await.map(|facts| judge_memory(&facts)))
        }),
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

/// What they are to each other, and whether that can go well.
fn judge_servers(facts: &RedisFacts) -> Finding {
    let tls = if facts.is_tls { "over TLS" } else { "without TLS" };
    let masters: Vec<&ServerFacts> = facts.masters().collect();
    let (master_count, replicas) = (masters.len(), facts.servers.len() - masters.len());
    match &facts.form {
        RedisForm::Single if masters.is_empty() => {
            Finding::fail("a replica, which takes no writes", "set state.redis_url to its master, or to the sentinels")
        }
        RedisForm::Single => Finding::ok(format!("one, {tls}")),
        RedisForm::Sentinels(sentinels) => {
            judge_sentinels(sentinels, masters.first().map_or(0, |master| master.replicas), tls)
        }
        RedisForm::Cluster { uncovered_slots: 1.. } => Finding::fail(
            "a cluster of which some slots have no server: their keys can be neither read nor written",
            "see `redis-cli --cluster check`, and `redis-cli --cluster fix`",
        ),
        RedisForm::Cluster { .. } if replicas == 0 => Finding::note(
            format!("a cluster of {master_count} masters without replicas, {tls}"),
            "give each master a replica: else its keys cannot be had while it is gone",
        ),
        RedisForm::Cluster { .. } => {
            Finding::ok(format!("a cluster of {master_count} masters with {replicas} replicas, all slots, {tls}"))
        }
    }
}

fn judge_sentinels(sentinels: &[(String, Result<String, String>)], replicas: usize, tls: &str) -> Finding {
    let bad: Vec<String> = sentinels
        .iter()
        .filter_map(|(sentinel, named)| Some(format!("{sentinel}: {}", named.as_ref().err()?)))
        .collect();
    let mut named: Vec<&String> = sentinels.iter().filter_map(|(_, named)| named.as_ref().ok()).collect();
    let agreeing = named.len();
    named.sort();
    named.dedup();
    let told = format!("{agreeing} of {} sentinels name {}, {tls}", sentinels.len(), list(named.iter().copied()));
    if named.len() > 1 {
        return Finding::note(format!("they do not agree: {told}"), "look again: a failover takes some seconds");
    }
    if !bad.is_empty() {
        return Finding::note(format!("{told}; {}", bad.join("; ")), "start those, or correct state.redis_url");
    }
    if replicas == 0 {
        return Finding::note(format!("{told}, which has no replica"), "give it one: else nothing can take its place");
    }
    Finding::ok(format!("{told} with {replicas} replicas"))
}

fn judge_version(facts: &RedisFacts) -> Finding {
    let versions = list(facts.servers.iter().map(|server| &server.version));
    let majors = || facts.servers.iter().map(ServerFacts::major_version);
    if majors().any(|major| major.is_some_and(|major| major < OLDEST_REDIS)) {
        return Finding::fail(versions, format!("install Redis {OLDEST_REDIS} or newer"));
    }
    if majors().any(|major| major.is_none()) {
        return Finding::note("it does not tell", format!("see that it is Redis {OLDEST_REDIS} or newer"));
    }
    Finding::ok(versions)
}

fn judge_memory(facts: &RedisFacts) -> Finding {
    let policies = list(facts.masters().map(|server| &server.eviction));
    if facts.masters().any(ServerFacts::forgets_anything) {
        return Finding::note(
            format!("{policies}: counts of who has stored how much may vanish, and are then made anew at some cost"),
            "set maxmemory-policy to noeviction or volatile-lru, and give it memory enough",
        );
    }
    if facts.masters().any(|server| server.eviction.is_empty()) {
        return Finding::note("it does not tell", "see that maxmemory-policy is noeviction or volatile-lru");
    }
    Finding::ok(policies)
}

/// Each once.
fn list<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut texts: Vec<&str> = texts.map(String::as_str).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join(", ")
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

    fn server(is_master: bool, version: &str, eviction: &str) -> ServerFacts {
        let (version, eviction) = (version.to_owned(), eviction.to_owned());
        ServerFacts { is_master, version, eviction, replicas: 1, ..ServerFacts::default() }
    }

    #[test]
    fn servers_fail_only_where_keys_cannot_be_written() {
        let verdict = |form, servers| judge_servers(&RedisFacts { is_tls: true, form, servers }).verdict;
        let cluster = |uncovered_slots| RedisForm::Cluster { uncovered_slots };
        let (master, replica) = (server(true, "7", ""), server(false, "7", ""));
        let named = |name: &str| ("s".to_owned(), Ok(name.to_owned()));
        let sentinels = |answers| RedisForm::Sentinels(answers);

        assert_eq!(verdict(RedisForm::Single, vec![master.clone()]), Verdict::Ok);
        assert_eq!(verdict(RedisForm::Single, vec![replica.clone()]), Verdict::Fail);
        assert_eq!(verdict(cluster(0), vec![master.clone(), replica]), Verdict::Ok);
        assert_eq!(verdict(cluster(0), vec![master.clone()]), Verdict::Note);
        assert_eq!(verdict(cluster(1), vec![master.clone()]), Verdict::Fail);
        assert_eq!(verdict(sentinels(vec![named("a"), named("a")]), vec![master.clone()]), Verdict::Ok);
        assert_eq!(verdict(sentinels(vec![named("a"), named("b")]), vec![master.clone()]), Verdict::Note);
        let silent = ("t".to_owned(), Err("gone".to_owned()));
        assert_eq!(verdict(sentinels(vec![named("a"), silent]), vec![master]), Verdict::Note);
    }

    #[test]
    fn the_worst_of_several_servers_counts() {
        let facts = |servers| RedisFacts { servers, ..RedisFacts::default() };
        let mixed = facts(vec![server(true, "7.0.15", "noeviction"), server(false, "5.0", "allkeys-lru")]);
        let forgetful = facts(vec![server(true, "7.0.15", "noeviction"), server(true, "8.0", "allkeys-lru")]);

        assert_eq!((judge_version(&mixed).verdict, judge_memory(&mixed).verdict), (Verdict::Fail, Verdict::Ok));
        assert_eq!((judge_version(&forgetful).verdict, judge_memory(&forgetful).verdict), (Verdict::Ok, Verdict::Note));
    }
}
