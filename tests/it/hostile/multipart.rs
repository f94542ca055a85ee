//! Answers in parts that are not two, or not as parts should be.

use heliograph_tests::{Act, Request, Script, Shape, answer_with, head, two_parts, wrapped};

use super::{BAD_GATEWAY, Case, End, Siege};

/// What stands before the content, the file, and the end.
const GOOD: &str =
    "{--}\r\nContent-Type: application/json\r\n\r\n{}{--}\r\nContent-Type: text/plain\r\n\r\nhello{--}--\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_broken_parts_are_refused() {
    let mut siege = Siege::start(Shape::One).await;
    let json = |json: &str| GOOD.replacen("{}", json, 1);
    let third = GOOD.replace("hello{--}--", "hello{--}\r\n\r\nmore{--}--");
    let of_type = |kind: &str| format!("Content-Type: {kind}\r\n");

    let cases = [
        ("another type", of_type("multipart/form-data; boundary=q"), GOOD.to_owned(), BAD_GATEWAY),
        ("no parts at all", of_type("text/plain"), "hello".to_owned(), BAD_GATEWAY),
        ("no type", String::new(), GOOD.to_owned(), BAD_GATEWAY),
        ("a type that is no text", of_type("multipart/mixed; boundary=\u{fe}"), GOOD.to_owned(), BAD_GATEWAY),
        ("no boundary", of_type("multipart/mixed"), GOOD.to_owned(), BAD_GATEWAY),
        ("an empty boundary", of_type("multipart/mixed; boundary="), GOOD.to_owned(), BAD_GATEWAY),
        (
            "an endless boundary",
            of_type(&format!("multipart/mixed; boundary={}", "q".repeat(71))),
            GOOD.to_owned(),
            BAD_GATEWAY,
        ),
        ("another boundary than it says", of_type("multipart/mixed; boundary=other"), GOOD.to_owned(), BAD_GATEWAY),
        ("nothing", two_parts(), String::new(), BAD_GATEWAY),
        ("no part", two_parts(), "{--}--\r\n".to_owned(), BAD_GATEWAY),
        ("one part", two_parts(), "{--}\r\nContent-Type: application/json\r\n\r\n{}{--}--\r\n".to_owned(), BAD_GATEWAY),
        (
            "one part, the file",
            two_parts(),
            "{--}\r\nContent-Type: text/plain\r\n\r\nhello{--}--\r\n".to_owned(),
            BAD_GATEWAY,
        ),
        ("three parts", two_parts(), third, End::Failed),
        ("the first part is a list", two_parts(), json("[]"), BAD_GATEWAY),
        ("the first part is empty", two_parts(), json(""), BAD_GATEWAY),
        ("the first part is no JSON", two_parts(), json("<html>"), BAD_GATEWAY),
        ("the first part is deep", two_parts(), json(&"[".repeat(60_000)), BAD_GATEWAY),
        ("the first part is large", two_parts(), json(&format!("{{\"a\": \"{}\"}}", "x".repeat(70_000))), BAD_GATEWAY),
        ("nowhere", two_parts(), GOOD.replace("Content-Type: text/plain", "Location: "), BAD_GATEWAY),
        (
            "somewhere that is no URL",
            two_parts(),
            GOOD.replace("Content-Type: text/plain", "Location: ::"),
            BAD_GATEWAY,
        ),
    ];
    let cases = cases.map(|(what, headers, body, expected)| {
        siege.case(what, expected, move |_: &Request| answer_with("200 OK", &headers, delimited(&body)))
    });

    let cases = futures_util::future::join_all(cases).await;
    siege.endure(&cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_end_before_the_file_is_refused() {
    let mut siege = Siege::start(Shape::One).await;
    let (before, _) = wrapped("Content-Type: text/plain\r\n");
    let up_to = |text: &str| before[..before.find(text).unwrap() + text.len()].to_owned();
    let last_header = before.trim_end().to_owned();

    let cases = [
        ("the preamble", String::new(), "to whom it may concern\r\n"),
        ("a preamble without lines", String::new(), "x"),
        ("the headers of the first part", up_to("application/json"), "\r\nX: y"),
        ("a header of the first part", up_to("application/json"), "x"),
        ("the JSON", up_to("\r\n\r\n{"), " "),
        ("the headers of the second part", last_header.clone(), "\r\nX: y"),
        ("a header of the second part", last_header, "x"),
    ];
    let mut attack = Vec::new();
    for (what, beginning, rest) in cases {
        attack.push(endless(&siege, what, &beginning, rest).await);
    }

    siege.endure(&attack).await;
}

async fn endless(siege: &Siege, what: &'static str, beginning: &str, rest: &str) -> Case {
    let beginning = head("200 OK", &two_parts()) + beginning;
    let script: Script = vec![Act::send(beginning), Act::SendForever(rest.repeat(1000).into())];
    siege.case(what, BAD_GATEWAY, move |_| script.clone()).await
}

/// The text with real delimiters.
fn delimited(text: &str) -> String {
    let (before, _) = wrapped("");
    let delimiter = before.split("\r\nContent-Type").next().unwrap_or_default();
    text.replace("{--}", delimiter)
}
