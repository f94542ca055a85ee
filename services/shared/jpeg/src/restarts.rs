//! Restart intervals: where decoding begins anew, so that damage does not spread.

use std::io::{self, BufRead};

use crate::{bits::Coded, input::Input};

/// How many MCUs scans should have, and how many of them were not there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct McuCount {
    pub(crate) wanted: u64,
    pub(crate) missing: u64,
}

impl McuCount {
    pub(crate) const fn add(&mut self, other: Self) {
        self.wanted += other.wanted;
        self.missing += other.missing;
    }

    /// How many of a hundred were there, rounded down.
    pub(crate) const fn percent(self) -> u8 {
        match (self.wanted.saturating_sub(self.missing) * 100).checked_div(self.wanted) {
            Some(percent) => percent as u8,
            None => 0,
        }
    }
}

/// How far the next restart is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restarts {
    /// MCUs from one to the next; 0 if there are none.
    interval: u32,
    left: u32,
    /// Which of the eight markers comes next.
    next: u8,
    /// Whether something was missing or at the wrong place.
    pub(crate) is_damaged: bool,
    /// MCUs that were not there.
    missing: u64,
}

impl Restarts {
    pub(crate) const fn every(interval: u32) -> Self {
        Self { interval, left: interval, next: 0, is_damaged: false, missing: 0 }
    }

    /// Whether decoding never begins anew.
    pub(crate) const fn is_none(&self) -> bool {
        self.interval == 0
    }

    /// Notes that `mcus` are not there.
    #[cold]
    pub(crate) const fn miss(&mut self, mcus: u64) {
        self.is_damaged = true;
        self.missing += mcus;
    }

    /// How many MCUs were not there.
    pub(crate) const fn missing(&self) -> u64 {
        self.missing
    }

    /// To be asked once per MCU, before it.
    #[inline(always)]
    pub(crate) const fn is_due(&mut self) -> bool {
        if self.interval == 0 {
            return false;
        }
        let is_due = self.left == 0;
        if !is_due {
            self.left -= 1;
        }
        is_due
    }

    /// Goes on behind the next restart marker, if the next marker is one.
    #[cold]
    pub(crate) fn restart<R: BufRead>(&mut self, coded: &mut Coded, input: &mut Input<R>) -> io::Result<()> {
        self.left = self.interval - 1;
        self.is_damaged |= coded.is_overdrawn();
        match input.next_marker()? {
            Some(marker @ 0xd0..=0xd7) => {
                self.is_damaged |= marker & 7 != self.next;
                self.next = (marker + 1) & 7;
                coded.restart();
            }
            other => {
                if let Some(marker) = other {
                    input.put_back(marker);
                }
                coded.finish();
            }
        }
        Ok(())
    }
}
