//! A real browser: what it shows, plays, and refuses to run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use heliograph_tests::{Deployment, Setup, Shape, installed, jpeg, node, run};

/// Runs a script of `tests/browser`, which fails by its exit status.
pub(crate) async fn browse(script: &str, deployment: &Deployment, environment: &[(&str, &str)]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(script);
    let mut command = node(&file);
    command
        .env("CHROMIUM", installed("TEST_CHROMIUM"))
        .env("BASE_URL", format!("http://{}", deployment.address()))
        .env("TOKEN", "alice-token")
        // The browser's own files go with the deployment.
        .env("TMPDIR", deployment.folder())
        .envs(environment.iter().copied());
    run("browser", &mut command, deployment.folder().join("browser.log")).await;
}

/// A film of some megabytes, red in its first half and blue in the second.
fn film(file: &Path, codec: &[&str]) -> Vec<u8> {
    let scenes = "color=red:size=320x180:duration=6[a];color=blue:size=320x180:duration=6[b];\
                  [a][b]concat,noise=alls=60:allf=t";
    let mut command = Command::new(installed("TEST_FFMPEG"));
    command.args(["-v", "error", "-f", "lavfi", "-i", scenes, "-b:v", "4M", "-g", "25", "-pix_fmt", "yuv420p"]);
    let made = command.args(codec).arg(file).output().unwrap();
    assert!(made.status.success(), "no film: {}", String::from_utf8_lossy(&made.stderr));
    fs::read(file).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_shows_pictures_and_uploads_them() {
    let deployment = Setup::new(Shape::One).start().await;
    let picture = deployment.alice().upload_named(jpeg(640, 480), "image/jpeg", "sunset.jpg").await;

    browse("pictures.js", &deployment, &[("PICTURE", &picture)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_redirected_to_a_third_origin_and_notices_nothing() {
    let setup = Setup::new(Shape::One).set("redirects", "to", "self").set("redirects", "thumbnails", true);
    let setup = setup.set("redirects", "allow_http", true).set("redirects", "min_bytes", 0);
    let mut deployment = setup.set("redirects", "secret", "a-secret-of-tests-that-is-long-enough").prepare().await;
    // The same server under another name is another origin.
    deployment.change("redirects", "base_url", format!("http://localhost:{}", deployment.address().port()));
    deployment.start().await;
    let picture = deployment.alice().upload_named(jpeg(640, 480), "image/jpeg", "sunset.jpg").await;

    browse("pictures.js", &deployment, &[("PICTURE", &picture)]).await;

    let metrics = deployment.stranger().get("/metrics").await.ok();
    let metrics = String::from_utf8_lossy(&metrics);
    let redirects = metrics.lines().find(|line| line.starts_with("heliograph_redirects_total{target=\"self\"}"));
    assert!(redirects.is_some(), "nobody was redirected: {metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_plays_and_seeks_by_ranges() {
    let deployment = Setup::new(Shape::One).start().await;
    let file = |name: &str| -> PathBuf { deployment.folder().join(name) };
    let webm = film(&file("film.webm"), &["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"]);
    // Its index is at the end, as with most films that telephones make.
    let mp4 = film(&file("film.mp4"), &["-c:v", "libx264", "-preset", "ultrafast"]);
    let alice = deployment.alice();
    let films = [alice.upload(webm, "video/webm").await, alice.upload(mp4, "video/mp4").await];

    browse("video.js", &deployment, &[("FILMS", &films.join(" "))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_script_in_an_uploaded_file_runs() {
    let deployment = Setup::new(Shape::One).start().await;

    browse("scripts.js", &deployment, &[]).await;
}
