//! URLs by which others reach one blob.

use std::time::Duration;

use heliograph_blobs::Grant;
use heliograph_tests::{Answer, Client, eventually, noise};
use reqwest::{Method, RequestBuilder, Url, header};
use url::Position;

use super::{Bucket, key};

const LONG: Duration = Duration::from_mins(5);
const DISPOSITION: &str = "attachment; filename=\"a b.pdf\"";
const READ: Grant<'_> = Grant::Get { content_type: "application/pdf", disposition: DISPOSITION };

/// A request to a signed URL. Google's are for its public host, which here is where the bucket is.
pub(super) fn request(bucket: &Bucket, method: Method, url: &Url) -> RequestBuilder {
    let endpoint: Url = bucket.told("endpoint").parse().unwrap();
    let address = *endpoint.socket_addrs(|| None).unwrap().first().unwrap();
    let target = &url[Position::BeforePath..];
    let host = &url[Position::BeforeHost..Position::AfterPort];
    Client::plain(address, "").without_token().request(method, target).header(header::HOST, host)
}

async fn get(bucket: &Bucket, url: &Url) -> Answer {
    Answer::of(request(bucket, Method::GET, url)).await
}

fn refused(what: &str, answer: &Answer) {
    assert!(answer.status.is_client_error(), "{what}: {answer:?}");
}

pub(super) async fn a_url_reads_one_blob_for_a_while(bucket: Bucket) {
    let store = bucket.open().await;
    let (ours, other) = (key("urls/[::1]:80/a"), key("urls/[::1]:80/b"));
    store.put(&ours, noise(5000, 1).into()).await.unwrap();
    store.put(&other, noise(5000, 2).into()).await.unwrap();
    let url = store.presign(&ours, READ, LONG).await.unwrap().unwrap();

    let whole = get(&bucket, &url).await;
    let part = Answer::of(request(&bucket, Method::GET, &url).header(header::RANGE, "bytes=100-199")).await;

    assert_eq!((whole.status.as_u16(), whole.header("content-type")), (200, "application/pdf"), "{whole:?}");
    assert_eq!(whole.header("content-disposition"), DISPOSITION);
    assert!(whole.body == noise(5000, 1));
    assert_eq!(part.status, 206);
    assert!(part.body == noise(5000, 1)[100..200]);
    for (what, from, to) in
        [("another type", "pdf", "xml"), ("another name", "attachment", "inline"), ("another key", "/a?", "/b?")]
    {
        let changed: Url = url.as_str().replacen(from, to, 1).parse().unwrap();
        refused(what, &get(&bucket, &changed).await);
    }
    refused("to write", &Answer::of(request(&bucket, Method::PUT, &url).body("changed")).await);
    let short = store.presign(&ours, READ, Duration::from_secs(1)).await.unwrap().unwrap();
    eventually("it expires", async || get(&bucket, &short).await.status.is_client_error().then_some(())).await;
    assert!(store.get(&ours, 5000).await.unwrap() == noise(5000, 1));
}

pub(super) async fn a_url_writes_one_blob_and_no_other(bucket: Bucket) {
    let store = bucket.open().await;
    let url = store.presign(&key("direct/a"), Grant::Put, LONG).await.unwrap().unwrap();

    let put = Answer::of(request(&bucket, Method::PUT, &url).body(noise(300_000, 3))).await;

    assert!(put.status.is_success(), "{put:?}");
    assert_eq!(store.stat(&key("direct/a")).await.unwrap().size_bytes, 300_000);
    store.copy(&key("direct/a"), &key("blobs/a")).await.unwrap();
    let again = Answer::of(request(&bucket, Method::PUT, &url).body("later")).await;
    assert!(again.status.is_success(), "{again:?}");
    assert!(store.get(&key("blobs/a"), 300_000).await.unwrap() == noise(300_000, 3), "a copy does not change");
    refused("to read", &get(&bucket, &url).await);
    let other: Url = url.as_str().replacen("direct/a", "blobs/a", 1).parse().unwrap();
    refused("another key", &Answer::of(request(&bucket, Method::PUT, &other).body("changed")).await);
    assert!(store.get(&key("blobs/a"), 300_000).await.unwrap() == noise(300_000, 3));
}

/// Azure takes nothing without a header that no client sends.
pub(super) async fn there_is_no_url_for_a_client_to_write(bucket: Bucket) {
    assert_eq!(bucket.open().await.presign(&key("direct/a"), Grant::Put, LONG).await.unwrap(), None);
}
