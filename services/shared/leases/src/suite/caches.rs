//! What caches must do.

use std::time::Duration;

use bytes::Bytes;

use super::bench::Bench;

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// Short enough to wait for. It may end by itself before we do.
const SHORT: Duration = Duration::from_millis(300);

pub(super) async fn a_value_is_found_until_its_time_is_over(bench: Bench) {
    bench.cache("short", Bytes::from_static(b"1"), SHORT).await.unwrap();
    bench.cache("long", Bytes::from_static(b"2"), LONG).await.unwrap();

    bench.pass(SHORT).await;

    assert_eq!(bench.find_cached("short").await.unwrap(), None);
    assert_eq!(bench.find_cached("long").await.unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(bench.find_cached("never").await.unwrap(), None);
}

pub(super) async fn a_forgotten_value_is_gone(bench: Bench) {
    bench.cache("key", Bytes::from_static(b"1"), LONG).await.unwrap();
    bench.cache("other", Bytes::from_static(b"2"), LONG).await.unwrap();

    bench.forget("key").await.unwrap();
    bench.forget("never there").await.unwrap();

    assert_eq!(bench.find_cached("key").await.unwrap(), None);
    assert!(bench.find_cached("other").await.unwrap().is_some());
}

pub(super) async fn the_last_value_counts(bench: Bench) {
    bench.cache("key", Bytes::from_static(b"1"), SHORT).await.unwrap();
    bench.cache("key", Bytes::from_static(b"2"), LONG).await.unwrap();
    bench.pass(SHORT).await;

    assert_eq!(bench.find_cached("key").await.unwrap().as_deref(), Some(&b"2"[..]));
}

pub(super) async fn any_bytes_can_be_kept(bench: Bench) {
    let all_bytes: Bytes = (0..=255).cycle().take(100_000).collect();

    bench.cache("many", all_bytes.clone(), LONG).await.unwrap();
    bench.cache("none", Bytes::new(), LONG).await.unwrap();

    assert_eq!(bench.find_cached("many").await.unwrap(), Some(all_bytes));
    assert_eq!(bench.find_cached("none").await.unwrap(), Some(Bytes::new()));
}
