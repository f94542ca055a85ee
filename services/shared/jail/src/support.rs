//! What of a jail this system offers.

use serde::{Deserialize, Serialize};

/// What a worker has really entered, as it says itself before its first job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Support {
    /// Whether a filter of system calls is in force.
    pub seccomp: bool,
    /// The version of landlock that is in force; none before Linux 5.13, or if it is switched off.
    pub landlock: Option<u32>,
    /// Whether it can gain no privileges.
    pub no_new_privileges: bool,
    /// Whether memory can be bounded for each call, besides the bound for all.
    pub memory_per_call: bool,
}

impl Support {
    /// What is missing, for people.
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = [
            (self.seccomp, "seccomp (a filter of system calls)"),
            (
                self.landlock.is_some(),
                "landlock (no files; Linux 5.13, or `landlock` missing among lsm= of the kernel)",
            ),
            (self.no_new_privileges, "no_new_privs"),
            (self.memory_per_call, "memory bounds per picture (/proc is not mounted)"),
        ];
        parts.into_iter().filter(|(is_there, _)| !is_there).map(|(_, name)| name).collect()
    }

    /// Whether all that a strict jail asks for is there.
    pub const fn is_strict(&self) -> bool {
        self.seccomp && self.landlock.is_some() && self.no_new_privileges
    }
}
