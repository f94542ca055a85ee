//! Pages as well-known sites mark them up, and what is read of them. Made up, all of them. With
//! `UPDATE_REFERENCE=1` the expected answers are written anew.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

use std::{collections::BTreeMap, env, fs, io::Read, path::PathBuf};

use heliograph_preview::{Context, Languages, PAGE_BYTES, Page};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Served {
    file: Option<String>,
    url: String,
    content_type: Option<String>,
    #[serde(default)]
    languages: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pages")
}

fn served() -> BTreeMap<String, Served> {
    toml::from_str(&fs::read_to_string(folder().join("pages.toml")).unwrap()).unwrap()
}

fn bytes(name: &str, served: &Served) -> Vec<u8> {
    let file = served.file.clone().unwrap_or_else(|| format!("{name}.html"));
    fs::read(folder().join(file)).unwrap()
}

/// Everything that is found on a page.
fn read(bytes: impl Read, served: &Served) -> Value {
    let (url, languages) = (served.url.parse().unwrap(), Languages::parse(&served.languages));
    let context = Context {
        url: &url,
        content_type: served.content_type.as_deref(),
        languages: &languages,
        most_bytes: PAGE_BYTES,
    };
    let page = Page::read(bytes, context);
    let preview = page.preview(None);
    json!({
        "pictures": preview.pictures(),
        "answer": preview.answer(None),
        "oembed": page.oembed().map(|link| link.url.to_string()),
        "leads_to": page.leads_to().as_ref().map(Url::as_str),
    })
}

/// Gives as many bytes at a time as it is told.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn of_each_page_what_it_says_of_itself_is_found() {
    for (name, served) in served() {
        let found = read(bytes(&name, &served).as_slice(), &served);
        let expected = folder().join(format!("{name}.json"));
        if env::var_os("UPDATE_REFERENCE").is_some() {
            fs::write(&expected, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_else(|_| panic!("{name} has no expected answer"));
        assert_eq!(found, serde_json::from_str::<Value>(&expected).unwrap(), "{name}");
    }
}

#[test]
fn a_page_that_comes_byte_by_byte_says_the_same() {
    for (name, served) in served() {
        let bytes = bytes(&name, &served);
        let whole = read(bytes.as_slice(), &served);
        for most in [1, 2, 3, 7, 1000] {
            assert_eq!(read(Slow(&bytes, most), &served), whole, "{name}, {most} bytes at a time");
        }
    }
}

#[test]
fn an_encoding_that_is_named_late_is_found_by_all_or_by_none() {
    let served =
        Served { file: None, url: "https://late.example/".to_owned(), content_type: None, languages: String::new() };
    for filler in [100, 3900, 4200, 9000] {
        let filler = "x".repeat(filler);
        let page = format!("<title>\u{e4}</title><!--{filler}--><meta charset=koi8-r><p>Text</p>");
        let whole = read(page.as_bytes(), &served);
        for most in [1, 1000, 5000] {
            assert_eq!(read(Slow(page.as_bytes(), most), &served), whole, "{} bytes, {most} at a time", page.len());
        }
    }
}

#[test]
fn every_page_in_the_folder_is_looked_at() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|file| file.extension().is_some_and(|end| end == "html" || end == "xml")).count();

    assert_eq!(pages, served().len());
}
