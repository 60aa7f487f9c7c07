// Writes what Helm's value options make of the inputs beside this folder.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"helm.sh/helm/v4/pkg/strvals"
)

type entry struct {
	Flag   string          `json:"flag"`
	Line   string          `json:"line"`
	Values json.RawMessage `json:"values,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func apply(one entry, values map[string]any) error {
	switch one.Flag {
	case "--set":
		return strvals.ParseInto(one.Line, values)
	case "--set-string":
		return strvals.ParseIntoString(one.Line, values)
	case "--set-json":
		return strvals.ParseJSON(one.Line, values)
	case "--set-literal":
		return strvals.ParseLiteralInto(one.Line, values)
	default:
		return strvals.ParseIntoFile(one.Line, values, func(name []rune) (any, error) {
			if string(name) == "missing" {
				return nil, fmt.Errorf("no such file")
			}
			return "<" + string(name) + ">", nil
		})
	}
}

func main() {
	dir := os.Args[1]
	data, err := os.ReadFile(filepath.Join(dir, "inputs.json"))
	must(err)
	var cases []entry
	must(json.Unmarshal(data, &cases))
	var out bytes.Buffer
	out.WriteString("[\n")
	for i, one := range cases {
		values := map[string]any{}
		if one.Values != nil {
			must(json.Unmarshal(one.Values, &values))
		}
		if err := apply(one, values); err != nil {
			one.Error = err.Error()
		} else {
			one.Result, err = json.Marshal(values)
			must(err)
		}
		if i > 0 {
			out.WriteString(",\n")
		}
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		must(encoder.Encode(one))
		out.Truncate(out.Len() - 1)
	}
	out.WriteString("\n]\n")
	must(os.WriteFile(filepath.Join(dir, "goldens.json"), out.Bytes(), 0o644))
}
