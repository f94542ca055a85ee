//! Bodies that never end, or not where they are said to.

use std::{borrow::Cow, io::Write};

use bytes::Bytes;
use heliograph_tests::{Act, Request, Script, Shape, both_shapes, head, in_chunks, noise, two_parts, wrapped};

use super::{BAD_GATEWAY, Case, End, MOST_BYTES, Siege};

const TOO_LARGE: End = End::Refused(502, "M_TOO_LARGE");
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const PLAIN: &str = "Content-Type: video/mp4\r\n";

/// What is asked, and how it has to end; headers besides those of the form; the body; and what
/// follows.
type Row<'a> = (&'static str, End, String, Cow<'a, [u8]>, Act);

both_shapes! {
    async fn bodies_of_a_wrong_length_are_no_files(shape: Shape) {
        let mut siege = Siege::start(shape).await;
        let whole = in_two_parts(&noise(100_000, 2));
        let half = &whole[..whole.len() / 2];

        let mut cases = today(&siege, lengths_of_today(&whole, half)).await;
        cases.extend(today(&siege, broken_chunks(half)).await);
        cases.extend(old(&siege, lengths_of_old_servers(half)).await);

        siege.endure(&cases).await;
    }

    // What follows the end does not count, and an end that the protocol knows is one.
    async fn what_is_whole_is_taken_whatever_follows(shape: Shape) {
        let mut siege = Siege::start(shape).await;
        let file = noise(100_000, 4);
        let whole = in_two_parts(&file);
        let (length, half) = (whole.len(), whole.len() / 2);
        let before = wrapped(PLAIN).0.len();
        let (all, first) = (Bytes::from(file.clone()), Bytes::from(file[..half - before].to_vec()));

        let mut cases = today(&siege, vec![
            ("more is sent than is said", End::Whole(all.clone()), said(length), Cow::from(&whole), endless()),
            ("more is said than is sent", End::Whole(all.clone()), said(length + 1000), Cow::from(&whole), Act::Cut),
            ("an epilogue without an end", End::Whole(all.clone()), String::new(), Cow::from(&whole), endless()),
            ("its length says that it is shorter", End::Whole(first), said(half), Cow::from(&whole), Act::Wait),
        ])
        .await;
        let closed = ("an old one without a length", End::Whole(all), String::new(), Cow::from(&file), end());
        cases.extend(old(&siege, vec![closed]).await);

        siege.endure(&cases).await;
    }

    async fn what_is_compressed_is_never_unpacked(shape: Shape) {
        let mut siege = Siege::start(shape).await;
        let zeros = zeros_in_gzip(256 << 20);
        assert!(zeros.len() < MOST_BYTES, "it is as small as it has to be");
        let packed = Bytes::from(zeros.clone());
        let coding = || "Content-Encoding: gzip\r\n".to_owned();
        let (before, after) = wrapped(&(PLAIN.to_owned() + &coding()));
        let in_part = [before.as_bytes(), &zeros, after.as_bytes()].concat();

        let mut cases = today(&siege, vec![
            ("all of it", BAD_GATEWAY, coding(), Cow::from(&zeros), end()),
            ("the file in it", End::Whole(packed), String::new(), Cow::from(&in_part), end()),
        ])
        .await;
        cases.extend(old(&siege, vec![("an old one", BAD_GATEWAY, coding(), Cow::from(&zeros), end())]).await);

        siege.endure(&cases).await;
    }
}

fn lengths_of_today<'a>(whole: &'a [u8], half: &'a [u8]) -> Vec<Row<'a>> {
    let length = whole.len();
    let beyond = format!("Content-Length: {}\r\n", "9".repeat(30));
    vec![
        ("more is said than is taken", TOO_LARGE, said(1 << 40), half.into(), Act::Wait),
        ("more is said than any number is", BAD_GATEWAY, beyond, half.into(), Act::Wait),
        ("less than nothing is said", BAD_GATEWAY, "Content-Length: -1\r\n".to_owned(), half.into(), Act::Wait),
        ("two lengths are said", BAD_GATEWAY, said(length) + &said(length + 1), whole.into(), Act::Wait),
        ("it ends before its length", End::Failed, said(length), half.into(), end()),
        ("it is cut before its length", End::Failed, said(length), half.into(), Act::Cut),
        ("it ends without a length", End::Failed, String::new(), half.into(), end()),
        ("it is cut without a length", End::Failed, String::new(), half.into(), Act::Cut),
        ("it goes on for ever", End::BrokenOff, String::new(), half.into(), endless()),
    ]
}

fn broken_chunks(half: &[u8]) -> Vec<Row<'static>> {
    let ends = [
        ("it ends without the last chunk", End::Failed, "", end()),
        ("a chunk has no length", End::Failed, "zz\r\n", Act::Wait),
        ("a chunk is longer than any number", End::Failed, "fffffffffffffffff\r\n", Act::Wait),
        ("the line of a chunk never ends", End::Failed, "5;", Act::SendForever("x".repeat(1000).into())),
        ("its chunks go on for ever", End::BrokenOff, "", Act::SendForever(in_chunks(noise(60_000, 3)).into())),
    ];
    let chunk = in_chunks(half);
    let row = |(what, expected, end, then): (_, _, &str, _)| {
        let body = [chunk.as_slice(), end.as_bytes()].concat();
        (what, expected, CHUNKED.to_owned(), Cow::from(body), then)
    };
    ends.map(row).into()
}

fn lengths_of_old_servers(half: &[u8]) -> Vec<Row<'_>> {
    vec![
        ("an old one says more than is taken", TOO_LARGE, said(MOST_BYTES + 1), half.into(), Act::Wait),
        ("an old one goes on for ever", End::BrokenOff, String::new(), half.into(), endless()),
        ("an old one ends before its length", End::Failed, said(half.len() + 1), half.into(), end()),
        ("an old one is cut", End::Failed, String::new(), half.into(), Act::Cut),
    ]
}

async fn today(siege: &Siege, rows: Vec<Row<'_>>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, expected, headers, body, then) in rows {
        cases.push(siege.case(what, expected, sends(&(two_parts() + &headers), &body, then)).await);
    }
    cases
}

async fn old(siege: &Siege, rows: Vec<Row<'_>>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, expected, headers, body, then) in rows {
        cases.push(siege.legacy_case(what, expected, sends(&(PLAIN.to_owned() + &headers), &body, then)).await);
    }
    cases
}

/// Sends a head with these headers, a body, and does something else then.
fn sends(headers: &str, body: &[u8], then: Act) -> impl Fn(&Request) -> Script + Send + Sync + use<> {
    let beginning = [head("200 OK", headers).as_bytes(), body].concat();
    let script = vec![Act::send(beginning), then];
    move |_| script.clone()
}

fn said(length: usize) -> String {
    format!("Content-Length: {length}\r\n")
}

fn in_two_parts(file: &[u8]) -> Vec<u8> {
    let (before, after) = wrapped(PLAIN);
    [before.as_bytes(), file, after.as_bytes()].concat()
}

/// Nothing more: the connection is closed as it should be.
fn end() -> Act {
    Act::send("")
}

fn endless() -> Act {
    Act::SendForever(noise(60_000, 5).into())
}

fn zeros_in_gzip(length: usize) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        packer.write_all(&zeros).unwrap();
    }
    packer.finish().unwrap()
}
