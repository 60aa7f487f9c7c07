//! What `helm show` prints of a chart: its definition, values, readme, CRDs.

use super::{Chart, File};
use crate::yaml;

/// A part of a chart that people want to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What `Chart.yaml` says, written anew.
    Definition,
    /// `values.yaml` as it is.
    Values,
    /// The readme.
    Readme,
    /// What is in `crds/`, here and in the charts below.
    Crds,
    /// All of it.
    All,
}

impl Part {
    /// The bytes that Helm prints; empty when the chart has no such part.
    pub fn text(self, chart: &Chart) -> Vec<u8> {
        let mut out = Vec::new();
        let all = self == Part::All;
        if all || self == Part::Definition {
            let definition = serde_json::to_value(chart.metadata()).unwrap_or_default();
            line(&mut out, yaml::write(&definition).as_bytes());
        }
        if all || self == Part::Values {
            let mut files = chart.raw().iter().filter(|file| &*file.name == "values.yaml").peekable();
            if all && files.peek().is_some() {
                line(&mut out, b"---");
            }
            files.for_each(|file| line(&mut out, &file.data));
        }
        if (all || self == Part::Readme)
            && let Some(file) = chart.files().iter().find(|file| is_readme(file))
        {
            if all {
                line(&mut out, b"---");
            }
            line(&mut out, &file.data);
        }
        if all || self == Part::Crds {
            for file in chart.crds() {
                if !file.data.starts_with(b"---") {
                    line(&mut out, b"---");
                }
                line(&mut out, &file.data);
            }
        }
        out
    }
}

fn is_readme(file: &File) -> bool {
    matches!(file.name.to_lowercase().as_str(), "readme.md" | "readme.txt" | "readme")
}

fn line(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(b'\n');
}
