//! Worker processes that can do nothing but compute.
//!
//! For work on what strangers send: a decoder that is taken over has no files, no network, no
//! other processes, and bounded memory and time; one that crashes costs one answer. Knows nothing of
//! what is computed.
//!
//! ```text
//! parent                                   child
//! Worker::start ── spawns, waits ────────> enter(policy): limits, landlock, seccomp
//!               <───────────── Support ──  serve(handler)
//! worker.call   ── head, open file ──────> maps the file, has the handler answer
//!               <────── head, payload ──
//! ```
//!
//! Parent and child are the same program, so the protocol between them has no versions. The parent
//! believes nothing that a child says: all that it reads is bounded.

#[cfg(target_os = "linux")]
mod calls;
mod channel;
mod clock;
mod enter;
#[cfg(target_os = "linux")]
mod files;
mod frame;
mod helper;
mod limits;
mod lost;
mod mapping;
mod policy;
mod sealed;
mod serve;
mod support;
mod worker;

pub use self::{
    enter::{CannotEnter, Jailed, enter},
    frame::MOST_HEAD_BYTES,
    helper::{HelperError, HelperJob, INPUT as HELPER_INPUT, Launcher, become_helper, run_helper},
    lost::{Lost, Reason},
    mapping::Mapping,
    policy::{Jail, Limits, Policy, UnknownJail},
    sealed::SealedFile,
    serve::{Answer, Request, serve},
    support::Support,
    worker::{Budget, Program, Reply, Worker, try_out},
};
