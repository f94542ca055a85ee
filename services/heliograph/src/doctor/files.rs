//! What is on this machine: the data folder, the port of the HTTP front, and the jail for pictures.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use heliograph_types::{Finding, Trial};

use super::{Patient, absolute};
use crate::settings::Settings;

/// The trials of this machine.
pub(super) fn patient(settings: &Settings) -> Patient {
    let (folder, listen) = (absolute(&settings.data.folder), settings.api.listen);
    let trials = vec![
        Trial::new("data folder", async move { try_folder(&folder) }),
        Trial::new("api.listen", async move { try_port(listen) }),
        #[cfg(feature = "thumbnails")]
        super::pictures::jail(&settings.thumbnails),
    ];
    Patient::new("machine", "", trials)
}

/// Writes a file there, or where it would be made, and removes it.
fn try_folder(folder: &Path) -> Finding {
    let existing = folder.ancestors().find(|folder| folder.exists()).map_or_else(PathBuf::new, Path::to_owned);
    let advice = "let the user that runs heliograph write there, or choose another with data.folder";
    let file = existing.join(format!(".trial-{:032x}", rand::random::<u128>()));
    match (write_and_remove(&file), existing == folder) {
        (Ok(()), true) => Finding::ok(format!("{} can be written", folder.display())),
        (Ok(()), false) => Finding::ok(format!("{} is made at start", folder.display())),
        (Err(error), _) => Finding::fail(format!("cannot write in {}: {error}", existing.display()), advice),
    }
}

fn write_and_remove(path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let written = file.write_all(b"written by heliograph doctor\n").and_then(|()| file.sync_all());
    fs::remove_file(path)?;
    written
}

fn try_port(listen: SocketAddr) -> Finding {
    match TcpListener::bind(listen) {
        Ok(_) => Finding::ok(format!("{listen} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::note(
            format!("{listen} is in use"),
            "nothing, if that is heliograph; else stop who listens there, or choose another port with api.listen",
        ),
        Err(error) => Finding::note(format!("{listen}: {error}"), "correct api.listen"),
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::Verdict;

    use super::*;

    #[test]
    fn a_folder_is_tried_where_it_would_be_made_and_nothing_stays() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");

        assert_eq!(try_folder(parent.path()).verdict, Verdict::Ok);
        assert_eq!(try_folder(&parent.path().join("a/b")).verdict, Verdict::Ok);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);

        fs::write(&file, "").unwrap();
        let finding = try_folder(&file.join("a"));
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.told.contains(&file.display().to_string()), "{finding:?}");
    }

    #[test]
    fn a_port_in_use_is_no_failure() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();

        assert_eq!(try_port(taken.local_addr().unwrap()).verdict, Verdict::Note);
        assert_eq!(try_port("127.0.0.1:0".parse().unwrap()).verdict, Verdict::Ok);
    }
}
