//! Settings of a folder: `bowline.yaml`, where the nearest one wins, field by field.

use std::sync::Arc;

use serde_json::Value;

use super::fields::{Fault, Fields, below, path_text, what};
use super::manifest::pointer;
use super::policy::{Budget, DRIFT_WORDS, Drift, PRUNE_WORDS, Prune};
use super::select::{Pattern, pattern};
use crate::object::Gvk;
use crate::unit::Origin;
use crate::yaml::Step;

/// Name of the file that holds a folder's settings.
pub(super) const FILE: &str = "bowline.yaml";

/// What holds for everything below a folder; `None` where no `bowline.yaml` on the way says anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Folder {
    /// Namespace of objects that name none.
    pub namespace: Option<String>,
    /// What happens when an object is changed in the cluster.
    pub drift: Option<Drift>,
    /// Fields left to others.
    pub ignore: Option<Arc<[Ignore]>>,
    /// What happens to plain manifests' objects that leave Git.
    pub prune: Option<Prune>,
    /// Whether objects that exist and are not ours are taken over.
    pub adopt: Option<bool>,
    /// How much one commit may take away.
    pub budget: BudgetSpec,
    /// Account that acts in the cluster.
    pub service_account: Option<Account>,
    /// How long a wait may take.
    pub timeout_seconds: Option<u64>,
    /// Wait for health.
    pub wait: Option<bool>,
    /// Nothing is applied unless everything is valid.
    pub atomic: Option<bool>,
    /// Rules of health, as written: these first, then those of the folders above.
    pub health: Vec<HealthRules>,
    /// The unit that the folder is.
    pub unit: Option<UnitSpec>,
    /// Hashes of deletions that people have approved, with their places: for the source, whichever folder says so.
    pub approve: Vec<(String, Origin)>,
}

/// Fields of objects that are left to others.
#[derive(Debug, Clone, PartialEq)]
pub struct Ignore {
    group: Option<String>,
    kind: Option<String>,
    name: Option<Pattern>,
    paths: Vec<String>,
}

/// Rules of health, as written; `health::Rules` reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRules {
    /// The rules.
    pub rules: Arc<[Value]>,
    /// Where the list is written.
    pub origin: Origin,
}

/// Parts of a deletion budget.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BudgetSpec {
    /// Objects that may always go.
    pub objects: Option<usize>,
    /// Share of objects that may go, in percent.
    pub percent: Option<usize>,
    /// Units that may always go.
    pub units: Option<usize>,
    /// Share of units that may go, in percent.
    pub unit_percent: Option<usize>,
}

/// A service account as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its namespace; `None`: that of the unit.
    pub namespace: Option<String>,
    /// Its name; never empty.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
}

impl std::fmt::Display for Account {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(out, "{namespace}/{}", self.name),
            None => write!(out, "{}", self.name),
        }
    }
}

impl Account {
    /// Reads `namespace/name`, or `name` for the account of that name in each unit's own namespace.
    ///
    /// # Errors
    /// A part is empty: an empty name would mean bowline's own rights, and is never a default.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
            None => (None, text.to_owned()),
        };
        Account { namespace, name, origin: Origin::default() }.checked()
    }

    fn checked(self) -> Result<Self, &'static str> {
        if self.name.is_empty() || self.namespace.as_deref() == Some("") { Err("needs a name") } else { Ok(self) }
    }

    fn is_same(&self, other: &Account) -> bool {
        (&self.namespace, &self.name) == (&other.namespace, &other.name)
    }
}

/// A folder that is a unit of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSpec {
    /// Its name.
    pub name: String,
    /// Names of folder units that come first.
    pub depends_on: Vec<String>,
    /// Where it is written.
    pub origin: Origin,
}

impl Ignore {
    /// The paths, when the rule is for this object.
    pub fn paths(&self, gvk: &Gvk, name: &str) -> &[String] {
        let holds = self.group.as_ref().is_none_or(|group| *group == gvk.group)
            && self.kind.as_ref().is_none_or(|kind| *kind == gvk.kind)
            && self.name.as_ref().is_none_or(|pattern| pattern.matches(name, false));
        if holds { &self.paths } else { &[] }
    }
}

impl BudgetSpec {
    /// The budget, with defaults where nothing is said.
    pub fn resolved(&self) -> Budget {
        let default = Budget::default();
        Budget {
            objects: self.objects.unwrap_or(default.objects),
            percent: self.percent.unwrap_or(default.percent),
            units: self.units.unwrap_or(default.units),
            unit_percent: self.unit_percent.unwrap_or(default.unit_percent),
        }
    }
}

impl Folder {
    /// These settings, and the parent's where these say nothing.
    pub(super) fn within(self, parent: &Folder) -> Folder {
        Folder {
            namespace: self.namespace.or_else(|| parent.namespace.clone()),
            drift: self.drift.or(parent.drift),
            ignore: self.ignore.or_else(|| parent.ignore.clone()),
            prune: self.prune.or(parent.prune),
            adopt: self.adopt.or(parent.adopt),
            budget: BudgetSpec {
                objects: self.budget.objects.or(parent.budget.objects),
                percent: self.budget.percent.or(parent.budget.percent),
                units: self.budget.units.or(parent.budget.units),
                unit_percent: self.budget.unit_percent.or(parent.budget.unit_percent),
            },
            service_account: self.service_account.or_else(|| parent.service_account.clone()),
            timeout_seconds: self.timeout_seconds.or(parent.timeout_seconds),
            wait: self.wait.or(parent.wait),
            atomic: self.atomic.or(parent.atomic),
            health: self.health.into_iter().chain(parent.health.iter().cloned()).collect(),
            unit: self.unit.or_else(|| parent.unit.clone()),
            approve: Vec::new(),
        }
    }

    /// Binds the folder to an account. One that it names itself is overruled, and comes back.
    pub(super) fn act_as(&mut self, account: &Account) -> Option<Account> {
        let own = self.service_account.replace(account.clone());
        own.filter(|own| !own.is_same(account))
    }

    /// Reads a `bowline.yaml`; origins are set where the faults get their places.
    pub(super) fn read(value: &Value, faults: &mut Vec<Fault>) -> Folder {
        let mut folder = Folder::default();
        if value.is_null() {
            return folder;
        }
        let Some(mut fields) = Fields::open(value, &[], faults) else { return folder };
        head(&mut fields);
        folder.namespace = fields.text("namespace").map(str::to_owned);
        if folder.namespace.as_deref().is_some_and(|name| !is_dns_label(name)) {
            fields.fault("namespace", "is not a name of a namespace", "lower-case letters, digits and `-`");
        }
        folder.drift = fields.word("drift", &DRIFT_WORDS);
        folder.prune = fields.word("prune", &PRUNE_WORDS);
        folder.adopt = fields.flag("adopt");
        folder.wait = fields.flag("wait");
        folder.atomic = fields.flag("atomic");
        folder.timeout_seconds = timeout(&mut fields);
        folder.ignore = ignore(&mut fields);
        folder.budget = budget(&mut fields);
        folder.service_account = account(&mut fields);
        let health = fields.list("health");
        folder.health = health
            .map(|rules| HealthRules { rules: rules.clone().into(), origin: Origin::default() })
            .into_iter()
            .collect();
        folder.unit = unit(&mut fields);
        let approve = fields.texts("approve").unwrap_or_default();
        folder.approve = approve.into_iter().map(|hash| (hash.to_owned(), Origin::default())).collect();
        fields.end();
        folder
    }
}

/// `apiVersion` and `kind` may be written, and then must be right.
fn head(fields: &mut Fields<'_, '_>) {
    if fields.text("apiVersion").is_some_and(|version| version != super::API_VERSION) {
        fields.fault("apiVersion", format!("expected {}", super::API_VERSION), "or leave it out");
    }
    if fields.text("kind").is_some_and(|kind| kind != "Settings") {
        fields.fault(
            "kind",
            "expected Settings",
            "a bowline.yaml holds settings only; other kinds go into other files",
        );
    }
}

/// Whether a text can be the name of a namespace or unit.
pub(super) fn is_dns_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| plain(byte) || byte == b'-')
        && text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
}

fn timeout(fields: &mut Fields<'_, '_>) -> Option<u64> {
    let value = fields.take("timeout")?;
    let seconds = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => seconds(text),
        _ => None,
    };
    if seconds.is_none_or(|seconds| seconds == 0) {
        fields.fault("timeout", "expected a time", "such as 90s, 5m, 1h30m");
        return None;
    }
    seconds
}

/// Reads `90s`, `5m`, `1h30m`.
fn seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let factor = match rest.bytes().next() {
            Some(b'h') => 3600,
            Some(b'm') => 60,
            Some(b's') => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = rest.get(1..)?;
    }
    (!text.trim().is_empty()).then_some(total)
}

fn ignore(fields: &mut Fields<'_, '_>) -> Option<Arc<[Ignore]>> {
    let list = fields.list("ignore")?;
    let path = fields.path("ignore");
    let mut rules = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let path = below(&path, Step::Index(index));
        if let Some(text) = value.as_str() {
            let paths = pointer(text, &path_text(&path), &path, fields.faults()).into_iter().collect();
            rules.push(Ignore { group: None, kind: None, name: None, paths });
            continue;
        }
        let Some(mut rule) = Fields::open(value, &path, fields.faults()) else { continue };
        let group = rule.text("group").map(str::to_owned);
        let kind = rule.text("kind").map(str::to_owned);
        let name_path = rule.path("name");
        let name = rule.text("name").and_then(|text| pattern(text, &name_path, rule.faults()));
        let texts = rule.texts("paths").unwrap_or_default();
        if texts.is_empty() {
            rule.fault("paths", "is missing", "such as [/spec/replicas]");
        }
        let paths_path = rule.path("paths");
        let paths = texts
            .iter()
            .filter_map(|text| pointer(text, &path_text(&paths_path), &paths_path, rule.faults()))
            .collect();
        rule.end();
        rules.push(Ignore { group, kind, name, paths });
    }
    Some(rules.into())
}

fn budget(fields: &mut Fields<'_, '_>) -> BudgetSpec {
    let mut budget = BudgetSpec::default();
    let Some(value) = fields.take("budget") else { return budget };
    let path = fields.path("budget");
    let Some(mut parts) = Fields::open(value, &path, fields.faults()) else { return budget };
    budget.objects = parts.number("objects");
    budget.percent = parts.number("percent");
    budget.units = parts.number("units");
    budget.unit_percent = parts.number("unitPercent");
    for (name, share) in [("percent", budget.percent), ("unitPercent", budget.unit_percent)] {
        if share.is_some_and(|share| share > 100) {
            parts.fault(name, "is more than 100", "");
        }
    }
    parts.end();
    budget
}

fn account(fields: &mut Fields<'_, '_>) -> Option<Account> {
    let value = fields.take("serviceAccount")?;
    let path = fields.path("serviceAccount");
    let account = match value {
        Value::String(text) => Account::parse(text),
        Value::Object(_) => {
            let mut parts = Fields::open(value, &path, fields.faults())?;
            let namespace = parts.text("namespace").map(str::to_owned);
            let name = parts.text("name").unwrap_or_default().to_owned();
            parts.end();
            Account { namespace, name, origin: Origin::default() }.checked()
        }
        other => {
            fields.fault("serviceAccount", format!("expected namespace/name, this is {}", what(other)), "");
            return None;
        }
    };
    match account {
        Ok(account) => Some(account),
        Err(wrong) => {
            let hint = "write namespace/name, or name for one in the unit's namespace";
            fields.fault("serviceAccount", wrong, hint);
            None
        }
    }
}

fn unit(fields: &mut Fields<'_, '_>) -> Option<UnitSpec> {
    let value = fields.take("unit")?;
    let path = fields.path("unit");
    let mut parts = Fields::open(value, &path, fields.faults())?;
    let name = parts.text("name").unwrap_or_default().to_owned();
    if !is_dns_label(&name) {
        parts.fault("name", "is missing or no name", "lower-case letters, digits and `-`");
    }
    let depends_on = parts.texts("dependsOn").unwrap_or_default().into_iter().map(str::to_owned).collect();
    parts.end();
    Some(UnitSpec { name, depends_on, origin: Origin::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> (Folder, Vec<String>) {
        let mut faults = Vec::new();
        let folder = Folder::read(value, &mut faults);
        (folder, faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn the_nearest_settings_win_field_by_field() {
        let (parent, _) = read(&json!({"namespace": "a", "timeout": "1h30m", "budget": {"objects": 5, "units": 1}}));
        let (child, _) = read(&json!({"namespace": "b", "budget": {"objects": 7}}));
        let folder = child.within(&parent);
        assert_eq!(folder.namespace.as_deref(), Some("b"));
        assert_eq!(folder.timeout_seconds, Some(5400));
        assert_eq!(folder.budget.resolved(), Budget { objects: 7, units: 1, ..Budget::default() });
    }

    #[test]
    fn fields_left_to_others_may_be_narrowed() {
        let (folder, faults) = read(&json!({"ignore": [
            "/metadata/annotations/a~1b", {"kind": "Deployment", "name": "web-.*", "paths": ["/spec/replicas"]}, ".spec.x",
        ]}));
        assert_eq!(faults, ["ignore[2]: `.spec.x` is no path to a field"]);
        let rules = folder.ignore.unwrap();
        assert_eq!(rules[1].paths(&Gvk::new("apps/v1", "Deployment"), "web-a"), ["/spec/replicas"]);
        assert_eq!(rules[1].paths(&Gvk::new("apps/v1", "Deployment"), "db"), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (_, faults) = read(&json!({
            "namespace": "Dev", "drift": "reprot", "timeout": "soon", "budget": {"percent": 200}, "serviceAccount": "a/",
            "unit": {"dependsOn": ["a"]}, "namespaces": [], "kind": "TemplateList",
        }));
        assert_eq!(
            faults,
            [
                "kind: expected Settings",
                "namespace: is not a name of a namespace",
                "drift: `reprot` is none of correct, report, ignore",
                "timeout: expected a time",
                "budget.percent: is more than 100",
                "serviceAccount: needs a name",
                "unit.name: is missing or no name",
                "namespaces: unknown field",
            ]
        );
    }
}
