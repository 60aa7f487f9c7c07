//! What goes wrong in operation, and what bowline promises then: each promise on the real control plane.

mod git;
mod lease;
mod local;
mod points;
mod server;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::common::bowline::Story;
use crate::common::cluster::{Mark, unique};

/// An administrator of his own: the audit log tells his requests from everybody else's.
struct User {
    name: String,
    kubeconfig: PathBuf,
}

impl User {
    fn new(story: &Story, prefix: &str) -> User {
        let name = unique(prefix);
        let binding = format!("--user={name}");
        story.cluster.kubectl(&["create", "clusterrolebinding", &name, "--clusterrole=cluster-admin", &binding]);
        User { kubeconfig: story.cluster.kubeconfig_for(&name).unwrap(), name }
    }

    /// What he wrote since the mark, but for the lease, Events and the status: `patch configmaps home/settings`.
    fn writes(&self, story: &Story, mark: Mark) -> Vec<String> {
        let events = story.cluster.audit_since(mark);
        let own = events.iter().filter(|event| event.user() == self.name && event.is_write() && event.code() < 300);
        own.filter(|event| !matches!(event.resource(), "leases" | "events"))
            .filter(|event| !(event.resource() == "configmaps" && event.namespace() == story.own_namespace))
            .map(|event| format!("{} {} {}/{}", event.verb, event.resource(), event.namespace(), event.name()))
            .collect()
    }
}

/// Asks one page of a daemon on this machine: status and body.
pub(crate) fn page(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    ensure!(status.is_some(), "not an answer: {answer}");
    Ok((status.unwrap_or_default(), body.to_owned()))
}
