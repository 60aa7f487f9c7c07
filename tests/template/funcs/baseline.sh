#!/usr/bin/env bash
# Writes <family>.golden for each <family>.txt here: what Helm's own function table makes of each template.
# Needs Go and the Go module proxy (or a filled module cache). Run it from anywhere: tests/template/funcs/baseline.sh
set -euo pipefail
cd "$(dirname "$0")"
helm=v4.3.1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp oracle/main.go "$work/"
(
  cd "$work"
  printf 'module oracle\n\ngo 1.26.0\n' > go.mod
  go get "helm.sh/helm/v4@$helm"
  # Helm keeps its function table private, so its source file is built into the oracle as it is.
  sed 's/^package engine/package main/' "$(go list -m -f '{{.Dir}}' helm.sh/helm/v4)/pkg/engine/funcs.go" > funcs.go
  # go.mod still requires Helm, which pins every library of the functions to the version that Helm is built with.
  go build -mod=mod -o oracle .
)
{
  echo "# helm $helm function table under $(go env GOVERSION), by baseline.sh"
  "$work/oracle" names
} > names.golden
for cases in *.txt; do
  family=${cases%.txt}
  {
    echo "# helm $helm function table under $(go env GOVERSION), by baseline.sh"
    TZ=UTC "$work/oracle" data.json < "$cases"
  } > "$family.golden"
  echo "$family: $(grep -vc '^# ' "$family.golden") cases"
done
