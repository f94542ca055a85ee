//! Thumbnails of films, music and PDFs, which programs that are installed make.

use std::{fs, net::TcpListener, path::Path, process::Command};

use heliograph_tests::{Answer, Deployment, Setup, Shape, both_shapes, installed, jpeg, jpeg_size, noise, program};

fn with_helpers(shape: Shape) -> Setup {
    let ffmpeg = installed("TEST_FFMPEG").canonicalize().unwrap();
    let setup = Setup::new(shape).set("thumbnails", "ffmpeg", ffmpeg.display().to_string());
    setup.set("thumbnails", "pdf_renderer", program("pdftoppm").display().to_string())
}

/// What ffmpeg makes in a folder of its own.
fn make(name: &str, arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cover.jpg"), jpeg(300, 300)).unwrap();
    ffmpeg(folder.path(), &[arguments, &[name]].concat());
    fs::read(folder.path().join(name)).unwrap()
}

fn ffmpeg(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(installed("TEST_FFMPEG"));
    command.args(["-nostdin", "-loglevel", "error"]).args(arguments).current_dir(folder);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
}

/// Two seconds of black, then four of a test picture.
fn film(name: &str, more: &[&str]) -> Vec<u8> {
    let graph = "color=black:s=640x360:d=2:r=10[a];testsrc=s=640x360:d=4:r=10[b];[a][b]concat";
    make(name, &[["-filter_complex", graph, "-g", "10"].as_slice(), more].concat())
}

fn song() -> Vec<u8> {
    let tone = ["-f", "lavfi", "-i", "sine=d=1"];
    let cover = ["-i", "cover.jpg", "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"];
    make("song.mp3", &[tone.as_slice(), &cover].concat())
}

/// One page, half of it black.
fn page() -> Vec<u8> {
    let content = "0 g 0 0 300 800 re f";
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>".to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
    ];
    let numbered = objects.iter().enumerate().map(|(at, object)| format!("{} 0 obj{object}endobj\n", at + 1));
    format!("%PDF-1.4\n{}trailer<</Root 1 0 R>>\n%%EOF\n", numbered.collect::<String>()).into_bytes()
}

/// Red, green and blue of a thumbnail, on average.
fn average(file: &[u8]) -> [u64; 3] {
    let options =
        zune_core::options::DecoderOptions::default().jpeg_set_out_colorspace(zune_core::colorspace::ColorSpace::RGB);
    let source = zune_core::bytestream::ZCursor::new(file);
    let pixels = zune_jpeg::JpegDecoder::new_with_options(source, options).decode().unwrap();
    let sum = |channel: usize| pixels.iter().skip(channel).step_by(3).map(|level| u64::from(*level)).sum::<u64>();
    [sum(0), sum(1), sum(2)].map(|sum| sum * 3 / pixels.len() as u64)
}

async fn thumbnail(deployment: &Deployment, content: Vec<u8>, content_type: &str) -> Answer {
    let id = deployment.alice().upload(content, content_type).await;
    deployment.bob().thumbnail(&id, "width=320&height=240&method=scale").await
}

fn refused(answer: &Answer) {
    assert_eq!(answer.error(), (400, "M_UNKNOWN".to_owned()));
}

both_shapes! {
    async fn a_film_has_a_thumbnail_that_is_not_dark(shape: Shape) {
        let deployment = with_helpers(shape).start().await;
        for (name, content_type) in [("a.mp4", "video/mp4"), ("a.mkv", "video/x-matroska"), ("a.webm", "video/webm")] {
            let answer = thumbnail(&deployment, film(name, &[]), content_type).await;

            let picture = answer.ok();
            assert_eq!(jpeg_size(&picture), Some((320, 180)), "{name}");
            assert!(average(&picture).iter().sum::<u64>() > 150, "{name}: {:?}", average(&picture));
        }
    }

    async fn music_has_its_cover_and_a_pdf_its_first_page(shape: Shape) {
        let deployment = with_helpers(shape).start().await;

        let cover = thumbnail(&deployment, song(), "audio/mpeg").await;
        let first_page = thumbnail(&deployment, page(), "application/pdf").await;

        assert_eq!(jpeg_size(&cover.ok()), Some((240, 240)));
        let first_page = first_page.ok();
        assert_eq!(jpeg_size(&first_page), Some((180, 240)));
        assert!(average(&first_page).iter().all(|level| (110..146).contains(level)), "{:?}", average(&first_page));
    }
}

#[tokio::test]
async fn a_film_is_turned_as_it_says() {
    let deployment = with_helpers(Shape::One).start().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lying.mp4"), film("lying.mp4", &[])).unwrap();
    ffmpeg(folder.path(), &["-display_rotation", "90", "-i", "lying.mp4", "-c", "copy", "turned.mp4"]);
    let turned = fs::read(folder.path().join("turned.mp4")).unwrap();

    let answer = thumbnail(&deployment, turned, "video/mp4").await;

    assert_eq!(jpeg_size(&answer.ok()), Some((135, 240)));
}

#[tokio::test]
async fn without_helpers_there_are_no_such_thumbnails() {
    let deployment = Setup::new(Shape::One).start().await;

    refused(&thumbnail(&deployment, page(), "application/pdf").await);
    refused(&thumbnail(&deployment, film("a.mp4", &[]), "video/mp4").await);
}

/// Whatever they are said to be, and wherever they point.
#[tokio::test]
async fn lists_of_other_files_and_addresses_are_not_followed() {
    let deployment = with_helpers(Shape::One).start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.mp4");
    fs::write(&secret, film("secret.mp4", &[])).unwrap();

    for target in [format!("http://127.0.0.1:{port}/a.mp4"), format!("file://{}", secret.display())] {
        for content in lists(&target) {
            refused(&thumbnail(&deployment, content.clone(), "video/mp4").await);
            refused(&thumbnail(&deployment, content, "audio/mpeg").await);
        }
        let _ = thumbnail(&deployment, pointing(&target, &secret), "video/mp4").await.error();
    }

    assert!(listener.accept().is_err(), "somebody came");
    assert!(deployment.alice().upload("hello", "text/plain").await.starts_with("media.test/"), "it goes on");
}

/// Playlists and lists that ffmpeg knows, also behind what looks like another type.
fn lists(target: &str) -> Vec<Vec<u8>> {
    let hls = format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n");
    let concat = format!("ffconcat version 1.0\nfile '{target}'\n");
    let dash = format!("<?xml version=\"1.0\"?><MPD><Period><BaseURL>{target}</BaseURL></Period></MPD>");
    let sdp =
        format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=control:{target}\n");
    let as_mp3 = ["ID3\u{4}\0\0\0\0\0\0", &hls].concat();
    [hls, concat, dash, sdp, as_mp3].map(String::into_bytes).into()
}

/// A film whose samples are said to be in another file (`dref`, by `url `).
fn pointing(target: &str, film: &Path) -> Vec<u8> {
    let mut content = fs::read(film).unwrap();
    let at = content.windows(8).position(|window| window == b"\0\0\0\x0curl ").unwrap();
    // Not self-contained: the flag is gone, and what follows is read as the address.
    content[at + 11] = 0;
    let target = target.as_bytes();
    content.splice(at + 12..at + 12, target.iter().copied().chain([0]));
    content
}

#[tokio::test]
async fn what_is_no_film_or_too_large_has_no_thumbnail() {
    let limit = "100 KiB";
    let deployment = with_helpers(Shape::One).set("thumbnails", "max_helper_source_size", limit).start().await;
    let broken = [&film("a.mp4", &[])[..2000], noise(20_000, 1).as_slice()].concat();

    for content in [broken, noise(5000, 2), Vec::new(), jpeg(400, 300), b"%PDF-1.4\nnothing".to_vec()] {
        refused(&thumbnail(&deployment, content.clone(), "video/mp4").await);
        refused(&thumbnail(&deployment, content, "application/pdf").await);
    }
    let large = [page(), vec![b'\n'; 200_000]].concat();
    thumbnail(&deployment, large, "application/pdf").await.refused(413, "M_TOO_LARGE");
}

/// A program in the place of a helper sees the file and nothing else.
#[tokio::test]
async fn the_doctor_tries_the_helpers_in_their_jail() {
    let good = with_helpers(Shape::One).start().await;
    let bad = Setup::new(Shape::One).set("thumbnails", "ffmpeg", "/bin/true").start().await;

    let told = |deployment: &Deployment| String::from_utf8(deployment.tell(&["doctor", "--json"]).stdout).unwrap();

    let good = told(&good);
    for found in ["thumbnails.ffmpeg", "thumbnails.pdf_renderer"] {
        assert!(good.contains(found), "{good}");
    }
    assert_eq!(good.matches("makes pictures").count(), 2, "{good}");
    let bad = told(&bad);
    assert!(bad.contains("/bin/true does not work in its jail"), "{bad}");
}
