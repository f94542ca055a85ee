//! What was measured, as a table, and the goals that were set.

/// One row: a peer's figures in one scenario.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) peer: &'static str,
    /// Milliseconds of processor time per request, or seconds per GiB.
    pub(crate) cpu: f64,
    /// What else there is to say.
    pub(crate) rest: String,
}

/// What one figure is to be, beside another's.
pub(crate) struct Goal {
    pub(crate) of: &'static str,
    pub(crate) beside: &'static str,
    /// At most so many times the other's processor time.
    pub(crate) at_most: f64,
}

/// Prints the rows with their ratios to the first one, and which goals are met; tells how many are not.
pub(crate) fn print(title: &str, unit: &str, rows: &[Row], goals: &[Goal]) -> usize {
    println!("\n### {title}\n\n| | CPU, {unit} | times ours | |\n|---|---|---|---|");
    for Row { peer, cpu, rest } in rows {
        println!("| {peer} | {cpu:.4} | {:.2} | {rest} |", cpu / rows[0].cpu);
    }
    let find = |name: &str| rows.iter().find(|row| row.peer == name).map(|row| row.cpu);
    let mut missed = 0;
    for Goal { of, beside, at_most } in goals {
        if let (Some(ours), Some(theirs)) = (find(of), find(beside)) {
            let ratio = ours / theirs;
            let is_met = ratio <= *at_most;
            missed += usize::from(!is_met);
            let verdict = if is_met { "met" } else { "MISSED" };
            println!("\n{of}: at most {at_most:.3} of {beside}: {ratio:.3}, {verdict}");
        }
    }
    missed
}
