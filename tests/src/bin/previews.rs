//! Prints what previews of URLs cost over HTTP: of the pages of the tests, beside Synapse in the
//! same run, and of pages that want to cost more than they should.

use std::{io::Write, iter, time::Duration};

use flate2::{Compression, write::GzEncoder};
use heliograph_tests::{
    Authority, Client, Deployment, Page, Pages, Process, Setup, Shape, Synapse, SynapseSetup, Watch, free_port,
};
use toml::Value;
use url::form_urlencoded::byte_serialize;

/// How often each page is previewed, as one that nobody has seen yet.
const OURS: u32 = 20;
const THEIRS: u32 = 4;
/// Of a page out there, unpacked; the pages of the tests have only what counts.
const USUAL_BYTES: usize = 150_000;
const HOSTILE_BYTES: usize = 10_000_000;
const HOSTILE_TIMES: u32 = 5;

/// What a hostile page begins with, and what comes again and again.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("a million meta tags", "", "<meta property=og:x content=y>"),
    ("one giant attribute", "<meta content='", "x"),
    ("entities in an attribute", "<meta content='", "&a"),
    ("attributes", "<meta ", "content=x "),
    ("deep nesting", "", "<div>"),
    ("short tags", "", "<b>"),
    ("short paragraphs", "", "<p>x"),
    ("pictures", "", "<img src=data:x width=99 height=99>"),
    ("JSON-LD, nested", "", "<script type=application/ld+json>[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]</script>"),
    ("zeros", "", "\0"),
];

#[tokio::main]
async fn main() {
    let mut ours = start().await;
    let long = Pages::start_longer(USUAL_BYTES).await;
    for (what, pages) in [("as they are", Pages::start().await), ("as long as pages are", long)] {
        println!("pages {what}:");
        let names: Vec<&str> = pages.names().collect();
        let our_cost = of_heliograph(&mut ours, &pages, &names).await.as_secs_f64();
        let their_cost = of_synapse(&pages, &names).await.as_secs_f64();
        println!("Synapse takes {:.1} times as much processor time", their_cost / our_cost);
    }
    of_hostile_pages(&mut ours).await;
}

/// By gzip as well: what is small on the line may be large.
fn hostile_pages() -> Vec<(String, Page)> {
    let page = |coding: &str, bytes| Page { head: format!("Content-Type: text/html\r\n{coding}"), bytes };
    let plain = HOSTILE.iter().map(|(name, begin, again)| {
        let bytes = begin.bytes().chain(again.bytes().cycle()).take(HOSTILE_BYTES).collect();
        (format!("10 MB: {name}"), page("", bytes))
    });
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let spaces = vec![b' '; 1 << 20];
    let packed =
        iter::repeat_n(spaces, 1000).try_for_each(|piece| encoder.write_all(&piece)).and_then(|()| encoder.finish());
    let bomb = page("Content-Encoding: gzip\r\n", packed.unwrap_or_default());
    plain.chain(iter::once(("10 MB: a bomb of 1 GB".to_owned(), bomb))).collect()
}

async fn start() -> Deployment {
    let site = format!("{}/32", std::net::Ipv4Addr::from(Pages::ADDRESS));
    let setup = Setup::new(Shape::One).set("previews", "enabled", true).set("limits", "user_previews", "100000/1m");
    setup.set("previews", "allow_addresses", Value::Array(vec![site.into()])).start().await
}

async fn of_heliograph(ours: &mut Deployment, pages: &Pages, names: &[&str]) -> Duration {
    let client = ours.alice();
    measure("Heliograph", &client, ours.api(), (pages, names), OURS).await
}

async fn of_synapse(pages: &Pages, names: &[&str]) -> Duration {
    let Ok(folder) = tempfile::tempdir() else { return Duration::ZERO };
    let authority = Authority::new(folder.path());
    let server_name = format!("127.0.0.2:{}", free_port());
    let synapse = Synapse::start_previewing(&SynapseSetup {
        server_name: &server_name,
        media: true,
        authority: &authority.file(),
        folder: folder.path().join("synapse"),
    });
    synapse.ready().await;
    let client = Client::plain(synapse.address(), &synapse.register("alice").await);
    measure("Synapse", &client, synapse.process(), (pages, names), THEIRS).await
}

/// Processor time of each preview, its picture fetched and kept.
async fn measure(
    who: &str,
    client: &Client,
    process: &Process,
    (pages, names): (&Pages, &[&str]),
    times: u32,
) -> Duration {
    // The first ones make what stays.
    round(client, pages, names, "warm").await;
    let resting = process.memory("VmRSS:");
    let watch = Watch::start(process);
    let mut found = 0;
    for number in 0..times {
        found += round(client, pages, names, &number.to_string()).await;
    }
    let previews = times * u32::try_from(names.len()).unwrap_or(u32::MAX);
    let (cpu, passed) = watch.each(process, previews);
    let peak = process.memory("VmHWM:");
    println!(
        "{who}: {previews} previews of {} pages, {found} of them with something to say: {cpu:.2?} of processor time each, {passed:.2?} passed; \
         memory {} MiB before, {} MiB at its peak",
        names.len(),
        resting >> 20,
        peak >> 20
    );
    cpu
}

/// How many of the pages say something.
async fn round(client: &Client, pages: &Pages, names: &[&str], query: &str) -> usize {
    let mut found = 0;
    for name in names {
        found += usize::from(preview(client, &pages.url(name, query)).await);
    }
    found
}

/// Whether there is something to say.
async fn preview(client: &Client, url: &str) -> bool {
    let url: String = byte_serialize(url.as_bytes()).collect();
    let answer = client.get(&format!("/_matrix/client/v1/media/preview_url?url={url}")).await;
    assert!(answer.status.as_u16() != 429, "a limit is measured: {answer:?}");
    answer.status.is_success() && answer.body.len() > 2
}

async fn of_hostile_pages(ours: &mut Deployment) {
    let pages = Pages::start_with(hostile_pages()).await;
    let (client, mut worst) = (ours.alice(), Duration::ZERO);
    for name in pages.names().filter(|name| name.starts_with("10 MB")) {
        let watch = Watch::start(ours.api());
        for number in 0..HOSTILE_TIMES {
            preview(&client, &pages.url(name, &number.to_string())).await;
        }
        let (cpu, _) = watch.each(ours.api(), HOSTILE_TIMES);
        worst = worst.max(cpu);
        println!("{cpu:8.1?}  {name}");
    }
    println!("{worst:8.1?}  the worst; {} MiB of memory at the peak of all", ours.api().memory("VmHWM:") >> 20);
}
