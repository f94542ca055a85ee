//! What the homeserver's own previews are known to cope with: the same cases, written anew, in the
//! order of the answers that matter to its clients.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

use heliograph_preview::{Context, Format, Languages, OEmbed, PAGE_BYTES, Page};
use serde_json::{Value, json};
use url::Url;

fn base() -> Url {
    "https://example.org/path/page".parse().unwrap()
}

fn page_of(html: &[u8], content_type: &str) -> Page {
    let (url, languages) = (base(), Languages::default());
    let context =
        Context { url: &url, content_type: Some(content_type), languages: &languages, most_bytes: PAGE_BYTES };
    Page::read(html, context)
}

/// The answer, with the first picture in place of its copy.
fn answer_of(html: &[u8], content_type: &str) -> Value {
    let preview = page_of(html, content_type).preview(None);
    let picture = preview.pictures().first().map(|picture| picture.url.to_string());
    let mut answer = preview.answer(None);
    answer.extend(picture.map(|url| ("og:image".to_owned(), url.into())));
    Value::Object(answer)
}

fn answer(html: &str) -> Value {
    answer_of(html.as_bytes(), "text/html")
}

#[test]
fn title_and_text_of_simple_pages() {
    for (html, expected) in [
        (
            "<html><head><title>Foo</title></head><body>Some text.</body></html>",
            json!({"og:title": "Foo", "og:description": "Some text."}),
        ),
        // A comment is no text.
        (
            "<html><title>Foo</title><body><!-- comment -->Some text.</body></html>",
            json!({"og:title": "Foo", "og:description": "Some text."}),
        ),
        (
            "<html><title>Foo</title><body>Some text.<!-- comment -->Some more.<p>Text</p>More</body></html>",
            json!({"og:title": "Foo", "og:description": "Some text.Some more. Text More"}),
        ),
        // Nor is a script.
        (
            "<html><title>Foo</title><body><script type=x>ipsum</script>Some text.</body></html>",
            json!({"og:title": "Foo", "og:description": "Some text."}),
        ),
        ("<html><body>Some text.</body></html>", json!({"og:description": "Some text."})),
        // An empty title is none: headings stand in, the largest first.
        ("<title></title><body><h1>Title</h1></body>", json!({"og:title": "Title", "og:description": "Title"})),
        ("<body><h2>Small</h2><h1>Large</h1>Text</body>", json!({"og:title": "Large", "og:description": "Text"})),
        (
            "<body><h1></h1><h2><b>Of</b> parts</h2>Text</body>",
            json!({"og:title": "Of parts", "og:description": "Text"}),
        ),
        (
            "<html><title>Foo</title><body><h1>Foo</h1>Text.</body></html>",
            json!({"og:title": "Foo", "og:description": "Text."}),
        ),
        // A heading may stand where no text is read; a title in a drawing is none.
        (
            "<body><header><svg><title>Logo</title></svg><h1>Title</h1></header><p>A title is not said twice",
            json!({"og:title": "Title", "og:description": "A title is not said twice"}),
        ),
        // A drawing whose end was forgotten ends with what cannot be in one.
        ("<body><svg><g>a<div>Text</div></svg>More", json!({"og:description": "Text More"})),
        // Elements within elements.
        (
            "<body><a href=x>Welcome <b>the bold <u>and <svg>no</svg> <img src=></u></b></a><p>end</p></body>",
            json!({"og:description": "Welcome the bold and end"}),
        ),
        // Only what is about the subject of the page.
        (
            "<body><header>a</header><nav>b</nav><aside>c</aside><div role=menu>d</div>Text<footer>e</footer><iframe>f</iframe></body>",
            json!({"og:description": "Text"}),
        ),
        ("", json!({})),
        ("   ", json!({})),
        ("<html></html>", json!({})),
    ] {
        assert_eq!(answer(html), expected, "{html}");
    }
}

#[test]
fn pages_in_every_encoding() {
    let html = |declaration: &str, body: &str| format!("{declaration}<html><body>{body}</body></html>").into_bytes();
    let windows = |declaration: &str| [html(declaration, "x"), b"\xf3".to_vec()].concat();
    for (bytes, content_type, description) in [
        (html("", "Äpfel"), "text/html; charset=utf-8", "Äpfel"),
        (html("", "Äpfel"), "text/html; charset=\"utf8\"", "Äpfel"),
        (html("", "Äpfel"), "text/html", "Äpfel"),
        (html("", "Äpfel"), "text/html; charset=nothing", "Äpfel"),
        (html("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "ÿÿ Foo"), "text/html", "ÿÿ Foo"),
        (windows("<meta charset=\"windows-1252\">"), "text/html", "x ó"),
        (windows("<meta http-equiv=content-type content='text/html; charset=ascii'>"), "text/html", "x ó"),
        (windows("<?xml version='1.0' encoding='latin1'?>"), "text/html", "x ó"),
        // The header counts before what the page says, and a known name before an unknown one.
        (windows("<meta charset=utf-8>"), "text/html; charset=iso-8859-1", "x ó"),
        (windows("<meta charset=nothing><meta charset=cp1252>"), "text/html", "x ó"),
        (b"<html><body>\xff\xff Foo</body></html>".to_vec(), "text/html; charset=utf-8", "\u{fffd}\u{fffd} Foo"),
        (b"\xef\xbb\xbf<html><body>\xc3\xa4".to_vec(), "text/html; charset=latin1", "ä"),
        (b"<body>\x8e".to_vec(), "text/html; charset=cp1251", "Ћ"),
    ] {
        assert_eq!(answer_of(&bytes, content_type)["og:description"], description, "{content_type} {bytes:?}");
    }
}

#[test]
fn open_graph_before_twitter_cards_before_the_page() {
    let card = "<meta name=twitter:card content=summary><meta name=twitter:description content=Card>\
        <meta name=twitter:site content=@site><meta name=twitter:creator content=@me>";
    let page = answer(&format!("<title>Page</title><body>{card}Text</body>"));
    assert_eq!(page, json!({"og:title": "Page", "og:description": "Card", "og:site_name": "@site"}));

    let both =
        answer(&format!("{card}<meta property=og:description content=Graph><meta property=og:title content=''>"));
    assert_eq!(both, json!({"og:description": "Graph", "og:site_name": "@site"}));

    let more = answer(
        "<meta property='og:type' content='article'><meta property='article:author' content='Ada'>\
         <meta property='profile:username' content='ada'>",
    );
    assert_eq!(more, json!({"og:type": "article", "article:author": "Ada", "profile:username": "ada"}));
}

#[test]
fn pictures_of_pages_that_name_none() {
    for (html, picture) in [
        (
            "<meta itemprop=image content=/meta.png><img src=/a.png width=500 height=500>",
            Some("https://example.org/meta.png"),
        ),
        (
            "<img src=small.png width=50 height=60><img src=large.png width=90 height=95>",
            Some("https://example.org/path/large.png"),
        ),
        ("<img src=dot.png width=1 height=1><img src=plain.png>", Some("https://example.org/path/plain.png")),
        ("<img src=dot.png width=1 height=1>", None),
        ("<img width=500 height=500><img src=''>", None),
        ("<img src='data:image/png;base64,AAAA'>", None),
        ("<link rel=icon href=//cdn.example/i.png>", Some("https://cdn.example/i.png")),
        (
            "<meta property=og:image content=data:image/png;base64,AAAA><img src=b.png>",
            Some("https://example.org/path/b.png"),
        ),
        ("<base href=/other/><img src=b.png>", Some("https://example.org/other/b.png")),
        ("<img src=b.png width=wide height=10.5>", None),
    ] {
        assert_eq!(answer(html)["og:image"].as_str(), picture, "{html}");
    }
}

#[test]
fn a_long_text_ends_with_a_word_after_whole_paragraphs() {
    let paragraph = "Tromsø lies within the Arctic Circle and is known for its lights, which are seen there from \
        September to the end of March on every clear night. ";
    let long = answer(&format!("<p>{}</p>", paragraph.repeat(8)));
    let several = answer(&format!("<p>{paragraph}</p>").repeat(8));
    let description = |answer: &Value| answer["og:description"].as_str().unwrap().to_owned();

    let cut = description(&long);
    assert!(cut.chars().count() <= 500 && cut.ends_with('…'));
    assert!(paragraph.split(' ').any(|word| cut.trim_end_matches('…').ends_with(word)), "{cut}");
    assert_eq!(description(&several).matches("Tromsø").count(), 2);
}

#[test]
fn too_long_titles_and_too_many_properties_are_cut() {
    let title = answer(&format!("<title>{}</title>", "x".repeat(2000)))["og:title"].as_str().unwrap().to_owned();
    let many: String = (0..500)
        .flat_map(|number| ["<meta content=y property=og:x".to_owned(), number.to_string(), ">".to_owned()])
        .collect();

    assert_eq!(title.chars().count(), 500);
    let answer = answer(&format!("<title>Title</title>{many}"));
    assert_eq!((answer["og:title"].as_str(), answer.as_object().unwrap().len()), (Some("Title"), 65));
}

#[test]
fn an_oembed_answer_is_found_and_stands_behind_what_the_page_says() {
    for (html, expected) in [
        ("<link rel=alternate type=application/json+oembed href=/o?url=x>", Some("https://example.org/o?url=x")),
        (
            "<link rel=alternative type=application/json+oembed href='//o.example/?a=1&amp;b=2'>",
            Some("https://o.example/?a=1&b=2"),
        ),
        (
            "<link rel=alternate type=text/xml+oembed href=/x><link rel=alternate type=application/json+oembed href=/j>",
            Some("https://example.org/j"),
        ),
        ("<link rel=alternate type=application/json+oembed href>", None),
        ("<link rel=stylesheet type=application/json+oembed href=/o>", None),
    ] {
        let link = page_of(html.as_bytes(), "text/html").oembed();
        assert_eq!(link.map(|link| link.url.to_string()).as_deref(), expected, "{html}");
    }

    let page = page_of(b"<title>Page</title><meta property=og:description content=Graph>", "text/html");
    let document = json!({"version": "1.0", "type": "photo", "title": "Photo", "description": "Of it", "url": "/p.jpg", "author_name": "Ada"});
    let oembed = OEmbed::parse(document.to_string().as_bytes(), Format::Json, &base()).unwrap();
    let preview = page.preview(Some(&oembed));
    assert_eq!(preview.pictures()[0].url.as_str(), "https://example.org/p.jpg");
    assert_eq!(Value::Object(preview.answer(None)), json!({"og:title": "Photo", "og:description": "Graph"}));
}
