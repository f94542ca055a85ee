//! What was found, for people and for programs.

use std::fmt::Write;

use heliograph_types::{Finding, Verdict};
use serde_json::{Value, json};

use super::broken;

/// Wide enough for every name of a trial.
const NAME_WIDTH: usize = 28;

/// Everything that was tried.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) groups: Vec<Group>,
}

/// What was tried of one thing.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// Where it is.
    pub(super) place: String,
    pub(super) tried: Vec<Tried>,
}

/// One trial and its end.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) name: String,
    pub(super) finding: Finding,
}

impl Group {
    /// Of which nothing is known, by a fault of ours.
    pub(super) fn broken(error: &str) -> Self {
        let tried = vec![Tried { name: "trial".to_owned(), finding: broken(error) }];
        Self { name: "doctor".to_owned(), place: String::new(), tried }
    }

    fn show(&self, text: &mut String) {
        let _ = writeln!(text, "{}", format!("{} {}", self.name, self.place).trim_end());
        let mut advised: Vec<&str> = Vec::new();
        for Tried { name, finding } in &self.tried {
            let _ = writeln!(text, "  {:<4}  {name:<NAME_WIDTH$}  {}", finding.verdict.label(), finding.told);
            let Some(advice) = &finding.advice else { continue };
            // What has been said is not said again.
            if advised.contains(&advice.as_str()) {
                let _ = writeln!(text, "        {:<NAME_WIDTH$}  -> as above", "");
            } else {
                let _ = writeln!(text, "        {:<NAME_WIDTH$}  -> {advice}", "");
                advised.push(advice);
            }
        }
        text.push('\n');
    }

    fn as_json(&self) -> Value {
        let tried = self.tried.iter().map(|Tried { name, finding }| {
            let mut entry = json!(finding);
            entry["tried"] = json!(name);
            entry
        });
        json!({ "name": self.name, "place": self.place, "findings": tried.collect::<Vec<_>>() })
    }
}

impl Report {
    /// Whether anything does not work.
    pub(super) fn has_failed(&self) -> bool {
        self.count(Verdict::Fail) > 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        let all = self.groups.iter().flat_map(|group| &group.tried);
        all.filter(|tried| tried.finding.verdict == verdict).count()
    }

    /// For people.
    pub(super) fn as_text(&self) -> String {
        let mut text = String::new();
        self.groups.iter().for_each(|group| group.show(&mut text));
        let [good, notes, failed] = [Verdict::Ok, Verdict::Note, Verdict::Fail].map(|verdict| self.count(verdict));
        let _ = writeln!(text, "{good} ok, {notes} to note, {failed} failed");
        text
    }

    /// For programs.
    pub(super) fn as_json(&self) -> String {
        let groups: Vec<Value> = self.groups.iter().map(Group::as_json).collect();
        let document = json!({ "version": env!("CARGO_PKG_VERSION"), "failed": self.has_failed(), "groups": groups });
        format!("{document:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        let tried = findings.into_iter().map(|finding| Tried { name: "put".to_owned(), finding }).collect();
        Report { groups: vec![Group { name: "store".to_owned(), place: "s3://media".to_owned(), tried }] }
    }

    #[test]
    fn each_trial_is_a_line_and_each_advice_is_given_once() {
        let text =
            report(vec![Finding::ok("fine"), Finding::note("a", "do it"), Finding::fail("b", "do it")]).as_text();

        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "store s3://media",
                "ok put fine",
                "note put a",
                "-> do it",
                "FAIL put b",
                "-> as above",
                "",
                "1 ok, 1 to note, 1 failed"
            ]
        );
    }

    #[test]
    fn only_what_does_not_work_is_a_failure() {
        assert!(!report(vec![Finding::ok(""), Finding::note("", "")]).has_failed());
        assert!(report(vec![Finding::ok(""), Finding::fail("", "")]).has_failed());
    }

    #[test]
    fn programs_read_the_same() {
        let json: Value =
            serde_json::from_str(&report(vec![Finding::ok("fine"), Finding::fail("b", "c")]).as_json()).unwrap();

        assert_eq!(json["failed"], true);
        assert_eq!(
            json["groups"][0]["findings"],
            json!([
                {"tried": "put", "verdict": "ok", "told": "fine"},
                {"tried": "put", "verdict": "fail", "told": "b", "advice": "c"},
            ])
        );
    }
}
