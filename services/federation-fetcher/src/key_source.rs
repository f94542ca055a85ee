//! Where the keys of a server come from: itself, else a notary.
//!
//! Every answer is bounded in size; how long it may take, callers decide.

use std::sync::Arc;

use bytes::Bytes;
use heliograph_matrix::{
    Destination, Discovery, GuardedClient, KeyDocument, KeyId, MOST_KEY_DOCUMENT_BYTES, MOST_NOTARY_BYTES, Refused,
    Request, ask_notary, read_body, read_notary,
};
use heliograph_types::{Clock, ServerName};
use reqwest::StatusCode;

const OF_ITSELF: &str = "/_matrix/key/v2/server";
const OF_OTHERS: &str = "/_matrix/key/v2/query";

/// Asks for keys.
pub(crate) struct KeySource {
    pub(crate) client: GuardedClient,
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl KeySource {
    /// The document of a server, as it gives it.
    pub(crate) async fn fetch(&self, server_name: &ServerName) -> Result<KeyDocument, String> {
        let destination = self.find(server_name).await?;
        let body = send(self.client.get_from(&destination, OF_ITSELF), MOST_KEY_DOCUMENT_BYTES).await?;
        KeyDocument::check(&body, server_name, self.clock.now()).map_err(|error| error.reason)
    }

    /// The document of a server with this key, as `notary` gives it, whose keys are these.
    pub(crate) async fn query(
        &self,
        (notary, keys): (&ServerName, &KeyDocument),
        (server_name, key_id): (&ServerName, &KeyId),
    ) -> Result<KeyDocument, String> {
        let destination = self.find(notary).await?;
        let question = ask_notary(server_name, key_id, self.clock.now());
        let request = self.client.post_to(&destination, OF_OTHERS, question.into());
        let body = send(request, MOST_NOTARY_BYTES).await?;
        read_notary(&body, (server_name, key_id), (notary, keys), self.clock.now())
    }

    async fn find(&self, server_name: &ServerName) -> Result<Destination, String> {
        self.discovery.find(server_name).await.map_err(|error| error.to_string())
    }
}

async fn send(request: Result<Request, Refused>, most_bytes: usize) -> Result<Bytes, String> {
    let response = request.map_err(|error| error.to_string())?.send().await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("answered {}", response.status()));
    }
    read_body(response, most_bytes).await.map_err(|error| error.to_string())
}
