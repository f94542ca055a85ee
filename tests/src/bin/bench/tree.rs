//! Trees of processes, as the operating system counts them.

use std::{collections::HashMap, fs, time::Duration};

/// Processes and all that they have started.
#[derive(Debug, Clone)]
pub(crate) struct Tree(pub(crate) Vec<u32>);

/// One line of `/proc/<pid>/stat`.
struct Stat {
    parent: u32,
    ticks: u64,
}

impl Tree {
    /// Processor time so far, of the program and the kernel for it; also of children that have ended.
    pub(crate) fn cpu(&self) -> Duration {
        let all = all();
        let ticks: u64 = self.members(&all).iter().filter_map(|id| all.get(id)).map(|stat| stat.ticks).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Memory that is resident, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let all = all();
        self.members(&all).iter().map(|id| memory(*id)).sum()
    }

    fn members(&self, all: &HashMap<u32, Stat>) -> Vec<u32> {
        let mut members = self.0.clone();
        let mut at = 0;
        while let Some(parent) = members.get(at).copied() {
            members.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(id, _)| *id));
            at += 1;
        }
        members
    }
}

fn all() -> HashMap<u32, Stat> {
    let ids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| Some((id, stat(id)?))).collect()
}

fn stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..15).filter_map(number).sum();
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, ticks })
}

fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
