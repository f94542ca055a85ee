//! What is counted and traced of a folder.

use std::{fmt::Write, sync::Mutex};

use futures_util::TryStreamExt;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::{Id, Subscriber, field::Visit, span};
use tracing_subscriber::{Layer, layer::SubscriberExt, registry::LookupSpan};

use super::*;
use crate::{LocalStore, StorageConfig};

/// What was said of spans, as `name field=value`.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attrs: &span::Attributes<'_>, _: &Id, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut words = Words("new".to_owned());
        attrs.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }

    fn on_record(&self, _: &Id, values: &span::Record<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut words = Words("more".to_owned());
        values.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }

    fn on_close(&self, _: Id, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.lock().unwrap().push("closed".to_owned());
    }
}

/// Works on a measured folder; tells what was counted, and what was traced.
fn watch<F: Future<Output = ()>>(work: impl FnOnce(MeasuredStore) -> F) -> (PrometheusHandle, Vec<String>) {
    let (recorder, spans) = (PrometheusBuilder::new().build_recorder(), Spans::default());
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&recorder, || {
            let store = LocalStore::open(folder.path(), &StorageConfig::default()).unwrap();
            runtime.block_on(work(MeasuredStore::new(Arc::new(store), "folder")));
        });
    });
    let spans = spans.0.lock().unwrap().clone();
    (recorder.handle(), spans)
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn write(store: &MeasuredStore, pieces: usize) {
    let mut writer = store.begin(&key("a")).await.unwrap();
    for _ in 0..pieces {
        writer.write(Bytes::from_static(b"12345")).await.unwrap();
    }
    writer.finish().await.unwrap();
}

fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is missing in {text}");
    }
}

#[test]
fn a_blob_is_one_write_and_one_read_in_however_many_pieces() {
    let (handle, spans) = watch(async |store| {
        write(&store, 3).await;
        let reader = store.open(&key("a"), 0..15).await.unwrap();
        let pieces: Vec<Bytes> = reader.try_collect().await.unwrap();
        assert_eq!(pieces.concat().len(), 15);
    });

    assert_lines(
        &handle.render(),
        &[
            r#"heliograph_store_bytes_total{store="folder",operation="write"} 15"#,
            r#"heliograph_store_bytes_total{store="folder",operation="read"} 15"#,
            r#"heliograph_store_operation_seconds_count{store="folder",operation="write"} 1"#,
            r#"heliograph_store_operation_seconds_count{store="folder",operation="finish"} 1"#,
            r#"heliograph_store_operation_seconds_count{store="folder",operation="open"} 1"#,
            r#"heliograph_store_operation_seconds_count{store="folder",operation="read"} 1"#,
        ],
    );
    let opened = |name: &str| {
        let wanted = format!("otel.name=\"store {name}\"");
        spans.iter().filter(|words| words.starts_with("new") && words.contains(&wanted)).count()
    };
    assert_eq!((opened("write"), opened("read"), spans.len()), (1, 1, 6), "{spans:?}");
    assert_eq!(spans.iter().filter(|words| *words == "more store.bytes=15").count(), 2);
}

#[test]
fn a_span_lasts_until_nobody_reads_any_more() {
    let (handle, spans) = watch(async |store| {
        write(&store, 3).await;
        let mut reader = store.open(&key("a"), 0..15).await.unwrap();
        reader.try_next().await.unwrap();
        tracing::info_span!("while it is open");
        drop(reader);
    });

    let opened = spans.iter().position(|words| words.contains("store read")).unwrap();
    assert_eq!(spans[opened + 1..], ["new", "closed", "more store.bytes=15", "closed"]);
    assert_lines(&handle.render(), &[r#"heliograph_store_operation_seconds_count{store="folder",operation="read"} 1"#]);
}

#[test]
fn what_is_not_there_is_no_failure() {
    let (handle, spans) = watch(async |store| {
        assert!(store.get(&key("b"), 9).await.unwrap_err().is_not_found());
        assert!(store.open(&key("b"), 0..1).await.is_err_and(|error| error.is_not_found()));
        assert!(store.get(&key("a/b"), 9).await.is_err());
    });

    assert!(!handle.render().contains("heliograph_store_errors_total"), "{}", handle.render());
    assert!(!spans.iter().any(|words| words.contains("ERROR")), "{spans:?}");
}

#[test]
fn a_failure_is_counted_and_seen_in_the_trace() {
    let (handle, spans) = watch(async |store| {
        write(&store, 3).await;
        assert!(store.get(&key("a"), 2).await.is_err());
    });

    let counted = r#"heliograph_store_errors_total{store="folder",operation="get",error="failed"} 1"#;
    assert_lines(&handle.render(), &[counted]);
    assert!(spans.contains(&"more error.type=\"failed\"".to_owned()), "{spans:?}");
    assert!(spans.contains(&"more otel.status_code=\"ERROR\"".to_owned()), "{spans:?}");
    assert!(!spans.iter().any(|words| words.contains("\"a\"")), "a key is shown: {spans:?}");
}
