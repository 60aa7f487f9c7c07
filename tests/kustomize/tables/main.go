// Writes the tables that src/kustomize reads: how lists of built-in kinds are merged (from the API description of
// Kubernetes) and which fields hold names, labels, annotations and images (from kustomize's defaults).
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

type schema struct {
	Ref                  string            `json:"$ref"`
	Type                 string            `json:"type"`
	Items                *schema           `json:"items"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Properties           map[string]schema `json:"properties"`
	Kinds                []kind            `json:"x-kubernetes-group-version-kind"`
	Key                  string            `json:"x-kubernetes-patch-merge-key"`
	Strategy             string            `json:"x-kubernetes-patch-strategy"`
	Keys                 []string          `json:"x-kubernetes-list-map-keys"`
}

type kind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

type field struct {
	Type     string   `json:"type,omitempty"`
	Strategy string   `json:"strategy,omitempty"`
	Key      string   `json:"key,omitempty"`
	Keys     []string `json:"keys,omitempty"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func short(name string) string {
	name = name[strings.LastIndex(name, "/")+1:]
	for _, prefix := range []string{"io.k8s.api.", "io.k8s.apimachinery.pkg.apis.", "io.k8s.apimachinery.pkg.", "io.k8s."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	return name
}

func target(one schema) string {
	if one.Ref != "" {
		return short(one.Ref)
	}
	if one.Items != nil {
		return target(*one.Items)
	}
	return ""
}

func (one kind) name() string {
	if one.Group == "" {
		return one.Version + " " + one.Kind
	}
	return one.Group + "/" + one.Version + " " + one.Kind
}

// save writes one line per entry of the second level, so that changes can be reviewed.
func save(path string, sections map[string]any) {
	var out bytes.Buffer
	out.WriteString("{\n")
	names := []string{}
	for name := range sections {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		fmt.Fprintf(&out, "%q: ", name)
		data, err := json.Marshal(sections[name])
		must(err)
		open, shut := "{", "}"
		entries := []string{}
		if data[0] == '[' {
			open, shut = "[", "]"
			var list []json.RawMessage
			must(json.Unmarshal(data, &list))
			for _, entry := range list {
				entries = append(entries, string(entry))
			}
		} else {
			var dict map[string]json.RawMessage
			must(json.Unmarshal(data, &dict))
			for key, entry := range dict {
				entries = append(entries, fmt.Sprintf("%q: %s", key, entry))
			}
			sort.Strings(entries)
		}
		out.WriteString(open + "\n " + strings.Join(entries, ",\n ") + "\n" + shut)
		if i+1 < len(names) {
			out.WriteString(",")
		}
		out.WriteString("\n")
	}
	out.WriteString("}\n")
	must(os.WriteFile(path, out.Bytes(), 0o644))
}

func lists(kubernetes, out string) {
	data, err := os.ReadFile(filepath.Join(kubernetes, "api/openapi-spec/swagger.json"))
	must(err)
	var spec struct {
		Definitions map[string]schema `json:"definitions"`
		Paths       map[string]map[string]json.RawMessage
	}
	must(json.Unmarshal(data, &spec))
	types := map[string]map[string]field{}
	for name, definition := range spec.Definitions {
		fields := map[string]field{}
		for property, one := range definition.Properties {
			fields[property] = field{Type: target(one), Strategy: one.Strategy, Key: one.Key, Keys: one.Keys}
			if one.Strategy == "" {
				fields[property] = field{Type: target(one)}
			}
		}
		types[short(name)] = fields
	}
	// Only what a merge has to know stays: fields with a strategy, and the way to them.
	wanted := map[string]bool{}
	for again := true; again; {
		again = false
		for name, fields := range types {
			for _, one := range fields {
				if !wanted[name] && (one.Strategy != "" || wanted[one.Type]) {
					wanted[name], again = true, true
				}
			}
		}
	}
	for name, fields := range types {
		if !wanted[name] {
			delete(types, name)
			continue
		}
		for property, one := range fields {
			if !wanted[one.Type] {
				one.Type = ""
			}
			fields[property] = one
			if one.Type == "" && one.Strategy == "" {
				delete(fields, property)
			}
		}
	}
	kinds := map[string]string{}
	for name, definition := range spec.Definitions {
		for _, one := range definition.Kinds {
			if wanted[short(name)] && !strings.HasSuffix(name, "DeleteOptions") && !strings.HasSuffix(name, "WatchEvent") {
				kinds[one.name()] = short(name)
			}
		}
	}
	namespaced, all := map[string]bool{}, map[string]bool{}
	for path, methods := range spec.Paths {
		for method, raw := range methods {
			var operation struct {
				Kind *kind `json:"x-kubernetes-group-version-kind"`
			}
			if method == "parameters" || json.Unmarshal(raw, &operation) != nil || operation.Kind == nil {
				continue
			}
			if !strings.HasSuffix(path, "/{name}") || method != "get" {
				continue
			}
			all[operation.Kind.name()] = true
			if strings.Contains(path, "/namespaces/{namespace}/") {
				namespaced[operation.Kind.name()] = true
			}
		}
	}
	cluster := []string{}
	for name := range all {
		if !namespaced[name] {
			cluster = append(cluster, name)
		}
	}
	sort.Strings(cluster)
	save(out, map[string]any{"types": types, "kinds": kinds, "cluster": cluster})
}

func fields(kustomize, out string) {
	sections := map[string]any{}
	files, err := filepath.Glob(filepath.Join(kustomize, "internal/konfig/builtinpluginconsts/*.go"))
	must(err)
	metadata := ""
	texts := []string{}
	quoted := regexp.MustCompile("(?s)`([^`]*)`")
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(err)
		for _, match := range quoted.FindAllStringSubmatch(string(data), -1) {
			if strings.HasSuffix(file, "metadatalabels.go") {
				metadata = match[1]
			} else {
				texts = append(texts, match[1])
			}
		}
	}
	for _, text := range texts {
		if name := strings.TrimSpace(text); strings.HasPrefix(name, "commonLabels:") || name == "templateLabels:" {
			text += metadata // both end with the labels of metadata
		}
		parsed := map[string]any{}
		if yaml.Unmarshal([]byte(text), &parsed) == nil {
			for name, list := range parsed {
				sections[name] = list
			}
			continue
		}
		fmt.Fprintln(os.Stderr, "not a table:", strings.SplitN(strings.TrimSpace(text), "\n", 2)[0])
	}
	for _, unused := range []string{"varReference", "replicas", "namePrefix", "nameSuffix"} {
		delete(sections, unused)
	}
	save(out, sections)
}

func main() {
	lists(os.Args[1], filepath.Join(os.Args[3], "lists.json"))
	fields(os.Args[2], filepath.Join(os.Args[3], "fields.json"))
}
