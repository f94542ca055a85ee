//! What users have stored and may store: the ledger of each, and its quota.
//!
//! The ledgers are derived from the records and may be lost with the shared state; the
//! keeper at the end of this file writes them anew. While the state is out of reach, uploads
//! go on, and are counted afterwards.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use heliograph_catalog::{Catalog, MediaRecord};
use heliograph_leases::{Allowance, Exceeded, LedgerEntry, State, StateError};
use heliograph_proto::{ListUploads, Uploads, Usage};
use heliograph_types::{Failure, Mxc, UserId};
use tokio_util::sync::CancellationToken;

mod missed;

use self::missed::Missed;
use crate::{
    metrics,
    quota::{QuotaConfig, Quotas},
};

/// Says in the state that the ledgers are complete.
const COMPLETE: (&str, &str) = ("ledgers", "complete");
/// Who writes them anew, and for how long without renewal.
const KEEPER: &str = "ledgers";
const KEEPER_TTL: Duration = Duration::from_mins(1);
/// How often to look whether they are there.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Records that are entered at once.
const AT_ONCE: usize = 16;
/// Records between two renewals of the lease.
const BATCH: usize = 2000;

/// The accounts of all users.
pub(crate) struct Accounts {
    state: State,
    quotas: Quotas,
    missed: Missed,
}

impl Accounts {
    pub(crate) fn new(state: State, quotas: Quotas) -> Self {
        Self { state, quotas, missed: Missed::default() }
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
        let Some(user) = &record.uploader else { return Ok(()) };
        let allowance = self.quotas.find(user).map_or_else(Allowance::default, QuotaConfig::allowance);
        let entered = self.state.enter(user.as_str(), &entry(record), Some(claim), &allowance).await;
        if entered.is_err() {
            self.missed.note(user, &record.mxc, Some(record));
        }
        self.judge(user, entered)
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
        let Some(user) = uploader else { return };
        if let Err(error) = self.count(user, mxc, now).await {
            tracing::warn!(%mxc, %error, "an upload that came to nothing may be counted for a while");
            self.missed.note(user, mxc, now);
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
            self.missed.note(user, &record.mxc, None);
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
        let (index, member) = COMPLETE;
        let entries = self.state.range(index, u64::MAX, 1).await?;
        Ok(entries.iter().any(|entry| entry.member == member))
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
            let records = futures_util::stream::iter(batch).map_err(Failure::from);
            let enter = async |record: MediaRecord| self.enter_again(&record).await.map_err(unknown);
            records.try_for_each_concurrent(AT_ONCE, enter).await?;
            if !self.state.renew(&lease, KEEPER_TTL).await.map_err(unknown)? {
                return Ok(());
            }
        }
        let (index, member) = COMPLETE;
        self.state.insert(index, member, 1).await.map_err(unknown)?;
        tracing::info!(count, "counted what users have stored");
        self.state.release(&lease).await.map_err(unknown)
    }

    async fn enter_again(&self, record: &MediaRecord) -> Result<(), StateError> {
        let Some(user) = record.uploader.as_ref().filter(|_| record.deleted.is_none()) else { return Ok(()) };
        self.count(user, &record.mxc, Some(record)).await
    }

    /// Makes the ledger say what there is. Without a limit: what is stored is not refused.
    async fn count(&self, user: &UserId, mxc: &Mxc, now: Option<&MediaRecord>) -> Result<(), StateError> {
        match now {
            Some(record) => {
                self.state.enter(user.as_str(), &entry(record), None, &Allowance::default()).await.map(drop)
            }
            None => self.state.strike(user.as_str(), mxc.media_id.as_str()).await,
        }
    }

    /// Counts what could not be counted, in its order.
    async fn catch_up(&self) -> Result<(), StateError> {
        if self.missed.is_overfull() {
            let (index, member) = COMPLETE;
            self.state.remove(index, member).await?;
            self.missed.clear();
        }
        while let Some((user, mxc, record)) = self.missed.first() {
            self.count(&user, &mxc, record.as_ref()).await?;
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
