//! The files of the cache. Blocks.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use heliograph_types::Timestamp;

use super::{Head, Key, index::Found};

const BODY: &str = "body";
/// What is said of content is small.
const MOST_HEAD_BYTES: u64 = 64 << 10;

/// The folder of the cache.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    contents: PathBuf,
    unfinished: PathBuf,
}

impl Disk {
    /// Makes the folder if it is missing; what was being written when a process was killed goes.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let disk = Self { contents: folder.join("contents"), unfinished: folder.join("unfinished") };
        if disk.unfinished.exists() {
            fs::remove_dir_all(&disk.unfinished)?;
        }
        fs::create_dir_all(&disk.unfinished)?;
        fs::create_dir_all(&disk.contents)?;
        Ok(disk)
    }

    /// All that is there, from what was not used longest. What is no copy is removed.
    pub(super) fn scan(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for shard in fs::read_dir(&self.contents)? {
            // What else lies there is none of ours.
            let Ok(folders) = fs::read_dir(shard?.path()) else { continue };
            for folder in folders {
                let folder = folder?.path();
                match describe(&folder) {
                    Some(described) => found.push(described),
                    None => self.remove_folder(&folder),
                }
            }
        }
        found.sort_by_key(|(used_at, _)| *used_at);
        Ok(found.into_iter().map(|(_, found)| found).collect())
    }

    /// What is said of a copy under this name, and its bytes; notes that it is used.
    pub(super) fn read(&self, content: Key, name: Key, now: Timestamp) -> io::Result<(Head, File)> {
        let folder = self.folder(content);
        let json = read_bounded(&folder.join(head_name(name)))?;
        let head: Head = serde_json::from_slice(&json)?;
        let file = File::open(folder.join(BODY))?;
        let length = file.metadata()?.len();
        if length != head.length || head.content() != content {
            return Err(io::Error::other(format!("{} is not what it should be", folder.display())));
        }
        // Of no use to anybody if it fails.
        drop(file.set_modified(UNIX_EPOCH + Duration::from_millis(now.as_millis())));
        Ok((head, file))
    }

    /// A new file for content that arrives.
    pub(super) fn begin(&self) -> io::Result<(PathBuf, File)> {
        let path = self.unfinished.join(format!("{:032x}", rand::random::<u128>()));
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok((path, file))
    }

    /// Makes a file that is whole the content. The file is on disk before it has its name: after
    /// a power cut it would be as long as it should, and empty.
    pub(super) fn finish(&self, unfinished: &Path, file: &File, name: Key, head: &Head) -> io::Result<()> {
        file.sync_data()?;
        let content = head.content();
        fs::create_dir_all(self.folder(content))?;
        fs::rename(unfinished, self.folder(content).join(BODY))?;
        self.write_head(content, name, head)
    }

    /// Writes what is said of content under this name.
    pub(super) fn write_head(&self, content: Key, name: Key, head: &Head) -> io::Result<()> {
        let (path, _) = self.begin()?;
        fs::write(&path, serde_json::to_vec(head)?)?;
        fs::rename(path, self.folder(content).join(head_name(name)))
    }

    /// Removes a name.
    pub(super) fn remove_head(&self, content: Key, name: Key) {
        drop(fs::remove_file(self.folder(content).join(head_name(name))));
    }

    /// Removes content with all its names.
    pub(super) fn remove(&self, content: Key) {
        self.remove_folder(&self.folder(content));
    }

    /// First out of the way, so that it is there as a whole or not at all.
    fn remove_folder(&self, folder: &Path) {
        let away = self.unfinished.join(format!("{:032x}", rand::random::<u128>()));
        if let Err(error) = fs::rename(folder, &away).and_then(|()| remove_any(&away))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %folder.display(), %error, "a copy cannot be removed");
        }
    }

    fn folder(&self, content: Key) -> PathBuf {
        let name = hex::encode(content.0);
        self.contents.join(&name[..2]).join(name)
    }
}

fn remove_any(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn head_name(name: Key) -> String {
    format!("{}.json", hex::encode(name.0))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut json = Vec::new();
    File::open(path)?.take(MOST_HEAD_BYTES).read_to_end(&mut json)?;
    Ok(json)
}

/// The copy in this folder, and when it was used last.
fn describe(folder: &Path) -> Option<(SystemTime, Found)> {
    let content = key(folder.file_name()?.to_str()?)?;
    let body = fs::metadata(folder.join(BODY)).ok()?;
    let files = fs::read_dir(folder).ok()?.flatten();
    let names: Vec<Key> = files.filter_map(|file| key(file.file_name().to_str()?.strip_suffix(".json")?)).collect();
    let found = Found { content, bytes: body.len(), names };
    (!found.names.is_empty()).then_some((body.modified().ok()?, found))
}

fn key(text: &str) -> Option<Key> {
    Some(Key(hex::decode(text).ok()?.try_into().ok()?))
}
