//! `bowline show`

use super::charts::Origin;
use super::{Exit, output};
use crate::chart;
use crate::error::Error;

/// Print what a chart says of itself, byte for byte as Helm prints it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to print
    #[arg(value_name = "WHAT")]
    what: What,

    /// The chart: a folder, a packed chart, its address, oci://HOST/PATH/CHART, REPOSITORY/CHART, or its name with --repo
    #[arg(value_name = "CHART")]
    chart: String,

    #[command(flatten)]
    origin: Origin,
}

/// A part of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// What `Chart.yaml` says
    Chart,
    /// `values.yaml`
    Values,
    /// The readme
    Readme,
    /// What is in `crds/`, also of the charts below
    Crds,
    /// All of it
    All,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let part = match args.what {
        What::Chart => chart::Part::Definition,
        What::Values => chart::Part::Values,
        What::Readme => chart::Part::Readme,
        What::Crds => chart::Part::Crds,
        What::All => chart::Part::All,
    };
    output::bytes(&part.text(&args.origin.bring(&args.chart)?.chart));
    Ok(Exit::Done)
}
