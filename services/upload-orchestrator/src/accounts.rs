//! What users have stored and may store: the ledger of each, and its quota. And the ledger of all
//! copies of remote media, which nobody has a quota for.
//!
//! The ledgers are derived from the records and may be lost with the shared state; the
//! keeper at the end of this file writes them anew. While the state is out of reach, uploads
//! go on, and are counted afterwards.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use heliograph_catalog::{Catalog, Copies, MediaRecord, RemoteCopy};
use heliograph_leases::{Allowance, Exceeded, LedgerEntry, MARKS, State, StateError};
use heliograph_proto::{ListUploads, Uploads, Usage};
use heliograph_types::{Clock, Failure, Mxc, Timestamp, UserId};
use tokio_util::sync::CancellationToken;

mod missed;

use self::missed::{Change, Missed};
use crate::{
    metrics,
    quota::{QuotaConfig, Quotas},
};

/// Says in the state that the ledgers are complete, and since when.
const COMPLETE: (&str, &str) = (MARKS, "complete with copies");
/// Who writes them anew, and for how long without renewal.
const KEEPER: &str = "ledgers";
const KEEPER_TTL: Duration = Duration::from_mins(1);
/// How often to look whether they are there.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Marks of earlier versions may be there too.
const MOST_MARKS: usize = 16;
/// Accounts that are written to at once.
const AT_ONCE: usize = 16;
/// Records between two renewals of the lease.
const BATCH: usize = 2000;

/// The accounts of all users.
pub(crate) struct Accounts {
    state: State,
    clock: Arc<dyn Clock>,
    copies: Copies,
    quotas: Quotas,
    missed: Missed,
}

impl Accounts {
    pub(crate) fn new(state: State, quotas: Quotas, clock: Arc<dyn Clock>) -> Self {
        Self { copies: Copies::new(State::clone(&state)), state, clock, quotas, missed: Missed::default() }
    }

    /// The ledger of the copies of remote media.
    pub(crate) const fn copies(&self) -> &Copies {
        &self.copies
    }

    /// Sets room aside for an upload that begins, before its body is read. One of unknown
    /// length is counted when it is complete; but who has no room left is refused now.
    pub(crate) async fn reserve(
        &self,
        uploader: Option<&UserId>,
        claim: &str,
        declared_bytes: Option<u64>,
        lifetime: Duration,
    ) -> Result<(), Failure> {
        let Some((user, quota)) = uploader.and_then(|user| Some((user, self.quotas.find(user)?))) else {
            return Ok(());
        };
        let bytes = declared_bytes.unwrap_or(1);
        let claimed = self.state.claim(user.as_str(), claim, bytes, lifetime, &quota.allowance()).await;
        self.judge(user, claimed)
    }

    /// Counts what is about to be recorded, in place of what was set aside.
    pub(crate) async fn enter(&self, record: &MediaRecord, claim: &str) -> Result<(), Failure> {
        let Some(user) = &record.uploader else {
            self.enter_copy(record).await;
            return Ok(());
        };
        let allowance = self.quotas.find(user).map_or_else(Allowance::default, QuotaConfig::allowance);
        let entered = self.state.enter(user.as_str(), &entry(record), Some(claim), &allowance).await;
        if entered.is_err() {
            self.missed.note(Change::is_now(user, record));
        }
        self.judge(user, entered)
    }

    /// Enters a copy of remote media, as read this moment. One without a record does no harm:
    /// eviction takes it out when its time has come.
    pub(crate) async fn enter_copy(&self, record: &MediaRecord) {
        let Some(copy) = RemoteCopy::of(record) else { return };
        if let Err(error) = self.copies.enter(&[copy.clone().last_read_at(self.clock.now())]).await {
            tracing::warn!(mxc = %record.mxc, %error, "a copy of remote media is not counted yet");
            self.missed.note(Change::Copy(copy));
        }
    }

    /// Enters a copy that may have been taken out by somebody who died before its record went.
    pub(crate) async fn enter_copy_again(&self, record: &MediaRecord) {
        let Some(copy) = RemoteCopy::of(record) else { return };
        if self.copies.enter(std::slice::from_ref(&copy)).await.is_err() {
            self.missed.note(Change::Copy(copy));
        }
    }

    /// What a moderator has decided about does not go, and does not count, until that is taken back.
    pub(crate) async fn follow_verdict(&self, record: &MediaRecord) {
        if RemoteCopy::of(record).is_some() {
            self.enter_copy(record).await;
            return;
        }
        if let Err(error) = self.copies.forget(&record.mxc).await {
            tracing::debug!(mxc = %record.mxc, %error, "eviction will find that it may not remove this copy");
        }
    }

    fn judge(&self, user: &UserId, outcome: Result<Result<(), Exceeded>, StateError>) -> Result<(), Failure> {
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(exceeded)) => {
                metrics::refused("quota");
                let refusal = self.quotas.find(user).map(|quota| quota.refusal(&exceeded));
                Err(refusal.unwrap_or_else(|| Failure::internal("a quota that is not there was exceeded")))
            }
            Err(error) => {
                tracing::warn!(%error, "an upload is not counted yet");
                Ok(())
            }
        }
    }

    /// An upload came to nothing. What its id stands for now, if for anything, is counted.
    pub(crate) async fn set_right(&self, uploader: Option<&UserId>, mxc: &Mxc, claim: &str, now: Option<&MediaRecord>) {
        self.give_up(uploader, claim).await;
        let Some(user) = uploader else {
            // It may have been entered as large as what came to nothing.
            if let Some(record) = now {
                self.enter_copy(record).await;
            }
            return;
        };
        let change = now.map_or_else(|| Change::is_gone(user, mxc), |record| Change::is_now(user, record));
        if let Err(error) = self.count(&change).await {
            tracing::warn!(%mxc, %error, "an upload that came to nothing may be counted for a while");
            self.missed.note(change);
        }
    }

    /// Gives back what was set aside for an upload.
    pub(crate) async fn give_up(&self, uploader: Option<&UserId>, claim: &str) {
        let Some(user) = uploader.filter(|user| self.quotas.find(user).is_some()) else { return };
        if let Err(error) = self.state.unclaim(user.as_str(), claim).await {
            tracing::debug!(%error, "room that was set aside is left to expire");
        }
    }

    /// No longer counts a medium.
    pub(crate) async fn strike(&self, record: &MediaRecord) {
        let Some(user) = &record.uploader else { return };
        if let Err(error) = self.state.strike(user.as_str(), record.mxc.media_id.as_str()).await {
            tracing::warn!(mxc = %record.mxc, %error, "a medium that is gone is still counted for a while");
            self.missed.note(Change::is_gone(user, &record.mxc));
        }
    }

    pub(crate) async fn usage(&self, user: &UserId) -> Result<Usage, Failure> {
        self.check_complete().await?;
        let held = self.state.holdings(user.as_str()).await.map_err(unknown)?;
        let allowance = self.quotas.find(user).map_or_else(Allowance::default, QuotaConfig::allowance);
        Ok(Usage {
            bytes: held.bytes,
            files: held.files,
            most_bytes: allowance.most_bytes,
            most_files: allowance.most_files,
        })
    }

    pub(crate) async fn list(&self, request: &ListUploads) -> Result<Uploads, Failure> {
        self.check_complete().await?;
        let user = request.user_id.as_str();
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (from, limit) = (whole(request.from), whole(request.limit));
        let entries = self.state.entries(user, request.newest_first, from, limit).await.map_err(unknown)?;
        let total = self.state.holdings(user).await.map_err(unknown)?.files;
        let media_ids = entries.iter().filter_map(|entry| entry.member.parse().ok()).collect();
        Ok(Uploads { media_ids, total })
    }

    async fn check_complete(&self) -> Result<(), Failure> {
        if self.is_complete().await.map_err(unknown)? {
            return Ok(());
        }
        Err(Failure::unavailable("what users have stored is being counted anew"))
    }

    async fn is_complete(&self) -> Result<bool, StateError> {
        Ok(self.complete_since().await?.is_some())
    }

    /// Since when the ledgers are complete; `None` if they are not.
    pub(crate) async fn complete_since(&self) -> Result<Option<Timestamp>, StateError> {
        let (index, member) = COMPLETE;
        let entries = self.state.range(index, u64::MAX, MOST_MARKS).await?;
        let mark = entries.into_iter().find(|entry| entry.member == member);
        Ok(mark.map(|entry| Timestamp::from_millis(entry.score)))
    }

    /// Writes the ledgers anew whenever the state has forgotten them, until shutdown.
    pub(crate) async fn keep(self: Arc<Self>, catalog: Arc<Catalog>, shutdown: CancellationToken) {
        let keeping = async {
            loop {
                if let Err(error) = self.keep_up(&catalog).await {
                    tracing::warn!(%error, "what users have stored could not be counted");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _: Option<()> = shutdown.run_until_cancelled(keeping).await;
    }

    async fn keep_up(&self, catalog: &Catalog) -> Result<(), Failure> {
        self.catch_up().await.map_err(unknown)?;
        self.complete(catalog).await
    }

    async fn complete(&self, catalog: &Catalog) -> Result<(), Failure> {
        if self.is_complete().await.map_err(unknown)? {
            return Ok(());
        }
        let Some(lease) = self.state.try_acquire(KEEPER, KEEPER_TTL).await.map_err(unknown)? else { return Ok(()) };
        let mut count = 0;
        let mut batches = std::pin::pin!(catalog.all_records().chunks(BATCH));
        while let Some(batch) = batches.next().await {
            count += batch.len();
            let records: Vec<MediaRecord> = batch.into_iter().collect::<Result<_, _>>()?;
            let copies: Vec<RemoteCopy> = records.iter().filter_map(RemoteCopy::of).collect();
            self.copies.enter(&copies).await.map_err(unknown)?;
            self.enter_again(&records).await.map_err(unknown)?;
            if !self.state.renew(&lease, KEEPER_TTL).await.map_err(unknown)? {
                return Ok(());
            }
        }
        let (index, member) = COMPLETE;
        self.state.insert(index, member, self.clock.now().as_millis()).await.map_err(unknown)?;
        tracing::info!(count, "counted what is stored");
        self.state.release(&lease).await.map_err(unknown)
    }

    /// Enters what users have stored, each account in one step.
    async fn enter_again(&self, records: &[MediaRecord]) -> Result<(), StateError> {
        let mut accounts = HashMap::<&UserId, Vec<LedgerEntry>>::new();
        for record in records.iter().filter(|record| record.deleted.is_none()) {
            if let Some(user) = &record.uploader {
                accounts.entry(user).or_default().push(entry(record));
            }
        }
        let enter =
            async |(user, entries): (&UserId, Vec<LedgerEntry>)| self.state.enter_all(user.as_str(), &entries).await;
        stream::iter(accounts).map(Ok).try_for_each_concurrent(AT_ONCE, enter).await
    }

    /// Makes the ledger say what there is. Without a limit: what is stored is not refused.
    async fn count(&self, change: &Change) -> Result<(), StateError> {
        match change {
            Change::Now(user, entry) => {
                self.state.enter(user.as_str(), entry, None, &Allowance::default()).await.map(drop)
            }
            Change::Gone(user, mxc) => self.state.strike(user.as_str(), mxc.media_id.as_str()).await,
            Change::Copy(copy) => self.copies.enter(std::slice::from_ref(copy)).await,
        }
    }

    /// Counts what could not be counted, in its order.
    async fn catch_up(&self) -> Result<(), StateError> {
        if self.missed.is_overfull() {
            let (index, member) = COMPLETE;
            self.state.remove(index, member).await?;
            self.missed.clear();
        }
        while let Some(change) = self.missed.first() {
            self.count(&change).await?;
            self.missed.drop_first();
        }
        Ok(())
    }
}

fn entry(record: &MediaRecord) -> LedgerEntry {
    let (member, at) = (record.mxc.media_id.to_string(), record.created_at.as_millis());
    LedgerEntry { member, bytes: record.size_bytes, at }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn unknown(error: StateError) -> Failure {
    Failure::unavailable(format!("what users have stored is not known: {error}"))
}
