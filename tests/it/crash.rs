//! What is left when a client, a process or a disk gives up in the middle.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all, stream};
use heliograph_tests::{Client, Deployment, Setup, Shape, Wire, as_root, both_shapes, eventually, noise};
use reqwest::Body;

const UPLOAD: &str = "POST /_matrix/media/v3/upload";

/// Sweeps soon: with several processes only age tells remains from work.
fn sweeping(shape: Shape) -> Setup {
    Setup::new(shape).set("uploads", "max_duration", "2s").set("uploads", "staging_lifetime", "3s").set(
        "uploads",
        "sweep_interval",
        "200ms",
    )
}

/// Waits until the store holds `whole` media and nothing besides.
async fn assert_only(deployment: &Deployment, whole: usize) {
    eventually("only whole media are in the store", async || {
        let counts = ["records", "blobs"].map(|prefix| deployment.stored(prefix).len());
        (counts == [whole, whole]).then_some(())
    })
    .await;
}

/// A body that comes slowly: a megabyte in eighty pieces over about `span`.
fn slow_body(bytes: &[u8], span: Duration) -> Body {
    let pieces: Vec<Vec<u8>> = bytes.chunks(bytes.len() / 80).map(<[u8]>::to_vec).collect();
    Body::wrap_stream(stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(span / 80).await;
        Ok::<_, std::io::Error>(piece)
    }))
}

/// Uploads, and tells the id if the server said that it has it.
async fn acknowledged(client: &Client, body: Body) -> Option<String> {
    let answer = client.request(reqwest::Method::POST, "/_matrix/media/v3/upload").body(body).send().await.ok()?;
    let answer: serde_json::Value = (answer.status() == 200).then_some(answer)?.json().await.ok()?;
    Some(answer["content_uri"].as_str()?.strip_prefix("mxc://")?.to_owned())
}

/// Creates an id, if the server tells one.
async fn created(client: &Client) -> Option<String> {
    let answer = client.request(reqwest::Method::POST, "/_matrix/media/v1/create").send().await.ok()?;
    let answer: serde_json::Value = (answer.status() == 200).then_some(answer)?.json().await.ok()?;
    Some(answer["content_uri"].as_str()?.strip_prefix("mxc://")?.to_owned())
}

both_shapes! {
    async fn a_client_that_leaves_in_the_middle_leaves_nothing_behind(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(UPLOAD, "alice-token", "Content-Length: 4000000\r\n").await;
        wire.send(&noise(3_000_000, 1)).await;
        eventually("the upload has begun", async || (deployment.uploads_in_progress().await > 0).then_some(())).await;

        drop(wire);

        assert_only(&deployment, 0).await;
    }

    async fn a_created_id_is_free_again_when_its_upload_broke_off(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().create().await;
        let mut wire = Wire::connect(deployment.address()).await;
        wire.head(&format!("PUT /_matrix/media/v3/upload/{id}"), "alice-token", "Content-Length: 4000000\r\n").await;
        wire.send(&noise(3_000_000, 1)).await;
        eventually("the upload has begun", async || (deployment.uploads_in_progress().await > 0).then_some(())).await;
        let rival = deployment.alice().put(&id, "at the same time").await;

        drop(wire);

        assert_eq!(rival.error(), (409, "M_CANNOT_OVERWRITE_MEDIA".to_owned()));
        eventually("the id is free again", async || (deployment.alice().put(&id, "now").await.status == 200).then_some(()))
            .await;
        assert_eq!(deployment.bob().download(&id).await.ok(), "now");
        assert_only(&deployment, 1).await;
    }

    async fn a_power_cut_loses_nothing_that_was_acknowledged(shape: Shape) {
        // Whoever is killed while he sweeps leaves his turn to nobody for a while.
        let mut deployment = sweeping(shape).set("uploads", "sweep_interval", "1h").start().await;
        let alice = deployment.alice();
        let files: Vec<Vec<u8>> = (0..20).map(|seed| noise(1_000_000, seed)).collect();

        // They end one after the other; the cut comes in the middle of most.
        let uploads = files.iter().zip(1..).map(|(file, nth)| {
            let body = slow_body(file, Duration::from_millis(100 * nth));
            let alice = alice.clone();
            async move { acknowledged(&alice, body).await }
        });
        let cut = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            deployment.kill();
        };
        let (ids, ()) = tokio::join!(join_all(uploads), cut);
        let kept: Vec<(&String, &Vec<u8>)> = ids.iter().zip(&files).filter_map(|(id, file)| Some((id.as_ref()?, file))).collect();
        assert!((1..20).contains(&kept.len()), "the cut was to come in the middle: {ids:?}");
        deployment.change("uploads", "sweep_interval", "200ms");
        deployment.start().await;

        for (id, file) in &kept {
            assert!(deployment.bob().download(id).await.ok() == **file, "{id} has other bytes");
        }
        // One whose answer was lost on the way may be there as a whole; half a one may not.
        eventually("the remains are swept", async || {
            let [records, blobs] = ["records", "blobs"].map(|prefix| deployment.stored(prefix).len());
            (records == blobs && records >= kept.len()).then_some(())
        })
        .await;
    }

    async fn ids_that_were_given_out_outlive_a_killed_server(shape: Shape) {
        let mut deployment = Setup::new(shape).set("uploads", "max_pending_per_user", "100000").start().await;
        let alice = deployment.alice();
        let told = std::sync::Mutex::new(Vec::new());

        let creating = join_all((0..8).map(|_| async {
            while let Some(id) = created(&alice).await {
                told.lock().unwrap().push(id);
            }
        }));
        let cut = async {
            eventually("ids are given out", async || (told.lock().unwrap().len() > 50).then_some(())).await;
            deployment.kill();
        };
        tokio::join!(creating, cut);
        deployment.start().await;

        let (alice, told) = (deployment.alice(), told.into_inner().unwrap());
        let filled = stream::iter(&told).map(|id| alice.put(id, "content")).buffer_unordered(8).collect::<Vec<_>>().await;
        assert!(filled.iter().all(|answer| answer.status == 200), "{filled:?}");
    }

    async fn a_full_disk_is_told_and_nothing_is_lost(shape: Shape) {
        let disk = SmallDisk::mount();
        let deployment = Setup::new(shape).set("storage", "url", format!("file://{}", disk.0.path().display())).start().await;
        let small = deployment.alice().upload(noise(100_000, 1), "text/plain").await;

        let refused = deployment.alice().try_upload(noise(6_000_000, 2), "text/plain").await;

        assert!(matches!(refused.status.as_u16(), 500 | 503 | 507), "{refused:?}");
        assert_eq!(refused.error().1, "M_UNKNOWN");
        assert!(deployment.bob().download(&small).await.ok() == noise(100_000, 1));
        // What the refused upload had taken is free again.
        let fits = eventually("there is room again", async || {
            let answer = deployment.alice().try_upload(noise(3_000_000, 3), "text/plain").await;
            (answer.status == 200).then_some(answer)
        })
        .await;
        fits.ok();
    }
}

/// A file system of 4 MiB in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = as_root(&format!("mount -t tmpfs -o size=4m,mode=1777 tmpfs {}", folder.path().display()));
        assert!(mounted, "a small disk can only be mounted as root or with passwordless sudo");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may still have a file open.
        if !as_root(&format!("umount -l {}", self.0.path().display())) {
            eprintln!("{} stays mounted", self.0.path().display());
        }
    }
}
