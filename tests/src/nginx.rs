//! A real nginx in front: TLS for the server names of a test network.

use std::{fmt::Write, fs, path::Path, process::Command, time::Duration};

use crate::{Authority, Process, eventually, program};

/// One server block.
#[derive(Debug, Clone)]
pub struct Site {
    /// The host of the certificate, an address of loopback or a name that resolves to one.
    pub host: String,
    /// The address and port to listen at.
    pub listen: String,
    /// What stands in the block: locations.
    pub body: String,
}

impl Site {
    /// A site for the server name `address:port`.
    pub fn named(server_name: &str, body: String) -> Self {
        let (host, _) = server_name.rsplit_once(':').unwrap();
        Self { host: host.to_owned(), listen: server_name.to_owned(), body }
    }

    /// A location that passes everything below `prefix` on to `address`.
    pub fn location(prefix: &str, address: &str) -> String {
        format!(
            "location {prefix} {{ proxy_pass http://{address}; proxy_set_header Host $http_host; \
             proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; \
             proxy_buffering off; }}\n"
        )
    }
}

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
}

impl Nginx {
    /// Starts one with all files in `folder`, and waits until it listens.
    pub async fn start(folder: &Path, authority: &Authority, sites: &[Site]) -> Self {
        let servers: String = sites.iter().map(|site| server(authority, site)).collect();
        let listens: Vec<&str> = sites.iter().map(|site| site.listen.as_str()).collect();
        Self::serve(folder, &servers, &listens).await
    }

    /// Starts one with what stands in its `http` block, and waits until it listens there.
    pub async fn serve(folder: &Path, http: &str, listens: &[&str]) -> Self {
        fs::create_dir_all(folder).unwrap();
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(folder, http)).unwrap();
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(folder).arg("-c").arg(&file).arg("-e").arg(folder.join("error.log"));
        let mut process = Process::spawn("nginx", &mut command, folder.join("output.log"));
        for listen in listens {
            eventually("nginx listens", async || {
                assert!(process.try_status().is_none(), "nginx ended: {}", process.log());
                tokio::net::TcpStream::connect(listen).await.ok()
            })
            .await;
        }
        Self { process }
    }

    /// Its process, which has a worker.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it; its sites are out of reach.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        self.process.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A killed master would leave its worker behind, so it is asked to go first.
        if self.process.try_status().is_none() && self.process.try_signal("TERM") {
            let _ = self.process.try_wait(Duration::from_secs(5));
        }
    }
}

fn configuration(folder: &Path, http: &str) -> String {
    let folder = folder.display();
    let mut text = format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n\
         events {{ worker_connections 512; }}\nhttp {{\naccess_log {folder}/access.log;\n"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{kind}_temp_path {folder}/{kind};").unwrap();
    }
    text + http + "}\n"
}

fn server(authority: &Authority, Site { host, listen, body }: &Site) -> String {
    let (certificate, key) = authority.certify(host);
    let (certificate, key) = (certificate.display(), key.display());
    format!("server {{ listen {listen} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};\n{body}}}\n")
}
