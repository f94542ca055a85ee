//! The same pages, previewed by a real Synapse and by Heliograph: whatever Synapse finds, we find.

use heliograph_tests::{Authority, Client, Pages, Setup, Shape, Synapse, SynapseSetup, free_port};
use serde_json::{Map, Value};
use url::form_urlencoded::byte_serialize;

/// What is told of a picture: differs as soon as another one is taken.
const PICTURE: &[&str] = &["og:image:width", "og:image:height", "og:image:type", "matrix:image:size"];
const DESCRIPTION: &[&str] = &["og:description"];

/// Where we say something else than Synapse, or nothing: page, members, why.
const DIFFERENCES: &[(&str, &[&str], &str)] = &[
    ("app", PICTURE, "the icon that is made to be seen instead of the small one"),
    ("blog", PICTURE, "the whole picture, which JSON-LD names, instead of a smaller one in the page"),
    ("broken", PICTURE, "of several pictures the first is the one that the site prefers, says Open Graph"),
    ("broken", &["og:title", "og:description"], "of attributes and properties that are there twice the first counts"),
    ("broken", &["og:url", "og:video"], "URLs of ftp and javascript are nothing to follow"),
    ("broken", &["og:video:width"], "a width is a number"),
    ("docs", DESCRIPTION, "the text without headings and marks of links, its pieces put together"),
    ("encyclopedia", DESCRIPTION, "the text without the navigation before it"),
    ("gallery", PICTURE, "300px are a size: the largest picture instead of an icon"),
    ("koi8", DESCRIPTION, "the text without the heading before it"),
    ("languages", DESCRIPTION, "in the language that was asked for"),
    ("music", &["og:image:secure_url"], "a picture is told as our copy of it: nobody is to ask the site"),
    ("news", PICTURE, "of several pictures the first is the one that the site prefers, says Open Graph"),
    ("news", &["article:tag"], "of several tags the first, not the last"),
    ("note", PICTURE, "the picture of the card instead of a pixel that counts visits"),
    ("note", &["og:image:src"], "no property of Open Graph, but a picture of the card, which is taken"),
    ("question", &["og:domain"], "no property of Open Graph; the client knows the URL"),
    ("refresh", &["og:title"], "what is said where the page leads at once, instead of the URL"),
    ("shop", PICTURE, "the picture of the product instead of one in the page that waits for it"),
    ("shop", &["og:title", "og:description"], "what is said of the product, before what is said to search engines"),
    ("svg", &["og:title", "og:description"], "the heading and the text of the page instead of those of a drawing"),
    ("tricks", &["og:title"], "without characters that turn a text around or ring a bell"),
    ("tricks", &["og:image:height"], "a height is a number above zero"),
    ("video", &["og:player", "og:player:width"], "no properties of Open Graph: the player is told as og:video:url"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_synapse_finds_on_a_page_is_found() {
    let pages = Pages::start().await;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let server_name = format!("127.0.0.1:{}", free_port());
    let synapse = Synapse::start_previewing(&SynapseSetup {
        server_name: &server_name,
        media: true,
        authority: &authority.file(),
        folder: folder.path().join("synapse"),
    });
    let site = format!("{}/32", std::net::Ipv4Addr::from(Pages::ADDRESS));
    let setup = Setup::new(Shape::One).set("previews", "enabled", true);
    let ours = setup.set("previews", "allow_addresses", toml::Value::Array(vec![site.into()])).start().await;
    synapse.ready().await;
    let theirs = Client::plain(synapse.address(), &synapse.register("ada").await);

    let (mut found, mut wrong, mut excused) = (0, Vec::new(), vec![false; DIFFERENCES.len()]);
    for name in pages.names() {
        let url = pages.url(name, "");
        let (they_say, we_say) = (preview(&theirs, &url).await, preview(&ours.alice(), &url).await);
        for (member, value) in they_say.iter().filter(|(_, value)| !is_empty(value)) {
            found += 1;
            if is_as_good(member, value, we_say.get(member)) {
                continue;
            }
            let is_excused =
                |(page, members, _): &(&str, &[&str], &str)| *page == name && members.contains(&member.as_str());
            let excuse = DIFFERENCES.iter().position(is_excused);
            match excuse {
                Some(place) => excused[place] = true,
                None => wrong.push(format!("{name} {member}: {value}, and we say {:?}", we_say.get(member))),
            }
        }
    }

    assert!(found > 100, "Synapse says {found} things only");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stale: Vec<_> = DIFFERENCES.iter().zip(excused).filter(|(_, was)| !was).collect();
    assert!(stale.is_empty(), "no difference any more: {stale:?}");
}

async fn preview(client: &Client, url: &str) -> Map<String, Value> {
    let url: String = byte_serialize(url.as_bytes()).collect();
    let answer = client.get(&format!("/_matrix/client/v1/media/preview_url?url={url}")).await;
    // What cannot be previewed at all says nothing.
    if answer.status.is_success() { answer.json().as_object().unwrap().clone() } else { Map::new() }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// The same but for white space. Of a picture only its copy has another name; sizes are numbers
/// here whatever they are there. Of a text that Synapse has cut, what it has left.
fn is_as_good(member: &str, theirs: &Value, ours: Option<&Value>) -> bool {
    let Some(ours) = ours else { return false };
    if member == "og:image" {
        return ours.as_str().is_some_and(|mxc| mxc.starts_with("mxc://media.test/"));
    }
    let (theirs, ours) = (words(theirs), words(ours));
    let begins = theirs.strip_suffix('…').is_some_and(|begun| ours.starts_with(begun.trim_end()));
    theirs == ours || begins
}

fn words(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
