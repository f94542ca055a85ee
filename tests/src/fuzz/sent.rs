//! What is HTTP and what is not: a reader of requests, stricter than the server has to be.

/// The longest head that every server takes.
const LONGEST_HEAD: usize = 32 << 10;
/// And the most headers.
const MOST_HEADERS: usize = 64;

/// One whole request, by the letter of RFC 9112.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) has_body: bool,
    /// Whether the client asks for the end of the connection.
    pub(crate) closes: bool,
}

/// The requests that these bytes are, one after the other; `None` if they are anything else,
/// or not whole.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<Asked>> {
    let (mut requests, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (asked, length) = read_one(rest)?;
        requests.push(asked);
        rest = &rest[length..];
    }
    (!requests.is_empty()).then_some(requests)
}

fn read_one(bytes: &[u8]) -> Option<(Asked, usize)> {
    let head_length = bytes.windows(4).take(LONGEST_HEAD).position(|end| end == b"\r\n\r\n")?;
    let mut lines = split_lines(&bytes[..head_length])?.into_iter();
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    // A token may hold more, but no method does.
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    if !is_method || !is_target(method, target) || !["HTTP/1.1", "HTTP/1.0"].contains(&version) {
        return None;
    }
    let headers: Vec<(String, &[u8])> = lines.map(read_header).collect::<Option<_>>()?;
    if headers.len() > MOST_HEADERS {
        return None;
    }
    // Without exactly one host it is no request of HTTP/1.1 (RFC 9112, section 3.2).
    if headers.iter().filter(|(name, _)| name == "host").count() != 1 {
        return None;
    }
    let body = &bytes[head_length + 4..];
    let framing = framing(&headers, version)?;
    // HTTP/1.0 knows no other way to tell that there is no body (RFC 1945, section 8.3).
    if version == "HTTP/1.0" && framing == Framing::None && ["POST", "PUT", "PATCH"].contains(&method) {
        return None;
    }
    let body_length = match framing {
        Framing::None => 0,
        Framing::Length(length) => (length <= body.len()).then_some(length)?,
        Framing::Chunked => chunked_length(body)?,
    };
    let asked = Asked {
        method: method.to_owned(),
        target: target.to_owned(),
        has_body: framing != Framing::None,
        closes: version == "HTTP/1.0" || headers.iter().any(|(name, _)| name == "connection"),
    };
    Some((asked, head_length + 4 + body_length))
}

fn split_lines(head: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\r') {
        lines.push(&rest[..end]);
        rest = rest[end..].strip_prefix(b"\r\n")?;
    }
    lines.push(rest);
    Some(lines)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// `CONNECT` is for proxies, and its target is another.
fn is_target(method: &str, target: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    let has_form = target.starts_with('/') || (method == "OPTIONS" && target == "*");
    method != "CONNECT" && has_form && target.bytes().all(allowed)
}

fn read_header(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], trim_blanks(&line[colon + 1..]));
    let allowed = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    let name = is_token(name).then(|| String::from_utf8_lossy(name).to_ascii_lowercase())?;
    value.iter().all(allowed).then_some((name, value))
}

fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
}

/// Two ways to tell the length are one too many: what is smuggled so is no request.
fn framing(headers: &[(String, &[u8])], version: &str) -> Option<Framing> {
    let all =
        |wanted: &str| headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value).collect::<Vec<_>>();
    if !all("upgrade").is_empty() {
        return None;
    }
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Some(Framing::None),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            Some(Framing::Length(std::str::from_utf8(length).ok()?.parse().ok()?))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && version == "HTTP/1.1" => Some(Framing::Chunked),
        _ => None,
    }
}

/// How long a chunked body is. Extensions and trailers are left to others.
fn chunked_length(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = body[at..].windows(2).take(16).position(|end| end == b"\r\n")?;
        let digits = std::str::from_utf8(&body[at..at + line]).ok()?;
        let is_size = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = is_size.then(|| usize::from_str_radix(digits, 16).ok()).flatten()?;
        at += line + 2;
        let end = at.checked_add(size)?;
        (body.get(end..end + 2)? == b"\r\n").then_some(())?;
        at = end + 2;
        if size == 0 {
            return Some(at);
        }
    }
}
