//! File names: what is uploaded as one name is downloaded as that name, by everybody.

use heliograph_tests::{Answer, Client, Peer, Server, Setup, Shape, both_shapes};
use reqwest::Method;
use tokio::io::AsyncWriteExt;

/// A name as it stands in a URL, and the parameter that it becomes.
const NAMES: [(&str, &str); 22] = [
    ("report-2.pdf", "filename=report-2.pdf"),
    ("a!%23$&'*+-.^_`|~b", "filename=a!#$"),
    ("my%20report.pdf", "filename=\"my report.pdf\""),
    ("my%20report;%20v2.pdf", "filename=\"my report; v2.pdf\""),
    ("(a),%20%5Bb%5D=%7Bc%7D:%40%3F%3C%3E.txt", "filename=\"(a), [b]={c}:@?<>.txt\""),
    ("a%22b%22.txt", "filename*=utf-8''a%22b%22.txt"),
    ("a%5Cb.txt", "filename*=utf-8''a%5Cb.txt"),
    ("50%25.txt", "filename*=utf-8''50%25.txt"),
    ("%2541.txt", "filename*=utf-8''%2541.txt"),
    ("a%2Fb.txt", "filename=\"a/b.txt\""),
    ("%2e%2e%2f%2e%2e%2fetc%2fpasswd", "filename=\"../../etc/passwd\""),
    ("sp%C3%A4%C5%A5.png", "filename*=utf-8''sp%C3%A4%C5%A5.png"),
    (
        "%F0%9F%93%B7%20%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9.jpg",
        "filename*=utf-8''%F0%9F%93%B7%20%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9.jpg",
    ),
    ("%D7%A9%D7%9C%D7%95%D7%9D%20%E2%80%AEgpj.exe", "filename*=utf-8''%D7%A9%D7%9C%D7%95%D7%9D%20%E2%80%AEgpj.exe"),
    ("%E6%96%87%E4%BB%B6.txt", "filename*=utf-8''%E6%96%87%E4%BB%B6.txt"),
    ("a%0D%0ASet-Cookie:%20b", "filename=\"aSet-Cookie: b\""),
    ("a%00%01%1F%7Fb.txt", "filename=ab.txt"),
    ("a%C2%85b.txt", "filename=ab.txt"),
    ("%0A%0D", ""),
    ("%FFa.txt", "filename*=utf-8''%EF%BF%BDa.txt"),
    ("a%E2%82.txt", "filename*=utf-8''a%EF%BF%BD.txt"),
    ("%20a%20", "filename=\" a \""),
];

/// The header of a name, for a type that is shown inline.
fn header_of(parameter: &str) -> String {
    if parameter.is_empty() { "inline".to_owned() } else { format!("inline; {parameter}") }
}

async fn upload_named(client: &Client, query: &str) -> Answer {
    let request = client.request(Method::POST, &format!("/_matrix/media/v3/upload?{query}"));
    Answer::of(request.header("content-type", "text/plain").body("hello")).await
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}

/// One that ends what comes before the name is needed as it stands.
fn expected(name: &str, parameter: &str, in_query: bool) -> String {
    // An ampersand ends a parameter of a query, and nothing in a path; a plus is a space there.
    match (name.contains('&'), in_query) {
        (true, true) => header_of("filename=a!#$"),
        (true, false) => header_of("filename=a!#$&'*+-.^_`|~b"),
        _ => header_of(parameter),
    }
}

both_shapes! {
    /// Token, spaces, semicolon, quotes, backslash, percent, emoji, RTL, controls: by the query.
    async fn a_name_from_the_query_comes_back(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        for (name, parameter) in NAMES {
            let id = id_of(&upload_named(&deployment.alice(), &format!("filename={name}")).await);

            for path in ["/_matrix/client/v1/media/download", "/_matrix/media/v3/download"] {
                let answer = deployment.bob().get(&format!("{path}/{id}")).await;
                assert_eq!(answer.header("content-disposition"), expected(name, parameter, true), "{name}");
            }
        }
        let spaced = id_of(&upload_named(&deployment.alice(), "filename=a+b%2Bc&filename=other").await);
        let answer = deployment.bob().download(&spaced).await;
        assert_eq!(answer.header("content-disposition"), "inline; filename=\"a b+c\"");
    }

    /// The same by the path, which outranks the name of the upload.
    async fn a_name_from_the_path_comes_back(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let named = id_of(&upload_named(&deployment.alice(), "filename=uploaded.txt").await);
        let nameless = id_of(&upload_named(&deployment.alice(), "").await);

        for (name, parameter) in NAMES.into_iter().filter(|(_, parameter)| !parameter.is_empty()) {
            for id in [&named, &nameless] {
                for path in ["/_matrix/client/v1/media/download", "/_matrix/media/r0/download", "/_matrix/client/r0/media/download"] {
                    let answer = deployment.bob().get(&format!("{path}/{id}/{name}")).await;
                    assert_eq!(answer.header("content-disposition"), expected(name, parameter, false), "{path} {name}");
                }
            }
        }
        let plus = deployment.bob().download(&format!("{nameless}/a+b.txt")).await;
        assert_eq!(plus.header("content-disposition"), "inline; filename=a+b.txt");
        for empty in ["", "/"] {
            let answer = deployment.bob().download(&format!("{named}{empty}")).await;
            assert_eq!(answer.header("content-disposition"), "inline; filename=uploaded.txt");
            let answer = deployment.bob().download(&format!("{nameless}{empty}")).await;
            assert_eq!(answer.header("content-disposition"), "inline");
        }
    }

    /// 1024 bytes are kept to the last; more than the operator wants are refused.
    async fn a_long_name_is_kept_or_refused_but_never_cut(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "max_file_name_bytes", 1024).start().await;
        let (ascii, wide) = ("n".repeat(1024), "%C3%A4".repeat(512));

        let of_ascii = id_of(&upload_named(&deployment.alice(), &format!("filename={ascii}")).await);
        let of_wide = id_of(&upload_named(&deployment.alice(), &format!("filename={wide}")).await);

        let answer = deployment.bob().download(&of_ascii).await;
        assert_eq!(answer.header("content-disposition"), format!("inline; filename={ascii}"));
        let answer = deployment.bob().download(&of_wide).await;
        assert_eq!(answer.header("content-disposition"), format!("inline; filename*=utf-8''{wide}"));
        upload_named(&deployment.alice(), &format!("filename={ascii}n")).await.refused(400, "M_INVALID_PARAM");
    }

    /// A created id has the name of what filled it.
    async fn a_created_id_is_named_by_what_fills_it(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().create().await;
        let request = deployment.alice().request(Method::PUT, &format!("/_matrix/media/v3/upload/{id}?filename=a%20b.txt"));
        Answer::of(request.header("content-type", "text/plain").body("hello")).await.ok();

        let answer = deployment.bob().download(&id).await;

        assert_eq!(answer.header("content-disposition"), "inline; filename=\"a b.txt\"");
    }

    /// Names of other servers are read in both forms, and sent in ours; only their name counts,
    /// not what they want done with the file.
    async fn a_name_from_another_server_is_read_in_every_form(shape: Shape) {
        let forms: [(&str, &str); 10] = [
            ("inline; filename=a.txt", "filename=a.txt"),
            ("attachment; filename=\"a b.txt\"", "filename=\"a b.txt\""),
            ("inline; filename=\"a\\\"b\\\\c.txt\"", "filename*=utf-8''a%22b%5Cc.txt"),
            ("inline; filename*=utf-8''sp%C3%A4t.txt", "filename*=utf-8''sp%C3%A4t.txt"),
            ("attachment; filename=\"plain.txt\"; filename*=UTF-8'en'sp%c3%a4t.txt", "filename*=utf-8''sp%C3%A4t.txt"),
            ("inline; filename*=iso-8859-1''sp%E4t.txt; filename=plain.txt", "filename*=utf-8''sp%C3%A4t.txt"),
            ("inline; filename*=utf-8''broken%G; filename=plain.txt", "filename=plain.txt"),
            ("Inline ; FileName = \"a.txt\"", "filename=a.txt"),
            ("inline", ""),
            ("nonsense; ; =", ""),
        ];
        let server = Server::start(move |request, mut stream| async move {
            let nth: usize = request.path().rsplit('/').next().unwrap().parse().unwrap();
            let body = format!(
                "\r\n--b\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--b\r\nContent-Type: text/plain\r\n\
                 Content-Disposition: {}\r\n\r\nhello\r\n--b--\r\n",
                forms[nth].0
            );
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all((head + &body).as_bytes()).await;
            let _ = stream.shutdown().await;
        })
        .await;
        let peer = Peer::with_media(server.address()).await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;

        for (nth, (sent, parameter)) in forms.into_iter().enumerate() {
            let id = format!("{}/{nth}", peer.name());
            // While it arrives, and from here.
            for _ in 0..2 {
                let answer = deployment.bob().download(&id).await;
                assert_eq!(answer.header("content-disposition"), header_of(parameter), "{sent}");
                assert_eq!(answer.ok(), "hello");
            }
        }
        let renamed = deployment.bob().download(&format!("{}/0/mine.txt", peer.name())).await;
        assert_eq!(renamed.header("content-disposition"), "inline; filename=mine.txt");
    }
}
