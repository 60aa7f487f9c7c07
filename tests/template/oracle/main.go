// Writes NAME.golden beside each NAME.txt: what Go's text/template makes of the cases in it.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
)

type object struct {
	Name  string
	Count int
}

func (o object) Greet(who string) string { return o.Name + " greets " + who }
func (o object) Fail() (string, error)   { return "", errors.New("object failed") }
func (o object) String() string          { return "object(" + o.Name + ")" }
func (o object) Sum(numbers ...int) int {
	sum := 0
	for _, number := range numbers {
		sum += number
	}
	return sum
}

type plain struct {
	A int
	B string
	C any
	D []string
}

type names map[string]any

func (n names) First() string { return "first" }

func functions() template.FuncMap {
	return template.FuncMap{
		"dict": func(pairs ...any) (map[string]any, error) {
			if len(pairs)%2 != 0 {
				return nil, errors.New("odd number of arguments")
			}
			made := map[string]any{}
			for i := 0; i < len(pairs); i += 2 {
				made[fmt.Sprint(pairs[i])] = pairs[i+1]
			}
			return made, nil
		},
		"list":  func(items ...any) []any { return append([]any{}, items...) },
		"strs":  func(items ...string) []string { return append([]string{}, items...) },
		"bytes": func(text string) []byte { return []byte(text) },
		"smap": func(pairs ...string) map[string]string {
			made := map[string]string{}
			for i := 0; i+1 < len(pairs); i += 2 {
				made[pairs[i]] = pairs[i+1]
			}
			return made
		},
		"i64":    func(number int64) int64 { return number },
		"u8":     func(number uint8) uint8 { return number },
		"flt":    func(number float64) float64 { return number },
		"yes":    func(truth bool) bool { return truth },
		"sub":    func(a, b int) int { return a - b },
		"fail":   func(text string) (string, error) { return "", errors.New(text) },
		"obj":    func() object { return object{"thing", 7} },
		"plain":  func() plain { return plain{1, "b", nil, []string{"x"}} },
		"named":  func() names { return names{"x": "X"} },
		"dur":    func(n int64) time.Duration { return time.Duration(n) },
		"fmterr": func(text string) error { return errors.New(text) },
		"set": func(target map[string]any, key string, value any) (string, error) {
			if target == nil {
				return "", errors.New("nil map")
			}
			target[key] = value
			return "", nil
		},
	}
}

// Helm's include and tpl, in few words.
func include(set *template.Template, depth map[string]int) func(string, any) (string, error) {
	return func(name string, data any) (string, error) {
		if depth[name] > 1000 {
			return "", fmt.Errorf("rendering template has a nested reference name: %s: %w", name, errors.New("unable to execute template"))
		}
		depth[name]++
		var out strings.Builder
		err := set.ExecuteTemplate(&out, name, data)
		depth[name]--
		return out.String(), err
	}
}

func tpl(parent *template.Template, depth map[string]int, missing string) func(string, any) (string, error) {
	return func(text string, data any) (string, error) {
		set, err := parent.Clone()
		if err != nil {
			return "", err
		}
		set.Option("missingkey=" + missing)
		set.Funcs(template.FuncMap{"include": include(set, depth), "tpl": tpl(set, depth, missing)})
		set, err = set.New(parent.Name()).Parse(text)
		if err != nil {
			return "", fmt.Errorf("cannot parse template %q: %w", text, err)
		}
		var out strings.Builder
		if err := set.Execute(&out, data); err != nil {
			return "", fmt.Errorf("error during tpl function execution for %q: %w", text, err)
		}
		return strings.ReplaceAll(out.String(), "<no value>", ""), nil
	}
}

func render(text, missing string, data any, defines [][2]string) (string, error) {
	root := template.New("gotpl").Option("missingkey=" + missing)
	depth := map[string]int{}
	root.Funcs(functions())
	root.Funcs(template.FuncMap{"include": include(root, depth), "tpl": tpl(root, depth, missing)})
	for _, define := range defines {
		if _, err := root.New(define[0]).Parse(define[1]); err != nil {
			return "", err
		}
	}
	if _, err := root.New("case").Parse(text); err != nil {
		return "", err
	}
	var out bytes.Buffer
	err := root.ExecuteTemplate(&out, "case", data)
	return out.String(), err
}

func quoted(word, text string) string {
	if !utf8.ValidString(text) {
		return word + " hex " + hex.EncodeToString([]byte(text))
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err)
	}
	return word + " " + strings.TrimSuffix(line.String(), "\n")
}

func write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	golden, err := os.Create(strings.TrimSuffix(path, ".txt") + ".golden")
	if err != nil {
		return err
	}
	out := bufio.NewWriter(golden)
	fmt.Fprintln(out, "# Go's text/template, by baseline.sh: one line for each case.")
	data, missing := "null", "default"
	var defines [][2]string
	for _, line := range strings.Split(string(text), "\n") {
		if directive, ok := strings.CutPrefix(line, "#! "); ok {
			word, rest, _ := strings.Cut(directive, " ")
			switch word {
			case "data":
				data = rest
			case "missing":
				missing = rest
			case "define":
				name, body, _ := strings.Cut(rest, " ")
				defines = append(defines, [2]string{name, strings.ReplaceAll(body, "↵", "\n")})
			default:
				return fmt.Errorf("%s: unknown directive %q", path, word)
			}
			continue
		}
		if line == "" {
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(data), &value); err != nil {
			return err
		}
		result, err := render(strings.ReplaceAll(line, "↵", "\n"), missing, value, defines)
		if err != nil {
			fmt.Fprintln(out, quoted("err", err.Error()))
		} else {
			fmt.Fprintln(out, quoted("ok", result))
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return golden.Close()
}

func main() {
	paths, err := filepath.Glob(filepath.Join(os.Args[1], "*.txt"))
	if err == nil {
		for _, path := range paths {
			if err = write(path); err != nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
