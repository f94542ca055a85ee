use std::time::Duration;

use serde_json::json;

use super::*;

fn page() -> Url {
    "https://example.org/video/1".parse().unwrap()
}

fn answer(bytes: &[u8], format: Format) -> Value {
    let preview = OEmbed::parse(bytes, format, &page()).unwrap().preview(&page());
    let pictures: Vec<_> = preview.pictures().iter().map(|picture| picture.url.to_string()).collect();
    let mut answer = preview.answer(None);
    answer.insert("pictures".to_owned(), pictures.into());
    answer.remove("og:url");
    Value::Object(answer)
}

fn json_answer(document: &Value) -> Value {
    answer(document.to_string().as_bytes(), Format::Json)
}

#[test]
fn a_video_says_its_size_and_where_it_is() {
    let said = json_answer(&json!({
        "version": "1.0", "type": "video", "title": "Ducks &amp; geese", "provider_name": "Tube",
        "thumbnail_url": "/t.jpg", "width": 480, "height": "270",
        "html": "<video src='https://cdn.example/v.mp4'></video>"}));

    let expected = json!({
        "og:title": "Ducks & geese", "og:site_name": "Tube", "og:type": "video.other", "og:video:width": 480,
        "og:video:height": 270, "og:video": "https://cdn.example/v.mp4", "pictures": ["https://example.org/t.jpg"]});
    assert_eq!(said, expected);
}

#[test]
fn of_a_photo_the_whole_picture_comes_before_its_thumbnail() {
    let said = json_answer(
        &json!({"type": "photo", "url": "https://a.example/full.jpg", "thumbnail_url": "https://a.example/small.jpg"}),
    );

    assert_eq!(said["pictures"], json!(["https://a.example/full.jpg", "https://a.example/small.jpg"]));
}

#[test]
fn of_a_note_its_text_is_told_and_who_wrote_it() {
    let said = json_answer(&json!({
        "version": 1.0, "type": "rich", "author_name": "Ada", "provider_name": "Notes",
        "html": "<blockquote><p lang=en>The first note, with a <a href=x>link</a></p>&mdash; Ada</blockquote><script>x</script>"}));

    let expected = json!({
        "og:title": "Ada", "og:site_name": "Notes", "pictures": [],
        "og:description": "The first note, with a link — Ada"});
    assert_eq!(said, expected);
}

#[test]
fn xml_says_what_json_says() {
    let xml = br#"<?xml version="1.0" encoding="utf-8" standalone="yes"?>
        <oembed><version>1.0</version><type>photo</type><title>&#233;t&#233; &amp;amp; <![CDATA[<more>]]></title>
        <url>https://a.example/x.jpg?a=1&amp;b=2</url><cache_age>3600</cache_age><nested><url>no</url></nested></oembed>"#;

    let expected = json!({"og:title": "été & <more>", "pictures": ["https://a.example/x.jpg?a=1&b=2"]});
    assert_eq!(answer(xml, Format::Xml), expected);
    let parsed = OEmbed::parse(xml, Format::Xml, &page()).unwrap();
    assert_eq!(parsed.cache_age, Some(Duration::from_hours(1)));
}

#[test]
fn a_link_says_that_it_is_one_and_wrong_types_say_nothing() {
    let said = json_answer(&json!({
        "version": null, "type": "link", "title": ["x"], "thumbnail_url": {"a": 1}, "html": 3, "cache_age": "soon"}));

    assert_eq!(said, json!({"og:type": "website", "pictures": []}));
}

#[test]
fn the_life_of_an_answer_may_be_a_number_or_a_text() {
    for (age, expected) in
        [(json!(60), Some(60)), (json!(" 60 "), Some(60)), (json!(-1), None), (json!("x"), None), (json!(1.5), None)]
    {
        let document = json!({"cache_age": age}).to_string();
        let parsed = OEmbed::parse(document.as_bytes(), Format::Json, &page()).unwrap();
        assert_eq!(parsed.cache_age.map(|age| age.as_secs()), expected, "{age}");
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let bomb =
        br#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><oembed><title>&b;</title></oembed>"#;
    assert_eq!(answer(bomb, Format::Xml), json!({"pictures": []}));

    let large = vec![b' '; OEMBED_BYTES + 1];
    for (bytes, format, error) in [
        (&b"<html></html>"[..], Format::Json, InvalidOEmbed::Malformed),
        (b"[]", Format::Json, InvalidOEmbed::Malformed),
        (b"\xff", Format::Json, InvalidOEmbed::Malformed),
        (b"{\"version\": \"2.0\"}", Format::Json, InvalidOEmbed::UnknownVersion),
        (b"<html><title>x</title></html>", Format::Xml, InvalidOEmbed::Malformed),
        (b"<oembed><title>x</oembed>", Format::Xml, InvalidOEmbed::Malformed),
        (b"<oembed><title>x", Format::Xml, InvalidOEmbed::Malformed),
        (b"<oembed>\xff</oembed>", Format::Xml, InvalidOEmbed::Malformed),
        (b"", Format::Xml, InvalidOEmbed::Malformed),
        (&large, Format::Json, InvalidOEmbed::TooLarge),
    ] {
        assert_eq!(OEmbed::parse(bytes, format, &page()).unwrap_err(), error);
    }
}
