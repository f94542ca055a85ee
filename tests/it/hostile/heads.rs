//! Answers whose head is already wrong.

use futures_util::future::join_all;
use heliograph_tests::{Act, Script, Shape, answer_with, head, two_parts};

use super::{BAD_GATEWAY, Siege, file_in_two_parts};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_no_honest_server_sends_are_refused() {
    let mut siege = Siege::start(Shape::One).await;
    let good = || head("200 OK", &two_parts());
    let begun = || Act::send("HTTP/1.1 200 OK\r\n");
    let header = |text: &str| vec![Act::send(good().replace("\r\n\r\n", &format!("\r\n{text}\r\n\r\n"))), Act::Wait];
    let instead = |text: &str| -> Script { vec![Act::send(text.to_owned()), Act::Wait] };
    let many = "X: y\r\n".repeat(5000);

    let cases = [
        ("a giant header", header(&format!("X: {}", "y".repeat(2 << 20)))),
        ("a giant name of a header", header(&format!("{}: y", "x".repeat(2 << 20)))),
        ("thousands of headers", vec![Act::send(head("200 OK", &(many + &two_parts())))]),
        ("headers without an end", vec![begun(), Act::SendForever("X: y\r\n".repeat(100).into())]),
        ("a header without an end", vec![begun(), Act::send("X: "), Act::SendForever("y".repeat(1000).into())]),
        ("informational answers without an end", vec![Act::SendForever("HTTP/1.1 103 Early Hints\r\n\r\n".into())]),
        ("a header without a colon", header("nonsense")),
        ("a header with control characters", header("X: \u{1}\u{2}")),
        ("no HTTP", instead("SSH-2.0-OpenSSH_9.2\r\n")),
        ("old HTTP", instead("<html>hello</html>\r\n\r\n")),
        ("HTTP of another version", instead("HTTP/7.3 200 OK\r\n\r\n")),
        ("no status", instead("HTTP/1.1 OK\r\n\r\n")),
        ("a status beyond all", instead("HTTP/1.1 99999 OK\r\n\r\n")),
        (
            "a protocol that was not asked for",
            instead("HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
        ),
        ("zeros", vec![Act::SendForever(vec![0; 1000].into())]),
        ("an encoding of chunks that nobody knows", header("Transfer-Encoding: rot13, chunked, rot13")),
        ("no content", answer_with("204 No Content", "", "")),
        ("a part of the content", vec![Act::send(good().replace("200 OK", "206 Partial")), Act::Wait]),
        ("created", with_status("201 Created")),
        ("it has not changed", with_status("304 Not Modified")),
        ("600", with_status("600 Beyond")),
    ];
    let cases = cases.map(|(what, script)| siege.case(what, BAD_GATEWAY, move |_| script.clone()));

    let cases = join_all(cases).await;
    siege.endure(&cases).await;
}

/// A good answer but for its status.
fn with_status(status: &str) -> Script {
    let mut script = file_in_two_parts(b"hello");
    if let Some(Act::Send(bytes)) = script.first_mut() {
        let text = String::from_utf8_lossy(bytes).replace("200 OK", status);
        *bytes = text.into();
    }
    script
}
