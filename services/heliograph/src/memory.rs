//! How threads share the memory that they have given back. The only unsafe code of this crate.
//!
//! By default glibc gives threads that allocate at once an arena each, up to eight for every core. What one thread
//! has given back, another one does not get then: uploads, whose files are written on threads of a pool, leave twice as
//! much behind as with one arena for every core, and take no less time.

#![cfg_attr(all(target_os = "linux", target_env = "gnu"), expect(unsafe_code, reason = "glibc has no other way"))]

/// Has all threads share as many arenas as there are cores, unless `MALLOC_ARENA_MAX` says otherwise. To be
/// called before there are other threads.
pub(crate) fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, |cores| i32::try_from(cores.get()).unwrap_or(1));
        // SAFETY: it changes a number of the allocator, under the allocator's own lock. What it refuses, it leaves.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, cores) };
    }
}
