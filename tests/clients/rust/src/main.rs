//! A client built with matrix-sdk.

use std::{env, fs};

use anyhow::{Context, Result, ensure};
use matrix_sdk::{
    Client,
    config::RequestConfig,
    media::{MediaFormat, MediaRequestParameters, MediaThumbnailSettings},
    reqwest,
    ruma::{
        OwnedMxcUri, UserId,
        api::{
            MatrixVersion,
            client::{authenticated_media::get_content, media::get_content_thumbnail::v3::Method},
        },
        events::room::MediaSource,
        http_headers::ContentDispositionType,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let picture = fs::read(variable("PICTURE")?)?;
    let client = log_in().await?;
    ensure!(client.server_versions().await?.contains(&MatrixVersion::V1_11), "the server has authenticated media");
    let limit = client.load_or_fetch_max_upload_size().await?;
    ensure!(u64::from(limit) > picture.len() as u64, "the limit is {limit}");

    let created = create_then_upload(&client, &picture).await?;
    check_download(&client, &created, &picture).await?;
    let uploaded = client.media().upload(&"image/jpeg".parse()?, picture.clone(), None).await?.content_uri;
    check_download(&client, &uploaded, &picture).await?;
    check_thumbnail(&client, &created, Method::Scale, (320, 240)).await?;
    check_thumbnail(&client, &created, Method::Crop, (96, 96)).await
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set"))
}

async fn log_in() -> Result<Client> {
    let authority = reqwest::Certificate::from_pem(&fs::read(variable("CA_FILE")?)?)?;
    let client = Client::builder()
        .homeserver_url(variable("BASE_URL")?)
        .add_root_certificates(vec![authority])
        // An error is an error: nothing is tried again.
        .request_config(RequestConfig::new().disable_retry())
        .build()
        .await?;
    let user = UserId::parse(variable("USER_ID")?)?;
    client.matrix_auth().login_username(&user, &variable("PASSWORD")?).await?;
    Ok(client)
}

/// An id first, the bytes later.
async fn create_then_upload(client: &Client, picture: &[u8]) -> Result<OwnedMxcUri> {
    let created = client.media().create_content_uri().await?;
    let uri = created.uri.clone();
    client.media().upload_preallocated(created, &"image/jpeg".parse()?, picture.to_vec()).await?;
    Ok(uri)
}

async fn fetch(client: &Client, uri: &OwnedMxcUri, format: MediaFormat) -> Result<Vec<u8>> {
    let request = MediaRequestParameters { source: MediaSource::Plain(uri.clone()), format };
    // Without the library's cache: the server is asked.
    Ok(client.media().get_media_content(&request, false).await?)
}

async fn check_download(client: &Client, uri: &OwnedMxcUri, picture: &[u8]) -> Result<()> {
    ensure!(fetch(client, uri, MediaFormat::File).await? == picture, "{uri} is another picture");
    check_headers(client, uri).await
}

/// The library's media give the bytes alone; its requests show the rest.
async fn check_headers(client: &Client, uri: &OwnedMxcUri) -> Result<()> {
    let answer = client.send(get_content::v1::Request::from_uri(uri)?).await?;
    let disposition = answer.content_disposition.context("no Content-Disposition")?;
    ensure!(answer.content_type.as_deref() == Some("image/jpeg"), "the type is {:?}", answer.content_type);
    ensure!(disposition.disposition_type == ContentDispositionType::Inline, "it is shown as {disposition}");
    ensure!(disposition.filename.is_none(), "nobody gave a name, but there is one: {disposition}");
    Ok(())
}

async fn check_thumbnail(client: &Client, uri: &OwnedMxcUri, method: Method, size: (u16, u16)) -> Result<()> {
    let settings = MediaThumbnailSettings::with_method(method, size.0.into(), size.1.into());
    let thumbnail = fetch(client, uri, MediaFormat::Thumbnail(settings)).await?;
    let got = jpeg_size(&thumbnail);
    ensure!(got == Some(size), "the thumbnail is {got:?}, not {size:?}");
    Ok(())
}

/// Width and height of a JPEG, from its frame header.
fn jpeg_size(file: &[u8]) -> Option<(u16, u16)> {
    let mut rest = file.strip_prefix(b"\xff\xd8")?;
    loop {
        let [0xff, marker, high, low, ..] = *rest else { return None };
        if matches!(marker, 0xc0..=0xc2) {
            let number = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
            return Some((number(7)?, number(5)?));
        }
        rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..)?;
    }
}
