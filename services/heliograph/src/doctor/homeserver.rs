//! The homeservers: whether they answer as we need it, and whether others will believe us.

mod well_known;

use std::{sync::Arc, time::Duration};

use heliograph_leases::{EmbeddedState, State};
use heliograph_matrix::{
    AskedHomeservers, AuthError, Discovery, GuardedClient, Homeserver, HomeserverConfig, Homeservers, KeyDocument,
    Presented, Resolver, SigningKey, TokenChecker, Whoami, WhoamiDeps, ask_for_keys, fetch_public_keys,
};
use heliograph_types::{Clock, Finding, Secret, SystemClock, Trial};
use serde_json::Value;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Patient;
use crate::{assemble::homeserver, settings::Settings};

/// What clients look for before they use authenticated media.
const AUTHENTICATED_MEDIA: &str = "v1.11";
/// Shorter than a trial may take: what is public may be out of reach from here.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: &str = "start the homeserver, or correct homeserver.url";

/// The trials of each homeserver.
pub(super) fn patients(settings: &Settings) -> Vec<Patient> {
    patients_with(settings, trials)
}

/// The one trial of each homeserver that is about our key.
pub(super) fn key_patients(settings: &Settings) -> Vec<Patient> {
    patients_with(settings, |bench| vec![key_trial(bench)])
}

fn patients_with(settings: &Settings, trials: fn(&Arc<Bench>) -> Vec<Trial>) -> Vec<Patient> {
    if settings.is_development() {
        let told = "development mode: there is none, but two users on this machine";
        let finding = Finding::note(told, "add a [[homeserver]] for anything but trying things out");
        return vec![Patient::new("homeserver", "", vec![Trial::new("settings", async { finding })])];
    }
    settings.homeservers.iter().map(|config| patient(config, settings, trials)).collect()
}

fn patient(config: &HomeserverConfig, settings: &Settings, trials: fn(&Arc<Bench>) -> Vec<Trial>) -> Patient {
    let place = config.server_name.as_ref().map(ToString::to_string).unwrap_or_default();
    let trials = match Bench::open(config, settings) {
        Ok(bench) => trials(&Arc::new(bench)),
        Err(error) => {
            let finding = Finding::fail(format!("{error:#}"), "correct the [[homeserver]] section");
            vec![Trial::new("settings", async { finding })]
        }
    };
    Patient::new("homeserver", place, trials)
}

/// What a trial works with: what asks homeservers in operation, and nothing is remembered.
struct Bench {
    config: HomeserverConfig,
    homeserver: Homeserver,
    asked: AskedHomeservers,
    tokens: Whoami,
    public: GuardedClient,
    state: State,
    shutdown: CancellationToken,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Bench {
    fn open(config: &HomeserverConfig, settings: &Settings) -> anyhow::Result<Self> {
        let homeserver = homeserver(config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state: State = Arc::new(EmbeddedState::in_memory(Arc::clone(&clock))?);
        let shutdown = CancellationToken::new();
        let deps = WhoamiDeps {
            max_remembered_tokens: config.max_remembered_tokens,
            state: Arc::clone(&state),
            clock: Arc::clone(&clock),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            shutdown: shutdown.clone(),
        };
        Ok(Self {
            config: config.clone(),
            asked: AskedHomeservers::new(vec![homeserver.clone()], clock, Handle::current()),
            tokens: Whoami::new(vec![homeserver.clone()], deps),
            public: GuardedClient::new(
                &settings.federation,
                Arc::new(Resolver::new(&settings.federation.nameservers)),
            )?,
            homeserver,
            state,
            shutdown,
        })
    }
}

fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let shared = || Arc::clone(bench);
    let (one, two, four, five) = (shared(), shared(), shared(), shared());
    let mut trials = vec![
        Trial::new("answers", async move { look_at_versions(&one).await }),
        Trial::new("wrong token", async move { refuses_a_wrong_token(&two).await }),
        key_trial(bench),
        Trial::new("well-known for clients", async move { well_known::of_clients(&four).await }),
        Trial::new("well-known for servers", async move { well_known::of_servers(&five).await }),
    ];
    if let Some(token) = bench.homeserver.admin_token.clone() {
        let bench = shared();
        trials.push(Trial::new("admin_token", async move { use_admin_token(&bench, token).await }));
    }
    trials
}

fn key_trial(bench: &Arc<Bench>) -> Trial {
    let bench = Arc::clone(bench);
    Trial::new("signing key", async move { look_at_key(&bench).await })
}

async fn look_at_versions(bench: &Bench) -> Finding {
    let reply = match bench.asked.versions(&bench.homeserver.server_name, None).await {
        Ok(reply) => reply,
        Err(error) => return Finding::fail(reason(&error), LOOK),
    };
    let versions = serde_json::from_slice::<Value>(&reply.body).ok();
    let versions = versions.as_ref().and_then(|body| body["versions"].as_array()).filter(|_| reply.status == 200);
    let Some(versions) = versions else {
        let told = format!("answers {} to /_matrix/client/versions, and no versions", reply.status);
        return Finding::fail(told, "correct homeserver.url: another program answers there");
    };
    match (versions.iter().any(|version| version == AUTHENTICATED_MEDIA), bench.config.force_v1_11) {
        (true, _) => Finding::ok(format!("and knows {AUTHENTICATED_MEDIA}")),
        (false, true) => Finding::ok(format!("and {AUTHENTICATED_MEDIA}, which it lacks, is added by us")),
        (false, false) => Finding::note(
            format!("but without {AUTHENTICATED_MEDIA}: many clients use no authenticated media then"),
            "set homeserver.force_v1_11 = true, and send /_matrix/client/versions to heliograph",
        ),
    }
}

fn reason(error: &AuthError) -> String {
    match error {
        AuthError::Unavailable(reason) => reason.clone(),
        AuthError::Refused(refusal) => format!("it refuses with {}", refusal.status),
    }
}

async fn refuses_a_wrong_token(bench: &Bench) -> Finding {
    let token = format!("heliograph-doctor-{:032x}", rand::random::<u128>());
    match bench.tokens.check(&Presented::token(token)).await {
        Err(AuthError::Refused(refusal)) => {
            let body = serde_json::from_slice::<Value>(&refusal.body).unwrap_or_default();
            match (refusal.status, body["errcode"].as_str().unwrap_or_default()) {
                (401, "M_UNKNOWN_TOKEN") => Finding::ok("is refused with 401 M_UNKNOWN_TOKEN"),
                (status, errcode) => Finding::fail(
                    format!("is refused with {status} {errcode}, not with 401 M_UNKNOWN_TOKEN"),
                    "see what stands between heliograph and the homeserver: clients are told this as it is",
                ),
            }
        }
        Err(AuthError::Unavailable(reason)) => Finding::fail(reason, LOOK),
        Ok(_) => Finding::fail("is taken for somebody's", "correct homeserver.url: that is no homeserver"),
    }
}

async fn use_admin_token(bench: &Bench, token: Secret<String>) -> Finding {
    const ADVICE: &str = "set homeserver.admin_token to the token of an administrator, or leave it out";
    let presented = Presented { token: token.clone(), user_id: None, device_id: None };
    let user = match bench.tokens.check(&presented).await {
        Ok(requester) => requester.user_id,
        Err(AuthError::Refused(refusal)) => {
            return Finding::fail(format!("is refused with {}", refusal.status), ADVICE);
        }
        Err(AuthError::Unavailable(reason)) => return Finding::fail(reason, LOOK),
    };
    match (bench.asked.is_admin(&user, &token).await, bench.asked.is_suspended(&user).await) {
        (Ok(true), Ok(_)) => Finding::ok(format!("{user} administrates, and sees who is suspended")),
        (Ok(false), _) => Finding::fail(format!("{user} is no administrator"), ADVICE),
        (Err(error), _) | (_, Err(error)) => Finding::fail(reason(&error), ADVICE),
    }
}

async fn look_at_key(bench: &Bench) -> Finding {
    let Some(file) = &bench.config.signing_key_file else {
        return Finding::note(
            "none: there are no media of other servers",
            "set homeserver.signing_key_file to the key of the homeserver",
        );
    };
    let ours = match SigningKey::load(file) {
        Ok(key) => key,
        Err(error) => return Finding::fail(error.to_string(), "correct homeserver.signing_key_file"),
    };
    let published = match ask_for_keys(&bench.homeserver, SystemClock.now()).await {
        Ok(Some(document)) => document,
        Ok(None) => match fetch_from_outside(bench).await {
            Ok(document) => document,
            Err(reason) => {
                return Finding::note(
                    format!(
                        "not at homeserver.url, and where other servers look it cannot be seen from here: {reason}"
                    ),
                    "see from outside that /_matrix/key/v2/server has our key",
                );
            }
        },
        Err(reason) => return Finding::fail(format!("the published keys cannot be had: {reason}"), LOOK),
    };
    judge_key(&ours, &published)
}

async fn fetch_from_outside(bench: &Bench) -> Result<KeyDocument, String> {
    let discovery = Discovery::new(bench.public.clone(), Arc::new(SystemClock), Arc::clone(&bench.state));
    let fetched = fetch_public_keys(&bench.homeserver, &bench.public, &discovery, SystemClock.now());
    timeout(PATIENCE, fetched).await.unwrap_or_else(|_| Err("timed out".to_owned()))
}

/// Whether others find our key where they look for it.
fn judge_key(ours: &SigningKey, published: &KeyDocument) -> Finding {
    const ADVICE: &str = "give homeserver.signing_key_file the signing key that the homeserver uses now, or have this \
                          one published: `heliograph keys show` tells how";
    let id = ours.id();
    match published.keys.get(id) {
        Some(key) if *key == ours.public_key() => Finding::ok(format!("{id} is published")),
        Some(_) => Finding::fail(
            format!("{id} is published, but is another key: remote servers will refuse our requests"),
            ADVICE,
        ),
        None => Finding::fail(format!("{id} is not published: remote servers will refuse our requests"), ADVICE),
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::{Timestamp, Verdict};

    use super::*;

    #[test]
    fn a_key_that_is_not_published_as_it_is_fails() {
        let ours = SigningKey::generate();
        let publish = |pairs: Vec<(&SigningKey, [u8; 32])>| KeyDocument {
            keys: pairs.into_iter().map(|(key, public)| (key.id().clone(), public)).collect(),
            valid_until: Timestamp::from_millis(1),
        };

        assert_eq!(judge_key(&ours, &publish(vec![(&ours, ours.public_key())])).verdict, Verdict::Ok);
        for published in [publish(vec![(&ours, [7; 32])]), publish(vec![])] {
            let finding = judge_key(&ours, &published);
            assert_eq!(finding.verdict, Verdict::Fail);
            assert!(finding.told.contains("remote servers will refuse our requests"), "{finding:?}");
        }
    }
}
