// Writes what Helm's lint knows of deprecated kinds: every kind in the scheme of its client library that says since when
// it is deprecated, when it went away, and what to use instead.
package main

import (
	"fmt"
	"sort"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

type deprecated interface {
	APILifecycleDeprecated() (major, minor int)
}

type removed interface {
	APILifecycleRemoved() (major, minor int)
}

type replaced interface {
	APILifecycleReplacement() schema.GroupVersionKind
}

func version(major, minor int) string {
	if major == 0 && minor == 0 {
		return "-"
	}
	return fmt.Sprintf("%d.%d", major, minor)
}

func main() {
	var lines []string
	for gvk := range scheme.Scheme.AllKnownTypes() {
		object, err := scheme.Scheme.New(gvk)
		if err != nil {
			panic(err)
		}
		lifecycle, ok := object.(deprecated)
		if !ok {
			continue
		}
		since := version(lifecycle.APILifecycleDeprecated())
		if since == "-" {
			continue
		}
		until, instead := "-", "-"
		if lifecycle, ok := object.(removed); ok {
			until = version(lifecycle.APILifecycleRemoved())
		}
		if lifecycle, ok := object.(replaced); ok {
			if gvk := lifecycle.APILifecycleReplacement(); !gvk.Empty() {
				instead = gvk.GroupVersion().String() + " " + gvk.Kind
			}
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s", gvk.GroupVersion(), gvk.Kind, since, until, instead))
	}
	sort.Strings(lines)
	fmt.Println("# Written by tests/helm/deprecations/baseline.sh from the client library of Helm 4.3.1; not to be edited by hand.")
	fmt.Println("# apiVersion, kind, deprecated in, gone in, what to use instead")
	for _, line := range lines {
		fmt.Println(line)
	}
}
