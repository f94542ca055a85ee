//! Certificates that nobody should believe.

use heliograph_tests::{Authority, Entrance, Identity, Script, Shape, both_shapes};

use super::{BAD_GATEWAY, Case, Siege, file_in_two_parts};

both_shapes! {
    async fn nothing_is_asked_of_who_cannot_prove_its_name(shape: Shape) {
        let mut siege = Siege::start(shape).await;
        let folder = tempfile::tempdir().unwrap();
        let (name, other) = ("127.0.0.8", Authority::new(folder.path()));
        let cases = vec![
            ("the certificate of another address", siege.authority.identity("127.0.0.9")),
            ("the certificate of a name", siege.authority.identity("named.test")),
            ("of another authority", other.identity(name)),
            ("expired", siege.authority.expired_identity(name)),
            ("signed by itself", Identity::self_signed(name)),
        ];
        let mut attack = Vec::new();
        for (what, identity) in cases {
            attack.push(Case::with(what, BAD_GATEWAY, Entrance::tls(&identity, good)).await);
        }

        siege.endure(&attack).await;

        assert!(attack.iter().all(|case| case.asked() == 0));
    }
}

fn good(_: &heliograph_tests::Request) -> Script {
    file_in_two_parts(b"hello")
}
