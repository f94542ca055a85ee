//! Changes the pages of the tests at random and reads them; stops at the first that breaks a rule.
//!
//! `cargo run --release -p heliograph-preview --example fuzz -- SECONDS [SEED]`
//!
//! The seed is printed, and with it the page that broke a rule is made again.

#![expect(clippy::expect_used, reason = "who runs it reads what went wrong")]

use std::{
    env, fs,
    io::Read,
    path::Path,
    time::{Duration, Instant, UNIX_EPOCH},
};

use heliograph_preview::{Context, Format, Kind, Languages, OEmbed, Page, Preview, read_text};
use url::Url;

/// What pages are made of, and what breaks them.
const WORDS: &[&str] = &[
    "<meta property=\"og:title\" content=\"",
    "<meta name=twitter:image content=",
    "<meta charset=",
    "gbk",
    "utf-16",
    "iso-2022-jp",
    "<title>",
    "</title>",
    "<script type=\"application/ld+json\">",
    "{\"@type\":\"Article\",\"headline\":\"",
    "</script>",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "<svg>",
    "</svg>",
    "<math/>",
    "<nav>",
    "</nav>",
    "<p>",
    "</p>",
    "<h1>",
    "</h1>",
    "<img src=",
    " srcset='a 1x, b 2x'",
    " width=100 height=100",
    " hidden",
    " role=menu",
    "<base href=",
    "//x/",
    "https://a:b@c/",
    "data:",
    "\"",
    "'",
    ">",
    "<",
    "/",
    "=",
    "&",
    "&amp;",
    "&#",
    "&#x110000;",
    "&#0;",
    "\0",
    "\u{1b}$B",
    "\u{feff}",
    "\u{202e}",
    "\u{e4}",
    "\u{20ac}",
    "\u{1f600}",
    "<?xml version='1.0' encoding='",
    "?>",
    "</head>",
    "<body>",
    "<textarea>",
    "<plaintext>",
    "<noscript>",
    "<meta http-equiv=refresh content='0; url=",
    "<link rel=alternate type=application/json+oembed href=",
    "<oembed>",
    "</oembed>",
    "{\"version\":\"1.0\",\"type\":\"video\",\"html\":\"",
    "[[[[[[",
    "}",
    "\\u0000",
];

fn main() {
    let mut arguments = env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or_else(seed_of_now);
    let pages = pages();
    println!("seed {seed}, {} pages, {seconds} s", pages.len());
    let (mut random, until) = (Random(seed | 1), Instant::now() + Duration::from_secs(seconds));
    let (mut count, mut bytes) = (0u64, 0u64);
    while Instant::now() < until {
        let page = change(&pages, &mut random);
        check(&page, &mut random, seed, count);
        (count, bytes) = (count + 1, bytes + page.len() as u64);
    }
    println!("{count} pages, {bytes} bytes: all rules held");
}

fn seed_of_now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(1, |elapsed| elapsed.as_secs() ^ u64::from(elapsed.subsec_nanos()) << 32)
}

fn pages() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the pages of the tests").flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a page")).collect()
}

/// One page, changed in a few places.
fn change(pages: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut page = pages[random.below(pages.len())].clone();
    for _ in 0..=random.below(12) {
        let at = random.below(page.len() + 1);
        let end = (at + random.below(64)).min(page.len());
        match random.below(7) {
            0 => page.truncate(at),
            1 => drop(page.drain(at..end)),
            2 => insert(&mut page, at, WORDS[random.below(WORDS.len())].as_bytes(), 1),
            3 => insert(&mut page, at, WORDS[random.below(WORDS.len())].as_bytes(), 1 + random.below(300)),
            4 if at < page.len() => page[at] = random.byte(),
            5 => {
                let other = &pages[random.below(pages.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(2000)).min(other.len());
                insert(&mut page, at, &other[from..to], 1);
            }
            _ => {
                let part = page[at..end].to_vec();
                insert(&mut page, end, &part, 1 + random.below(20));
            }
        }
    }
    page
}

fn insert(page: &mut Vec<u8>, at: usize, part: &[u8], times: usize) {
    page.splice(at..at, part.repeat(times));
}

fn check(page: &[u8], random: &mut Random, seed: u64, number: u64) {
    let url: Url = "https://fuzz.example.ru/a/b?c".parse().expect("a URL");
    let languages = Languages::parse(if random.below(2) == 0 { "" } else { "de, en;q=0.5" });
    let content_type = [None, Some("text/html"), Some("text/html; charset=utf-8"), Some("text/html; charset=gb18030")]
        [random.below(4)];
    let context = Context { url: &url, content_type, languages: &languages, most_bytes: 1 << 20 };

    let whole = Page::read(page, context);
    let pieces = Page::read(Pieces(page, random), context);
    let oembed = [Format::Json, Format::Xml].into_iter().find_map(|format| OEmbed::parse(page, format, &url).ok());
    let preview = whole.preview(oembed.as_ref());

    let fail = |rule: &str| -> ! {
        fs::write("/tmp/broken-page", page).expect("a place for the page");
        panic!("{rule}; seed {seed}, page {number}, kept in /tmp/broken-page");
    };
    if preview != pieces.preview(oembed.as_ref()) {
        fail("a page in pieces says something else");
    }
    for preview in [&preview, &read_text(page, context, None), &Kind::of(None, page).preview(&url, None, None)] {
        if let Some(rule) = broken_rule(preview) {
            fail(rule);
        }
    }
    let addresses = [whole.leads_to(), whole.canonical(), whole.oembed().map(|link| link.url)];
    if !addresses.iter().flatten().all(is_plain) {
        fail("a URL is none of the web");
    }
}

fn broken_rule(preview: &Preview) -> Option<&'static str> {
    if !preview.pictures().iter().all(|picture| is_plain(&picture.url)) || preview.pictures().len() > 6 {
        return Some("a picture has no plain URL");
    }
    let answer = preview.clone().answer(None);
    if answer.len() > 256 {
        return Some("too many members");
    }
    for (name, text) in answer.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
        let most = if name == "og:title" || name == "og:site_name" { 500 } else { 1000 };
        let is_url = text.starts_with("http");
        if !is_url && text.chars().count() > most {
            return Some("a text is too long");
        }
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            return Some("a text is not clean");
        }
    }
    None
}

fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty() && url.password().is_none()
}

/// A page in pieces of any length.
struct Pieces<'a>(&'a [u8], &'a mut Random);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = 1 + if self.1.below(2) == 0 { self.1.below(8) } else { self.1.below(3000) };
        let most = most.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

/// The same numbers for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }
}
