#!/usr/bin/env bash
# Writes read.json and write.json from the inputs beside this script, with the sigs.k8s.io/yaml that Helm 4.3.1 uses.
# Needs Go; `make test` does not: it reads what this wrote.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/baseline"
go run -mod=mod . "$here"
