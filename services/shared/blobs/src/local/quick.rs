//! New files that a power cut may cost: written without waiting for the disk. One thread writes all
//! that wait, one after the other: they lie in few folders, each of which takes one at a time.

use std::{
    fs::{self, File},
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::oneshot;

/// Whoever writes such files.
#[derive(Debug, Default)]
pub(super) struct QuickWriter(Arc<Mutex<Waiting>>);

/// As many as there are callers.
#[derive(Debug, Default)]
struct Waiting {
    files: Vec<NewFile>,
    /// A thread is writing, and will take them.
    is_taken_care_of: bool,
}

#[derive(Debug)]
struct NewFile {
    path: PathBuf,
    content: Bytes,
    answer: oneshot::Sender<io::Result<()>>,
}

impl QuickWriter {
    /// Writes a file that is not there yet, and the folder that it is in. Who is killed meanwhile leaves
    /// all of it, nothing, or an empty file.
    pub(super) async fn write(&self, path: PathBuf, content: Bytes) -> io::Result<()> {
        let (answer, outcome) = oneshot::channel();
        if self.join(NewFile { path, content, answer }) {
            let turn = Turn(Arc::clone(&self.0));
            // Each is told of its outcome by itself.
            drop(tokio::task::spawn_blocking(move || drop(turn)));
        }
        outcome.await.unwrap_or_else(|_| Err(io::Error::other("it was not written")))
    }

    /// True if the caller is to see to it that what waits is written.
    fn join(&self, file: NewFile) -> bool {
        let mut waiting = lock(&self.0);
        waiting.files.push(file);
        !mem::replace(&mut waiting.is_taken_care_of, true)
    }
}

/// Whose turn it is to write, which he does when it ends: also one that never came, since its runtime
/// has ended. One at a time has it.
struct Turn(Arc<Mutex<Waiting>>);

impl Turn {
    /// What waits; if that is nothing, it is the turn of whoever comes next.
    fn take(&self) -> Vec<NewFile> {
        let mut waiting = lock(&self.0);
        waiting.is_taken_care_of = !waiting.files.is_empty();
        mem::take(&mut waiting.files)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        loop {
            let files = self.take();
            if files.is_empty() {
                return;
            }
            for NewFile { path, content, answer } in files {
                // An error means that nobody waits any more.
                let _ = answer.send(write_new(&path, &content));
            }
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = match File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::create_new(path)?
        }
        opened => opened?,
    };
    // At once: who is killed between two writes would leave a part.
    let written = file.write(content);
    match written {
        Ok(length) if length == content.len() => Ok(()),
        incomplete => {
            // What cannot be removed cannot be read, as what a power cut leaves.
            let _ = fs::remove_file(path);
            incomplete.and(Err(io::ErrorKind::StorageFull.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_at_once_each_hear_their_own_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let writer = QuickWriter::default();
        let path = |number: usize| folder.path().join(format!("server/{}", number % 100));

        let written = (0..200_usize).map(|number| writer.write(path(number), number.to_string().into()));
        let outcomes = join_all(written).await;

        for (number, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(()) => assert_eq!(fs::read_to_string(path(number)).unwrap(), number.to_string()),
                Err(error) => assert_eq!((number >= 100, error.kind()), (true, io::ErrorKind::AlreadyExists)),
            }
        }
        assert_eq!(fs::read_dir(folder.path().join("server")).unwrap().count(), 100);
    }

    #[tokio::test]
    async fn a_file_whose_caller_is_gone_is_written_and_the_next_one_too() {
        let folder = tempfile::tempdir().unwrap();
        let writer = QuickWriter::default();
        let mut abandoned = Box::pin(writer.write(folder.path().join("a"), "a".into()));

        assert!(futures_util::poll!(&mut abandoned).is_pending());
        drop(abandoned);
        writer.write(folder.path().join("b"), "b".into()).await.unwrap();

        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"a");
    }

    #[tokio::test]
    async fn who_waits_for_the_turn_of_a_runtime_that_has_ended_does_not_wait_in_vain() {
        let folder = tempfile::tempdir().unwrap();
        let writer = QuickWriter::default();
        let ending = tokio::runtime::Builder::new_multi_thread().max_blocking_threads(1).build().unwrap();
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        drop(ending.spawn_blocking(move || held.recv()));
        let write = |name: &str| Box::pin(writer.write(folder.path().join(name), "x".into()));
        let (mut first, mut second) = (write("a"), write("b"));
        {
            let _within = ending.enter();
            assert!(futures_util::poll!(&mut first).is_pending());
        }
        assert!(futures_util::poll!(&mut second).is_pending());

        ending.shutdown_background();
        let_go.send(()).unwrap();

        let (first, second) = tokio::join!(first, second);
        first.unwrap();
        second.unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_an_error_of_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let writer = QuickWriter::default();

        let (refused, written) = tokio::join!(
            writer.write(folder.path().join("file/a"), "a".into()),
            writer.write(folder.path().join("b"), "b".into())
        );

        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotADirectory);
        written.unwrap();
    }
}
