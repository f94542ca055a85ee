//! The life of a worker.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use bytes::Bytes;

use crate::{
    channel, clock,
    enter::Jailed,
    frame::{MOST_HEAD_BYTES, ReplyPrefix, RequestPrefix},
    mapping::Mapping,
};

/// What a worker is asked.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is wanted.
    pub head: &'a [u8],
    /// Of which file, if of any.
    pub file: Option<&'a Mapping>,
}

/// What a worker answers.
#[derive(Debug, Default)]
pub struct Answer {
    /// What became of it.
    pub head: Vec<u8>,
    /// Bytes that belong to it.
    pub payload: Vec<Bytes>,
}

/// Answers requests of the parent until it hangs up. A
/// handler that panics ends the worker: whatever it left behind is gone with it.
pub fn serve(jailed: &Jailed, mut handler: impl FnMut(&Request<'_>) -> Answer) -> io::Result<()> {
    let mut socket = &jailed.channel;
    let greeting = serde_json::to_vec(&jailed.support)?;
    reply(&mut socket, &Answer { head: greeting, payload: Vec::new() })?;
    let mut head = Vec::new();
    while let Some(file) = receive(&mut head, jailed)? {
        let mapping = file.as_ref().map(Mapping::of).transpose()?;
        // What holds the file open is the mapping.
        drop(file);
        reply(&mut socket, &handler(&Request { head: &head, file: mapping.as_ref() }))?;
    }
    Ok(())
}

/// The next request; nothing at the end. Bounds memory as it says.
#[expect(clippy::option_option, reason = "the end, or a request with or without a file")]
fn receive(head: &mut Vec<u8>, jailed: &Jailed) -> io::Result<Option<Option<File>>> {
    let (mut prefix, mut file) = ([0; RequestPrefix::LENGTH], None);
    let mut socket = &jailed.channel;
    if !channel::receive(socket, &mut prefix, &mut file)? {
        return Ok(None);
    }
    let RequestPrefix { head_bytes, has_file, memory_bytes } = RequestPrefix::decode(&prefix);
    if head_bytes as usize > MOST_HEAD_BYTES || has_file != file.is_some() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    head.resize(head_bytes as usize, 0);
    socket.read_exact(head)?;
    let mapped = match &file {
        Some(file) => rustix::fs::fstat(file)?.st_size.unsigned_abs(),
        None => 0,
    };
    jailed.memory.bound_call(memory_bytes.saturating_add(mapped))?;
    Ok(Some(file))
}

fn reply(socket: &mut &File, answer: &Answer) -> io::Result<()> {
    let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let payload_bytes: usize = answer.payload.iter().map(Bytes::len).sum();
    let prefix = ReplyPrefix {
        head_bytes: u32::try_from(answer.head.len()).map_err(too_long)?,
        payload_bytes: u32::try_from(payload_bytes).map_err(too_long)?,
        processor_nanos: u64::try_from(clock::own().as_nanos()).unwrap_or(u64::MAX),
    };
    let start = [prefix.encode().as_slice(), &answer.head].concat();
    socket.write_all(&start)?;
    answer.payload.iter().try_for_each(|piece| socket.write_all(piece))
}
