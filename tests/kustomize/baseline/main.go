// Writes what the kustomize program makes of the inputs beside this folder.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

type entry struct {
	Name    string            `json:"name"`
	Words   map[string]any    `json:"words"`
	Objects []any             `json:"objects"`
	Files   map[string]string `json:"files,omitempty"`
	Result  []json.RawMessage `json:"result,omitempty"`
	Error   string            `json:"error,omitempty"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(program string, one entry) ([]byte, string) {
	dir, err := os.MkdirTemp("", "kustomize-")
	must(err)
	defer os.RemoveAll(dir)
	words := map[string]any{"sortOptions": map[string]any{"order": "fifo"}}
	for key, value := range one.Words {
		words[key] = value
	}
	if len(one.Objects) > 0 {
		words["resources"] = []string{"objects.yaml"}
		var text bytes.Buffer
		for _, object := range one.Objects {
			data, err := json.Marshal(object)
			must(err)
			text.WriteString("---\n")
			text.Write(data)
			text.WriteString("\n")
		}
		must(os.WriteFile(filepath.Join(dir, "objects.yaml"), text.Bytes(), 0o644))
	}
	for name, content := range one.Files {
		path := filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		raw := []byte{}
		for _, character := range content {
			raw = append(raw, []byte(string(character))...)
		}
		if rest, ok := strings.CutPrefix(content, "bytes:"); ok {
			raw = nil
			for _, character := range rest {
				raw = append(raw, byte(character))
			}
		}
		must(os.WriteFile(path, raw, 0o644))
	}
	data, err := yaml.Marshal(words)
	must(err)
	must(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), data, 0o644))
	var out, problem bytes.Buffer
	command := exec.Command(program, "build", dir)
	command.Stdout, command.Stderr = &out, &problem
	if err := command.Run(); err != nil {
		text := strings.ReplaceAll(strings.TrimPrefix(problem.String(), "Error: "), dir, "")
		first := strings.SplitN(strings.TrimSpace(text), "\n", 2)[0]
		return nil, regexp.MustCompile("0x[0-9a-f]{6,}").ReplaceAllString(first, "0xPTR")
	}
	return out.Bytes(), ""
}

func main() {
	dir, program := os.Args[1], os.Args[2]
	data, err := os.ReadFile(filepath.Join(dir, "inputs.json"))
	must(err)
	var cases []entry
	must(json.Unmarshal(data, &cases))
	var text bytes.Buffer
	text.WriteString("[\n")
	for i, one := range cases {
		output, problem := build(program, one)
		one.Error = problem
		for _, document := range bytes.Split(output, []byte("\n---\n")) {
			if len(bytes.TrimSpace(document)) == 0 {
				continue
			}
			value, err := yaml.YAMLToJSON(document)
			must(err)
			one.Result = append(one.Result, value)
		}
		if i > 0 {
			text.WriteString(",\n")
		}
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		must(encoder.Encode(one))
		text.Truncate(text.Len() - 1)
	}
	text.WriteString("\n]\n")
	must(os.WriteFile(filepath.Join(dir, "goldens.json"), text.Bytes(), 0o644))
}
