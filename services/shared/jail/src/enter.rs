//! Into the jail: no way out.

use std::{fs::File, io, os::fd::AsFd};

use crate::{
    limits::{AddressSpace, bound_rest},
    policy::{Jail, Policy},
    support::Support,
};

/// Why the process is not in the jail that it should be in.
#[derive(Debug, thiserror::Error)]
pub enum CannotEnter {
    /// The system refused.
    #[error("cannot bound what a worker may use: {0}")]
    Limits(#[from] io::Error),
    /// What a strict jail asks for is not there.
    #[error("this system lacks what a strict jail needs: {}", .0.join(", "))]
    Lacking(Vec<&'static str>),
}

/// That this process is in its jail, as far as the policy asks and the system can.
#[derive(Debug)]
pub struct Jailed {
    /// The channel to the parent, which was the standard input. A file, since those are read and written by calls
    /// that a worker has.
    pub(crate) channel: File,
    pub(crate) memory: AddressSpace,
    pub(crate) support: Support,
}

impl Jailed {
    /// What is in force.
    pub const fn support(&self) -> Support {
        self.support
    }
}

/// Takes everything away from this process, which must have one thread only: for ever.
pub fn enter(policy: &Policy) -> Result<Jailed, CannotEnter> {
    detach()?;
    let channel = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let memory = AddressSpace::bound(policy.limits.memory_bytes)?;
    bound_rest(&policy.limits)?;
    let no_new_privileges = give_up_privileges();
    let (landlock, seccomp) = if policy.jail == Jail::Off { (None, false) } else { close() };
    let support = Support { seccomp, landlock, no_new_privileges, memory_per_call: memory.is_known() };
    if policy.jail == Jail::Strict && !support.is_strict() {
        return Err(CannotEnter::Lacking(support.missing()));
    }
    Ok(Jailed { channel, memory, support })
}

/// Nobody reads its memory, and it ends with its parent. One that has lost it already reads the end of its
/// channel, unless it is busy.
#[cfg(target_os = "linux")]
pub(crate) fn detach() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(target_os = "linux")]
pub(crate) fn give_up_privileges() -> bool {
    use rustix::thread::{no_new_privs, set_no_new_privs};
    set_no_new_privs(true).and_then(|()| no_new_privs()).unwrap_or(false)
}

/// Landlock comes first: its own calls are not left after the other.
#[cfg(target_os = "linux")]
fn close() -> (Option<u32>, bool) {
    let landlock = crate::files::take_away();
    let filtered = crate::calls::Calls::of_worker().and_then(crate::calls::Calls::restrict_to);
    (landlock, filtered.is_ok())
}

// Other systems have none of this, and `Support` says so.

#[cfg(not(target_os = "linux"))]
pub(crate) fn detach() -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn give_up_privileges() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn close() -> (Option<u32>, bool) {
    (None, false)
}
