#!/usr/bin/env bash
# Builds the real parts that tests and the demo run: a control plane, Helm, a registry. Each tool once.
#
#   tests/tools/build.sh                      everything that `make test` needs (the set `test`)
#   tests/tools/build.sh control-plane helm   sets and single tools by name
#   tests/tools/build.sh --list               what there is
#
# A tool is built from its own go.mod here, into $BOWLINE_TOOLS_DIR (default: .tools/bin of the repository), and built
# again only when that go.mod, its go.sum or its flags change. Binaries found in $KUBEBUILDER_ASSETS are not built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${BOWLINE_TOOLS_DIR:-$root/.tools/bin}

kubernetes_version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' "$here/kubernetes/go.mod")
kubernetes_minor=${kubernetes_version#v1.}
kubernetes_flags="-X k8s.io/component-base/version.gitVersion=$kubernetes_version"
kubernetes_flags+=" -X k8s.io/component-base/version.gitMajor=1"
kubernetes_flags+=" -X k8s.io/component-base/version.gitMinor=${kubernetes_minor%%.*}"

# name | folder of its go.mod | package | linker flags beside -s -w
table="
etcd                    | etcd       | go.etcd.io/etcd/server/v3                         |
kube-apiserver          | kubernetes | k8s.io/kubernetes/cmd/kube-apiserver              | $kubernetes_flags
kube-controller-manager | kubernetes | k8s.io/kubernetes/cmd/kube-controller-manager     | $kubernetes_flags
kube-scheduler          | kubernetes | k8s.io/kubernetes/cmd/kube-scheduler              | $kubernetes_flags
kubectl                 | kubernetes | k8s.io/kubernetes/cmd/kubectl                     | $kubernetes_flags
kwok                    | kwok       | sigs.k8s.io/kwok/cmd/kwok                         |
registry                | registry   | github.com/distribution/distribution/v3/cmd/registry |
helm                    | helm4      | helm.sh/helm/v4/cmd/helm                          |
helm3                   | helm3      | helm.sh/helm/v3/cmd/helm                          |
kustomize               | kustomize  | sigs.k8s.io/kustomize/kustomize/v5                |
"

control_plane="etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok"

# expand WORD: the tools of a set, or the word itself.
expand() {
  case $1 in
    control-plane) echo "$control_plane" ;;                      # make demo
    test)          echo "$control_plane registry helm" ;;        # make test
    golden)        echo "helm kustomize kubectl" ;;              # the scripts that write expected output from the real tool
    all)           echo "$control_plane registry helm helm3 kustomize" ;;
    *)             echo "$1" ;;
  esac
}

# row NAME: sets `folder`, `package` and `flags` from the table.
row() {
  local name
  while IFS='|' read -r name folder package flags; do
    if [ "$(trim "$name")" = "$1" ]; then
      folder=$(trim "$folder") package=$(trim "$package") flags=$(trim "$flags")
      return
    fi
  done <<<"$table"
  echo "error: no tool or set is called '$1'" >&2
  echo "hint: $0 --list" >&2
  exit 1
}

trim() { local text=$1; text=${text#"${text%%[![:space:]]*}"}; printf %s "${text%"${text##*[![:space:]]}"}"; }

checksum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }

# What the binary was built from; a different text means: build again.
stamp_of() { { cat "$here/$folder/go.mod" "$here/$folder/go.sum"; echo "$package $flags"; } | checksum; }

provided() { [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$1" ]; }

present() { [ -x "$bin/$1" ] && [ "$(cat "$bin/.stamps/$1" 2>/dev/null)" = "$(stamp_of)" ]; }

# build NAME LABEL: compiles one tool; on a terminal the seconds count up while it runs.
build() {
  local name=$1 label=$2 start=$SECONDS ticker=
  if [ -t 2 ]; then
    (while sleep 1; do printf '\r%s building %s: %d s ' "$label" "$name" $((SECONDS - start)) >&2; done) & ticker=$!
  else
    echo "$label building $name" >&2
  fi
  local log status=0
  log=$(mktemp)
  (cd "$here/$folder" && GOWORK=off GOFLAGS=-mod=readonly \
    go build -trimpath -ldflags "-s -w $flags" -o "$bin/$name.new" "$package") >"$log" 2>&1 || status=$?
  if [ -n "$ticker" ]; then kill "$ticker" 2>/dev/null || true; wait "$ticker" 2>/dev/null || true; printf '\r' >&2; fi
  if [ "$status" -ne 0 ]; then
    tail -n 30 "$log" >&2
    rm -f "$log" "$bin/$name.new"
    echo "error: $name could not be built (go build ended with $status)" >&2
    echo "hint: it needs Go $(awk '$1 == "go" { print $2 }' "$here/$folder/go.mod") or newer and a Go module proxy" >&2
    exit 1
  fi
  rm -f "$log"
  mv "$bin/$name.new" "$bin/$name"
  stamp_of >"$bin/.stamps/$name"
  echo "$label built $name in $((SECONDS - start)) s" >&2
}

if [ "${1:-}" = --list ]; then
  for set in control-plane test golden all; do echo "$set: $(expand "$set")"; done
  exit
fi

wanted=()
for word in "${@:-test}"; do
  for name in $(expand "$word"); do row "$name"; wanted+=("$name"); done
done

mkdir -p "$bin/.stamps"
if command -v flock >/dev/null; then
  exec 9>"$bin/.lock"
  flock -n 9 || { echo "waiting for another build of the tools" >&2; flock 9; }
fi

missing=()
for name in "${wanted[@]}"; do
  row "$name"
  provided "$name" || present "$name" || missing+=("$name")
done

if [ "${#missing[@]}" -gt 0 ] && ! command -v go >/dev/null; then
  echo "error: Go is needed to build ${missing[*]}, and there is no 'go' on the PATH" >&2
  echo "hint: install Go, or set KUBEBUILDER_ASSETS to a folder that holds etcd, kube-apiserver and kubectl" >&2
  exit 1
fi
index=0
for name in "${missing[@]+"${missing[@]}"}"; do
  index=$((index + 1))
  row "$name"
  build "$name" "[$index/${#missing[@]}]"
done
echo "tools: ${#wanted[@]} wanted, ${#missing[@]} built, in $bin" >&2
