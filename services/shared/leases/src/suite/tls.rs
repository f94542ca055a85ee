//! Passwords, certificates, and who is not believed.

use super::{
    bench::connect_as,
    forms::{Authority, PASSWORD, Papers, Redis, Secured},
    outages::soon,
};
use crate::{Caches, StateConfig};
use bytes::Bytes;
use heliograph_types::Secret;
use std::time::Duration;

const LONG: Duration = Duration::from_hours(1);

async fn error_with(config: StateConfig) -> String {
    soon(connect_as(config).ping()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_believed() {
    let Some(server) = Secured::start() else { return };
    let other = Authority::new();

    let unknown = error_with(StateConfig { redis_ca_file: Some(other.file()), ..server.config() }).await;
    let of_system = error_with(StateConfig { redis_ca_file: None, ..server.config() }).await;

    for error in [unknown, of_system] {
        assert!(error.contains("invalid peer certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_has_ended_or_is_for_another_name_is_not_believed() {
    let Some(expired) = Secured::start_with(Papers::new("127.0.0.1", true, false)) else { return };
    let Some(elsewhere) = Secured::start_with(Papers::new("127.0.0.2", false, false)) else { return };

    let (ended, other_name) = (error_with(expired.config()).await, error_with(elsewhere.config()).await);

    assert!(ended.to_lowercase().contains("expired"), "{ended}");
    assert!(other_name.contains("not valid for name"), "{other_name}");
}

#[tokio::test]
async fn who_must_show_a_certificate_shows_it() {
    let Some(server) = Secured::start_with(Papers::new("127.0.0.1", false, true)) else { return };
    let (chain, key) = server.papers.authority.certify("heliograph", false);
    let ours = StateConfig { redis_client_cert_file: Some(chain), redis_client_key_file: Some(key), ..server.config() };

    let without = soon(connect_as(server.config()).ping()).await;
    let with = soon(connect_as(ours).ping()).await;

    assert!(without.is_err());
    with.unwrap();
}

#[tokio::test]
async fn the_password_may_stand_in_a_file_and_is_never_shown() {
    let Some(server) = Secured::start() else { return };
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let with = |redis_password_file| StateConfig { redis_password: None, redis_password_file, ..server.config() };

    let right = connect_as(with(file("right", &format!("{PASSWORD}\n"))));
    let wrong = error_with(with(file("wrong", "a-wrong-password\n"))).await;
    let none = error_with(with(None)).await;

    right.cache("key", Bytes::from_static(b"value"), LONG).await.unwrap();
    assert_eq!(server.tell("SELECT 1"), "+OK\r\n");
    assert!(wrong.contains("authentication failed") && !wrong.contains("a-wrong-password"), "{wrong}");
    assert!(none.contains("NOAUTH") || none.contains("uthentication"), "{none}");
    let missing = StateConfig { redis_password: None, ..with(Some("/nowhere/password".into())) };
    assert_eq!(missing.unusable_files()[0].0, "redis_password_file");
    let url = Some(Secret::new("rediss://127.0.0.1:1".to_owned()));
    assert!(StateConfig { redis_url: url, ..missing }.contradictions().is_empty());
}
