//! Servers that choose HTTP/2 and break it, frame by frame.

use std::time::Duration;

use bytes::Bytes;
use heliograph_tests::{Act, Entrance, Script, Shape, noise, two_parts, wrapped};

use super::{BAD_GATEWAY, Case, End, Siege};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The stream of the first request of a connection.
const FIRST: u32 = 1;
/// Until the request is certainly here.
const A_MOMENT: Duration = Duration::from_millis(300);
/// The most that a frame may hold unless more was agreed on.
const MOST: usize = 16_384;

fn frame(kind: u8, flags: u8, stream: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// A header that no table has.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        assert!(text.len() < 127, "its length needs one byte");
        [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}

/// A good head.
fn head_block() -> Vec<u8> {
    let kind = two_parts().to_lowercase();
    let (name, value) = kind.trim_end().split_once(": ").unwrap();
    // `:status: 200` is in the table of all.
    [vec![0x88], field(name, value)].concat()
}

/// Greets, waits for the request, sends all that and does something else then.
fn sends(frames: &[Vec<u8>], then: Act) -> Script {
    let greeting = [frame(SETTINGS, 0, 0, []), frame(SETTINGS, ACK, 0, [])].concat();
    vec![Act::send(greeting), Act::Pause(A_MOMENT), Act::send(frames.concat()), then]
}

fn again_and_again(frame: &[u8]) -> Act {
    Act::SendForever(frame.repeat(64).into())
}

/// What goes wrong before anything of the file is here.
fn before_the_file() -> Vec<(&'static str, Script)> {
    let unended = || frame(HEADERS, 0, FIRST, head_block());
    let head = |block: &[u8]| sends(&[frame(HEADERS, END_HEADERS, FIRST, block)], Act::Wait);
    let alone = |frame: Vec<u8>| sends(&[frame], Act::Wait);
    let flood = |frame: Vec<u8>| sends(&[], again_and_again(&frame));
    let goes_on = |content: &[u8]| sends(&[unended()], again_and_again(&frame(CONTINUATION, 0, FIRST, content)));
    let early = [vec![8, 3], b"103".to_vec()].concat();
    let wide: Vec<u8> = (0..200).flat_map(|nth| field(&format!("x-{nth}"), &"y".repeat(50))).collect();
    let pushed = [&[0, 0, 0, 2], head_block().as_slice()].concat();
    vec![
        ("it says nothing", vec![Act::Wait]),
        ("it greets, and that is all", sends(&[], Act::Wait)),
        ("it speaks HTTP/1.1", vec![Act::send("HTTP/1.1 200 OK\r\n\r\n"), Act::Wait]),
        ("it goes away", alone(frame(GOAWAY, 0, 0, [0; 8]))),
        ("it resets the request", alone(frame(RST_STREAM, 0, FIRST, [0; 4]))),
        ("it refuses the request", alone(frame(RST_STREAM, 0, FIRST, [0, 0, 0, 7]))),
        ("a head without an end", alone(unended())),
        ("a head that goes on for ever", goes_on(&field("x", "y"))),
        ("a head that goes on with nothing", goes_on(&[])),
        ("a wide head", head(&[head_block(), wide].concat())),
        ("a head that nobody can read", head(&[0xff; 20])),
        ("a table of any size", head(&[0x3f, 0xff, 0xff, 0xff, 0x7f, 0x88])),
        ("early hints for ever", flood(frame(HEADERS, END_HEADERS, FIRST, early))),
        ("settings for ever", flood(frame(SETTINGS, 0, 0, []))),
        ("pings for ever", flood(frame(PING, 0, 0, [0; 8]))),
        ("frames of no kind for ever", flood(frame(0x77, 0, 0, [0; 100]))),
        ("a frame longer than agreed", alone(frame(PING, 0, 0, vec![0; MOST + 1]))),
        ("what nobody asked for", alone(frame(PUSH_PROMISE, END_HEADERS, FIRST, pushed))),
        ("a window beyond all", alone(frame(WINDOW_UPDATE, 0, 0, 0x7fff_ffff_u32.to_be_bytes()))),
        ("an answer to nobody", alone(frame(HEADERS, END_HEADERS, 99, head_block()))),
        ("content before the head", alone(frame(DATA, 0, FIRST, "hello"))),
    ]
}

/// What goes wrong once the file has begun.
fn within_the_file() -> Vec<(&'static str, Script)> {
    let begun = |length: &[u8]| {
        let (before, _) = wrapped("Content-Type: video/mp4\r\n");
        let head = frame(HEADERS, END_HEADERS, FIRST, [head_block().as_slice(), length].concat());
        [head, frame(DATA, 0, FIRST, before + "the first words")].concat()
    };
    let reset = |why: u8| frame(RST_STREAM, 0, FIRST, [0, 0, 0, why]);
    let end = frame(DATA, END_STREAM, FIRST, []);
    let of_length = begun(&field("content-length", "1000"));
    vec![
        ("silence", sends(&[begun(&[])], Act::Wait)),
        ("nothing for ever", sends(&[begun(&[])], again_and_again(&frame(DATA, 0, FIRST, [])))),
        ("a cut", sends(&[begun(&[])], Act::Cut)),
        // As if all were well: the most treacherous one.
        ("a reset without an error", sends(&[begun(&[]), reset(0)], Act::Wait)),
        ("a reset without an error before its length", sends(&[of_length.clone(), reset(0)], Act::Wait)),
        ("an internal error", sends(&[begun(&[]), reset(2)], Act::Wait)),
        ("it is cancelled", sends(&[begun(&[]), reset(8)], Act::Wait)),
        ("the end before its length", sends(&[of_length, end], Act::Wait)),
        ("more than its window", sends(&[begun(&[])], again_and_again(&frame(DATA, 0, FIRST, noise(MOST, 6))))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_http2_is_refused() {
    let mut siege = Siege::start(Shape::One).await;
    let identity = siege.identity.speaking("h2");
    let mut cases = Vec::new();
    for (what, script) in before_the_file() {
        cases.push(Case::with(what, BAD_GATEWAY, Entrance::TlsAlone(identity.clone(), script)).await);
    }
    for (what, script) in within_the_file() {
        cases.push(Case::with(what, End::Failed, Entrance::TlsAlone(identity.clone(), script)).await);
    }

    siege.endure(&cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_server_may_choose_http2() {
    let mut siege = Siege::start(Shape::One).await;
    let file = noise(10_000, 7);
    let (before, after) = wrapped("Content-Type: video/mp4\r\n");
    let content = [before.as_bytes(), &file, after.as_bytes()].concat();
    let frames = [frame(HEADERS, END_HEADERS, FIRST, head_block()), frame(DATA, END_STREAM, FIRST, content)];
    let entrance = Entrance::TlsAlone(siege.identity.speaking("h2"), sends(&frames, Act::Wait));
    let case = Case::with("good frames", End::Whole(Bytes::from(file)), entrance).await;

    siege.endure(&[case]).await;
}
