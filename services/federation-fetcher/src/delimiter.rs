//! Where one part of a multipart body ends and the next begins.

use crate::multipart::InvalidMultipart;

const LONGEST_BOUNDARY: usize = 70;
/// Blanks after a delimiter that are waited through. More of them are content.
const LONGEST_PADDING: usize = 256;

/// `--` and the boundary.
#[derive(Debug)]
pub(crate) struct Delimiter(Vec<u8>);

/// What is known of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// So many bytes at the beginning are content for certain.
    pub(crate) content_bytes: usize,
    /// The delimiter that follows them, if it is complete.
    pub(crate) delimiter: Option<Found>,
}

/// A delimiter with the line break before it and the padding and line end after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) bytes: usize,
    /// It says that no part follows.
    pub(crate) is_last: bool,
}

/// What stands behind `--boundary`.
enum Tail {
    /// So many bytes belong to the delimiter.
    Delimiter(usize, bool),
    Content,
    Undecided,
}

impl Delimiter {
    /// The delimiter that a `Content-Type` header announces.
    pub(crate) fn from_content_type(header: &str) -> Result<Self, InvalidMultipart> {
        let (essence, parameters) = header.split_once(';').unwrap_or((header, ""));
        if !essence.trim().eq_ignore_ascii_case("multipart/mixed") {
            return Err(InvalidMultipart("the answer is not multipart/mixed"));
        }
        let boundary = find_boundary(parameters).ok_or(InvalidMultipart("there is no boundary"))?;
        if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
            return Err(InvalidMultipart("the boundary is empty or longer than 70"));
        }
        Ok(Self([b"--", boundary.as_bytes()].concat()))
    }

    /// Looks for the first delimiter. Without `at_end` more bytes may follow the buffer.
    pub(crate) fn scan(&self, buffer: &[u8], at_line_start: bool, at_end: bool) -> Scan {
        if at_line_start && let Some(scan) = self.scan_line(buffer, 0, 0, at_end) {
            return scan;
        }
        let mut from = 0;
        while let Some(offset) = buffer[from..].iter().position(|byte| *byte == b'\n') {
            let line_break = from + offset;
            let has_return = line_break > 0 && buffer[line_break - 1] == b'\r';
            let content_bytes = line_break - usize::from(has_return);
            if let Some(scan) = self.scan_line(buffer, content_bytes, line_break + 1, at_end) {
                return scan;
            }
            from = line_break + 1;
        }
        let may_be_cut = !at_end && buffer.last() == Some(&b'\r');
        Scan { content_bytes: buffer.len() - usize::from(may_be_cut), delimiter: None }
    }

    /// What is known if a line begins at `line`; nothing if it is content.
    fn scan_line(&self, buffer: &[u8], content_bytes: usize, line: usize, at_end: bool) -> Option<Scan> {
        let text = &buffer[line..];
        let undecided = Scan { content_bytes, delimiter: None };
        if text.len() < self.0.len() {
            return (!at_end && self.0.starts_with(text)).then_some(undecided);
        }
        match read_tail(text.strip_prefix(self.0.as_slice())?, at_end) {
            Tail::Content => None,
            Tail::Undecided => Some(undecided),
            Tail::Delimiter(tail, is_last) => {
                let bytes = line - content_bytes + self.0.len() + tail;
                Some(Scan { content_bytes, delimiter: Some(Found { bytes, is_last }) })
            }
        }
    }
}

/// A delimiter goes on with `--`, or with blanks and a line end or the end of the body.
fn read_tail(tail: &[u8], at_end: bool) -> Tail {
    if tail.starts_with(b"--") {
        return Tail::Delimiter(2, true);
    }
    let blanks = tail.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match &tail[blanks..] {
        _ if blanks > LONGEST_PADDING => Tail::Content,
        [b'\n', ..] => Tail::Delimiter(blanks + 1, false),
        [b'\r', b'\n', ..] => Tail::Delimiter(blanks + 2, false),
        [] if at_end => Tail::Delimiter(blanks, false),
        [] | [b'\r'] if !at_end => Tail::Undecided,
        [b'-'] if !at_end && blanks == 0 => Tail::Undecided,
        _ => Tail::Content,
    }
}

/// The value of the parameter `boundary`, quoted or not.
fn find_boundary(parameters: &str) -> Option<String> {
    let mut rest = parameters;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = read_value(after.trim_start());
        // Without a value a parameter is nothing: what counts is behind the last semicolon.
        let name = name.rsplit(';').next().unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("boundary") {
            return Some(value);
        }
        rest = next;
    }
    None
}

fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            other => value.push(other),
        }
    }
    (value, "")
}
