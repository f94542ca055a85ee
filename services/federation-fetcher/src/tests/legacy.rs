//! Older endpoints, and content that is elsewhere.

use heliograph_matrix::testing::{Step, TestRequest, answer, json};
use heliograph_types::ErrorCode;

use super::fixture::{Fixture, MULTIPART, open_head_of, send};

fn unrecognized() -> Vec<Step> {
    json("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#)
}

fn plain(content: &str) -> Vec<Step> {
    answer("200 OK", "Content-Type: text/html\r\nContent-Disposition: inline; filename=\"b c.html\"\r\n", content)
}

fn elsewhere(location: &str) -> Vec<Step> {
    let body = format!(
        "\r\n--B\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--B\r\nLocation: {location}\r\n\r\n\r\n--B--\r\n"
    );
    answer("200 OK", MULTIPART, body)
}

#[actix_rt::test]
async fn older_endpoints_are_tried_in_order_without_a_signature_and_remembered() {
    let fixture = Fixture::start(|request| match request.target() {
        target if target.starts_with("/_matrix/media/r0/") => plain("old"),
        _ => unrecognized(),
    })
    .await;

    let fetched = fixture.fetch("m1").await.unwrap();
    assert_eq!((fetched.size_bytes, fetched.content_type.as_str()), (Some(3), "text/html"));
    assert_eq!(fetched.file_name.as_ref().unwrap().as_str(), "b c.html");
    fixture.settle().await;
    assert_eq!(fixture.read("m2").await.unwrap(), b"old");

    let origin = &fixture.origin;
    let v3 = format!("/_matrix/media/v3/download/{origin}/m1?allow_remote=false&allow_redirect=true&timeout_ms=2000");
    assert_eq!(
        fixture.targets(),
        [
            "/_matrix/federation/v1/media/download/m1?timeout_ms=2000".to_owned(),
            v3,
            format!("/_matrix/media/r0/download/{origin}/m1?allow_remote=false"),
            format!("/_matrix/media/r0/download/{origin}/m2?allow_remote=false"),
        ]
    );
    let signed: Vec<_> = fixture.server.requests().iter().map(|r| r.header("authorization").is_some()).collect();
    assert_eq!(signed, [true, false, false, false]);
}

#[actix_rt::test]
async fn content_without_a_length_is_complete_only_if_the_connection_is_closed_as_it_should_be() {
    let fixture = Fixture::start(|request| {
        let mut steps = vec![open_head_of("Content-Type: text/html\r\n"), send("old")];
        match request.target() {
            target if target.starts_with("/_matrix/federation/") => return unrecognized(),
            target if target.contains("cut") => steps.push(Step::Cut),
            _ => {}
        }
        steps
    })
    .await;

    assert_eq!(fixture.read("whole").await.unwrap(), b"old");
    assert_eq!(fixture.code("cut").await, ErrorCode::BadGateway);
    fixture.settle().await;
    assert_eq!((fixture.record("cut").await, fixture.stored_blobs().await), (None, 1));
}

#[actix_rt::test]
async fn an_origin_without_any_endpoint_is_a_bad_gateway() {
    let fixture = Fixture::start(|_| unrecognized()).await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), 3);
}

#[actix_rt::test]
async fn a_location_is_followed_without_a_signature() {
    let fixture = Fixture::start(|request: &TestRequest| match request.target() {
        "/cdn?sig=x" => answer("302 Found", "Location: /moved\r\n", ""),
        "/moved" => plain("from the cdn"),
        _ => elsewhere(&format!("https://media.example:{}/cdn?sig=x", port(request))),
    })
    .await;

    let fetched = fixture.fetch("m1").await.unwrap();

    assert_eq!(fetched.file_name.as_ref().unwrap().as_str(), "b c.html");
    assert_eq!(super::fixture::read_all(fetched).await.unwrap(), b"from the cdn");
    let requests = fixture.server.requests();
    let signed: Vec<_> = requests.iter().map(|request| request.header("authorization").is_some()).collect();
    assert_eq!(signed, [true, false, false]);
    assert!(requests[1].header("host").unwrap().starts_with("media.example"));
}

fn port(request: &TestRequest) -> &str {
    request.header("host").and_then(|host| host.split(':').nth(1)).unwrap()
}

#[actix_rt::test]
async fn an_expired_location_makes_us_ask_once_more() {
    let fixture = Fixture::start(|request: &TestRequest| match request.target() {
        "/cdn" => answer("403 Expired", "", ""),
        _ => elsewhere(&format!("https://media.example:{}/cdn", port(request))),
    })
    .await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), 4);
}

#[actix_rt::test]
async fn a_location_that_must_not_be_followed_is_refused() {
    for location in ["http://media.example/x", "/relative", "file:///etc/passwd", "https://10.0.0.1/x", ""] {
        let fixture = Fixture::start(move |_| elsewhere(location)).await;

        assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway, "{location}");
        assert_eq!(fixture.server.requests().len(), 1, "{location}");
    }
}

#[actix_rt::test]
async fn redirects_are_followed_on_the_older_endpoint_alone() {
    let redirect = |_: &TestRequest| answer("307 Temporary Redirect", "Location: /moved\r\n", "");
    let newer = Fixture::start(redirect).await;
    assert_eq!(newer.code("m1").await, ErrorCode::BadGateway);
    assert_eq!(newer.server.requests().len(), 1);

    let older = Fixture::start(move |request| match request.target() {
        "/moved" => plain("moved"),
        target if target.starts_with("/_matrix/media/v3/") => redirect(request),
        _ => unrecognized(),
    })
    .await;
    assert_eq!(older.read("m1").await.unwrap(), b"moved");
}

#[actix_rt::test]
async fn a_redirect_loop_ends() {
    let fixture = Fixture::start(|request| match request.target() {
        target if target.starts_with("/_matrix/federation/") => unrecognized(),
        _ => answer("308 Permanent Redirect", "Location: /loop\r\n", ""),
    })
    .await;

    assert_eq!(fixture.code("m1").await, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), 1 + 2 * (1 + 4));
}
