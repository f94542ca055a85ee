//! What is printed after the first start: three lines that work as they stand.

use std::{fs, net::SocketAddr};

use anyhow::anyhow;
use heliograph_catalog::{Catalog, Lookup};
use heliograph_proto::{Reserve, UploadService};
use heliograph_types::Mxc;

use super::{Development, write_whole};

/// Which id the lines are about is kept there, so that not every start reserves another.
const ID_FILE: &str = "development-id";

/// An id of alice's that waits for its content.
pub(crate) async fn find_or_reserve(
    development: &Development,
    catalog: &Catalog,
    uploads: &dyn UploadService,
) -> anyhow::Result<Mxc> {
    let file = development.folder.join(ID_FILE);
    let kept = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<Mxc>().ok());
    if let Some(mxc) = kept
        && matches!(catalog.lookup(&mxc).await, Ok(Lookup::Pending(_)))
    {
        return Ok(mxc);
    }
    let server_name = development.server_name.clone();
    let request = Reserve { server_name, uploader: development.alice.id.clone(), store: None };
    let mxc = uploads.reserve(request).await.map_err(|failure| anyhow!("no id could be reserved: {failure}"))?.mxc;
    write_whole(&file, mxc.to_string().as_bytes(), 0o600)?;
    Ok(mxc)
}

/// Where we listen, and how to try an upload, a download and a thumbnail.
pub(crate) fn welcome(development: &Development, listen: SocketAddr, mxc: &Mxc) -> String {
    let url = format!("http://{listen}/_matrix");
    let [alice, bob] = [&development.alice, &development.bob].map(|user| user.token.expose());
    let Mxc { server_name, media_id } = mxc;
    let sample = quote(&format!("@{}", development.sample.display()));
    let folder = development.folder.display();
    format!(
        "\
Heliograph listens on http://{listen} in development mode: no homeserver is set.
Its server name is {server_name}, its users are {alice_id} and {bob_id}; everything is kept in {folder}.
Upload a picture as one, download it as the other, and get a thumbnail of it:

curl -sS -X PUT -H 'Authorization: Bearer {alice}' -H 'Content-Type: image/jpeg' --data-binary {sample} '{url}/media/v3/upload/{server_name}/{media_id}?filename=sample.jpg'

curl -sS -H 'Authorization: Bearer {bob}' -o picture.jpg '{url}/client/v1/media/download/{server_name}/{media_id}'

curl -sS -H 'Authorization: Bearer {bob}' -o thumbnail.jpg '{url}/client/v1/media/thumbnail/{server_name}/{media_id}?width=96&height=96&method=crop'

",
        alice_id = development.alice.id,
        bob_id = development.bob.id,
    )
}

/// One word for the shell, whatever is in it.
fn quote(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "@/._-+:,".contains(character);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_three_lines_are_to_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let development = Development::prepare(folder.path()).unwrap();

        let text = welcome(&development, "127.0.0.1:8000".parse().unwrap(), &"mxc://localhost/abc".parse().unwrap());

        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains(development.alice.token.expose()));
        assert!(
            lines[0].ends_with("'http://127.0.0.1:8000/_matrix/media/v3/upload/localhost/abc?filename=sample.jpg'")
        );
        assert!(lines[1].contains(development.bob.token.expose()));
    }

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        assert_eq!(quote("@/home/a/b-c_d.jpg"), "@/home/a/b-c_d.jpg");
        assert_eq!(quote("@/it's a picture.jpg"), r"'@/it'\''s a picture.jpg'");
    }
}
