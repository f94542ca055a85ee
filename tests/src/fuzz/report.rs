//! What was seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Instant,
};

use super::{rules::Broken, template::Template};

/// More findings of one rule tell nothing new.
const MOST_OF_A_RULE: usize = 6;

/// A request whose answer breaks a rule.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// How it is broken.
    pub seen: String,
    /// The request, as text of the corpus, as short as it was easy to make it.
    pub request: String,
    /// The head and the beginning of the body of the answer.
    pub answer: String,
    /// The entry of the corpus that it is, if it is one.
    pub entry: Option<String>,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    began: Instant,
    sent: u64,
    connections: u64,
    /// How often each endpoint answered with each status.
    table: BTreeMap<String, BTreeMap<u16, u64>>,
    findings: Vec<Finding>,
    known: BTreeSet<(String, String)>,
    /// The entry of the corpus that is sent now.
    entry: Option<String>,
    /// What was measured at the end.
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            began: Instant::now(),
            sent: 0,
            connections: 0,
            table: BTreeMap::new(),
            findings: Vec::new(),
            known: BTreeSet::new(),
            entry: None,
            notes: Vec::new(),
        }
    }

    /// What breaks a rule.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub(crate) fn replaying(&mut self, entry: Option<&str>) {
        self.entry = entry.map(str::to_owned);
    }

    pub(crate) fn connected(&mut self) {
        self.connections += 1;
    }

    pub(crate) fn answered(&mut self, label: String, status: u16) {
        self.sent += 1;
        *self.table.entry(label).or_default().entry(status).or_default() += 1;
    }

    /// Whether this is the first of its kind: the same rule at the same endpoint.
    pub(crate) fn is_new(&mut self, rule: &str, label: &str) -> bool {
        let of_rule = self.known.iter().filter(|(known, _)| known == rule).count();
        of_rule < MOST_OF_A_RULE && self.known.insert((rule.to_owned(), label.to_owned()))
    }

    pub(crate) fn found(&mut self, broken: Broken, template: &Template, answer: String) {
        let finding = Finding {
            rule: broken.rule.to_owned(),
            seen: broken.seen,
            request: template.to_text(),
            answer,
            entry: self.entry.clone(),
        };
        println!("{finding}");
        self.findings.push(finding);
    }

    /// What holds at the end, or does not.
    pub(crate) fn finish(&mut self, last: Vec<Result<String, String>>) {
        for outcome in last {
            match outcome {
                Ok(note) => self.notes.push(note),
                Err(seen) => {
                    let rule = "the server is well at the end".to_owned();
                    let finding = Finding { rule, seen, request: String::new(), answer: String::new(), entry: None };
                    println!("{finding}");
                    self.findings.push(finding);
                }
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "=== FOUND: {} is broken: {}", self.rule, self.seen)?;
        if let Some(entry) = &self.entry {
            writeln!(f, "--- entry of the corpus: {entry}")?;
        }
        writeln!(f, "--- request\n{}--- answer\n{}", self.request, self.answer)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.began.elapsed();
        writeln!(
            f,
            "seed {}: {} requests over {} connections in {} s",
            self.seed,
            self.sent,
            self.connections,
            span.as_secs()
        )?;
        for (label, statuses) in &self.table {
            let statuses: Vec<String> = statuses
                .iter()
                .map(|(status, count)| match status {
                    0 => format!("none x {count}"),
                    status => format!("{status} x {count}"),
                })
                .collect();
            writeln!(f, "  {label}\n      {}", statuses.join(", "))?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        write!(f, "{} finding(s)", self.findings.len())
    }
}
