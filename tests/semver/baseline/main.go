// Writes what Masterminds semver makes of the inputs beside this folder.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/Masterminds/semver/v3"
)

type inputs struct {
	Versions    []string `json:"versions"`
	Constraints []string `json:"constraints"`
	Against     []string `json:"against"`
}

type version struct {
	Text   string `json:"text"`
	Loose  string `json:"loose,omitempty"`
	Error  string `json:"error,omitempty"`
	Strict string `json:"strict,omitempty"`
}

type check struct {
	Version string   `json:"version"`
	Holds   bool     `json:"holds"`
	Reasons []string `json:"reasons,omitempty"`
}

type constraint struct {
	Text   string  `json:"text"`
	Error  string  `json:"error,omitempty"`
	Checks []check `json:"checks,omitempty"`
}

type goldens struct {
	Versions    []version    `json:"versions"`
	Order       [][]int      `json:"order"`
	Constraints []constraint `json:"constraints"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	dir := os.Args[1]
	data, err := os.ReadFile(filepath.Join(dir, "inputs.json"))
	must(err)
	var in inputs
	must(json.Unmarshal(data, &in))
	var out goldens
	var good []*semver.Version
	for _, text := range in.Versions {
		one := version{Text: text}
		if v, err := semver.NewVersion(text); err != nil {
			one.Error = err.Error()
		} else {
			one.Loose = fmt.Sprintf("%d|%d|%d|%s|%s", v.Major(), v.Minor(), v.Patch(), v.Prerelease(), v.Metadata())
			good = append(good, v)
		}
		if _, err := semver.StrictNewVersion(text); err != nil {
			one.Strict = err.Error()
		}
		out.Versions = append(out.Versions, one)
	}
	for _, a := range good {
		row := []int{}
		for _, b := range good {
			row = append(row, a.Compare(b))
		}
		out.Order = append(out.Order, row)
	}
	for _, text := range in.Constraints {
		one := constraint{Text: text}
		c, err := semver.NewConstraint(text)
		if err != nil {
			one.Error = err.Error()
		} else {
			for _, against := range in.Against {
				v := semver.MustParse(against)
				_, reasons := c.Validate(v)
				result := check{Version: against, Holds: c.Check(v)}
				for _, reason := range reasons {
					result.Reasons = append(result.Reasons, reason.Error())
				}
				one.Checks = append(one.Checks, result)
			}
		}
		out.Constraints = append(out.Constraints, one)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	must(encoder.Encode(out))
	must(os.WriteFile(filepath.Join(dir, "goldens.json"), text.Bytes(), 0o644))
}
