//! What travels between a parent and its worker: a prefix of fixed size, a head, and what the head speaks of.

/// The largest head, either way: descriptions of work, never the work.
pub const MOST_HEAD_BYTES: usize = 1 << 20;

/// Before each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestPrefix {
    pub(crate) head_bytes: u32,
    pub(crate) has_file: bool,
    /// What the call may allocate; the file that is mapped does not count.
    pub(crate) memory_bytes: u64,
}

impl RequestPrefix {
    pub(crate) const LENGTH: usize = 16;

    pub(crate) fn encode(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&self.head_bytes.to_le_bytes());
        bytes[4] = u8::from(self.has_file);
        bytes[8..].copy_from_slice(&self.memory_bytes.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Self {
        let [lengths, memory_bytes] = [0, 8].map(|at| word_at(bytes, at));
        let [head_bytes, has_file] = halves(lengths);
        Self { head_bytes, has_file: has_file != 0, memory_bytes }
    }
}

/// Before each reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyPrefix {
    pub(crate) head_bytes: u32,
    pub(crate) payload_bytes: u32,
    /// What the worker has used of the processor so far, in nanoseconds.
    pub(crate) processor_nanos: u64,
}

impl ReplyPrefix {
    pub(crate) const LENGTH: usize = 16;

    pub(crate) fn encode(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&self.head_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8..].copy_from_slice(&self.processor_nanos.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Self {
        let [lengths, processor] = [0, 8].map(|at| word_at(bytes, at));
        let [head_bytes, payload_bytes] = halves(lengths);
        Self { head_bytes, payload_bytes, processor_nanos: processor }
    }
}

fn word_at(bytes: &[u8; 16], at: usize) -> u64 {
    bytes[at..].iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The first four bytes, and those behind them.
fn halves(word: u64) -> [u32; 2] {
    [word, word >> 32].map(|half| u32::try_from(half & u64::from(u32::MAX)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_survive_the_way() {
        let request = RequestPrefix { head_bytes: 0x0102_0304, has_file: true, memory_bytes: u64::MAX - 1 };
        let reply = ReplyPrefix { head_bytes: 7, payload_bytes: u32::MAX, processor_nanos: 1 << 40 };

        assert_eq!(RequestPrefix::decode(&request.encode()), request);
        assert_eq!(ReplyPrefix::decode(&reply.encode()), reply);
    }
}
