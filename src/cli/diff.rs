//! `bowline diff`

use super::connect::{ClusterArgs, RepoArgs};
use super::{Exit, plan, show};
use crate::error::Error;
use crate::unit::UnitName;

/// Show how one unit in the cluster differs from the repository
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The unit, such as main/dev
    unit: UnitName,
    #[command(flatten)]
    repo: RepoArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = show::Form::Text)]
    output: show::Form,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    let mut repo = args.repo.clone();
    repo.source.clone_from(&args.unit.source);
    plan::of(&repo, &args.cluster, std::slice::from_ref(&args.unit), args.output).await
}
