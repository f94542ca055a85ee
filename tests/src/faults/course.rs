//! The course of one row: the fault, the wait until everything is right again, the comparison.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    fault::{Fault, Phase},
    ledger::Verdict,
    load::Clients,
    rows::Row,
    scale::Scale,
    table::{Outcome, Table},
    tally::{Kind, Snapshot},
    verify::Verifier,
};

const PATIENCE: Duration = Duration::from_secs(90);
const MOMENT: Duration = Duration::from_millis(20);

/// What all rows have in common.
#[derive(Debug)]
pub(super) struct Course<'a> {
    pub(super) scale: &'a Scale,
    pub(super) table: &'a mut Table,
    /// Whether the run has to have had its load when this one ends.
    pub(super) is_last: bool,
}

impl Course<'_> {
    /// Waits until there is something to lose. Nothing fails as long as there is no fault.
    pub(super) async fn warm_up(&mut self, clients: &Arc<Clients>) {
        tokio::time::sleep(self.scale.calm.max(Duration::from_secs(1))).await;
        if clients.tally.snapshot().all().failed() > 0 {
            self.table.problem(format!("without a fault: {}", clients.tally.take_answers()));
        }
    }

    /// Takes a row from its beginning to its end; `act` makes and ends the fault.
    pub(super) async fn take(&mut self, row: &Row, verifier: &Verifier, mut act: impl AsyncFnMut(Phase)) {
        let clients = &verifier.clients;
        if row.fault.is_some_and(Fault::has_preparation) {
            act(Phase::Prepare).await;
            self.wait_for_calm(clients, Instant::now()).await;
        }
        clients.tally.take_answers();
        let before = clients.tally.snapshot();
        act(Phase::Strike).await;
        if row.fault.is_none_or(Fault::lasts) {
            tokio::time::sleep(self.scale.fault).await;
        }
        let during = clients.tally.snapshot() - before;
        let healed_at = Instant::now();
        act(Phase::Heal).await;
        let whole_after = healed_at.elapsed();
        let calm_after = self.wait_for_calm(clients, healed_at).await;
        let recovery = calm_after.map(|span| span.max(whole_after));
        let silence = clients.running.write().await;
        let whole = clients.tally.snapshot() - before;
        verifier.verify_fresh(self.scale.looked_at_again).await;
        drop(silence);
        let verdict = clients.ledger.take_verdict();
        let mut broken_promises = broken_promises(row.keeps, &whole);
        broken_promises.extend(problems(&verdict));
        let (wrong, lost) = (verdict.wrong.len(), verdict.lost.len());
        let answers = clients.tally.take_answers();
        self.table.add(Outcome { name: row.name, whole, during, recovery, wrong, lost, broken_promises, answers });
    }

    /// Lets the clients work until so much was done as the run is to have had.
    pub(super) async fn go_on_until_enough(&self, clients: &Clients) {
        let is_enough = || {
            let done = |kind| (self.table.total() + clients.tally.snapshot()).of(kind).done;
            done(Kind::Upload) >= self.scale.uploads && done(Kind::Download) >= self.scale.downloads
        };
        while !is_enough() {
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// After the last row of a rig: all that was ever acknowledged was compared.
    pub(super) fn end(&mut self, verifier: &Verifier) {
        let clients = &verifier.clients;
        for problem in problems(&clients.ledger.take_verdict()) {
            self.table.problem(format!("at the end: {problem}"));
        }
        let (all, media) = (clients.tally.snapshot(), clients.ledger.kept().len());
        println!(
            "    {} uploads and {} downloads; at the end all of {media} media were compared at {} fronts",
            all.of(Kind::Upload).done,
            all.of(Kind::Download).done,
            verifier.fronts.len()
        );
        self.table.add_to_total(all);
    }

    /// A table without a fault must not come from eyes that are closed. The last thing of all: it leaves damage.
    pub(super) async fn doubt(&mut self, verifier: &Verifier) {
        if !verifier.is_awake().await {
            self.table.problem("damage was not noticed".to_owned());
        }
    }

    /// What a sweep has left.
    pub(super) fn remains(&mut self, remains: &[String]) {
        if !remains.is_empty() {
            let some = &remains[..remains.len().min(5)];
            self.table.problem(format!("{} remains in the store, such as {some:?}", remains.len()));
        }
    }

    /// How long after `since` a request began that failed, once none has for a while.
    async fn wait_for_calm(&self, clients: &Clients, since: Instant) -> Option<Duration> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let last = clients.tally.failed_at().map_or(since, |at| at.max(since));
            if last.elapsed() < self.scale.calm {
                tokio::time::sleep(MOMENT).await;
                continue;
            }
            // What is still in the air may fail as well.
            drop(clients.running.write().await);
            if clients.tally.failed_at().is_none_or(|at| at <= last) {
                return Some(last - since);
            }
        }
        None
    }
}

fn problems(verdict: &Verdict) -> Vec<String> {
    let wrong = verdict.wrong.iter().map(|what| format!("wrong: {what}"));
    wrong.chain(verdict.lost.iter().map(|what| format!("lost: {what}"))).collect()
}

fn broken_promises(keeps: &[Kind], whole: &Snapshot) -> Vec<String> {
    let failed = keeps.iter().map(|kind| (kind, whole.of(*kind).failed()));
    failed.filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{count} {kind} failed")).collect()
}
