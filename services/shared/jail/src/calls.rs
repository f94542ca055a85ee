//! System calls, which seccomp takes away.
//!
//! A list of what is left, not of what is taken: anything else ends the process on the spot.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Calls without which nothing can be computed: memory, what is open, time, the end.
const PLAIN: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvmsg,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Which calls are left. Each has conditions of which one must hold, or none.
#[derive(Debug)]
pub(crate) struct Calls(BTreeMap<i64, Vec<SeccompRule>>);

impl Calls {
    /// Those of a worker.
    pub(crate) fn of_worker() -> Result<Self, seccompiler::Error> {
        let own_pid = u64::from(rustix::process::getpid().as_raw_pid().unsigned_abs());
        let never = SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.unsigned_abs()));
        let mut calls: BTreeMap<i64, Vec<SeccompRule>> = PLAIN.iter().map(|call| (*call, Vec::new())).collect();
        // What is memory never becomes code.
        calls.insert(libc::SYS_mmap, vec![only_if(2, never.clone(), 0)?]);
        calls.insert(libc::SYS_mprotect, vec![only_if(2, never, 0)?]);
        // Its own limits: they only go down, and the soft one as far up as the hard one.
        calls.insert(libc::SYS_prlimit64, vec![only_if(0, SeccompCmpOp::Eq, 0)?]);
        // The standard library looks whether what it closes is open, when it is built for debugging.
        calls.insert(libc::SYS_fcntl, vec![only_if(1, SeccompCmpOp::Eq, u64::from(libc::F_GETFD.unsigned_abs()))?]);
        // How `abort` ends it.
        calls.insert(libc::SYS_tgkill, vec![only_if(0, SeccompCmpOp::Eq, own_pid)?]);
        Ok(Self(calls))
    }

    /// From now on no others, for this thread and what it starts.
    pub(crate) fn restrict_to(self) -> Result<(), seccompiler::Error> {
        let Self(calls) = self;
        let architecture = std::env::consts::ARCH.try_into()?;
        let filter = SeccompFilter::new(calls, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?;
        let program: BpfProgram = filter.try_into()?;
        seccompiler::apply_filter(&program)
    }
}

fn only_if(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    Ok(SeccompRule::new(vec![SeccompCondition::new(argument, Dword, is, value)?])?)
}
