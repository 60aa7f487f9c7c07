// Writes what sigs.k8s.io/yaml makes of the inputs beside this folder.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"sigs.k8s.io/yaml"
)

type readCase struct {
	Name   string          `json:"name"`
	Text   string          `json:"text"`
	Value  json.RawMessage `json:"value,omitempty"`
	Error  string          `json:"error,omitempty"`
	Strict string          `json:"strict,omitempty"`
}

type writeCase struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
	Text  string          `json:"text,omitempty"`
	Error string          `json:"error,omitempty"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func load(path string, cases any) {
	data, err := os.ReadFile(path)
	must(err)
	must(json.Unmarshal(data, cases))
}

func line(out *bytes.Buffer, value any) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(value))
	out.Truncate(out.Len() - 1)
}

func save[T any](path string, cases []T) {
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, one := range cases {
		if i > 0 {
			out.WriteString(",\n")
		}
		line(&out, one)
	}
	out.WriteString("\n]\n")
	must(os.WriteFile(path, out.Bytes(), 0o644))
}

// natural gives numbers the type a Go program would hold: int64, uint64 or float64.
func natural(value any) any {
	switch value := value.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(value.String(), 10, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(value.String(), 10, 64); err == nil {
			return u
		}
		f, err := value.Float64()
		must(err)
		return f
	case map[string]any:
		for key, inner := range value {
			value[key] = natural(inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = natural(inner)
		}
	}
	return value
}

func main() {
	dir := os.Args[1]
	var reads []readCase
	load(filepath.Join(dir, "read-inputs.json"), &reads)
	for i := range reads {
		value, err := yaml.YAMLToJSON([]byte(reads[i].Text))
		if err != nil {
			reads[i].Error = err.Error()
		} else {
			reads[i].Value = value
		}
		if _, strict := yaml.YAMLToJSONStrict([]byte(reads[i].Text)); strict != nil && err == nil {
			reads[i].Strict = strict.Error()
		}
	}
	save(filepath.Join(dir, "read.json"), reads)

	var writes []writeCase
	load(filepath.Join(dir, "write-inputs.json"), &writes)
	for i := range writes {
		decoder := json.NewDecoder(bytes.NewReader(writes[i].Value))
		decoder.UseNumber()
		var value any
		must(decoder.Decode(&value))
		text, err := yaml.Marshal(natural(value))
		if err != nil {
			writes[i].Error = err.Error()
		} else {
			writes[i].Text = string(text)
		}
	}
	save(filepath.Join(dir, "write.json"), writes)
}
