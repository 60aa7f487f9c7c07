//! Shows changes to people and machines: text, JSON, and Markdown for a pull request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::Exit;
use crate::diff::commit::{Approval, CommitPlan};
use crate::diff::{Action, Change, Changes};
use crate::record::Commit;
use crate::unit::Problem;

/// Form of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// For machines.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// Everything that a plan or an apply has to show.
pub struct View<'a> {
    /// Units with their changes.
    pub changes: &'a [Changes],
    /// Everything wrong in the repository.
    pub problems: Vec<Problem>,
    /// Held units and a missing approval.
    pub plan: &'a CommitPlan,
    /// The commit.
    pub commit: &'a Commit,
}

impl View<'_> {
    fn count(&self) -> BTreeMap<Action, usize> {
        let mut count = BTreeMap::new();
        for (action, number) in self.changes.iter().flat_map(Changes::count) {
            *count.entry(action).or_insert(0) += number;
        }
        count
    }

    /// Failed when something is wrong, else whether there are changes.
    pub fn exit(&self) -> Exit {
        let count = self.count();
        let wrong = count.keys().any(|action| matches!(action, Action::Failed | Action::Conflict));
        if wrong || !self.problems.is_empty() || !self.plan.held.is_empty() {
            Exit::Failed
        } else if count.keys().any(|action| *action != Action::Unchanged) {
            Exit::Changes
        } else {
            Exit::Done
        }
    }

    /// The plan.
    pub fn text(&self, form: Form) -> String {
        match form {
            Form::Text => self.plain(true),
            Form::Json => self.json(),
            Form::Markdown => self.markdown(),
        }
    }

    /// What was done.
    pub fn done(&self, form: Form) -> String {
        match form {
            Form::Text => self.plain(false),
            Form::Json => self.json(),
            Form::Markdown => self.markdown(),
        }
    }

    fn summary(&self, planned: bool) -> String {
        let count = self.count();
        let told = Action::ALL.iter().filter(|action| **action != Action::Unchanged);
        let words: Vec<String> =
            told.filter_map(|action| Some(format!("{} {}", count.get(action)?, action.word()))).collect();
        let head = if planned { "Plan" } else { "Applied" };
        let units = self.changes.len();
        if words.is_empty() {
            format!("{head}: nothing changes ({})", self.commit.short())
        } else {
            format!(
                "{head}: {} in {units} unit{} ({})",
                words.join(", "),
                if units == 1 { "" } else { "s" },
                self.commit.short()
            )
        }
    }

    fn plain(&self, planned: bool) -> String {
        let mut text = String::new();
        for unit in self.changes.iter().filter(|unit| unit.changes.iter().any(is_worth_a_line)) {
            let _ = writeln!(text, "{}", unit.unit);
            for change in unit.changes.iter().filter(|change| is_worth_a_line(change)) {
                let _ = writeln!(text, "  {:<10} {}{}", change.action.word(), change.id, detail(change));
                if !change.hint.is_empty() {
                    let _ = writeln!(text, "             hint: {}", change.hint);
                }
                if planned && change.action != Action::Created {
                    for line in change.text.lines().skip(2) {
                        let _ = writeln!(text, "      {line}");
                    }
                    for (path, author) in change.authors() {
                        let _ = writeln!(text, "      {path} was written by {author}");
                    }
                }
            }
        }
        for (unit, why) in &self.plan.held {
            let _ = writeln!(text, "{unit}\n  held       {why}");
        }
        for problem in &self.problems {
            let _ = writeln!(text, "problem: {problem}");
        }
        if let Some(approval) = &self.plan.approval {
            let Approval { hash, subject, reason, .. } = approval;
            let _ = writeln!(text, "approval needed: {reason}\n  hint: bowline approve {subject} {hash}");
            let _ =
                writeln!(text, "  hint: or in a bowline.yaml, in this commit or a later one: approve: [\"{hash}\"]");
        }
        for stale in &self.plan.stale {
            let _ = writeln!(text, "stale approval: {stale}");
        }
        let _ = writeln!(text, "{}", self.summary(planned));
        text
    }

    fn json(&self) -> String {
        let count: BTreeMap<&str, usize> =
            self.count().into_iter().map(|(action, number)| (action.word(), number)).collect();
        let held: BTreeMap<String, &String> =
            self.plan.held.iter().map(|(unit, why)| (unit.to_string(), why)).collect();
        let value = json!({
            "commit": self.commit, "summary": count, "units": self.changes, "problems": self.problems, "held": held,
            "approval": self.plan.approval.as_ref().map(|approval| json!({
                "hash": approval.hash, "subject": approval.subject, "reason": approval.reason, "units": approval.units,
            })),
            "staleApprovals": self.plan.stale,
        });
        format!("{value:#}\n")
    }

    fn markdown(&self) -> String {
        let mut text = format!("### bowline: {}\n\n", self.summary(true).trim_start_matches("Plan: "));
        for problem in &self.problems {
            let _ = writeln!(text, "- :x: `{}` {}", problem.origin, problem.message);
        }
        if let Some(approval) = &self.plan.approval {
            let Approval { hash, subject, reason, .. } = approval;
            let _ = writeln!(
                text,
                "- :warning: approval needed: {reason} (`bowline approve {subject} {hash}`, or in a `bowline.yaml` of this pull \
                 request: `approve: [\"{hash}\"]`)"
            );
        }
        for stale in &self.plan.stale {
            let _ = writeln!(text, "- :warning: `{}` {}", stale.origin, stale.message);
        }
        for (unit, why) in &self.plan.held {
            let _ = writeln!(text, "- :warning: `{unit}` is held: {why}");
        }
        for unit in self.changes.iter().filter(|unit| unit.changes.iter().any(is_worth_a_line)) {
            let words: Vec<String> = unit
                .count()
                .iter()
                .filter(|(action, _)| **action != Action::Unchanged)
                .map(|(action, number)| format!("{number} {}", action.word()))
                .collect();
            let _ = writeln!(text, "\n<details><summary><code>{}</code>: {}</summary>\n", unit.unit, words.join(", "));
            for change in unit.changes.iter().filter(|change| is_worth_a_line(change)) {
                let _ = writeln!(text, "- **{}** `{}`{}", change.action.word(), change.id, detail(change));
                if !change.text.is_empty() {
                    let fence = "`".repeat(3.max(longest_run(&change.text) + 1));
                    let _ = writeln!(text, "\n  {fence}diff");
                    for line in change.text.lines() {
                        let _ = writeln!(text, "  {line}");
                    }
                    let _ = writeln!(text, "  {fence}");
                }
            }
            text.push_str("\n</details>\n");
        }
        cut(text, 60_000)
    }
}

/// Forges refuse comments over 65,536 characters.
fn cut(mut text: String, at_most: usize) -> String {
    if text.len() > at_most {
        let end = (0..=at_most).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n\n... the rest is cut: run `bowline plan` for all of it.\n");
    }
    text
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

fn is_worth_a_line(change: &Change) -> bool {
    change.action != Action::Unchanged
}

fn detail(change: &Change) -> String {
    let mut detail = String::new();
    if !change.message.is_empty() {
        let _ = write!(detail, ": {}", change.message);
    }
    if matches!(change.action, Action::Failed | Action::Conflict)
        && let Some(origin) = &change.origin
    {
        let _ = write!(detail, " ({origin})");
    }
    if !change.verified {
        detail.push_str(" (unverified)");
    }
    detail
}
