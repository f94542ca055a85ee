//! The trials, on stores that are as they should be and on others.

use bytesize::ByteSize;
use futures_util::future::join_all;
use heliograph_types::{Timestamp, Verdict};

use super::{bucket::judge_creates, folder::judge_free, url::judge_clock, *};
use crate::{cloud::Creates, config::ConditionalCreate, testing::S3Server};

/// All trials at once, and the end: by name.
async fn run(trials: StoreTrials) -> Vec<(String, Finding)> {
    let running = trials.trials.into_iter().map(|trial| async { (trial.name, trial.run.await) });
    let mut found = join_all(running).await;
    if let Some(clean_up) = trials.clean_up {
        found.push((clean_up.name, clean_up.run.await));
    }
    found
}

fn with(found: &[(String, Finding)], verdict: Verdict) -> Vec<&str> {
    found.iter().filter(|(_, finding)| finding.verdict == verdict).map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn a_folder_passes_every_trial_and_is_left_as_it_was() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("store");

    for exists in [false, true] {
        if exists {
            std::fs::create_dir(&folder).unwrap();
        }
        let config = StorageConfig::default();
        let found = run(super::folder::trials(&folder, &config)).await;

        assert_eq!(with(&found, Verdict::Fail), [""; 0], "{found:?}");
        assert_eq!(folder.exists(), exists);
        let holds = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        assert_eq!(holds(parent.path()), usize::from(exists));
        assert!(!exists || holds(&folder) == 0);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_one_fails_with_its_name() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();

    let found = run(super::folder::trials(&file.join("store"), &StorageConfig::default())).await;

    assert_eq!(with(&found, Verdict::Fail), ["folder"], "{found:?}");
    assert!(found[0].1.told.contains(&file.display().to_string()), "{found:?}");
}

#[tokio::test]
async fn a_bucket_is_left_as_it_was_and_its_faults_are_told() {
    let server = S3Server::start().await;

    let found = run(try_store(&server.config(), Path::new("/"), Needs::default())).await;

    assert_eq!(with(&found, Verdict::Fail), [""; 0], "{found:#?}");
    let notes = with(&found, Verdict::Note);
    assert!(notes.contains(&"concurrent creates") && notes.contains(&"browsers: upload (CORS)"), "{found:#?}");
    // What this server knows of objects outlives them.
    let left = server
        .files()
        .into_iter()
        .filter(|file| !file.ends_with(".internal.json") && !file.ends_with(".metadata.json"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn what_direct_uploads_need_fails_where_it_is_missing() {
    let server = S3Server::start().await;
    let needs = Needs { direct_uploads: true, shared_state: true };

    let found = run(try_store(&server.config(), Path::new("/"), needs)).await;

    assert_eq!(with(&found, Verdict::Fail), ["browsers: upload (CORS)", "browsers: download (CORS)"], "{found:#?}");
    assert!(with(&found, Verdict::Note).contains(&"address for clients"), "{found:#?}");
}

#[tokio::test]
async fn a_wrong_secret_and_nobody_there_are_told_apart() {
    let server = S3Server::start().await;
    let secret = |text: &str| Some(heliograph_types::Secret::new(text.to_owned()));
    let wrong = StorageConfig { secret_access_key: secret("wrong-secret"), ..server.config() };
    let nobody = StorageConfig { endpoint: Some("http://127.0.0.1:1".parse().unwrap()), ..server.config() };

    for (config, told) in [(wrong, "refuses us"), (nobody, "refused")] {
        let found = run(try_store(&config, Path::new("/"), Needs::default())).await;

        let (_, put) = &found[0];
        assert_eq!(put.verdict, Verdict::Fail);
        assert!(put.told.contains(told) && put.advice.is_some(), "{put:?}");
        assert!(!format!("{found:?}").contains("wrong-secret"));
    }
}

#[test]
fn whoever_decides_on_creates_is_told_with_what_that_needs() {
    let judge = |creates, setting, shared| {
        let finding = judge_creates(creates, setting, shared);
        (finding.verdict, finding.advice.unwrap_or_default())
    };

    assert_eq!(judge(Creates::Atomic, ConditionalCreate::Probe, false).0, Verdict::Ok);
    assert_eq!(judge(Creates::Atomic, ConditionalCreate::Never, false).0, Verdict::Note);
    for creates in [Creates::Checked, Creates::Blind] {
        assert_eq!(judge(creates, ConditionalCreate::Trust, true).0, Verdict::Fail);
        let (verdict, advice) = judge(creates, ConditionalCreate::Probe, false);
        assert!(verdict == Verdict::Note && advice.contains("set state.redis_url"), "{advice}");
    }
}

#[test]
fn a_clock_may_differ_by_a_minute_and_never_by_a_quarter_of_an_hour() {
    let noon = 784_123_200_u64;
    let verdict =
        |seconds: u64| judge_clock("Sun, 06 Nov 1994 12:00:00 GMT", Timestamp::from_millis(seconds * 1000)).verdict;

    for (ours, expected) in [
        (noon, Verdict::Ok),
        (noon - 60, Verdict::Ok),
        (noon + 61, Verdict::Note),
        (noon - 900, Verdict::Note),
        (noon + 901, Verdict::Fail),
        (noon - 901, Verdict::Fail),
    ] {
        assert_eq!(verdict(ours), expected, "{ours}");
    }
    assert_eq!(judge_clock("yesterday", Timestamp::from_millis(0)).verdict, Verdict::Note);
}

#[test]
fn a_disk_that_is_nearly_full_is_told() {
    assert_eq!(judge_free(ByteSize::mib(1023)).verdict, Verdict::Note);
    assert_eq!(judge_free(ByteSize::gib(1)).verdict, Verdict::Ok);
}
