#!/usr/bin/env bash
# Packs every chart of a folder with Helm and with bowline at one fixed time and compares what is in the archives, byte
# for byte. Then Helm shows what bowline packed.
#
#   tests/helm/compare-package.sh [FOLDER]       FOLDER: ../shared/charts/charts unless given
#
# Helm writes charts that lie below in an order that changes from run to run; only for those entries are compared.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../../shared/charts/charts}
helm=${BOWLINE_TOOLS_DIR:-$here/../../.tools/bin}/helm
bowline=${CARGO_TARGET_DIR:-$here/../../target}/debug/bowline
if [ ! -d "$folder" ]; then echo "SKIPPED: $folder is absent"; exit; fi
export SOURCE_DATE_EPOCH=1700000000
work=$(mktemp -d)
n=0 same=0 wrong=0
# entries ARCHIVE: name and hash of each file.
entries() { mkdir "$1.d"; tar -C "$1.d" -xzf "$1"; (cd "$1.d" && find . -type f -exec sha256sum {} + | sort -k2); rm -r "$1.d"; }
while read -r chart; do
  n=$((n + 1))
  rm -rf "${work:?}"/*
  mkdir "$work/in" "$work/helm" "$work/bowline"
  if [ -d "$chart" ]; then cp -r "$chart" "$work/in/"; else tar -C "$work/in" -xzf "$chart"; fi
  name=$(ls "$work/in")
  status=0 ours=0
  "$helm" package "$work/in/$name" -d "$work/helm" >/dev/null 2>&1 || status=$?
  "$bowline" package "$work/in/$name" -d "$work/bowline" >/dev/null 2>&1 || ours=$?
  if [ "$status" != "$ours" ]; then wrong=$((wrong + 1)); echo "DIFFERENT: $chart: exit $status, ours $ours"; continue; fi
  [ "$status" = 0 ] || continue
  theirs=$(ls "$work"/helm/*.tgz) packed=$work/bowline/$(basename "$(ls "$work"/helm/*.tgz)")
  if cmp -s <(gunzip -c "$theirs") <(gunzip -c "$packed"); then
    same=$((same + 1))
  elif ! cmp -s <(entries "$theirs") <(entries "$packed"); then
    wrong=$((wrong + 1)); echo "DIFFERENT: $chart"
  fi
  "$helm" show chart "$packed" >/dev/null || { wrong=$((wrong + 1)); echo "Helm cannot read $packed"; }
done < <(find "$folder" -name '*.tgz' | sort; find "$folder" -name Chart.yaml -not -path '*/charts/*/charts/*' -exec dirname {} \; | sort)
rm -r "$work"
echo "package: $n charts, $same with the same bytes before compression, $wrong wrong"
[ "$wrong" = 0 ]
