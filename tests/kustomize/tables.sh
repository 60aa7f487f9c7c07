#!/usr/bin/env bash
# Writes src/kustomize/lists.json and fields.json from the modules of Kubernetes and kustomize. Needs Go.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
module() { (cd "$(mktemp -d)" && go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'); }
kubernetes=$(module k8s.io/kubernetes@v1.36.3)
kustomize=$(module sigs.k8s.io/kustomize/api@v0.21.1)
cd "$here/tables"
go run -mod=mod . "$kubernetes" "$kustomize" "$here/../../src/kustomize"
