//! Endpoints over a real folder, with fakes for the other roles.

mod changed;
mod queues;

use std::{rc::Rc, time::Duration};

use actix_web::{
    App,
    http::{
        StatusCode,
        header::{ACCEPT, AUTHORIZATION, VARY},
    },
    middleware::from_fn,
    test::{self, TestRequest},
    web::Data,
};
use heliograph_matrix::SignedRequest;
use heliograph_types::{
    ErrorCode, Failure, ServerName, Sizes,
    ThumbnailFormat::{Avif, WebP},
};
use serde_json::{Value, json};

use crate::{
    routes::{self, Places},
    testing::house::{House, remote_key},
};

/// The status, the JSON of an error, and the whole body.
struct Answer {
    status: StatusCode,
    errcode: Option<String>,
    body: Vec<u8>,
    vary: Vec<String>,
}

async fn ask(house: &House, request: TestRequest) -> Answer {
    let app = App::new()
        .app_data(Data::from(house.front()))
        .wrap(from_fn(heliograph_runtime::cors))
        .configure(|config| routes::configure(config, Rc::new(Places::new(&house.config))));
    let app = test::init_service(app).await;
    let response = test::call_service(&app, request.to_request()).await;
    let status = response.status();
    let vary = response.headers().get_all(VARY).map(|value| value.to_str().unwrap().to_owned()).collect();
    let body = test::read_body(response).await.to_vec();
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    let errcode = json.and_then(|json| json["errcode"].as_str().map(str::to_owned));
    Answer { status, errcode, body, vary }
}

async fn expect(house: &House, request: TestRequest, status: u16, errcode: &str) {
    let answer = ask(house, request).await;
    assert_eq!((answer.status.as_u16(), answer.errcode.as_deref()), (status, Some(errcode)));
}

fn with_token(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header((AUTHORIZATION, format!("Bearer {token}")))
}

fn get(path: &str, token: &str) -> TestRequest {
    with_token(TestRequest::get().uri(path), token)
}

const DOWNLOAD: &str = "/_matrix/client/v1/media/download/ours.example/here";

#[actix_web::test]
async fn guests_read_and_do_nothing_else() {
    let house = House::new().await;

    assert_eq!(ask(&house, get(DOWNLOAD, "guest")).await.body, b"content");
    for request in [
        TestRequest::post().uri("/_matrix/media/v3/upload"),
        TestRequest::put().uri("/_matrix/media/v3/upload/ours.example/x"),
        TestRequest::post().uri("/_matrix/media/v1/create"),
        TestRequest::get().uri("/_matrix/client/v1/media/config"),
    ] {
        expect(&house, with_token(request, "guest"), 403, "M_GUEST_ACCESS_FORBIDDEN").await;
    }
}

#[actix_web::test]
async fn authentication_comes_before_everything_else() {
    let house = House::new().await;
    let odd = "/_matrix/client/v1/media/thumbnail/%2e%2e/%00?width=x&timeout_ms=-1";

    expect(&house, TestRequest::get().uri(odd), 401, "M_MISSING_TOKEN").await;
    expect(&house, get(odd, "unknown"), 401, "M_UNKNOWN_TOKEN").await;
    expect(&house, get(odd, "alice"), 404, "M_NOT_FOUND").await;
}

#[actix_web::test]
async fn the_words_of_the_homeserver_pass_and_its_absence_is_no_401() {
    let house = House::new().await;

    let locked = ask(&house, get(DOWNLOAD, "locked")).await;
    assert_eq!(locked.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        serde_json::from_slice::<Value>(&locked.body).unwrap(),
        json!({"errcode": "M_USER_LOCKED", "error": "locked", "soft_logout": true})
    );
    expect(&house, get(DOWNLOAD, "down"), 503, "M_UNKNOWN").await;
}

#[actix_web::test]
async fn the_token_of_the_header_wins_over_that_of_the_query() {
    let house = House::new().await;
    let in_query = |token: &str| TestRequest::get().uri(&format!("{DOWNLOAD}?access_token={token}"));

    assert_eq!(ask(&house, in_query("alice")).await.status, StatusCode::OK);
    expect(&house, with_token(in_query("alice"), "unknown"), 401, "M_UNKNOWN_TOKEN").await;
    let house = House::with(|config| config.query_token = false).await;
    expect(&house, in_query("alice"), 401, "M_MISSING_TOKEN").await;
}

const FEDERATION: &str = "/_matrix/federation/v1/media/download/here?timeout_ms=0";

/// A request that `origin` signed for `destination`.
fn signed(origin: &str, destination: &str, target: &str) -> TestRequest {
    let (origin, destination): (ServerName, ServerName) = (origin.parse().unwrap(), destination.parse().unwrap());
    let signature = SignedRequest { method: "GET", target, origin: &origin, destination: &destination };
    TestRequest::get().uri(FEDERATION).insert_header((AUTHORIZATION, signature.sign(&remote_key())))
}

#[actix_web::test]
async fn a_server_reads_with_its_signature() {
    let house = House::new().await;

    let answer = ask(&house, signed("theirs.example", "ours.example", FEDERATION)).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(String::from_utf8_lossy(&answer.body).contains("\r\n\r\ncontent\r\n--"), "{:?}", answer.body);
}

#[actix_web::test]
async fn whatever_is_wrong_with_a_signature_is_401() {
    let house = House::new().await;

    for request in [
        TestRequest::get().uri(FEDERATION),
        get(FEDERATION, "alice"),
        TestRequest::get().uri(FEDERATION).insert_header((AUTHORIZATION, "X-Matrix nonsense")),
        signed("theirs.example", "other.example", FEDERATION),
        signed("ours.example", "ours.example", FEDERATION),
        signed("keyless.example", "ours.example", FEDERATION),
        signed("unreachable.example", "ours.example", FEDERATION),
        signed("expired.example", "ours.example", FEDERATION),
        signed("theirs.example", "ours.example", "/_matrix/federation/v1/media/download/other?timeout_ms=0"),
        signed("theirs.example", "ours.example", "/_matrix/federation/v1/media/download/here"),
    ] {
        expect(&house, request, 401, "M_UNAUTHORIZED").await;
    }
}

#[actix_web::test]
async fn without_room_to_look_for_a_key_the_server_is_told_to_come_again() {
    let house = House::new().await;

    expect(&house, signed("crowded.example", "ours.example", FEDERATION), 429, "M_LIMIT_EXCEEDED").await;
}

#[actix_web::test]
async fn a_thumbnail_that_is_stored_costs_no_call() {
    let house = House::new().await.failing(Failure::internal("must not be asked"));
    for stored in ["96x96-crop", "96x96-crop-animated"] {
        house.thumbnail("mxc://ours.example/here", stored.parse().unwrap()).await;
    }

    for size in ["width=96&height=96", "width=90&height=90", "width=96&height=96&animated=true"] {
        let path = format!("/_matrix/client/v1/media/thumbnail/ours.example/here?method=crop&{size}");
        assert_eq!(ask(&house, get(&path, "alice")).await.status, StatusCode::OK, "{size}");
    }
}

/// What a stored thumbnail that is answered says that it is, and the `Vary` headers.
async fn thumbnail(house: &House, query: &str, accept: &[&str]) -> (String, Vec<String>) {
    let mut request = get(&format!("/_matrix/client/v1/media/thumbnail/ours.example/here?{query}"), "alice");
    for accept in accept {
        request = request.append_header((ACCEPT, *accept));
    }
    let Answer { status, body, vary, .. } = ask(house, request).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    (String::from_utf8_lossy(&body).split_once("IHDR").unwrap().1.to_owned(), vary)
}

#[actix_web::test]
async fn a_thumbnail_is_in_the_best_format_that_the_client_names() {
    let house = House::new().await.offering(&[Avif, WebP]);
    for stored in ["96x96-crop", "96x96-crop.webp", "96x96-crop.avif"] {
        house.thumbnail("mxc://ours.example/here", stored.parse().unwrap()).await;
    }

    for (accept, expected) in [
        (&["image/avif,image/webp,*/*;q=0.8"][..], "96x96-crop.avif"),
        (&["image/webp", "image/avif;q=0.1"], "96x96-crop.avif"),
        (&["image/webp,image/avif;q=0"], "96x96-crop.webp"),
        (&["image/*,*/*"], "96x96-crop"),
        (&[], "96x96-crop"),
    ] {
        let (thumbnail, vary) = thumbnail(&house, "width=96&height=96&method=crop", accept).await;

        assert_eq!(thumbnail, expected, "{accept:?}");
        assert!(vary.contains(&"Accept".to_owned()) && vary.contains(&"Authorization".to_owned()), "{vary:?}");
    }
}

#[actix_web::test]
async fn without_the_setting_all_get_the_usual_format() {
    let house = House::new().await;
    for stored in ["96x96-crop", "96x96-crop.webp"] {
        house.thumbnail("mxc://ours.example/here", stored.parse().unwrap()).await;
    }

    let (thumbnail, vary) = thumbnail(&house, "width=96&height=96&method=crop", &["image/webp"]).await;

    assert_eq!((thumbnail.as_str(), vary), ("96x96-crop", vec!["Authorization".to_owned()]));
}

#[actix_web::test]
async fn stored_thumbnails_are_looked_up_by_the_sizes_that_are_set() {
    let dynamic = House::new().await.sized(Sizes { dynamic: true, ..Sizes::default() });
    dynamic.thumbnail("mxc://ours.example/here", "77x55-crop".parse().unwrap()).await;
    let still = House::new().await.sized(Sizes { animated: false, ..Sizes::default() });
    still.thumbnail("mxc://ours.example/here", "96x96-crop".parse().unwrap()).await;

    assert_eq!(thumbnail(&dynamic, "width=77&height=55&method=crop", &[]).await.0, "77x55-crop");
    assert_eq!(thumbnail(&still, "width=90&height=90&method=crop&animated=true", &[]).await.0, "96x96-crop");
}

#[actix_web::test]
async fn one_good_signature_among_several_is_enough() {
    let house = House::new().await;
    let request = signed("theirs.example", "ours.example", FEDERATION);
    let bad = "X-Matrix origin=\"keyless.example\",destination=\"ours.example\",key=\"ed25519:1\",sig=\"AAAA\"";

    let answer = ask(&house, request.append_header((AUTHORIZATION, bad))).await;

    assert_eq!(answer.status, StatusCode::OK);
}

#[actix_web::test]
async fn no_more_than_four_signatures_are_tried() {
    let house = House::new().await;
    let bad = "X-Matrix origin=\"keyless.example\",destination=\"ours.example\",key=\"ed25519:1\",sig=\"AAAA\"";
    let good = signed("theirs.example", "ours.example", FEDERATION).to_http_request();
    let good = good.headers().get(AUTHORIZATION).unwrap().clone();
    let behind = |count| {
        let request = TestRequest::get().uri(FEDERATION);
        let request = (0..count).fold(request, |request, _| request.append_header((AUTHORIZATION, bad)));
        request.append_header((AUTHORIZATION, good.clone()))
    };

    assert_eq!(ask(&house, behind(3)).await.status, StatusCode::OK);
    expect(&house, behind(4), 401, "M_UNAUTHORIZED").await;
}

#[actix_web::test]
async fn remote_media_is_not_served_to_servers() {
    let house = House::new().await;
    house.record("mxc://theirs.example/copy", None).await;
    let target = "/_matrix/federation/v1/media/download/copy?timeout_ms=0";
    let request = signed("theirs.example", "ours.example", target).uri(target);

    expect(&house, request, 404, "M_NOT_FOUND").await;
}

#[actix_web::test]
async fn what_a_remote_server_cannot_give_is_told_in_the_form_of_the_protocol() {
    for (code, status, errcode) in [
        (ErrorCode::NotFound, 404, "M_NOT_FOUND"),
        (ErrorCode::BadGateway, 502, "M_UNKNOWN"),
        (ErrorCode::RemoteTooLarge, 502, "M_TOO_LARGE"),
        (ErrorCode::NotYetUploaded, 504, "M_NOT_YET_UPLOADED"),
        (ErrorCode::LimitExceeded, 429, "M_LIMIT_EXCEEDED"),
    ] {
        let house = House::new().await.failing(Failure::new(code, "no").retry_after(Duration::from_secs(1)));

        expect(&house, get("/_matrix/client/v1/media/download/theirs.example/x", "alice"), status, errcode).await;
    }
}

#[actix_web::test]
async fn a_legacy_request_can_forbid_to_go_out() {
    let house = House::new().await.failing(Failure::internal("must not be asked"));
    house.record("mxc://theirs.example/copy", None).await;

    for id in ["x", "copy"] {
        for query in ["download/theirs.example/{id}?", "thumbnail/theirs.example/{id}?width=9&height=9&"] {
            let path = format!("/_matrix/media/v3/{}allow_remote=false", query.replace("{id}", id));
            expect(&house, TestRequest::get().uri(&path), 404, "M_NOT_FOUND").await;
        }
    }
    let copy = TestRequest::get().uri("/_matrix/media/v3/download/theirs.example/copy");
    assert_eq!(ask(&house, copy).await.body, b"content");
}

#[actix_web::test]
async fn a_blocked_server_gets_nothing_and_nobody_gets_anything_of_it() {
    let house = House::new().await.failing(Failure::internal("must not be asked")).blocking("*.example");
    house.record("mxc://theirs.example:8448/copy", None).await;

    for id in ["x", "copy"] {
        for path in ["download/theirs.example:8448/{id}", "thumbnail/theirs.example:8448/{id}?width=9&height=9"] {
            let path = path.replace("{id}", id);
            expect(&house, get(&format!("/_matrix/client/v1/media/{path}"), "alice"), 404, "M_NOT_FOUND").await;
            let legacy = format!("/_matrix/media/v3/{path}");
            expect(&house, TestRequest::get().uri(&legacy), 404, "M_NOT_FOUND").await;
        }
    }
    for target in ["here", "nothing"] {
        let target = format!("/_matrix/federation/v1/media/download/{target}");
        for origin in ["theirs.example", "THEIRS.example:1"] {
            let request = signed(origin, "ours.example", &target).uri(&target);
            expect(&house, request, 403, "M_FORBIDDEN").await;
        }
    }
    let ours = get("/_matrix/client/v1/media/download/ours.example/here", "alice");
    assert_eq!(ask(&house, ours).await.body, b"content", "though our own name matches");
}

#[actix_web::test]
async fn what_the_fetcher_blocks_is_forbidden_too() {
    let house = House::new().await.failing(Failure::new(ErrorCode::Forbidden, "blocked"));
    let target = "/_matrix/federation/v1/media/download/here";

    expect(&house, signed("unreachable.example", "ours.example", target).uri(target), 403, "M_FORBIDDEN").await;
}

#[actix_web::test]
async fn without_room_to_wait_the_answer_comes_at_once() {
    let house = House::with(|config| config.max_waiting = 0).await;
    house.reserve("mxc://ours.example/later").await;
    let path = "/_matrix/client/v1/media/download/ours.example/later?timeout_ms=60000";

    expect(&house, get(path, "alice"), 504, "M_NOT_YET_UPLOADED").await;
}

#[actix_web::test]
async fn a_preflight_needs_no_token_and_errors_have_cors_headers_too() {
    let house = House::new().await;
    let app = App::new()
        .app_data(Data::from(house.front()))
        .wrap(from_fn(heliograph_runtime::cors))
        .configure(|config| routes::configure(config, Rc::new(Places::new(&house.config))));
    let app = test::init_service(app).await;

    for (method, path, status) in [
        ("OPTIONS", "/_matrix/client/v1/media/config", 200),
        ("GET", "/_matrix/client/v1/media/config", 401),
        ("GET", "/_matrix/media/unknown", 404),
        ("PATCH", "/_matrix/media/v3/upload", 405),
    ] {
        let request = TestRequest::with_uri(path).method(method.parse().unwrap()).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(response.headers().get("access-control-allow-origin").unwrap(), "*");
    }
}

#[actix_web::test]
async fn a_copy_that_goes_before_it_is_read_is_fetched_again() {
    let failure = Failure::new(ErrorCode::Unavailable, "the origin was asked");
    for path in ["download", "thumbnail"] {
        let house = House::new().await.failing(failure.clone());
        house.record("mxc://theirs.example/copy", None).await;
        house.evict_unseen("mxc://theirs.example/copy").await;

        let path = format!("/_matrix/client/v1/media/{path}/theirs.example/copy?width=32&height=32");
        let answer = ask(&house, get(&path, "alice")).await;

        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.contains("the origin was asked"), "{path}: {body}");
    }
}

#[actix_web::test]
async fn our_own_media_that_are_gone_are_not_looked_for_elsewhere() {
    let house = House::new().await.failing(Failure::internal("must not be asked"));
    house.evict_unseen("mxc://ours.example/here").await;

    expect(&house, get(DOWNLOAD, "alice"), 404, "M_NOT_FOUND").await;
}
