//! What a preview costs: processor time for hostile pages and for the pages of the tests, there
//! beside Synapse's own parser in the same run, and whether it finds anything that we do not.
//!
//! `SYNAPSE_PYTHON=... cargo run --release -p heliograph-preview --example figures`

#![expect(clippy::expect_used, reason = "who runs it reads what went wrong")]

use std::{collections::BTreeMap, env, ffi::OsStr, fs, io::Read, path::Path, process::Command, time::Instant};

use heliograph_preview::{Context, Languages, PAGE_BYTES, Page};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

const HOSTILE_BYTES: usize = 10_000_000;
const ROUNDS: u32 = 200;

#[derive(Debug, Deserialize)]
struct Served {
    file: Option<String>,
    url: String,
    content_type: Option<String>,
}

fn main() {
    hostile();
    usual();
}

// === hostile pages ===

/// What a page begins with, and what comes again and again.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("a million meta tags", "", "<meta property=og:x content=y>"),
    ("descriptions in other languages", "", "<meta name=description lang=xx content='a text of some length'>"),
    ("one giant attribute", "<meta content='", "x"),
    ("entities in an attribute", "<meta content='", "&a"),
    ("one name of an attribute again", "<meta ", "content=x "),
    ("deep nesting", "", "<div>"),
    ("deep nesting, hidden", "", "<nav>"),
    ("short tags", "", "<b>"),
    ("short paragraphs", "", "<p>x"),
    ("headings", "", "<h1>x</h1>"),
    ("pictures", "", "<img src=/x width=99 height=99>"),
    ("titles", "", "<title>x</title>"),
    ("links", "", "<link rel=icon href=/x>"),
    ("entities", "", "&amp;"),
    ("no entities", "", "&a"),
    ("less-than signs", "", "<"),
    ("comments", "", "<!-->"),
    ("ends of a title that are none", "<title>", "</a"),
    ("JSON-LD", "", "<script type=application/ld+json>{\"@type\":\"Article\",\"name\":\"&amp;\"}</script>"),
    ("JSON-LD, nested", "", "<script type=application/ld+json>[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]</script>"),
    ("zeros", "", "\0"),
    ("no ASCII", "\u{e4}", "\u{e4}"),
    ("text", "", "a text of words, "),
];

fn hostile() {
    println!("processor time for {HOSTILE_BYTES} hostile bytes, of which {PAGE_BYTES} are read");
    let mut worst = 0.0f64;
    for (name, begin, again) in HOSTILE {
        let page: Vec<u8> = begin.bytes().chain(again.bytes().cycle()).take(HOSTILE_BYTES).collect();
        worst = worst.max(hostile_one(name, &page, None));
    }
    let attributes: String = (0..1_500_000).flat_map(|number| [format!("a{number:x}"), " ".to_owned()]).collect();
    worst = worst.max(hostile_one("a million attributes", format!("<meta {attributes}>").as_bytes(), None));
    let noise: Vec<u8> = (0..HOSTILE_BYTES).map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    for label in ["utf-8", "utf-16le", "gb18030", "big5", "iso-2022-jp", "shift_jis", "euc-kr"] {
        worst = worst.max(hostile_one(&format!("noise as {label}"), &noise, Some(label)));
    }
    println!(
        "{worst:8.1} ms  the worst; {} MB of memory at most, the {HOSTILE_BYTES} bytes included\n",
        peak_megabytes()
    );
}

/// In milliseconds, the best of three: what else runs on the machine is not the page's fault.
fn hostile_one(name: &str, page: &[u8], charset: Option<&str>) -> f64 {
    let url = "https://hostile.example/".parse().expect("a URL");
    let content_type = charset.map(|label| format!("text/html; charset={label}"));
    let spent = (0..3).map(|_| spent_milliseconds(|| drop(preview(page, &url, content_type.as_deref()))));
    let spent = spent.fold(f64::MAX, f64::min);
    println!("{spent:8.1} ms  {name}");
    spent
}

fn preview(page: impl Read, url: &Url, content_type: Option<&str>) -> Map<String, Value> {
    let languages = Languages::default();
    let context = Context { url, content_type, languages: &languages, most_bytes: PAGE_BYTES };
    let preview = Page::read(page, context).preview(None);
    let picture = preview.pictures().first().map(|picture| picture.url.to_string());
    let mut answer = preview.answer(None);
    answer.extend(picture.map(|url| ("og:image".to_owned(), url.into())));
    answer
}

// === usual pages, beside Synapse ===

/// Times Synapse's functions on the pages named, and prints what they find.
const SYNAPSE: &str = r#"
import json, sys, time
from synapse.media.preview_html import decode_body, parse_html_to_open_graph
rounds = 5; result = {}
for line in open(sys.argv[1] + "/list"):
    name, url = line.split()
    body = open(sys.argv[1] + "/" + name, "rb").read()
    found, started = {}, time.process_time()
    for _ in range(rounds):
        soup = decode_body(body, url)
        found = parse_html_to_open_graph(soup) if soup else {}
    spent = (time.process_time() - started) / rounds
    result[name] = {"milliseconds": spent * 1000, "found": {k: v for k, v in found.items() if v}}
print(json.dumps(result))
"#;

struct Usual {
    name: String,
    bytes: Vec<u8>,
    url: Url,
    content_type: Option<String>,
}

fn usual() {
    let pages = usual_pages();
    let synapse = env::var_os("SYNAPSE_PYTHON").map(|python| ask_synapse(&python, &pages));
    println!("processor time per page: ours, Synapse's");
    let (mut ours_all, mut theirs_all) = (0.0, 0.0);
    for Usual { name, bytes, url, content_type } in &pages {
        let read = || preview(bytes.as_slice(), url, content_type.as_deref());
        let ours = spent_milliseconds(|| (0..ROUNDS).for_each(|_| drop(read()))) / f64::from(ROUNDS);
        ours_all += ours;
        let theirs = synapse.as_ref().map_or(&Value::Null, |found| &found[name.as_str()]);
        let milliseconds = theirs["milliseconds"].as_f64().unwrap_or_default();
        theirs_all += milliseconds;
        let missed = missed(&read(), &theirs["found"]);
        println!("{ours:8.4} ms {milliseconds:8.3} ms  {name}, {} bytes{missed}", bytes.len());
    }
    println!("{ours_all:8.4} ms {theirs_all:8.3} ms  all: {:.0} times less", theirs_all / ours_all);
}

/// The pages of the tests, and two that are as long as such pages are out there.
fn usual_pages() -> Vec<Usual> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages");
    let table = fs::read_to_string(folder.join("pages.toml")).expect("the table of pages");
    let table: BTreeMap<String, Served> = toml::from_str(&table).expect("a table");
    let read = |(name, Served { file, url, content_type }): (String, Served)| {
        let bytes = fs::read(folder.join(file.unwrap_or_else(|| format!("{name}.html")))).expect("a page");
        Usual { url: url.parse().expect("a URL"), name, bytes, content_type }
    };
    let mut pages: Vec<_> = table.into_iter().map(read).collect();
    for name in ["news", "koi8"] {
        let Some(page) = pages.iter().find(|page| page.name == name) else { continue };
        let Usual { url, content_type, .. } = page;
        let bytes = lengthen(&page.bytes);
        pages.push(Usual { name: format!("{name}-long"), bytes, url: url.clone(), content_type: content_type.clone() });
    }
    pages
}

/// The page with its last paragraph again and again.
fn lengthen(page: &[u8]) -> Vec<u8> {
    let text = page.windows(3).rposition(|bytes| bytes == b"<p>").unwrap_or_default();
    let end = page.windows(4).rposition(|bytes| bytes == b"</p>").unwrap_or(page.len());
    [&page[..end], &page[text..end].repeat(400_000 / (end - text)), &page[end..]].concat()
}

/// What Synapse finds and we do not. What is said of a picture is not passed on but looked at.
fn missed(ours: &Map<String, Value>, theirs: &Value) -> String {
    let names = theirs.as_object().into_iter().flat_map(Map::keys);
    let missed: Vec<_> = names.filter(|name| !ours.contains_key(*name) && !name.starts_with("og:image:")).collect();
    if missed.is_empty() { String::new() } else { format!("; only Synapse finds {missed:?}") }
}

fn ask_synapse(python: &OsStr, pages: &[Usual]) -> Value {
    let folder = env::temp_dir().join(format!("heliograph-pages-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    for page in pages {
        fs::write(folder.join(&page.name), &page.bytes).expect("a page");
    }
    let list: Vec<_> = pages.iter().map(|page| format!("{} {}\n", page.name, page.url)).collect();
    fs::write(folder.join("list"), list.concat()).expect("a list");
    let output = Command::new(python).args(["-c", SYNAPSE]).arg(&folder).output().expect("Python runs");
    fs::remove_dir_all(&folder).expect("the folder is gone");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

// === measuring ===

fn spent_milliseconds(work: impl FnOnce()) -> f64 {
    let (before, started) = (processor_milliseconds(), Instant::now());
    work();
    match (before, processor_milliseconds()) {
        (Some(before), Some(after)) => after - before,
        _ => started.elapsed().as_secs_f64() * 1000.0,
    }
}

/// Of this thread so far, if the system tells it; it counts when another may run.
fn processor_milliseconds() -> Option<f64> {
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e6)
}

fn peak_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024
}
