//! Limits of resources.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::policy::Limits;

/// The address space of this process. Its source is opened before files are taken away.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    statm: Option<File>,
    /// That it may have at any time; never more again.
    most: u64,
}

/// Without `/proc`: what a program has at its start is far below.
const ASSUMED_START: u64 = 1 << 30;

impl AddressSpace {
    /// Bounds it to so much more than there is now.
    pub(crate) fn bound(more: u64) -> io::Result<Self> {
        let statm = File::open("/proc/self/statm").ok();
        let now = statm.as_ref().and_then(read_size).unwrap_or(ASSUMED_START);
        let most = now.saturating_add(more).min(getrlimit(Resource::As).maximum.unwrap_or(u64::MAX));
        set_hard(Resource::As, most)?;
        Ok(Self { statm, most })
    }

    /// Whether calls can be bounded.
    pub(crate) fn is_known(&self) -> bool {
        self.statm.is_some()
    }

    /// Bounds it to so much more than there is now, for one call.
    pub(crate) fn bound_call(&self, more: u64) -> io::Result<()> {
        let now = self.statm.as_ref().and_then(read_size);
        let current = now.map_or(self.most, |now| now.saturating_add(more).min(self.most));
        Ok(setrlimit(Resource::As, Rlimit { current: Some(current), maximum: Some(self.most) })?)
    }
}

/// The first number of `statm` is the size in pages.
fn read_size(statm: &File) -> Option<u64> {
    let mut text = [0; 64];
    let length = statm.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    let pages: u64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// Everything but memory: no files can be written, no processes made, no cores dumped.
pub(crate) fn bound_rest(limits: &Limits) -> io::Result<()> {
    set_hard(Resource::Fsize, 0)?;
    set_hard(Resource::Core, 0)?;
    set_hard(Resource::Nproc, 0)?;
    set_hard(Resource::Nofile, limits.open_files)?;
    set_hard(Resource::Cpu, limits.processor.as_secs().max(1))
}

/// Never above what is set already.
pub(crate) fn set_hard(resource: Resource, most: u64) -> io::Result<()> {
    let most = Some(most.min(getrlimit(resource).maximum.unwrap_or(u64::MAX)));
    Ok(setrlimit(resource, Rlimit { current: most, maximum: most })?)
}
