//! Fuzzes the binary under test: `fuzz [SECONDS] [SEED]`. Keeps what it finds in
//! `tests/fuzz-corpus/findings`, and the log of the server in the file `FUZZ_LOG`.

use std::{env, fs, path::Path, process::ExitCode, time::Duration};

use heliograph_tests::{Report, fuzz};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<u64>());
    let (Ok(seconds), Ok(seed)) = (number(60), number(rand::random())) else {
        eprintln!("usage: fuzz [SECONDS] [SEED]");
        return ExitCode::from(64);
    };
    println!("{seconds} s with seed {seed}");
    let report = fuzz(seed, Duration::from_secs(seconds)).await;
    println!("{report}");
    keep(&report);
    if report.findings().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As entries of the corpus, to be moved there with a better name.
fn keep(report: &Report) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus/findings");
    for (nth, finding) in report.findings().iter().enumerate().filter(|(_, finding)| !finding.request.is_empty()) {
        let text = format!("# {}: {}\n{}", finding.rule, finding.seen.escape_debug(), finding.request);
        if let Err(error) =
            fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(format!("{nth:03}.http")), text))
        {
            eprintln!("a finding is not kept: {error}");
        }
    }
}
