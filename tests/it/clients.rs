//! The libraries that clients are built with, each through its own functions: against the
//! real thing, behind TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use heliograph_tests::{PASSWORD, Shape, installed, jpeg, node, python, run};

use crate::network::Network;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// Runs a client, which checks what it gets and fails by its exit status. It shares the
/// picture twice: by an id that it creates first, and by a plain upload.
async fn shares_a_picture(name: &str, mut client: Command) {
    let network = Network::start(Shape::One, 0).await;
    network.user(0, "alice").await;
    let picture = network.folder().join("picture.jpg");
    fs::write(&picture, jpeg(640, 480)).unwrap();
    client
        .env("BASE_URL", format!("https://{}", network.names[0]))
        .env("CA_FILE", network.authority())
        .env("NODE_EXTRA_CA_CERTS", network.authority())
        .env("USER_ID", format!("@alice:{}", network.names[0]))
        .env("PASSWORD", PASSWORD)
        .env("PICTURE", &picture);

    run(name, &mut client, network.folder().join("client.log")).await;

    assert_eq!(network.heliograph.stored("records").len(), 2, "both are in our store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_matrix_js_sdk_shares_a_picture() {
    shares_a_picture("matrix-js-sdk", node(&script("with_js_sdk.js"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_matrix_nio_shares_a_picture() {
    shares_a_picture("matrix-nio", python(&script("with_nio.py"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_mautrix_shares_a_picture() {
    shares_a_picture("mautrix", python(&script("with_mautrix.py"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_matrix_sdk_shares_a_picture() {
    shares_a_picture("matrix-sdk", Command::new(installed("TEST_MATRIX_SDK"))).await;
}
