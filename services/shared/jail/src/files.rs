//! Files and ports, which landlock takes away.

use landlock::{ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetStatus, Scope};

/// The newest version whose rules are asked for; of older ones, what they have.
pub(crate) const NEWEST: ABI = ABI::V6;

/// Takes away every path, every TCP port, and every other process' sockets and signals; gives the version that is
/// in force, if any is. What is open already stays open.
pub(crate) fn take_away() -> Option<u32> {
    match restrict() {
        Ok(status) => version(&status),
        Err(error) => {
            tracing::debug!(%error, "landlock");
            None
        }
    }
}

fn restrict() -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()
}

pub(crate) fn version(status: &landlock::RestrictionStatus) -> Option<u32> {
    match (&status.ruleset, &status.landlock) {
        (RulesetStatus::NotEnforced, _) => None,
        (_, LandlockStatus::Available { effective_abi, .. }) => Some(*effective_abi as u32),
        _ => None,
    }
}
