//! Where pictures are worked on: in processes that can do nothing else.

use std::{collections::BTreeSet, fs, process::Command};

use heliograph_tests::{Client, Deployment, Setup, Shape, both_shapes, eventually, jpeg, jpeg_size, noise};

/// The processes that work on pictures for `deployment`, by their ids.
fn workers(deployment: &mut Deployment) -> Vec<u32> {
    let ours: Vec<u32> = deployment.processes().iter().map(heliograph_tests::Process::id).collect();
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let is_worker = line.split(|byte| *byte == 0).any(|word| word == b"render-worker");
        is_worker && status(*id, "PPid:").and_then(|parent| parent.parse().ok()).is_some_and(|id| ours.contains(&id))
    })
    .collect()
}

/// A line of `/proc/<id>/status`.
fn status(id: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(field)).map(|value| value.trim().to_owned())
}

fn kill(id: u32) {
    assert!(Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status().unwrap().success());
}

async fn thumbnail(client: &Client, side: u16) -> Option<(u16, u16)> {
    let id = client.upload(jpeg(side, side), "image/jpeg").await;
    let answer = client.thumbnail(&id, "width=96&height=96&method=crop").await;
    if answer.status == 200 { jpeg_size(&answer.body) } else { None }
}

both_shapes! {
    async fn pictures_are_worked_on_in_a_jail(shape: Shape) {
        let mut deployment = Setup::new(shape).start().await;
        assert_eq!(thumbnail(&deployment.alice(), 400).await, Some((96, 96)));

        // Calls are filtered. Whoever has just been started is not there yet.
        let workers = eventually("all workers are in the jail", async || {
            let workers = workers(&mut deployment);
            let is_filtered = |id: &u32| status(*id, "Seccomp:").as_deref() == Some("2");
            (!workers.is_empty() && workers.iter().all(is_filtered)).then_some(workers)
        })
        .await;

        for id in workers {
            assert_eq!(status(id, "NoNewPrivs:").as_deref(), Some("1"));
            assert_eq!(status(id, "Threads:").as_deref(), Some("1"));
            assert_eq!(fs::read(format!("/proc/{id}/environ")).unwrap_or_default(), b"", "it sees no settings");
            let open: Vec<String> = fs::read_dir(format!("/proc/{id}/fd")).unwrap().flatten()
                .map(|entry| fs::read_link(entry.path()).unwrap_or_default().display().to_string()).collect();
            let sockets: BTreeSet<&String> = open.iter().filter(|file| file.starts_with("socket:")).collect();
            assert_eq!(sockets.len(), 1, "one way to its parent, and none elsewhere: {open:?}");
            // It counts its own memory.
            let memory = format!("/proc/{id}/statm");
            let known = ["socket:", "/dev/null", "pipe:", &memory];
            let strange = open.iter().find(|file| !known.iter().any(|known| file.starts_with(known)));
            assert_eq!(strange, None, "{open:?}");
        }
    }

    async fn a_worker_that_is_killed_costs_nobody_a_thumbnail(shape: Shape) {
        let mut deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        for side in 200..205 {
            assert_eq!(thumbnail(&alice, side).await, Some((96, 96)));
            workers(&mut deployment).into_iter().for_each(kill);
        }
        // Of the last who were killed, some may not be known for dead.
        eventually("it goes on", async || thumbnail(&alice, 300).await).await;
    }

    async fn what_needs_more_memory_than_a_job_may_have_is_too_large(shape: Shape) {
        let deployment = Setup::new(shape).set("thumbnails", "job_memory", "16 MiB").start().await;
        let alice = deployment.alice();
        // Of this one the whole picture must be in memory.
        let id = alice.upload(heliograph_tests::gif(2500, 2500, 1), "image/gif").await;

        alice.thumbnail(&id, "width=96&height=96&method=crop").await.refused(413, "M_TOO_LARGE");
        assert_eq!(thumbnail(&alice, 400).await, Some((96, 96)), "others go on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_behind_good_headers_harms_nobody() {
    let mut deployment = Setup::new(Shape::One).start().await;
    let alice = deployment.alice();
    let headers: [(&str, &[u8]); 6] = [
        ("image/jpeg", &jpeg(400, 300)[..300]),
        ("image/gif", b"GIF89a\x40\x01\x40\x01\xf7\0\0"),
        ("image/webp", b"RIFF\xff\xff\0\0WEBPVP8 "),
        ("image/avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"),
        ("image/jxl", b"\xff\x0a\xfa\x1f"),
        ("image/bmp", b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x10\0\0\0\x10\0\0\0\x01\0\x18\0"),
    ];
    for (kind, header) in headers {
        for seed in 0..5 {
            let id = alice.upload([header, &noise(20_000, seed)].concat(), kind).await;
            let answer = alice.thumbnail(&id, "width=96&height=96&method=crop").await;
            assert!(matches!(answer.status.as_u16(), 200 | 400 | 413), "{kind} {seed}: {answer:?}");
        }
    }

    assert_eq!(thumbnail(&alice, 400).await, Some((96, 96)));
    assert!(deployment.api().try_status().is_none());
}
