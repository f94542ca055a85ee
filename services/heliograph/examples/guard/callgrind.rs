//! Instructions of each piece, as valgrind's callgrind counts them.

use std::{
    collections::HashMap,
    env, fs,
    process::{Command, Stdio},
};

use crate::{Costs, pieces::FUNCTIONS};

/// Runs this program under valgrind.
pub(crate) fn instructions() -> Costs {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--error-exitcode=1"]);
    command.arg(format!("--callgrind-out-file={}", report.display()));
    let status = command.arg(env::current_exe().unwrap()).arg("work").stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "valgrind ended with {status}");
    read(&fs::read_to_string(report).unwrap())
}

/// The mean of each function of a piece: what it has called costs it too.
fn read(report: &str) -> Costs {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut costs: HashMap<&str, (u64, u64)> = HashMap::new();
    let mut lines = report.lines();
    let mut called = "";
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            // "(7) name" the first time, "(7)" from then on.
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            let known = names.entry(id).or_insert(name);
            if line.starts_with("cfn=") {
                called = known;
            }
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let count: u64 = calls.split(' ').next().unwrap().parse().unwrap();
            let cost: u64 = lines.next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
            let sum = costs.entry(called).or_default();
            *sum = (sum.0 + count, sum.1 + cost);
        }
    }
    let find = |piece: &&'static str| {
        let (count, cost) = costs.get(format!("guard::pieces::{piece}").as_str())?;
        Some(((*piece).to_owned(), cost / count))
    };
    FUNCTIONS.iter().filter_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_the_mean_over_all_callers() {
        let piece = FUNCTIONS[0];
        let report = format!(
            "fn=(1) main\ncfn=(2) guard::pieces::{piece}\ncalls=3 0\n7 300\n7 5\nfn=(3) other::{piece}\ncfn=(3)\ncalls=2 0\n8 900\ncfn=(2)\ncalls=1 0\n9 500\n"
        );

        assert_eq!(read(&report), Costs::from([(piece.to_owned(), 200)]));
    }
}
