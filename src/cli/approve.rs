//! `bowline approve`

use serde_json::json;

use super::connect::{ClusterArgs, environment};
use super::{Exit, output};
use crate::cluster::client::Verb;
use crate::daemon::APPROVALS;
use crate::error::Error;

/// Approve a deletion that waits for people
///
/// The hash is bound to the commit and to what would go; `bowline status` shows both.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The hash that `bowline status` or `bowline plan` shows
    hash: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    if args.hash.len() != 16 || !args.hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(
            Error::new(format!("`{}` is not the hash of an approval", args.hash)).hint("`bowline status` shows it")
        );
    }
    let cluster = args.cluster.connect().await?;
    let namespace = &args.cluster.bowline_namespace;
    let who = environment("USER").unwrap_or_else(|| "somebody".to_owned());
    // One field manager per approval: applying one takes no other away.
    let path = format!(
        "/api/v1/namespaces/{namespace}/configmaps/{APPROVALS}?fieldManager=bowline-approve-{}&force=true",
        args.hash
    );
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": APPROVALS, "namespace": namespace},
        "data": {(args.hash.as_str()): format!("{who} {} {}", jiff::Timestamp::now(), args.reason).trim()},
    });
    let written = cluster.own(Verb::Apply, &path, Some(&body)).await;
    written.map_err(|error| Error::new("the approval could not be written").because(error))?;
    output::words(&format!("approved {}", args.hash));
    Ok(Exit::Done)
}
