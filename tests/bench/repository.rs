//! Repositories of a given size: each unit is a ServiceAccount, a Service, a Deployment without replicas, and an Ingress.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// How the units lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each in a namespace of its own.
    Namespaces,
    /// Each a folder unit, in ten namespaces.
    Folders,
}

/// A repository under construction.
pub(crate) struct Repository {
    pub(crate) folder: PathBuf,
    pub(crate) layout: Layout,
}

impl Repository {
    /// An empty repository.
    pub(crate) fn new(folder: &Path, layout: Layout) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let repository = Repository { folder: folder.to_owned(), layout };
        repository.git(&["init", "-q", "-b", "main"])?;
        Ok(repository)
    }

    /// The namespace of a unit.
    pub(crate) fn namespace(&self, unit: usize) -> String {
        match self.layout {
            Layout::Namespaces => format!("bench-{unit:05}"),
            Layout::Folders => format!("folders-{}", unit % 10),
        }
    }

    /// Writes all units and their namespaces, and commits.
    pub(crate) fn fill(&self, units: usize) -> Result<()> {
        let mut namespaces: Vec<String> = (0..units).map(|unit| self.namespace(unit)).collect();
        namespaces.sort();
        namespaces.dedup();
        let manifests: Vec<String> = namespaces
            .iter()
            .map(|name| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"))
            .collect();
        fs::write(self.folder.join("namespaces.yaml"), manifests.join("---\n"))?;
        for unit in 0..units {
            self.write(unit, "nginx:1")?;
        }
        self.commit("all units")
    }

    /// Writes one unit.
    pub(crate) fn write(&self, unit: usize, image: &str) -> Result<()> {
        let folder = self.folder.join(format!("units/{unit:05}"));
        fs::create_dir_all(&folder)?;
        if self.layout == Layout::Folders {
            let settings = format!("apiVersion: bowline.dev/v1\nkind: Settings\nunit: {{name: app-{unit:05}}}\n");
            fs::write(folder.join("bowline.yaml"), settings)?;
        }
        let objects = objects(&format!("app-{unit:05}"), &self.namespace(unit), image);
        Ok(fs::write(folder.join("app.yaml"), objects.join("---\n"))?)
    }

    pub(crate) fn commit(&self, message: &str) -> Result<()> {
        self.git(&["add", "-A"])?;
        self.git(&["commit", "-q", "-m", message])
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new("git")
            .current_dir(&self.folder)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
            .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
            .output()?;
        if !output.status.success() {
            bail!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

/// The four objects of a unit, as YAML.
pub(crate) fn objects(name: &str, namespace: &str, image: &str) -> [String; 4] {
    let metadata = format!("metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}");
    [
        format!("apiVersion: v1\nkind: ServiceAccount\n{metadata}\n"),
        format!(
            "apiVersion: v1\nkind: Service\n{metadata}\nspec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n"
        ),
        format!(
            "apiVersion: apps/v1\nkind: Deployment\n{metadata}\nspec:\n  replicas: 0\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
             template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: main, image: \"{image}\"}}]}}\n"
        ),
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\n{metadata}\nspec: {{rules: [{{host: {name}.example.com, http: {{paths: \
             [{{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
        ),
    ]
}
