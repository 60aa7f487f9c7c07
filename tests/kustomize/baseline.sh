#!/usr/bin/env bash
# Writes goldens.json from inputs.json with the kustomize program (5.8.1): its path is the argument, or .tools/bin/kustomize.
# Needs Go; `make test` does not: it reads what this wrote.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-$here/../../.tools/bin/kustomize}")
cd "$here/baseline"
go run -mod=mod . "$here" "$program"
