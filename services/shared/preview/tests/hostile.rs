//! Pages that want to cost more than they should. What is kept of them is bounded, and so is what
//! is read of them: how much time that takes, `examples/figures.rs` tells.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

use std::{
    fs,
    io::{Cursor, Read},
    iter,
};

use heliograph_preview::{Context, Languages, Page, Preview};
use url::Url;

const MIB: usize = 1 << 20;

fn read(bytes: impl Read, most_bytes: usize) -> Preview {
    let (url, languages): (Url, _) = ("https://hostile.example/".parse().unwrap(), Languages::default());
    let context = Context { url: &url, content_type: None, languages: &languages, most_bytes };
    Page::read(bytes, context).preview(None)
}

/// A page that begins with `begin` and goes on with `again` without end.
fn endless(begin: &str, again: &'static str) -> impl Read {
    Cursor::new(begin.to_owned()).chain(Again(again.as_bytes(), 0))
}

struct Again(&'static [u8], usize);

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = self.0[self.1 % self.0.len()];
            self.1 += 1;
        }
        Ok(buffer.len())
    }
}

/// Begins and what comes again and again.
const ENDLESS: &[(&str, &str)] = &[
    ("", "<meta property=og:x content=y>"),
    ("", "<meta property=og:image content=/x.png>"),
    ("", "<meta name=description lang=de content='text of some length'>"),
    ("", "<link rel='icon canonical alternate' type=application/json+oembed href=/x>"),
    ("", "<base href=/x>"),
    ("", "<title>x</title>"),
    ("", "<title>"),
    ("<title>", "x &amp; "),
    ("", "<div>"),
    ("", "<nav>"),
    ("<nav>", "</nav><nav>"),
    ("", "<svg><svg/>"),
    ("", "<b>x"),
    ("", "<p>some words of a text"),
    ("", "<h1>x</h1>"),
    ("", "<img src=/x.png width=20 height=20 alt='some words'>"),
    ("<img srcset='", "/x.png 1x, "),
    ("<meta content='", "x"),
    ("<meta ", "content=x "),
    ("<", "x"),
    ("</", "x"),
    ("<script></", "x"),
    ("<!--", "-"),
    ("<!doctype ", "x"),
    ("<![CDATA[", "]"),
    ("<?", "x"),
    ("", "&"),
    ("", "&a"),
    ("", "&#x41;"),
    ("&#", "1"),
    ("", "\0"),
    ("", "\r\n"),
    ("", "<script type=application/ld+json>[[[[[[[[[["),
    ("<script type=application/ld+json>", "[0,"),
    ("<script>", "<!--<script>--"),
    ("<meta charset=iso-2022-jp>", "\u{1b}$B"),
    ("\u{e4}", "\u{e4}"),
];

#[test]
fn of_endless_pages_little_is_said() {
    for (begin, again) in ENDLESS {
        let preview = read(endless(begin, again), MIB / 2);
        let answer = serde_json::to_string(&preview).unwrap();
        assert!(answer.len() < 128 << 10, "{begin}{again}: {} bytes", answer.len());
        assert!(preview.pictures().len() <= 6, "{begin}{again}");
    }
}

/// The tokenizer keeps what may be the end of raw text, `</x` and more letters, until it knows; so
/// that case is bounded by the budget alone.
#[test]
fn of_endless_pages_little_is_kept() {
    // The first page makes what any page needs.
    read(endless("", "<p>x"), MIB);
    let before = peak_bytes();

    for (begin, again) in
        [("", "<meta property=og:x content=y>"), ("<meta content='", "x"), ("<!--", "-"), ("<p>", "a word ")]
    {
        read(endless(begin, again), 16 * MIB);
    }

    let grown = peak_bytes() - before;
    assert!(grown < 4 * MIB as u64, "memory grew by {grown} bytes");
}

#[test]
fn what_is_beyond_the_budget_is_not_asked_for() {
    let mut source = Counted(endless("", "<p>x"), 0);

    read(&mut source, MIB);

    assert_eq!(source.1, MIB);
}

#[test]
fn a_page_that_has_said_all_in_its_head_is_not_read_on() {
    let head = "<title>x</title><meta name=description content=y><meta property=og:image content=/z></head>";
    let mut source = Counted(endless(head, "<p>x"), 0);

    let preview = read(&mut source, MIB);

    assert!(source.1 < MIB / 16, "{} bytes were read", source.1);
    assert_eq!(preview.pictures().len(), 1);
}

#[test]
fn a_page_that_breaks_off_says_what_it_had_said() {
    let broken = Cursor::new("<title>x</title><p>y").chain(Broken);

    let answer = read(broken, MIB).answer(None);

    assert_eq!((answer["og:title"].as_str(), answer["og:description"].as_str()), (Some("x"), Some("y")));
}

#[test]
fn many_attributes_cost_as_much_as_they_are_long() {
    let names: String = (0..200_000).flat_map(|number| [format!("a{number:x}"), " ".to_owned()]).collect();
    let html = format!("<meta {names} property=og:title content=found>");

    assert_eq!(read(html.as_bytes(), 8 * MIB).answer(None)["og:title"], "found");
}

#[test]
fn bytes_of_every_value_are_read_in_every_encoding() {
    let noise: Vec<u8> =
        iter::successors(Some(1u32), |state| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
            .map(|state| (state >> 24) as u8)
            .take(64 << 10)
            .collect();
    for label in [
        "utf-8",
        "utf-16le",
        "gbk",
        "gb18030",
        "big5",
        "euc-jp",
        "iso-2022-jp",
        "shift_jis",
        "euc-kr",
        "x-user-defined",
        "replacement",
        "hz-gb-2312",
    ] {
        let (url, languages): (Url, _) = ("https://hostile.example/".parse().unwrap(), Languages::default());
        let content_type = format!("text/html; charset={label}");
        let context = Context { url: &url, content_type: Some(&content_type), languages: &languages, most_bytes: MIB };
        let answer = Page::read(noise.as_slice(), context).preview(None).answer(None);
        for text in answer.values().filter_map(|value| value.as_str()) {
            assert!(!text.chars().any(char::is_control), "{label}: {text:?}");
        }
    }
}

struct Counted<R>(R, usize);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1 += count;
        Ok(count)
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("broken off"))
    }
}

/// The most memory that this process has had so far.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
