#!/usr/bin/env bash
# Runs the real Helm (4.3.1) on every case here and keeps what it says: standard output as CASE.out, and where it fails
# its standard error from the first `Error:` on as CASE.err. Needs tests/tools/build.sh helm; `make test` does not.
#
#   tests/helm/baseline.sh            all cases
#   tests/helm/baseline.sh lint/name  those whose path contains a word
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
helm=${BOWLINE_TOOLS_DIR:-$here/../../.tools/bin}/helm
for input in "$here"/*/*.txt; do
  [[ $input == *"${1:-}"* ]] || continue
  folder=$(mktemp -d)
  base=${input%.txt}
  head=$(sed '/^-- .* --$/,$d' "$input")
  (cd "$folder" && awk -f "$here/unpack.awk" "$input")
  archives() { (cd "$folder" && find . -name '*.tgz' | sort); }
  # pack: ARCHIVE FOLDER makes a chart archive of a folder.
  while read -r archive packed; do
    mkdir -p "$folder/$(dirname "$archive")"
    tar --sort=name -C "$folder/$(dirname "$packed")" -czf "$folder/$archive" "$(basename "$packed")"
    rm -r "${folder:?}/$packed"
  done < <(sed -n 's/^pack: //p' <<<"$head")
  run=$(sed -n 's/^run: //p' <<<"$head")
  settings=$(sed -n 's/^env: //p' <<<"$head")
  status=0
  before=$(archives)
  (cd "$folder" && unset HELM_NAMESPACE && HOME=$folder eval "$settings '$helm' $run") >"$folder.out" 2>"$folder.err" || status=$?
  # Helm names its own temporary folder where it is asked about an archive.
  clean() { sed -E "s#/tmp/helm-lint[0-9]+/[^ :]*#\$PWD/ARCHIVE#g; s#$folder#\$PWD#g" "$1"; }
  clean "$folder.out" >"$base.out"
  # Of an archive that was made: its name, and the hash of what is in it, uncompressed.
  comm -13 <(echo "$before") <(archives) | sed '/^$/d' | while read -r archive; do
    echo "$archive $(gunzip -c "$folder/$archive" | sha256sum | cut -d' ' -f1)"
  done >>"$base.out"
  rm -f "$base.err"
  if [ "$status" -ne 0 ]; then clean "$folder.err" | sed -n '/^Error:/,$p' >"$base.err"; fi
  rm -r "$folder" "$folder.out" "$folder.err"
done
