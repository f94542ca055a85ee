//! Servers that do not answer, or so slowly that it comes to the same.

use heliograph_tests::{Act, Entrance, Shape, both_shapes, free_port, head, two_parts, wrapped};

use super::{BAD_GATEWAY, Case, End, Siege, nothing};

both_shapes! {
    async fn silent_servers_are_given_up(shape: Shape) {
        let mut siege = Siege::start(shape).await;
        let (before, _) = wrapped("Content-Type: video/mp4\r\n");
        let begun = head("200 OK", &two_parts());
        let content = begun.clone() + &before + "the first words";
        let in_part = begun.clone() + &before[..before.len() - 4];
        let plain = head("200 OK", "Content-Type: video/mp4\r\n");

        let cases = vec![
            Case::of("nobody listens", format!("127.0.0.8:{}", free_port()), BAD_GATEWAY),
            Case::with("it never does TLS", BAD_GATEWAY, Entrance::Bare(nothing())).await,
            Case::with("it leaves before TLS", BAD_GATEWAY, Entrance::Bare(vec![])).await,
            Case::with("it cuts before TLS", BAD_GATEWAY, Entrance::Bare(vec![Act::Cut])).await,
            Case::with("it drips where TLS should be", BAD_GATEWAY, Entrance::Bare(vec![Act::Drip("\x16".into())])).await,
            siege.case("it never answers", BAD_GATEWAY, |_| nothing()).await,
            siege.case("it leaves without an answer", BAD_GATEWAY, |_| vec![]).await,
            siege.case("it cuts without an answer", BAD_GATEWAY, |_| vec![Act::Cut]).await,
            siege.case("a head of a byte a second", BAD_GATEWAY, |_| vec![Act::Drip("HTTP/1.1 200 OK\r\nA: b".into())]).await,
            siege.case("silence in the head", BAD_GATEWAY, |_| vec![Act::send("HTTP/1.1 200 OK\r\n"), Act::Wait]).await,
            siege.case("silence after the head", BAD_GATEWAY, after(&begun, Act::Wait)).await,
            siege.case("a preamble of a byte a second", BAD_GATEWAY, after(&begun, Act::Drip("x".into()))).await,
            siege.case("silence in the headers of a part", BAD_GATEWAY, after(&in_part, Act::Wait)).await,
            siege.case("silence in the content", End::BrokenOff, after(&content, Act::Wait)).await,
            siege.case("content of a byte a second", End::BrokenOff, after(&content, Act::Drip("x".into()))).await,
            siege.legacy_case("an old one that never answers", BAD_GATEWAY, |_| nothing()).await,
            siege.legacy_case("silence in plain content", End::Failed, after(&plain, Act::Wait)).await,
            siege.legacy_case("plain content of a byte a second", End::BrokenOff, after(&plain, Act::Drip("x".into()))).await,
        ];

        siege.endure(&cases).await;
    }
}

fn after(beginning: &str, act: Act) -> impl Fn(&heliograph_tests::Request) -> Vec<Act> + Send + Sync + use<> {
    let script = vec![Act::send(beginning.to_owned()), act];
    move |_| script.clone()
}
