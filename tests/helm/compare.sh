#!/usr/bin/env bash
# Runs Helm and bowline side by side on every chart of a folder and names those for which they say different things.
#
#   tests/helm/compare.sh "lint" [FOLDER]        FOLDER: ../shared/charts/charts unless given
#   tests/helm/compare.sh "show all" [FOLDER]
#
# Needs tests/tools/build.sh helm and cargo build. Where Helm stops at a first error that bowline goes beyond, and where
# Helm's order changes from run to run, a difference is right.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
verb=$1
folder=${2:-$here/../../../shared/charts/charts}
helm=${BOWLINE_TOOLS_DIR:-$here/../../.tools/bin}/helm
bowline=${CARGO_TARGET_DIR:-$here/../../target}/debug/bowline
if [ ! -d "$folder" ]; then echo "SKIPPED: $folder is absent"; exit; fi
folder=$(realpath "$folder")
out=$(mktemp -d)
n=0 different=0
while read -r chart; do
  n=$((n + 1)) status=0 ours=0
  # shellcheck disable=SC2086 # the verb may be two words
  "$helm" $verb "$chart" >"$out/helm" 2>/dev/null || status=$?
  # shellcheck disable=SC2086
  "$bowline" $verb "$chart" >"$out/bowline" 2>/dev/null || ours=$?
  sed -E -i "s#/tmp/helm-lint[0-9]+/[^ :]*#$chart#g" "$out/helm"
  if [ "$status" != "$ours" ] || ! cmp -s "$out/helm" "$out/bowline"; then
    different=$((different + 1))
    echo "DIFFERENT: $chart (exit $status, ours $ours)"
    diff "$out/helm" "$out/bowline" | head -6 || true
  fi
done < <(find "$folder" -name '*.tgz' | sort; find "$folder" -name Chart.yaml -not -path '*/charts/*/charts/*' -exec dirname {} \; | sort)
rm -r "$out"
echo "$verb: $n charts, $different different"
[ "$different" = 0 ]
