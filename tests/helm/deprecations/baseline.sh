#!/usr/bin/env bash
# Writes src/chart/lint/deprecations.txt from the client library that Helm 4.3.1 is built with. Needs Go.
set -euo pipefail
cd "$(dirname "$0")"
go run -mod=mod . >../../../src/chart/lint/deprecations.txt
