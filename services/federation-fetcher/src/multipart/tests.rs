//! Every rule of acceptance and of rejection, each body cut at every byte.

use proptest::prelude::*;

use super::*;

const TYPE: &str = "multipart/mixed; boundary=B";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Read {
    metadata: Map<String, Value>,
    head: PartHead,
    body: Vec<u8>,
}

fn collect(parser: &mut Parser, chunks: &[&[u8]]) -> Result<Read, InvalidMultipart> {
    let (mut read, mut ended) = (Read::default(), false);
    let mut events = Vec::new();
    for chunk in chunks {
        events.extend(parser.feed(chunk)?);
    }
    events.extend(parser.finish(true)?);
    for event in events {
        assert!(!ended, "nothing comes after the end");
        match event {
            Event::Metadata(metadata) => read.metadata = metadata,
            Event::Head(head) => read.head = head,
            Event::Body(bytes) => read.body.extend_from_slice(&bytes),
            Event::End => ended = true,
        }
    }
    assert!(ended, "a good body has an end");
    Ok(read)
}

/// Reads a body whole, byte by byte, and in two pieces cut at every place.
fn read_as(content_type: &str, body: &[u8]) -> Result<Read, InvalidMultipart> {
    let whole = collect(&mut Parser::new(content_type)?, &[body]);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(collect(&mut Parser::new(content_type)?, &bytes), whole, "byte by byte");
    for cut in 0..=body.len() {
        let (a, b) = body.split_at(cut);
        assert_eq!(collect(&mut Parser::new(content_type)?, &[a, b]), whole, "cut at {cut}");
    }
    whole
}

fn body_of(body: &[u8]) -> Result<String, InvalidMultipart> {
    read_as(TYPE, body).map(|read| String::from_utf8(read.body).unwrap())
}

/// A body whose second part is exactly `content`.
fn with_content(content: &[u8]) -> Vec<u8> {
    [b"--B\r\n\r\n{}\r\n--B\r\n\r\n", content, b"\r\n--B--\r\n"].concat()
}

#[test]
fn what_we_send_is_read() {
    let boundary = "mxmb0123456789abcdef0123456789abcdef";
    let body = format!(
        "\r\n--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Disposition: inline; filename=a.txt\r\n\r\nhello\r\n--{boundary}--\r\n"
    );

    let read = read_as(&format!("multipart/mixed; boundary={boundary}"), body.as_bytes()).unwrap();

    assert_eq!(body.len(), 242, "the check value of the reference");
    assert_eq!(read.head.content_type.unwrap().as_str(), "text/plain");
    assert_eq!((read.head.file_name.unwrap().as_str(), read.head.location), ("a.txt", None));
    assert_eq!((read.body.as_slice(), read.metadata), (&b"hello"[..], Map::new()));
}

#[test]
fn a_location_is_read_with_and_without_its_blank_line() {
    for end in ["\r\n\r\n--B--\r\n", "\r\n--B--"] {
        let body = format!("\r\n--B\r\n\r\n{{\"x\":1}}\r\n--B\r\nLOCATION:  https://m.example/a?b=c\r\n{end}");

        let read = read_as(TYPE, body.as_bytes()).unwrap();

        assert_eq!(read.head.location.as_deref(), Some("https://m.example/a?b=c"));
        assert_eq!((read.body.len(), read.metadata.len()), (0, 1));
    }
}

#[test]
fn every_form_that_software_sends_is_accepted() {
    for body in [
        &b"--B\r\n\r\n{}\r\n--B\r\n\r\nhello\r\n--B--\r\n"[..],
        b"preamble\r\nof two lines --B\r\n--B\r\n\r\n{}\r\n--B\r\n\r\nhello\r\n--B--",
        b"\n--B\nContent-Type: application/json\n\n{}\n--B\nX-New: 1\n\nhello\n--B--\n",
        b"--B  \t\r\n\r\n{}\r\n--B \r\n\r\nhello\r\n--B--  \r\nepilogue\r\n--B\r\n",
        b"--B\r\n\r\n{}\r\n--B\r\n\r\nhello\r\n--B",
        b"--B\r\n\r\n{}\r\n--B\r\n\r\nhello\r\n--B\r\n",
        b"--B\r\n\r\n{}\r\n--B\r\n\r\nhello\r\n--B \r\n\r\n",
        b"--B\r\n\r\n{}\r\n--B\r\n\r\nhello",
        b"--B\r\nContent-Type: application/json; charset=utf-8\r\n\r\n {} \r\n--B\r\nno colon\r\n\r\nhello\r\n--B--",
    ] {
        assert_eq!(body_of(body).as_deref(), Ok("hello"), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn what_may_have_been_cut_needs_its_closing_delimiter() {
    for (end, expected) in [
        ("", Err(InvalidMultipart("it breaks off"))),
        ("\r\n--", Err(InvalidMultipart("it breaks off"))),
        ("\r\n--B", Ok(Event::End)),
        ("\r\n--B--", Ok(Event::End)),
    ] {
        let mut parser = Parser::new(TYPE).unwrap();
        let mut events = parser.feed(b"--B\r\n\r\n{}\r\n--B\r\n\r\nhello").unwrap();
        events.extend(parser.feed(end.as_bytes()).unwrap());

        let last = parser.finish(false).map(|rest| [events, rest].concat().pop().unwrap());

        assert_eq!(last, expected, "{end:?}");
    }
}

#[test]
fn what_only_looks_like_a_delimiter_is_content() {
    for content in [
        &b""[..],
        b"\r\n",
        b"\r\n\r\n\r",
        b"x--B\r\n",
        b"x --B--",
        b"\r\n--BB\r\n",
        b"\r\n--B-",
        b"\r\n--B x\r\n",
        b"\r\n--B\rx",
        b"\r\n--b--\r\n",
        b"\r\n-\r\n--\r\n--\r",
        b"--BC",
    ] {
        let read = read_as(TYPE, &with_content(content)).unwrap();
        assert_eq!(read.body, content, "{:?}", String::from_utf8_lossy(content));
    }
}

#[test]
fn endless_padding_is_content_and_not_waited_for() {
    let content = [b"\r\n--B".as_slice(), &[b' '; 1000], b"\r\nx"].concat();

    let mut parser = Parser::new(TYPE).unwrap();
    parser.feed(b"--B\r\n\r\n{}\r\n--B\r\n\r\n").unwrap();
    let events = parser.feed(&content[..600]).unwrap();

    assert!(matches!(&events[..], [Event::Body(bytes)] if bytes.len() == 600), "{events:?}");
}

#[test]
fn the_boundary_is_found_in_every_spelling() {
    let body = |boundary: &str| format!("--{boundary}\r\n\r\n{{}}\r\n--{boundary}\r\n\r\nhello\r\n--{boundary}--");
    for (content_type, boundary) in [
        ("multipart/mixed;boundary=B", "B"),
        ("Multipart/Mixed ; charset=utf-8; BOUNDARY=\"B\"", "B"),
        ("multipart/mixed; a=\"x;boundary=C\"; boundary=B ; z=1", "B"),
        ("multipart/mixed; odd; boundary=B", "B"),
        (r#"multipart/mixed; boundary="a b:\c=d""#, "a b:c=d"),
        ("multipart/mixed; boundary=a=b", "a=b"),
    ] {
        let read = read_as(content_type, body(boundary).as_bytes());
        assert_eq!(read.map(|read| read.body).as_deref(), Ok(&b"hello"[..]), "{content_type}");
    }
}

#[test]
fn other_types_and_boundaries_are_refused() {
    let long = format!("multipart/mixed; boundary={}", "x".repeat(71));
    for content_type in [
        "",
        "application/json",
        "multipart/form-data; boundary=B",
        "multipart/mixed",
        "multipart/mixed; boundary=",
        "multipart/mixed; boundary=\"\"",
        "multipart/mixed; xboundary=B",
        long.as_str(),
    ] {
        assert!(Parser::new(content_type).is_err(), "{content_type}");
    }
}

#[test]
fn bodies_that_are_not_two_parts_are_refused() {
    for (body, reason) in [
        (&b""[..], "fewer than two parts"),
        (b"hello", "fewer than two parts"),
        (b"--B--\r\n", "fewer than two parts"),
        (b"--B\r\n\r\n{}\r\n--B--\r\n", "fewer than two parts"),
        (b"--B\r\n\r\n{}", "fewer than two parts"),
        (b"--B\r\n\r\n{}\r\n--B\r\nContent-Type: a/b\r\n", "fewer than two parts"),
        (b"--B\r\n\r\n\r\n--B\r\n\r\nx\r\n--B--", "the first part is not a JSON object"),
        (b"--B\r\n\r\n[]\r\n--B\r\n\r\nx\r\n--B--", "the first part is not a JSON object"),
        (b"--B\r\n\r\n{} {}\r\n--B\r\n\r\nx\r\n--B--", "the first part is not a JSON object"),
        (b"--B\r\n\r\n{}\r\n--B\r\n\r\nx\r\n--B\r\n\r\ny\r\n--B--", "more than two parts"),
        (b"--B\r\n\r\n{}\r\n--B\r\n\r\nx\r\n--B\r\nContent-Type: a/b", "more than two parts"),
    ] {
        assert_eq!(body_of(body), Err(InvalidMultipart(reason)), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_fills_memory() {
    for (start, filler) in [("--B\r\n\r\n{\"", 65 << 10), ("--B\r\nX: ", 17 << 10), ("", 65 << 10)] {
        let mut parser = Parser::new(TYPE).unwrap();
        parser.feed(start.as_bytes()).unwrap();

        assert!(parser.feed(&vec![b'x'; filler]).is_err(), "{start}");
    }
}

#[test]
fn content_streams_while_it_arrives() {
    let mut parser = Parser::new(TYPE).unwrap();
    parser.feed(b"--B\r\n\r\n{}\r\n--B\r\n\r\n").unwrap();

    assert_eq!(parser.feed(b"first\r").unwrap(), [Event::Body("first".into())]);
    assert_eq!(parser.feed(b"second\r\n--").unwrap(), [Event::Body("\rsecond".into())]);
    assert_eq!(parser.feed(b"B").unwrap(), []);
    assert_eq!(parser.feed(b"--").unwrap(), [Event::End]);
}

proptest! {
    #[test]
    fn any_content_in_any_pieces_comes_out_as_it_went_in(
        content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'C'), any::<u8>()], 0..60),
        sizes in proptest::collection::vec(1usize..9, 1..40),
    ) {
        let body = with_content(&content);
        // "\n--B" of its own would be a delimiter: the sender's boundary does not occur.
        prop_assume!(!content.windows(3).any(|window| window == b"--B") && !content.starts_with(b"-"));
        let mut parser = Parser::new(TYPE).unwrap();
        let (mut rest, mut chunks) = (body.as_slice(), Vec::new());
        for size in sizes.iter().cycle() {
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = after;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(collect(&mut parser, &chunks).unwrap().body, content);
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'B'), Just(b'{'), Just(b'}'), any::<u8>()], 0..200)) {
        let mut parser = Parser::new(TYPE).unwrap();
        let _ = body.chunks(7).try_for_each(|chunk| parser.feed(chunk).map(|_| ()));
        let _ = parser.finish(true);
    }
}
