//! Users of several servers in one room: a Heliograph in front of a Synapse, a Synapse with its
//! own media, and another Heliograph. What each sends the others see.

use bytes::Bytes;
use heliograph_tests::{Client, Setup, Shape, eventually, jpeg, jpeg_size};
use serde_json::{Value, json};
use toml::Value as Setting;

use crate::network::Network;

/// Their addresses, and no others, may be connected to.
const ADDRESSES: [&str; 3] = ["127.0.0.2/32", "127.0.0.3/32", "127.0.0.4/32"];

/// Somebody in the room.
struct Member {
    name: &'static str,
    client: Client,
    photograph: Bytes,
}

impl Member {
    async fn register(network: &Network, server: usize, name: &'static str, size: (u16, u16)) -> Self {
        let client = network.user(server, name).await;
        Self { name, client, photograph: jpeg(size.0, size.1).into() }
    }

    async fn create_room(&self) -> String {
        let answer = self.client.post("/_matrix/client/v3/createRoom", &json!({"preset": "public_chat"})).await.ok();
        text(&serde_json::from_slice(&answer).unwrap(), "room_id")
    }

    async fn join(&self, room: &str, via: &str) {
        let path = format!("/_matrix/client/v3/join/{}?server_name={via}&via={via}", escaped(room));
        self.client.post(&path, &json!({})).await.ok();
    }

    /// Uploads the photograph, and tells the room of it.
    async fn send(&self, room: &str) {
        let id = self.client.upload(self.photograph.clone(), "image/jpeg").await;
        let content = json!({"msgtype": "m.image", "body": self.name, "url": format!("mxc://{id}")});
        let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/1", escaped(room));
        let request = self.client.request(reqwest::Method::PUT, &path).json(&content);
        heliograph_tests::Answer::of(request).await.ok();
    }

    /// Where the photograph of another one is, as the room tells.
    async fn find_photograph(&self, room: &str, of: &str) -> String {
        let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=50", escaped(room));
        eventually("a message crosses", async || {
            let answer: Value = serde_json::from_slice(&self.client.get(&path).await.ok()).unwrap();
            let contents = answer["chunk"].as_array()?.iter().map(|event| &event["content"]);
            let message = contents.into_iter().find(|content| content["body"] == of)?;
            Some(text(message, "url").strip_prefix("mxc://")?.to_owned())
        })
        .await
    }

    /// Looks at what another one has sent.
    async fn look_at(&self, room: &str, other: &Self) {
        let (id, here) = (self.find_photograph(room, other.name).await, format!("{} at {}", self.name, other.name));

        let small = self.client.thumbnail(&id, "width=320&height=240&method=scale").await.ok();
        let whole = self.client.download(&id).await;
        let nobody = self.client.without_token().download(&id).await;

        assert_eq!(jpeg_size(&small), Some((320, 240)), "{here}");
        assert_eq!(whole.header("content-type"), "image/jpeg", "{here}");
        assert!(whole.ok() == other.photograph, "{here}: the bytes differ");
        assert_eq!(nobody.error(), (401, "M_MISSING_TOKEN".to_owned()), "{here}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_server_sends_into_a_room_all_others_see() {
    let network = Network::start_many(&[Shape::One, Shape::Four], 1, narrow).await;
    let members = [
        Member::register(&network, 0, "alice", (1600, 1200)).await,
        Member::register(&network, 1, "carol", (1200, 900)).await,
        Member::register(&network, 2, "bob", (800, 600)).await,
    ];
    let room = members[0].create_room().await;
    for member in &members[1..] {
        member.join(&room, &network.names[0]).await;
    }

    for member in &members {
        member.send(&room).await;
    }
    for reader in &members {
        for sender in &members {
            reader.look_at(&room, sender).await;
        }
    }

    // Each Heliograph has its own one, and a copy of those of both others.
    for heliograph in [&network.heliograph, &network.further[0]] {
        let kept = network.names.iter().map(|name| heliograph.stored(&format!("records/{name}")).len());
        assert_eq!(kept.collect::<Vec<_>>(), [1, 1, 1]);
    }
}

fn narrow(setup: Setup, _: &str) -> Setup {
    setup.set("federation", "allow_addresses", Setting::Array(ADDRESSES.map(Setting::from).into()))
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap_or_else(|| panic!("no {member}: {object}")).to_owned()
}

/// An id of a room in a path.
fn escaped(room: &str) -> String {
    room.replace('!', "%21").replace(':', "%3A")
}
