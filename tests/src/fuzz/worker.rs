//! One connection after the other: sends, reads, judges.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    answer::{Answer, CUT_OFF, Line, NoAnswer},
    endpoints,
    grammar::Grammar,
    report::Report,
    rules::{self, Broken},
    scene::SharedValues,
    sent::{self, Asked},
    template::Template,
};

/// A request that is whole is answered within this, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for an answer to what is no request, or half of one.
const CURIOSITY: Duration = Duration::from_millis(80);
/// The same for one that is alone.
const CURIOSITY_ALONE: Duration = Duration::from_millis(600);

/// What an exchange showed.
#[derive(Debug, Clone)]
struct Seen {
    label: String,
    status: u16,
    broken: Vec<Broken>,
    answer: String,
}

/// Sends requests over one connection as long as it lasts, then over another.
#[derive(Debug)]
pub(crate) struct Worker {
    address: SocketAddr,
    values: SharedValues,
    report: Arc<Mutex<Report>>,
    line: Option<Line>,
    curiosity: Duration,
}

impl Worker {
    pub(crate) fn new(address: SocketAddr, values: SharedValues, report: Arc<Mutex<Report>>) -> Self {
        Self { address, values, report, line: None, curiosity: CURIOSITY }
    }

    /// Until it is time.
    pub(crate) async fn run(&mut self, mut grammar: Grammar, until: Instant) {
        while Instant::now() < until {
            let template = grammar.template();
            self.judge(&template).await;
        }
    }

    /// One request, with time to look at it.
    pub(crate) async fn try_one(&mut self, template: &Template) {
        self.curiosity = CURIOSITY_ALONE;
        self.judge(template).await;
    }

    async fn judge(&mut self, template: &Template) {
        for seen in self.exchange(template).await {
            self.report.lock().unwrap().answered(seen.label.clone(), seen.status);
            for broken in seen.broken {
                if broken.seen.contains(CUT_OFF) && self.is_gone(template).await {
                    continue;
                }
                if self.report.lock().unwrap().is_new(broken.rule, &seen.label) {
                    let (template, answer) = self.shorten(template, broken.rule, &seen.answer).await;
                    self.report.lock().unwrap().found(broken, &template, answer);
                }
            }
        }
    }

    /// Whether what was asked for has been deleted since: then a body may break off.
    async fn is_gone(&mut self, template: &Template) -> bool {
        self.exchange(template).await.iter().any(|seen| seen.status == 404)
    }

    /// Leaves out line by line and parameter by parameter what makes no difference.
    async fn shorten(&mut self, template: &Template, rule: &'static str, answer: &str) -> (Template, String) {
        let (mut shortest, mut answer) = (template.clone(), answer.to_owned());
        for separator in [b"\r\n".as_slice(), b"&"] {
            let mut at = 1;
            while let Some(shorter) = without_piece(&shortest, separator, at) {
                self.line = None;
                let seen = self.exchange(&shorter).await;
                let same = seen.into_iter().find(|seen| seen.broken.iter().any(|broken| broken.rule == rule));
                match same {
                    Some(seen) => (shortest, answer) = (shorter, seen.answer),
                    None => at += 1,
                }
            }
        }
        self.line = None;
        (shortest, answer)
    }

    async fn exchange(&mut self, template: &Template) -> Vec<Seen> {
        let bytes = template.expand(&self.values.read().unwrap());
        if self.is_pipelined_head(&bytes) {
            return Vec::new();
        }
        match sent::read(&bytes) {
            Some(requests) => self.exchange_requests(&bytes, &requests).await,
            None => vec![self.exchange_nonsense(&bytes).await],
        }
    }

    /// `HEAD` in a row with others: actix-http 3.20 keeps one note on whether an answer has a
    /// body for all requests that came in one piece, so that the wrong one may have none. No
    /// client is known to send them so.
    fn is_pipelined_head(&self, bytes: &[u8]) -> bool {
        let count = |text: &[u8]| bytes.windows(text.len()).filter(|part| *part == text).count();
        self.curiosity != CURIOSITY_ALONE && count(b" HTTP/1.") > 1 && count(b"HEAD ") > 0
    }

    async fn line(&mut self) -> Line {
        if let Some(line) = self.line.take() {
            return line;
        }
        self.report.lock().unwrap().connected();
        Line::open(self.address).await
    }

    /// Whole requests: each has an answer, in turn.
    async fn exchange_requests(&mut self, bytes: &[u8], requests: &[Asked]) -> Vec<Seen> {
        let was_open = self.line.is_some();
        let mut line = self.line().await;
        line.send(bytes, PATIENCE).await;
        let mut seen = Vec::new();
        for asked in requests {
            let outcome = line.answer(&asked.method, PATIENCE).await;
            // A connection that has served before may end at any time.
            if outcome.as_ref().is_err_and(|what| *what == NoAnswer::Closed) && seen.is_empty() && was_open {
                return Box::pin(self.exchange_requests(bytes, requests)).await;
            }
            let closes = outcome.as_ref().map_or(true, |answer| answer.closes);
            seen.push(judge_answer(outcome, asked));
            if closes || asked.closes {
                return seen;
            }
        }
        if requests.iter().any(|asked| asked.has_body || asked.method == "HEAD") {
            let unasked = line.unasked(Duration::from_millis(2)).await;
            if let Some(last) = seen.last_mut().filter(|_| !unasked.is_empty()) {
                let seen = String::from_utf8_lossy(&unasked).into_owned();
                last.broken.push(Broken { rule: "nothing comes that was not asked for", seen });
            }
        }
        self.line = Some(line);
        seen
    }

    /// Anything may be the answer, or none, but not everything may stand in it.
    async fn exchange_nonsense(&mut self, bytes: &[u8]) -> Seen {
        let mut line = self.line().await;
        line.send(bytes, self.curiosity).await;
        let method = if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        let label = "not HTTP, or not whole".to_owned();
        match line.answer(method, self.curiosity).await {
            Ok(answer) => {
                let mut broken = rules::check(&answer, None);
                // Only a head that stands alone has had no body to go with it.
                let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
                let is_head = end.is_some_and(|end| end + 4 == bytes.len());
                broken.extend(rules::check_unasked(&answer).filter(|_| is_head && self.curiosity == CURIOSITY_ALONE));
                Seen { label, status: answer.status, broken, answer: show(&answer) }
            }
            Err(_) => Seen { label, status: 0, broken: Vec::new(), answer: String::new() },
        }
    }
}

fn judge_answer(outcome: Result<Answer, NoAnswer>, asked: &Asked) -> Seen {
    let label = endpoints::label(&asked.method, &asked.target);
    match outcome {
        Ok(answer) => {
            let broken = rules::check(&answer, Some(asked));
            Seen { label, status: answer.status, broken, answer: show(&answer) }
        }
        Err(what) => {
            let broken = vec![Broken { rule: "a request has an answer", seen: format!("{what:?}") }];
            Seen { label, status: 0, broken, answer: String::new() }
        }
    }
}

fn show(answer: &Answer) -> String {
    let body = &answer.body[..answer.body.len().min(400)];
    String::from_utf8_lossy(&[&answer.head, body].concat()).into_owned()
}

/// Without the piece of this number, if there are so many. The last line stays: with it, a
/// request would not end.
fn without_piece(template: &Template, separator: &[u8], number: usize) -> Option<Template> {
    let bytes = &template.0;
    let starts: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(separator)).collect();
    let start = *starts.get(number.checked_sub(1)?)?;
    let end = *starts.get(number)?;
    // An empty line ends the head.
    (end > start + separator.len()).then(|| Template([&bytes[..start], &bytes[end..]].concat()))
}
