package measure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Result is what a workload found out: a table, of which curves can be drawn.
type Result struct {
	Workload string `json:"workload"`
	// Title says in a few words what was measured, Text what has to be known to read the table.
	Title   string   `json:"title"`
	Text    string   `json:"text"`
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"rows"`
	Verdict Verdict  `json:"verdict"`
	// Figures are single numbers that were found, by name.
	Figures map[string]float64 `json:"figures,omitempty"`

	Taken   time.Time `json:"taken"`
	Machine Machine   `json:"machine"`
}

// Column of a table. Format is Printf's for the value; the row's label has none.
type Column struct {
	Key    string `json:"key"`
	Title  string `json:"title"`
	Format string `json:"format"`
}

// Row is the values of one label, by the columns' keys. A value that was not measured is missing.
type Row struct {
	Label  string             `json:"label"`
	Values map[string]float64 `json:"values"`
}

// Row is the row with a label.
func (r *Result) Row(label string) (Row, bool) {
	for _, row := range r.Rows {
		if row.Label == label {
			return row, true
		}
	}
	return Row{}, false
}

// Cell is a value as text, a dash where there is none.
func (c Column) Cell(row Row) string {
	v, ok := row.Values[c.Key]
	if !ok {
		return "–"
	}
	return fmt.Sprintf(c.Format, v)
}

// Machine is on what something was measured.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // bytes
	Go     string `json:"go"`
}

// ThisMachine reads /proc; what is not told there stays empty.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = procLine("/proc/cpuinfo", "model name")
	var kb int64
	if _, err := fmt.Sscanf(procLine("/proc/meminfo", "MemTotal"), "%d kB", &kb); err == nil {
		m.Memory = kb << 10
	}
	return m
}

func procLine(path, key string) string {
	text, _ := os.ReadFile(path) // what cannot be read stays empty
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Save writes the result into dir, as <workload>.json.
func (r *Result) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the result of %s: %w", r.Workload, err)
	}
	if err := os.WriteFile(filepath.Join(dir, r.Workload+".json"), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	return nil
}

// Load reads the last result of a workload; false if there is none.
func Load(dir, workload string) (*Result, bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, workload+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var r Result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, false, fmt.Errorf("result of %s: %w", workload, err)
	}
	return &r, true, nil
}
