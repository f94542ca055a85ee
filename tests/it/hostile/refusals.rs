//! Refusals of every kind, and what becomes of them.

use bytes::Bytes;
use futures_util::future::join_all;
use heliograph_tests::{Act, Entrance, Request, ScriptedOrigin, Shape, answer, answer_with, both_shapes};

use super::{BAD_GATEWAY, End, Siege, file_in_two_parts};

const NOT_FOUND: End = End::Refused(404, "M_NOT_FOUND");
const TOO_LARGE: End = End::Refused(502, "M_TOO_LARGE");
const NOT_YET: End = End::Refused(504, "M_NOT_YET_UPLOADED");
const HTML: &str = "<html><h1>404</h1></html>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_passed_on_as_far_as_they_mean_anything() {
    let mut siege = Siege::start(Shape::One).await;
    let cases = [
        ("not found", "404 Not Found", code("M_NOT_FOUND"), NOT_FOUND),
        ("not found, for another reason", "404 Not Found", code("M_UNKNOWN"), NOT_FOUND),
        ("gone", "410 Gone", String::new(), NOT_FOUND),
        ("no endpoint is known", "404 Not Found", code("M_UNRECOGNIZED"), BAD_GATEWAY),
        ("no method is", "405 Not Allowed", code("M_UNRECOGNIZED"), BAD_GATEWAY),
        ("a page says 404", "404 Not Found", HTML.to_owned(), BAD_GATEWAY),
        ("nothing says 404", "404 Not Found", String::new(), BAD_GATEWAY),
        ("unauthorized", "401 Unauthorized", code("M_UNAUTHORIZED"), BAD_GATEWAY),
        ("forbidden", "403 Forbidden", code("M_FORBIDDEN"), BAD_GATEWAY),
        ("bad", "400 Bad Request", code("M_UNKNOWN"), BAD_GATEWAY),
        ("too large", "413 Too Large", code("M_TOO_LARGE"), TOO_LARGE),
        ("too large for it", "502 Bad Gateway", code("M_TOO_LARGE"), TOO_LARGE),
        ("not yet", "504 Timeout", code("M_NOT_YET_UPLOADED"), NOT_YET),
        ("500", "500 Broken", code("M_UNKNOWN"), BAD_GATEWAY),
        ("502 and a page", "502 Bad Gateway", HTML.to_owned(), BAD_GATEWAY),
        ("503 and nothing", "503 Unavailable", String::new(), BAD_GATEWAY),
        ("504 of a proxy", "504 Timeout", HTML.to_owned(), BAD_GATEWAY),
        ("429 and no time", "429 Too Many", code("M_LIMIT_EXCEEDED"), BAD_GATEWAY),
    ];
    let cases = cases.map(|(what, status, body, expected)| siege.case(what, expected, move |_| answer(status, &body)));
    let mut cases = join_all(cases).await;
    let endless = |_: &_| vec![Act::send("HTTP/1.1 500 Broken\r\n\r\n"), Act::SendForever("x".repeat(1000).into())];
    cases.push(siege.case("500 without an end", BAD_GATEWAY, endless).await);
    let silent = |_: &_| vec![Act::send("HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n"), Act::Wait];
    cases.push(siege.case("404 and silence", BAD_GATEWAY, silent).await);

    siege.endure(&cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_is_asked_as_old_servers_were() {
    let mut siege = Siege::start(Shape::One).await;
    let mut cases = Vec::new();
    for (what, status, body) in [
        ("as it should", "404 Not Found", code("M_UNRECOGNIZED")),
        ("by a page", "404 Not Found", HTML.to_owned()),
        ("by nothing", "404 Not Found", String::new()),
        ("by a method", "405 Not Allowed", String::new()),
        ("as a bad request", "400 Bad Request", code("M_UNRECOGNIZED")),
    ] {
        let play = move |request: &Request| match request.path() {
            path if path.starts_with("/_matrix/media/r0/") => answer_with("200 OK", "", "hello"),
            _ => answer(status, &body),
        };
        cases.push(siege.case(what, End::Whole(Bytes::from_static(b"hello")), play).await);
    }

    siege.endure(&cases).await;
}

both_shapes! {
    async fn a_server_that_says_too_much_is_left_alone_as_long_as_it_says(shape: Shape) {
        let siege = Siege::start(shape).await;
        let limited = |header: &str| {
            let header = header.to_owned();
            move |_: &Request| answer_with("429 Too Many", &header, code("M_LIMIT_EXCEEDED"))
        };
        for (header, expected) in [("Retry-After: 7\r\n", Some("7")), ("", None), ("Retry-After: soon\r\n", None)] {
            let origin = ScriptedOrigin::start(
                Entrance::tls(&siege.identity, limited(header))).await;

            let first = siege.heliograph.alice().download(&format!("{}/abc", origin.name())).await;
            let second = siege.heliograph.alice().download(&format!("{}/other", origin.name())).await;

            assert_eq!([first.error(), second.error()].map(|(status, _)| status), [502, 502], "{header:?}");
            assert!(expected.is_none_or(|expected| first.header("retry-after") == expected), "{first:?}");
            assert!(!second.header("retry-after").is_empty(), "{second:?}");
            assert_eq!(origin.requests().len(), 1, "{header:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_no_reason_to_ask_without_a_signature() {
    let siege = Siege::start(Shape::One).await;
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Too Many", "500 Broken", "502 Bad"] {
        let play = move |request: &Request| match request.path() {
            path if path.starts_with("/_matrix/federation/") => answer(status, &code("M_FORBIDDEN")),
            _ => file_in_two_parts(b"hello"),
        };
        let entrance = Entrance::tls(&siege.identity, play);
        let origin = ScriptedOrigin::start(entrance).await;

        siege.heliograph.alice().download(&format!("{}/abc", origin.name())).await.error();

        assert_eq!(origin.requests().len(), 1, "{status}");
    }
}

fn code(errcode: &str) -> String {
    format!(r#"{{"errcode": "{errcode}", "error": "so it is"}}"#)
}
