//! Keys of a bucket that nobody has written down: the cloud gives them for a while.

use std::fs;

use heliograph_blobs::testing::{S3Server, TEMPORARY_KEY};
use heliograph_tests::{Answer, Client, Request, Server, Setup, Shape, answer_json, both_shapes, noise};
use reqwest::{Method, Url};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use url::Position;

const TOKEN_OF_POD: &str = "a-token-of-the-pod";
const TOKEN_OF_MACHINE: &str = "a-token-of-the-machine";
const ROLE: &str = "heliograph-role";

/// Processes that are told where the bucket is, and no keys.
fn without_keys(server: &S3Server, shape: Shape) -> Setup {
    server.place().into_iter().fold(Setup::new(shape), |setup, (key, value)| setup.set("storage", key, value))
}

fn keys() -> String {
    let [id, secret, token] = TEMPORARY_KEY;
    serde_json::json!({
        "AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": "2099-01-01T00:00:00Z",
    })
    .to_string()
}

/// What containers of a cluster are given (EKS Pod Identity).
async fn answer_pod(request: Request, stream: TcpStream) {
    let may = request.path() == "/v1/credentials" && request.header("authorization") == Some(TOKEN_OF_POD);
    let (status, body) = if may { (200, keys()) } else { (403, String::new()) };
    answer_json(stream, status, "", &body).await;
}

/// What machines are given (EC2): a token first, then the role, then its keys.
async fn answer_machine(request: Request, mut stream: TcpStream) {
    let begins = "/latest/meta-data/iam/security-credentials/";
    let knows_token = request.header("x-aws-ec2-metadata-token") == Some(TOKEN_OF_MACHINE);
    let body = match request.path() {
        "/latest/api/token" if request.line.starts_with("PUT ") => TOKEN_OF_MACHINE.to_owned(),
        path if knows_token && path == begins => ROLE.to_owned(),
        path if knows_token && path.strip_prefix(begins) == Some(ROLE) => keys(),
        _ => return answer_json(stream, 403, "", "").await,
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

/// Stores and reads, and looks who has signed.
async fn works_with_temporary_keys(setup: Setup, server: &S3Server) {
    let deployment = setup.set("uploads", "direct", true).start().await;
    let alice = deployment.alice();
    let id = alice.upload(noise(9_000_000, 1), "video/mp4").await;
    let created = alice.try_create().await.json();
    let url: Url = created["com.beeper.msc3870.upload_url"].as_str().unwrap().parse().unwrap();
    let bucket = Client::plain(url.socket_addrs(|| None).unwrap()[0], "").without_token();
    let put = Answer::of(bucket.request(Method::PUT, &url[Position::BeforePath..]).body("put")).await;

    assert!(deployment.bob().download(&id).await.ok() == noise(9_000_000, 1));
    assert_eq!(put.status, 200, "{put:?}");
    let received = server.received();
    assert!(received.iter().any(|request| request.operation == "UploadPart"), "in parts");
    assert!(received.iter().all(|request| request.access_key_id == TEMPORARY_KEY[0]));
    assert!(!deployment.log().contains(TEMPORARY_KEY[1]) && !deployment.log().contains(TEMPORARY_KEY[2]));
}

both_shapes! {
    async fn the_keys_of_a_pod_are_fetched_and_used(shape: Shape) {
        let (server, identity) = (S3Server::start().await, Server::start(answer_pod).await);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, TOKEN_OF_POD).unwrap();
        let setup = without_keys(&server, shape)
            .environment("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{}/v1/credentials", identity.address()))
            .environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap());

        works_with_temporary_keys(setup, &server).await;
    }

    async fn the_keys_of_a_machine_are_fetched_and_used(shape: Shape) {
        let (server, identity) = (S3Server::start().await, Server::start(answer_machine).await);
        let setup = without_keys(&server, shape)
            .environment("AWS_METADATA_ENDPOINT", &format!("http://{}", identity.address()));

        works_with_temporary_keys(setup, &server).await;
    }

    async fn without_any_keys_nothing_starts_and_it_is_told_what_to_do(shape: Shape) {
        let server = S3Server::start().await;
        let nobody = Server::start(|_, stream| answer_json(stream, 404, "", "")).await;
        let mut deployment = without_keys(&server, shape)
            .environment("AWS_METADATA_ENDPOINT", &format!("http://{}", nobody.address()))
            .set("storage", "retries", "0")
            .prepare()
            .await;

        deployment.launch();

        for process in deployment.processes() {
            assert!(!process.wait().success());
            assert!(process.log().contains("there are no keys in the settings"), "{}", process.log());
        }
    }
}
