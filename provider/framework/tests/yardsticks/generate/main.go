// Fills the tables of yardsticks with what Terraform's own libraries make of each case, so that the
// expected bytes come from them and not from us:
//
//	cd provider/framework/tests/yardsticks/generate && go run . ..
//
// The cases are written by hand; everything after the column "value" or "input" is computed.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run . FOLDER")
	}
	for name, fill := range map[string]func([]string) (string, error){
		"values.tsv":    value,
		"malformed.tsv": surviving(malformed),
		"json.tsv":      surviving(fromJSON),
		"types.tsv":     surviving(typeJSON),
	} {
		if err := rewrite(filepath.Join(os.Args[1], name), fill); err != nil {
			log.Fatalf("%s: %s", name, err)
		}
	}
}

// surviving says "panic" where the library panics, which is an outcome like any other.
func surviving(fill func([]string) (string, error)) func([]string) (string, error) {
	return func(row []string) (outcome string, err error) {
		defer func() {
			if recover() != nil {
				outcome, err = "panic", nil
			}
		}()
		return fill(row)
	}
}

// rewrite replaces the computed column of every row: the one before the last. The last is the
// verdict.
func rewrite(path string, fill func([]string) (string, error)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var out strings.Builder
	for number, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		columns := strings.Split(line, "\t")
		computed, err := fill(columns)
		if err != nil {
			return fmt.Errorf("line %d: %w", number+1, err)
		}
		columns[len(columns)-2] = computed
		fmt.Fprintln(&out, strings.Join(columns, "\t"))
	}
	return os.WriteFile(path, []byte(out.String()), 0o644)
}
