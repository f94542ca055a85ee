//! One process over a small disk that fills up.

use std::{fs, io::Write, path::PathBuf};

use heliograph_blobs::{open_store, testing::config_of};
use tempfile::TempDir;

use super::{
    course::Course, fault::Phase, load::Clients, pods::system, remains::find_remains, rows::Row, verify::Verifier,
};
use crate::{Client, Setup, Shape};

const SIZE: &str = "64m";
const LARGEST: usize = 64 << 10;

/// A file system in memory; it goes with the mounts of this run.
#[derive(Debug)]
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        system(&format!("mount -t tmpfs -o size={SIZE},mode=1777 tmpfs {}", folder.path().display()));
        Self(folder)
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        let piece = vec![1; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn act(&self, phase: Phase) {
        match phase {
            Phase::Prepare => {}
            Phase::Strike => self.fill(),
            Phase::Heal => fs::remove_file(self.filler()).unwrap(),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        system(&format!("umount -l {}", self.0.path().display()));
    }
}

/// Takes the rows.
pub(super) async fn run(mut course: Course<'_>, rows: Vec<Row>) {
    let disk = SmallDisk::mount();
    let url = format!("file://{}/store", disk.0.path().display());
    let setup = Setup::new(Shape::One).set("storage", "url", url.clone());
    let setup = setup.set("limits", "user_uploads", "unlimited").set("limits", "user_creates", "unlimited");
    let mut deployment = setup.set("uploads", "max_pending_per_user", 1_000_000).start().await;
    let clients = Clients::new(Client::unpooled(deployment.address(), "alice-token"), None, LARGEST);
    let store = open_store(&config_of(vec![("url", url)]), &[], deployment.folder()).await.unwrap();
    let verifier = Verifier::new(&clients, vec![deployment.alice()], store);
    let load = clients.start(course.scale.uploads_per_second, course.scale.downloads_per_second);
    course.warm_up(&clients).await;
    for row in &rows {
        course.take(row, &verifier, async |phase| disk.act(phase)).await;
    }
    let silence = clients.running.write().await;
    drop(load);
    drop(silence);
    verifier.verify_all().await;
    course.end(&verifier);
    deployment.kill();
    deployment.start().await;
    course.remains(&find_remains(&verifier).await);
    course.doubt(&verifier).await;
}
