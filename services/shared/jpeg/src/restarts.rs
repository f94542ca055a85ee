//! Restart intervals: where decoding begins anew, so that damage does not spread.

use std::io::{self, BufRead};

use crate::{bits::Coded, input::Input};

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
}

impl Restarts {
    pub(crate) const fn every(interval: u32) -> Self {
        Self { interval, left: interval, next: 0, is_damaged: false }
    }

    /// Whether decoding never begins anew.
    pub(crate) const fn is_none(&self) -> bool {
        self.interval == 0
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
