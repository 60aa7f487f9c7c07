// Writes what Go makes of templates: reads one template a line, prints one JSON object a line with its output or error.
//
// The functions are those of Helm's own funcs.go, which baseline.sh puts beside this file; `fail`, `required` and
// `getHostByName` are as Helm's engine sets them. The clock zone is UTC.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"
)

type result struct {
	Template string  `json:"template"`
	Output   *string `json:"output,omitempty"`
	Error    *string `json:"error,omitempty"`
}

func render(text string, dot any) (string, error) {
	functions := funcMap()
	functions["fail"] = func(words string) (string, error) {
		return "", errors.New("HELM_ERR_START" + words + "HELM_ERR_END")
	}
	functions["required"] = func(words string, value any) (any, error) {
		if text, isText := value.(string); value == nil || isText && text == "" {
			return value, errors.New("HELM_ERR_START" + words + "HELM_ERR_END")
		}
		return value, nil
	}
	functions["getHostByName"] = func(string) string { return "" }
	parsed, err := template.New("case").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = parsed.Execute(&out, dot)
	return out.String(), err
}

func main() {
	if os.Args[1] == "names" {
		names := []string{"and", "call", "html", "index", "slice", "js", "len", "not", "or", "print", "printf", "println",
			"urlquery", "eq", "ge", "gt", "le", "lt", "ne"}
		for name := range funcMap() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		fmt.Println(strings.Join(names, "\n"))
		return
	}
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		// Each case starts from fresh data: some functions write into it.
		var dot map[string]any
		if err := json.Unmarshal(data, &dot); err != nil {
			panic(err)
		}
		answer := result{Template: line}
		if output, err := render(line, dot); err != nil {
			text := err.Error()
			answer.Error = &text
		} else {
			answer.Output = &output
		}
		if err := encoder.Encode(answer); err != nil {
			panic(fmt.Sprintf("%s: %v", line, err))
		}
	}
}
