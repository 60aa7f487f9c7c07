#!/usr/bin/env bash
# Writes the .golden files of this folder: what Go's own text/template makes of the cases. Needs Go 1.26.
set -euo pipefail
cd "$(dirname "$0")/oracle"
go run . ../cases
