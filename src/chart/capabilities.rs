//! `.Capabilities`: what a cluster can do, or what Helm 4.3 assumes when it asks none.

/// What templates see of the cluster's abilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Version of Kubernetes.
    pub kube_version: KubeVersion,
    /// Every `group/version` and, from a real cluster, `group/version/Kind`.
    pub api_versions: Vec<String>,
    /// Version of Helm that templates are told.
    pub helm_version: String,
}

/// A version of Kubernetes as `--kube-version` or a cluster gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// As given, with a leading `v`: `v1.33.4-gke.1245000`.
    pub version: String,
    /// Without suffixes, for constraints: `v1.33.4`.
    pub normalized: String,
    /// Major version.
    pub major: String,
    /// Minor version.
    pub minor: String,
}

/// Why a text is no version of Kubernetes; prints as Helm prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid kube version '{text}': {reason}")]
pub struct BadKubeVersion {
    text: String,
    reason: String,
}

impl KubeVersion {
    /// Reads a version with at least two numbers; everything after the numbers is kept but not compared.
    ///
    /// # Errors
    /// There are no two numbers at its beginning, or one of them is no number Go would take.
    pub fn parse(text: &str) -> Result<Self, BadKubeVersion> {
        let bad = |reason: String| BadKubeVersion { text: text.to_owned(), reason };
        let bare = text.trim_start();
        let bare = bare.strip_prefix('v').unwrap_or(bare);
        let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
        let parts: Vec<&str> = bare[..end].split('.').take_while(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(bad(format!("could not parse {text:?} as version")));
        }
        if parts.len() < 2 {
            return Err(bad(format!("illegal version string {text:?}")));
        }
        if parts[0].len() > 1 && parts[0].starts_with('0') {
            return Err(bad(format!("illegal zero-prefixed version component {:?} in {text:?}", parts[0])));
        }
        let mut components = Vec::new();
        for part in &parts {
            components.push(part.parse::<u64>().map_err(|_| {
                let reason = format!("strconv.ParseUint: parsing {part:?}: value out of range");
                bad(format!("illegal non-numeric version component {part:?} in {text:?}: {reason}"))
            })?);
        }
        let joined: Vec<String> = components.iter().map(u64::to_string).collect();
        let version = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        Ok(KubeVersion {
            version,
            normalized: format!("v{}", joined.join(".")),
            major: joined[0].clone(),
            minor: joined[1].clone(),
        })
    }
}

impl Default for Capabilities {
    /// What Helm 4.3 assumes without a cluster: Kubernetes 1.37 and the API versions its client library knows.
    fn default() -> Self {
        Capabilities {
            kube_version: KubeVersion {
                version: "v1.37.0".to_owned(),
                normalized: "v1.37.0".to_owned(),
                major: "1".to_owned(),
                minor: "37".to_owned(),
            },
            api_versions: API_VERSIONS.iter().map(|&version| version.to_owned()).collect(),
            helm_version: "v4.3".to_owned(),
        }
    }
}

/// In Helm's order.
#[rustfmt::skip]
const API_VERSIONS: &[&str] = &[
    "v1", "admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1", "internal.apiserver.k8s.io/v1alpha1", "apps/v1", "apps/v1beta1",
    "apps/v1beta2", "authentication.k8s.io/v1", "authentication.k8s.io/v1alpha1", "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1", "authorization.k8s.io/v1beta1", "autoscaling/v1", "autoscaling/v2", "batch/v1",
    "batch/v1beta1", "certificates.k8s.io/v1", "certificates.k8s.io/v1beta1", "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2", "coordination.k8s.io/v1beta1", "coordination.k8s.io/v1", "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1", "events.k8s.io/v1", "events.k8s.io/v1beta1", "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1", "flowcontrol.apiserver.k8s.io/v1beta1", "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3", "lifecycle.k8s.io/v1alpha1", "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1", "node.k8s.io/v1", "node.k8s.io/v1alpha1", "node.k8s.io/v1beta1", "policy/v1",
    "policy/v1beta1", "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1", "resource.k8s.io/v1", "resource.k8s.io/v1beta2", "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3", "scheduling.k8s.io/v1alpha3", "scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1", "storage.k8s.io/v1", "storage.k8s.io/v1alpha1", "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1", "apiextensions.k8s.io/v1beta1", "apiextensions.k8s.io/v1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_kubernetes_reads_them() {
        let cases = [
            ("1.30", Some(("v1.30", "v1.30", "1", "30"))),
            ("v1.29.3-eks-12345", Some(("v1.29.3-eks-12345", "v1.29.3", "1", "29"))),
            ("1.20.0+k3s1", Some(("v1.20.0+k3s1", "v1.20.0", "1", "20"))),
            ("nope", None),
            ("1", None),
            ("v1.", None),
            ("01.2", None),
        ];
        for (text, expected) in cases {
            let version = KubeVersion::parse(text).ok();
            let found = version.as_ref().map(|v| (&*v.version, &*v.normalized, &*v.major, &*v.minor));
            assert_eq!(found, expected, "{text}");
        }
        let error = KubeVersion::parse("nope").unwrap_err();
        assert_eq!(error.to_string(), "invalid kube version 'nope': could not parse \"nope\" as version");
    }
}
