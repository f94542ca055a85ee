//! One request is one trace, through every process that had a part in it.

use heliograph_tests::{
    Answer, Client, Collector, Deployment, Origin, Seen, Setup, Shape, both_shapes, eventually, free_port, jpeg,
};
use reqwest::Method;

const CALLER: &str = "b7ad6b7169203331";

/// Spans of requests.
const POST: &str = "POST /_matrix/media/v3/upload";
const SMALL: &str = "GET /_matrix/client/v1/media/thumbnail/{server_name}/{media_id}";
const LARGE: &str = "GET /_matrix/client/v1/media/download/{server_name}/{media_id}";

/// The traces of a caller who has his own.
const UPLOAD: &str = "0af7651916cd43dd8448eb211c803190";
const THUMBNAIL: &str = "0af7651916cd43dd8448eb211c803191";
const FETCH: &str = "0af7651916cd43dd8448eb211c803192";

/// A request within such a trace.
async fn traced(client: &Client, trace: &str, method: Method, path: &str, body: Vec<u8>) -> Answer {
    let request = client.request(method, path).header("traceparent", format!("00-{trace}-{CALLER}-01"));
    Answer::of(request.header("content-type", "image/jpeg").body(body)).await
}

/// One request that needs the orchestrator, one the thumbnailer, one the fetcher; the id of what
/// was uploaded.
async fn use_every_role(deployment: &Deployment, remote: &str) -> String {
    let alice = deployment.alice();
    let uploaded = traced(&alice, UPLOAD, Method::POST, "/_matrix/media/v3/upload", jpeg(400, 300)).await.json();
    let id = uploaded["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let thumbnail = format!("/_matrix/client/v1/media/thumbnail/{id}?width=96&height=96&method=crop");
    traced(&alice, THUMBNAIL, Method::GET, &thumbnail, Vec::new()).await.ok();
    let download = format!("/_matrix/client/v1/media/download/{remote}");
    traced(&alice, FETCH, Method::GET, &download, Vec::new()).await.ok();
    id
}

/// Ends all processes: what was not yet sent is sent before.
fn end(deployment: &mut Deployment) {
    for process in deployment.processes().iter_mut().rev() {
        process.signal("TERM");
        process.wait();
    }
}

/// A deployment that sends its traces to a collector, and a server whose one file it can fetch.
struct Scene {
    deployment: Deployment,
    collector: Collector,
    origin: Origin,
}

impl Scene {
    async fn start(shape: Shape, ratio: f64) -> Self {
        let (origin, collector) = (Origin::of_type(&jpeg(300, 200), "image/jpeg").await, Collector::start().await);
        // It need not wait in the middle of its file.
        origin.go_on(100);
        let deployment = Setup::new(shape)
            .trusts(&origin.peer.authority())
            .set("telemetry", "otlp_endpoint", collector.url())
            .set("telemetry", "sample_ratio", ratio)
            .start()
            .await;
        Self { deployment, collector, origin }
    }
}

/// The names of a span and of all that it is a part of, the outermost first.
fn path(spans: &[Seen], span: &Seen) -> Vec<String> {
    let parent = spans.iter().find(|other| other.span_id == span.parent_id);
    let mut path = parent.map_or_else(Vec::new, |parent| path(spans, parent));
    path.push(span.name.clone());
    path
}

/// Whether some span is within the others in this order, perhaps with more between them.
fn has(spans: &[Seen], names: &[&str]) -> bool {
    spans.iter().any(|span| {
        let path = path(spans, span);
        let mut rest = path.iter();
        path.last().map(String::as_str) == names.last().copied() && names.iter().all(|name| rest.any(|it| it == name))
    })
}

#[track_caller]
fn assert_has(spans: &[Seen], names: &[&str]) {
    let paths: Vec<String> = spans.iter().map(|span| path(spans, span).join(" > ")).collect();
    assert!(has(spans, names), "nothing is {names:?} in\n{}", paths.join("\n"));
}

/// The calls that an upload, a thumbnail and a fetch need between processes. A name that is there
/// twice is first the client's side of a call and then the server's.
fn assert_calls(upload: &[Seen], thumbnail: &[Seen], fetch: &[Seen]) {
    let (begin, commit) = ("heliograph.upload.v1.UploadService/Begin", "heliograph.upload.v1.UploadService/Commit");
    let (render, ask) =
        ("heliograph.thumbnail.v1.ThumbnailService/Render", "heliograph.federation.v1.FederationService/Fetch");

    assert_has(upload, &[POST, begin, begin, "begin"]);
    assert_has(upload, &[POST, commit, commit, "commit", "upload commit", "store create"]);
    assert_has(upload, &[POST, commit, commit, "upload commit", "redis enter"]);
    assert_has(thumbnail, &[render, render, "render", "thumbnail work"]);
    assert_has(thumbnail, &[render, render, "redis try_acquire"]);
    assert_has(fetch, &[ask, ask, "fetch", "GET"]);
    assert_has(fetch, &[ask, ask, "fetch", begin, begin, "begin"]);
    assert_has(fetch, &[ask, ask, "fetch", "redis try_acquire"]);
}

both_shapes! {
    async fn what_a_request_needs_is_in_its_trace(shape: Shape) {
        let Scene { mut deployment, collector, origin } = Scene::start(shape, 0.0).await;

        use_every_role(&deployment, &origin.id()).await;

        end(&mut deployment);
        let [upload, thumbnail, fetch] = [UPLOAD, THUMBNAIL, FETCH].map(|trace| collector.trace(trace));
        assert_has(&upload, &[POST, "GET"]);
        assert_has(&upload, &[POST, "store write"]);
        assert_has(&upload, &[POST, "commit", "upload commit", "store create"]);
        for work in ["thumbnail wait", "thumbnail work", "store put"] {
            assert_has(&thumbnail, &[SMALL, "render", work]);
        }
        assert_has(&fetch, &[LARGE, "fetch", "find server"]);
        assert_has(&fetch, &[LARGE, "fetch", "GET", "connect"]);
        for part in ["begin", "store write", "commit", "upload commit"] {
            assert_has(&fetch, &[LARGE, "fetch", part]);
        }
        if shape == Shape::Four {
            assert_calls(&upload, &thumbnail, &fetch);
        }
        let all = [upload, thumbnail, fetch].concat();
        let mut services: Vec<&str> = all.iter().map(|span| span.service.as_str()).collect();
        services.sort_unstable();
        services.dedup();
        assert_eq!(services.len(), deployment.processes().len(), "{services:?}");
        let is_known = |span: &&Seen| {
            span.parent_id == CALLER || all.iter().any(|other| other.span_id == span.parent_id)
        };
        let orphans: Vec<&Seen> = all.iter().filter(|span| !is_known(span)).collect();
        assert!(orphans.is_empty(), "these are part of nothing that is known: {orphans:#?}");
    }

    async fn no_trace_shows_a_token_a_query_or_what_is_stored_where(shape: Shape) {
        let Scene { mut deployment, collector, origin } = Scene::start(shape, 1.0).await;

        let id = use_every_role(&deployment, &origin.id()).await;
        let path = format!("/_matrix/client/v1/media/download/{id}?access_token=bob-token");
        deployment.stranger().get(&path).await.ok();

        end(&mut deployment);
        let spans = collector.all();
        assert!(spans.len() > 30, "there is hardly anything: {spans:#?}");
        for secret in ["alice-token", "bob-token", "access_token", "width=96", "blobs/", "records/", "sig=\"", "X-Matrix"] {
            let shown = |span: &&Seen| {
                span.name.contains(secret) || span.attributes.iter().any(|attribute| attribute.contains(secret))
            };
            assert_eq!(spans.iter().find(shown), None, "{secret} is in a trace");
        }
    }

    async fn of_what_begins_here_the_ratio_decides(shape: Shape) {
        for (ratio, expected) in [(0.0, 0), (1.0, 5)] {
            let Scene { mut deployment, collector, .. } = Scene::start(shape, ratio).await;

            for _ in 0..5 {
                deployment.alice().get("/_matrix/client/v1/media/config").await.ok();
            }
            // Its caller has decided otherwise.
            let request = deployment.alice().request(Method::GET, "/_matrix/client/v1/media/config");
            let flags = if expected == 0 { "01" } else { "00" };
            Answer::of(request.header("traceparent", format!("00-{UPLOAD}-{CALLER}-{flags}"))).await.ok();

            end(&mut deployment);
            let spans = collector.all();
            let named = |span: &&Seen| span.name == "GET /_matrix/client/v1/media/config" && span.trace_id != UPLOAD;
            assert_eq!(spans.iter().filter(named).count(), expected, "{spans:#?}");
            assert_eq!(collector.trace(UPLOAD).is_empty(), expected > 0);
        }
    }

    async fn a_collector_that_is_gone_costs_nothing_but_its_spans(shape: Shape) {
        let nowhere = format!("http://127.0.0.1:{}", free_port());
        let mut deployment = Setup::new(shape).set("telemetry", "otlp_endpoint", nowhere).start().await;

        // More than wait for it.
        for _ in 0..2_500 {
            deployment.alice().get("/_matrix/client/v1/media/config").await.ok();
        }
        let lost = eventually("spans are lost, and that is counted", async || {
            let metrics = deployment.stranger().get("/metrics").await.ok();
            let metrics = String::from_utf8(metrics.to_vec()).unwrap();
            metrics.lines().find(|line| line.starts_with("heliograph_trace_spans_total{outcome=\"failed\"}")).map(str::to_owned)
        })
        .await;

        assert!(!lost.ends_with(" 0"), "{lost}");
        end(&mut deployment);
    }

    async fn the_log_of_every_process_carries_the_trace_of_the_caller(shape: Shape) {
        let origin = Origin::of_type(&jpeg(300, 200), "image/jpeg").await;
        origin.go_on(100);
        let setup = Setup::new(shape).trusts(&origin.peer.authority()).set("telemetry", "log_filter", "debug");
        let mut deployment = setup.start().await;

        use_every_role(&deployment, &origin.id()).await;

        for process in deployment.processes() {
            eventually("the trace is in the log", async || {
                let log = process.log();
                [UPLOAD, THUMBNAIL, FETCH].iter().any(|trace| log.contains(trace)).then_some(())
            })
            .await;
        }
    }
}
