//! Records and their bytes, written into a store without Heliograph.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use serde_json::Value;

pub(crate) const SERVER: &str = "media.test";
/// Records have been made for so long.
const SPAN: Duration = Duration::from_hours(24 * 30);
/// Every so many-th record is Alice's, the others are those of as many others.
pub(crate) const USERS: u64 = 100;
/// File systems allow that many names of one file.
const MOST_NAMES: u64 = 30_000;

/// A store that is to be filled, by the example of what is there.
pub(crate) struct Filling {
    store: PathBuf,
    record: Value,
    blob: PathBuf,
    newest_at: u64,
}

impl Filling {
    /// By the example of the one record that is there, that of `media_id`. Fails if we would have
    /// written it elsewhere.
    pub(crate) fn by_example(store: &Path, media_id: &str) -> Self {
        let file = store.join(record_path(media_id));
        let record = fs::read(&file).unwrap_or_else(|_| panic!("records are no longer at {}", file.display()));
        let record: Value = serde_json::from_slice(&record).unwrap();
        let (created_at, upload) = (record["created_at"].as_u64().unwrap(), record["upload"].as_str().unwrap());
        let (at, random) = taken_apart(upload);
        assert_eq!(record["blob"], blob_path(at, random, media_id), "blobs are elsewhere");
        let blob = store.join(record["blob"].as_str().unwrap());
        Self { store: store.to_owned(), record, blob, newest_at: created_at }
    }

    /// Writes so many records.
    pub(crate) fn fill(&mut self, count: u64) {
        for number in 0..count {
            if number % MOST_NAMES == 0 {
                self.begin_another_file(number);
            }
            self.write(number, count);
        }
    }

    fn begin_another_file(&mut self, number: u64) {
        let copy = self.store.join(format!("../picture-{number}"));
        fs::copy(&self.blob, &copy).unwrap();
        self.blob = copy;
    }

    fn write(&mut self, number: u64, count: u64) {
        let age = u64::try_from(SPAN.as_millis()).unwrap() / count * number;
        let (at, media_id) = (self.newest_at - age - 1, media_id(number));
        let blob = blob_path(at, u128::from(mixed(number)), &media_id);
        let record = self.record.as_object_mut().unwrap();
        record.insert("mxc".to_owned(), format!("mxc://{SERVER}/{media_id}").into());
        record.insert("upload".to_owned(), upload_id(at, u128::from(mixed(number))).into());
        record.insert("blob".to_owned(), blob.clone().into());
        record.insert("created_at".to_owned(), at.into());
        record.insert("uploader".to_owned(), uploader(number).into());
        let record = serde_json::to_vec_pretty(&self.record).unwrap();
        let (record_file, blob_file) = (self.store.join(record_path(&media_id)), self.store.join(blob));
        for file in [&record_file, &blob_file] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        fs::write(record_file, record).unwrap();
        fs::hard_link(&self.blob, blob_file).unwrap();
    }
}

fn uploader(number: u64) -> String {
    match number % USERS {
        0 => format!("@alice:{SERVER}"),
        user => format!("@user{user}:{SERVER}"),
    }
}

/// The id of a record.
pub(crate) fn media_id(number: u64) -> String {
    format!("{:016x}{number:08x}", mixed(number))
}

/// A number that looks like a random one (SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The folder of a record is a hash of its id (FNV-1a).
fn record_path(media_id: &str) -> String {
    let hash = media_id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("records/{SERVER}/{:02x}/{media_id}", (hash ^ (hash >> 16)) & 0xff)
}

fn blob_path(at: u64, random: u128, media_id: &str) -> String {
    format!("blobs/{}/{SERVER}/{}.{media_id}", hour(at), upload_id(at, random))
}

/// An hour as the first characters of a time in RFC 3339.
fn hour(at: u64) -> String {
    let text = humantime::format_rfc3339(UNIX_EPOCH + Duration::from_millis(at)).to_string();
    text[.."2026-11-26T15".len()].to_owned()
}

fn upload_id(at: u64, random: u128) -> String {
    ulid::Ulid::from_parts(at, random).to_string()
}

fn taken_apart(upload: &str) -> (u64, u128) {
    let id: ulid::Ulid = upload.parse().unwrap();
    (id.timestamp_ms(), id.random())
}

/// Says that everything was swept until now.
pub(crate) fn note_swept(store: &Path) {
    let now = UNIX_EPOCH.elapsed().unwrap().as_millis();
    fs::write(store.join("swept"), format!("{{ \"until\": {now} }}")).unwrap();
}
