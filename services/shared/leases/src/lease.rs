//! Owning a key for a time.

use std::time::Duration;

use async_trait::async_trait;

use crate::StateError;

/// A key that is ours until it expires. Dropping it does not release it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is owned.
    pub key: String,
    /// Grows with each owner of this key.
    pub fence: u64,
    /// Tells this owner from every other; opaque.
    pub owner: String,
}

/// Gives out leases.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes the lease if nobody holds it; does not wait. The fence is greater than that
    /// of every earlier owner of the key, also of those whose lease expired.
    async fn try_acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, StateError>;

    /// Holds on to a lease for another `ttl`; false if it is no longer ours.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StateError>;

    /// Gives a lease back; one that is no longer ours is left alone.
    async fn release(&self, lease: &Lease) -> Result<(), StateError>;
}

/// A new owner, told from every other by 128 random bits.
pub(crate) fn new_owner() -> String {
    format!("{:032x}", rand::random::<u128>())
}
