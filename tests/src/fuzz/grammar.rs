//! Requests from the table of endpoints, from the corpus, and from both with faults.

use std::{fmt::Write, sync::Arc};

use super::{
    dice::Dice,
    endpoints::{Caller, ENDPOINTS, Endpoint},
    mutate::mutate,
    template::Template,
    words,
};

const OWN_MEDIA: [&str; 8] =
    ["{{text}}", "{{jpeg}}", "{{empty}}", "{{large}}", "{{quarantined}}", "{{pending}}", "{{foreign}}", "{{jpeg}}"];

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Grammar {
    dice: Dice,
    corpus: Arc<Vec<Template>>,
}

impl Grammar {
    pub(crate) fn new(dice: Dice, corpus: Arc<Vec<Template>>) -> Self {
        Self { dice, corpus }
    }

    /// The next request, or several.
    pub(crate) fn template(&mut self) -> Template {
        let mut template = if !self.corpus.is_empty() && self.dice.chance(15) {
            self.corpus[self.dice.below(self.corpus.len())].clone()
        } else {
            self.request()
        };
        if self.dice.chance(20) {
            mutate(&mut self.dice, &mut template.0);
        }
        if self.dice.chance(4) {
            let second = self.request();
            template.0.extend(second.0);
        }
        template
    }

    fn request(&mut self) -> Template {
        let endpoint = &ENDPOINTS[self.dice.below(ENDPOINTS.len())];
        let method = match self.dice.below(100) {
            0..10 => self.dice.pick(&words::METHODS),
            10..20 if endpoint.method == "GET" => "HEAD",
            _ => endpoint.method,
        };
        let mut head = format!("{method} {}{} HTTP/1.1\r\n", self.path(endpoint), self.query(endpoint));
        if self.dice.chance(1) {
            let version = self.dice.pick(&["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "http/1.1", ""]);
            head = head.replace("HTTP/1.1", version);
        }
        self.host(&mut head);
        self.credentials(&mut head, endpoint);
        self.headers(&mut head);
        let body = self.body(&mut head, method);
        head.push_str("\r\n");
        Template([head.into_bytes(), body].concat())
    }

    fn path(&mut self, endpoint: &Endpoint) -> String {
        let pattern = &endpoint.paths[self.dice.below(endpoint.paths.len())];
        let is_remote = self.dice.chance(20);
        let segments: Vec<String> = pattern.split('/').map(|segment| self.segment(segment, is_remote)).collect();
        let mut path = segments.join("/");
        if self.dice.chance(4) {
            let at = path.match_indices('/').nth(self.dice.below(6)).map_or(0, |(at, _)| at);
            path.insert_str(at, self.dice.pick(&["/", "/.", "/..", "/%2e", "%2f", ";a", "/{{text}}", "%"]));
        }
        path
    }

    fn segment(&mut self, segment: &str, is_remote: bool) -> String {
        let nasty = self.dice.chance(15);
        let word = match segment {
            "{server_name}" if nasty => self.dice.pick(&words::SERVER_NAMES),
            "{server_name}" if is_remote => "{{remote}}",
            "{server_name}" => "media.test",
            "{media_id}" if nasty => self.dice.pick(&words::MEDIA_IDS),
            "{media_id}" if is_remote => self.dice.pick(&words::REMOTE_IDS),
            "{media_id}" => self.dice.pick(&OWN_MEDIA),
            "{file_name}" => self.dice.pick(&words::FILE_NAMES),
            "{user_id}" => self.dice.pick(&words::USER_IDS),
            "{variant}" => self.dice.pick(&words::VARIANTS),
            other => return other.to_owned(),
        };
        self.stretch(word)
    }

    /// Sometimes the word is very long.
    fn stretch(&mut self, word: &str) -> String {
        if self.dice.chance(1) {
            let times = [255, 256, 1000, 5000][self.dice.below(4)];
            return if word.is_empty() { "x".repeat(times) } else { word.repeat(1 + times / word.len()) };
        }
        word.to_owned()
    }

    fn query(&mut self, endpoint: &Endpoint) -> String {
        let mut pairs = Vec::new();
        if endpoint.label.contains("thumbnail") && self.dice.chance(80) {
            let method = self.dice.pick(&["crop", "scale"]);
            pairs.push(format!(
                "width={}&height={}&method={method}",
                1 + self.dice.below(900),
                1 + self.dice.below(900)
            ));
        }
        for _ in 0..self.dice.below(4) {
            let name = self.dice.pick(&words::PARAMETERS);
            let value = if self.dice.chance(50) {
                self.dice.pick(&words::GOOD_VALUES)
            } else {
                self.dice.pick(&words::BAD_VALUES)
            };
            let value = self.stretch(value);
            pairs.push(if self.dice.chance(97) { format!("{name}={value}") } else { name.to_owned() });
        }
        if self.dice.chance(5) {
            pairs.push(format!(
                "access_token={}",
                self.dice.pick(&["{{alice}}", "{{bob}}", "{{guest}}", "", "%00", "x%0d%0a"])
            ));
        }
        if self.dice.chance(10) && pairs.len() > 1 {
            pairs.swap(0, 1);
        }
        let mark = if pairs.is_empty() && self.dice.chance(95) { "" } else { "?" };
        let separator = if self.dice.chance(3) { "&&" } else { "&" };
        format!("{mark}{}", pairs.join(separator))
    }

    fn host(&mut self, head: &mut String) {
        match self.dice.below(50) {
            0 => {}
            1 => head.push_str("Host: media.test\r\nHost: other.test\r\n"),
            2..5 => write!(head, "Host: {}\r\n", self.dice.pick(&words::SERVER_NAMES)).unwrap(),
            _ => head.push_str("Host: media.test\r\n"),
        }
    }

    fn credentials(&mut self, head: &mut String, endpoint: &Endpoint) {
        let value = match self.dice.below(100) {
            0..5 => return,
            5..15 => self.dice.pick(&words::CREDENTIALS),
            15..20 => self.dice.pick(&["Bearer {{alice}}", "Bearer {{bob}}", "Bearer {{guest}}", "{{signed}}"]),
            _ => match endpoint.caller {
                Caller::Anyone => return,
                Caller::User => "Bearer {{alice}}",
                Caller::Administrator => "Bearer {{bob}}",
                Caller::Server => "{{signed}}",
            },
        };
        let name = self.dice.pick(&["Authorization", "authorization", "AUTHORIZATION"]);
        write!(head, "{name}: {value}\r\n").unwrap();
        if self.dice.chance(2) {
            write!(head, "Authorization: {}\r\n", self.dice.pick(&words::CREDENTIALS)).unwrap();
        }
    }

    fn headers(&mut self, head: &mut String) {
        if self.dice.chance(25) {
            write!(head, "Range: {}\r\n", self.dice.pick(&words::RANGES)).unwrap();
        }
        for _ in 0..self.dice.below(4) {
            write!(head, "{}\r\n", self.dice.pick(&words::HEADERS)).unwrap();
        }
        if self.dice.chance(2) {
            let (name, length) =
                (self.dice.pick(&["X-Long", "Cookie", "Range", "X-Forwarded-For"]), 1 << self.dice.below(16));
            write!(head, "{name}: {}\r\n", "a,".repeat(length)).unwrap();
        }
        if self.dice.chance(1) {
            let header = self.dice.pick(&words::HEADERS);
            head.push_str(&format!("{header}\r\n").repeat(self.dice.below(120)));
        }
    }

    /// The body, and the headers that go with it.
    fn body(&mut self, head: &mut String, method: &str) -> Vec<u8> {
        let usual = ["POST", "PUT", "PATCH"].contains(&method);
        if !usual && self.dice.chance(90) {
            return Vec::new();
        }
        if self.dice.chance(50) {
            write!(head, "Content-Type: {}\r\n", self.dice.pick(&words::TYPES)).unwrap();
        }
        let content = self.content();
        match self.dice.below(20) {
            0 => {
                write!(head, "Content-Length: {}\r\n", self.dice.pick(&words::LENGTHS)).unwrap();
                content
            }
            1 => {
                write!(head, "Transfer-Encoding: {}\r\n", self.dice.pick(&words::CODINGS)).unwrap();
                self.chunks(&content)
            }
            2 => {
                write!(head, "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", content.len()).unwrap();
                self.chunks(&content)
            }
            3 => content,
            4..9 => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                self.chunks(&content)
            }
            _ => {
                write!(head, "Content-Length: {}\r\n", content.len()).unwrap();
                content
            }
        }
    }

    fn content(&mut self) -> Vec<u8> {
        match self.dice.below(20) {
            0 => crate::jpeg(33, 9),
            1 => crate::noise(self.dice.below(100_000), self.dice.number()),
            2 => vec![b'['; 70_000],
            _ => self.dice.pick(&words::BODIES).as_bytes().to_vec(),
        }
    }

    fn chunks(&mut self, content: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        let size = [1, 3, 1000, 100_000][self.dice.below(4)];
        for piece in content.chunks(size.max(content.len() / 50)) {
            let line = match self.dice.below(60) {
                0 => format!("{:X};a=b\r\n", piece.len()),
                1 => format!("{:#x}\r\n", piece.len()),
                2 => format!("{:x}\n", piece.len()),
                3 => "ffffffffffffffffff\r\n".to_owned(),
                4 => format!("-{:x}\r\n", piece.len()),
                _ => format!("{:x}\r\n", piece.len()),
            };
            body.extend_from_slice(line.as_bytes());
            body.extend_from_slice(piece);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(self.dice.pick::<[u8]>(&[
            b"0\r\n\r\n",
            b"0\r\n\r\n",
            b"0\r\n\r\n",
            b"0\r\n\r\n",
            b"",
            b"0\r\nX-A: b\r\n\r\n",
            b"00\r\n\r\n",
        ]));
        body
    }
}
