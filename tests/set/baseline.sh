#!/usr/bin/env bash
# Writes goldens.json from inputs.json, with the parser of Helm 4.3.1.
# Needs Go; `make test` does not: it reads what this wrote.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/baseline"
go run -mod=mod . "$here"
