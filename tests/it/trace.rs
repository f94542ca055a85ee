//! One request is one trace, through every process that had a part in it.

use heliograph_tests::{
    Answer, Authority, Client, Collector, Deployment, Seen, Setup, Shape, both_shapes, eventually, free_port, jpeg,
};
use reqwest::Method;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A request of a caller that has a trace of its own.
async fn traced(client: &Client, method: Method, path: &str, body: Vec<u8>) -> Answer {
    let request = client.request(method, path).header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    Answer::of(request.header("content-type", "image/jpeg").body(body)).await
}

/// One request that needs the orchestrator, one the thumbnailer, one the fetcher.
async fn use_every_role(deployment: &Deployment) {
    let alice = deployment.alice();
    let uploaded = traced(&alice, Method::POST, "/_matrix/media/v3/upload", jpeg(400, 300)).await.json();
    let id = uploaded["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let thumbnail = format!("/_matrix/client/v1/media/thumbnail/{id}?width=96&height=96&method=crop");
    traced(&alice, Method::GET, &thumbnail, Vec::new()).await.ok();
    let nowhere = format!("/_matrix/client/v1/media/download/127.0.0.9:{}/abc", free_port());
    let unreachable = traced(&alice, Method::GET, &nowhere, Vec::new()).await;
    assert_eq!(unreachable.error(), (502, "M_UNKNOWN".to_owned()));
}

both_shapes! {
    async fn the_trace_of_the_caller_goes_through_every_process(shape: Shape) {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let collector = Collector::start().await;
        let setup = Setup::new(shape).trusts(&authority.file()).set("telemetry", "otlp_endpoint", collector.url());
        let mut deployment = setup.start().await;

        use_every_role(&deployment).await;

        // What was not yet sent is sent before the end.
        for process in deployment.processes().iter_mut().rev() {
            process.signal("TERM");
            process.wait();
        }
        let spans = collector.trace(TRACE);
        let mut services: Vec<&str> = spans.iter().map(|span| span.service.as_str()).collect();
        services.sort_unstable();
        services.dedup();
        assert_eq!(services.len(), deployment.processes().len(), "{services:?} of {spans:#?}");
        let known = |span: &Seen| span.parent_id == CALLER || spans.iter().any(|other| other.span_id == span.parent_id);
        assert!(spans.iter().all(known), "a span is part of nothing that is known: {spans:#?}");
    }

    async fn the_log_of_every_process_carries_the_trace_of_the_caller(shape: Shape) {
        let mut deployment = Setup::new(shape).set("telemetry", "log_filter", "debug").start().await;

        use_every_role(&deployment).await;

        for process in deployment.processes() {
            eventually("the trace is in the log", async || process.log().contains(TRACE).then_some(())).await;
        }
    }
}
