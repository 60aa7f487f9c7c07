//! `bowline show`

use super::{Exit, output, template};
use crate::chart;
use crate::error::Error;

/// Print what a chart says of itself, byte for byte as Helm prints it
///
/// A chart is a folder or a packed chart.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to print
    #[arg(value_name = "WHAT")]
    what: What,

    /// The chart: a folder or a packed chart
    #[arg(value_name = "CHART")]
    chart: String,
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
    output::bytes(&part.text(&template::read_any_chart(&args.chart)?));
    Ok(Exit::Done)
}
