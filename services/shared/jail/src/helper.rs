//! Programs of others that work on one file, such as ffmpeg.
//!
//! Unlike a worker, such a program is started for one job, from a file of the system. It goes through a launcher, which is our
//! own program: that enters the jail and becomes the helper. The helper reads one file, which is its standard
//! input, and may open it again as [`INPUT`]; it writes to its standard output. Besides that, it can read what
//! programs need: libraries and fonts. It makes no connections, no processes, and writes no files.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
mod launch;

use std::{
    fs::File,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

pub use self::launch::become_helper;
use crate::policy::Policy;

/// The path by which a helper can open its input once more, and move in it.
pub const INPUT: &str = "/proc/self/fd/0";
/// What is kept of a helper's last words.
const MOST_WORDS: usize = 2048;
/// Before more has come, no more memory is taken.
const PIECE: usize = 64 << 10;

/// Our own program, which becomes the helper by [`become_helper`].
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The file that is executed.
    pub path: PathBuf,
    /// Its arguments; the policy, the helper and the helper's arguments come after them.
    pub arguments: Vec<String>,
}

/// What a helper is to do, and what it may take.
#[derive(Debug, Clone)]
pub struct HelperJob {
    /// The helper.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What is taken from it. Its memory is all of its address space.
    pub policy: Policy,
    /// Time by the clock on the wall.
    pub wall: Duration,
    /// The most that it may write, in bytes.
    pub most_output_bytes: usize,
}

/// Why a helper has no result.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// It was not started: the fault is ours, or the system's.
    #[error("cannot be started: {0}")]
    NotStarted(#[source] io::Error),
    /// It failed.
    #[error("failed ({status}): {words}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        words: String,
    },
    /// It took too long, and was ended.
    #[error("takes too long")]
    Time,
    /// It wrote too much, and was ended.
    #[error("writes more than {most} bytes")]
    TooMuch {
        /// What it may write.
        most: usize,
    },
}

/// The process, and all that it may have started; ended when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // A group that is gone is no error.
        self.0.map(|pid| kill_process_group(pid, Signal::KILL).ok());
    }
}

/// Has a helper work on `input`, a file on a disk, and gives what it writes. Whoever drops this ends the helper. Only on a thread that
/// stays: when that thread ends, so does the helper.
pub async fn run_helper(launcher: &Launcher, job: &HelperJob, input: File) -> Result<Bytes, HelperError> {
    let mut child = spawn(launcher, job, input).map_err(HelperError::NotStarted)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let outcome = timeout(job.wall, listen(&mut child, job.most_output_bytes)).await.unwrap_or(Err(HelperError::Time));
    if matches!(outcome, Ok(_) | Err(HelperError::Failed { .. })) {
        // It has been waited for: its number may be another's by now.
        group.0 = None;
    }
    drop(group);
    // No zombie stays.
    drop(child.wait().await);
    outcome
}

fn spawn(launcher: &Launcher, job: &HelperJob, input: File) -> io::Result<Child> {
    Command::new(&launcher.path)
        .args(&launcher.arguments)
        .arg(job.policy.to_string())
        .arg(&job.program)
        .args(&job.arguments)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Until it has ended.
async fn listen(child: &mut Child, most: usize) -> Result<Bytes, HelperError> {
    let (output, words) = (child.stdout.take(), child.stderr.take());
    let (output, words) = tokio::join!(read_output(output, most), read_end(words));
    let output = output?;
    let status = child.wait().await.map_err(HelperError::NotStarted)?;
    if status.success() {
        return Ok(output);
    }
    Err(HelperError::Failed { status, words: String::from_utf8_lossy(&words).trim().to_owned() })
}

/// All of it, if it is not too much. What cannot be read is as good as its end: the status tells.
async fn read_output(source: Option<impl AsyncRead + Unpin>, most: usize) -> Result<Bytes, HelperError> {
    let Some(mut source) = source else { return Ok(Bytes::new()) };
    let mut output = BytesMut::new();
    loop {
        output.reserve(PIECE);
        match source.read_buf(&mut output).await {
            Ok(0) | Err(_) => return Ok(output.freeze()),
            Ok(_) if output.len() > most => return Err(HelperError::TooMuch { most }),
            Ok(_) => {}
        }
    }
}

/// The end of it.
async fn read_end(source: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut words = Vec::new();
    let Some(mut source) = source else { return words };
    while let Ok(1..) = source.read_buf(&mut words).await {
        let surplus = words.len().saturating_sub(MOST_WORDS);
        words.drain(..surplus);
    }
    words
}
