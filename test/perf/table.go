package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// figures are what was measured, by row and column, a value for each round.
type figures map[string]map[string][]float64

// put keeps a value. What is no number is left out.
func (b *bench) put(row string, t *target, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	columns := b.figures[row]
	if columns == nil {
		columns = make(map[string][]float64)
		b.figures[row] = columns
	}
	columns[t.name] = append(columns[t.name], value)
	if b.options.verbose {
		b.say("  %s · %s: %.3g", row, t.name, value)
	}
}

// of returns the median of the rounds, NaN when there are none.
func (f figures) of(row, column string) float64 { return median(f[row][column]) }

const relayName = "relay"

// The rows of the table.
const (
	rowDirect          = "first token of the model itself, 1 chat, p50"
	rowFirst           = "first token over direct, 1 chat, p50"
	rowFirstAmong      = "first token over direct, 50 chats at 30 tokens/s, p99"
	rowReplies         = "replies a second, 50 chats, 200 tokens, no gap"
	rowReplyCPU        = "server CPU a 200-token reply there"
	rowSaturatedLag    = "lag of a token there, p99"
	rowPieces          = "tokens that come in one piece there"
	rowShare           = "CPU the server uses there"
	rowClientShare     = "CPU the client uses there"
	rowSmallCPU        = "server CPU a 10-token reply at 30 tokens/s, 1 chat"
	rowLong            = "replies of 100 KB, 10 chats, no gap: text a second"
	rowTokenCPU        = "server CPU a paced token, 100 streams at 30 tokens/s"
	rowPacedLag        = "lag of a token there, p99, all begun within 2 s"
	rowStreams         = "streams at 30 tokens/s with lag p99 < 100 ms, all begun within 2 s"
	rowBurst           = "500 streams begun within 2 s: first token p99"
	rowBurstLag        = "lag of a token there, p99, 500 streams"
	rowMemory          = "resident memory, idle"
	rowMemory500       = "resident memory, 500 streams"
	rowMemory2000      = "resident memory, 2,000 streams"
	rowHistory         = "first token in a conversation of 5,000 messages, all sent, p50"
	rowHistoryCPU      = "server CPU of such a send"
	rowFill            = "turns a second while it is filled, one by one"
	rowStart           = "start to the first complete reply of a new account"
	rowIdle            = "resident memory, 10,000 idle feeds"
	rowIdleCPU         = "CPU the server uses for them"
	rowOverReplies     = "overload: replies a second that came whole"
	rowOverRepeated    = "overload: replies for which the model was called twice"
	rowOverFailed      = "overload: sends and replies that failed, refusals apart"
	rowOverOpen        = "overload: replies taken that have no end two minutes later"
	rowOverRefused     = "overload: sends refused a second"
	rowOverAdmitted    = "overload: answer to a send that is taken, p99"
	rowOverRefusal     = "overload: answer to a send that is refused, p99"
	rowOverMostly      = "overload: answer to a send that is refused, p90"
	rowOverFirst       = "overload: first token of what is taken, p99"
	rowOverLag         = "overload: lag of a token of what is taken, p99"
	rowOverRecovery    = "overload: time until a send is as quick as before"
	rowOverMemory      = "overload: memory afterwards, of that before"
	rowSoakReplies     = "soak: replies"
	rowSoakGoroutines  = "soak: goroutines of the last third, of the second"
	rowSoakDescriptors = "soak: descriptors, likewise"
	rowSoakHeap        = "soak: what the heap holds, likewise"
	rowSoakResident    = "soak: resident memory, likewise"
	rowOverHeap        = "overload: what the heap holds then, of that before"
)

// row is how a line of the table is shown. The goals are those of the design of the way
// of a send; a ratio in a goal is to the relay.
type row struct{ name, unit, goal string }

var rows = []row{
	{rowDirect, "ms", ""},
	{rowFirst, "ms", "≤ 4x; in the end 2.5x"},
	{rowFirstAmong, "ms", "≤ 4x"},
	{rowReplies, "/s", "≥ 0.9x (450/s)"},
	{rowReplyCPU, "ms", "≤ 1.3x (2.2 ms)"},
	{rowSaturatedLag, "ms", "≤ 1x"},
	{rowPieces, "", ""},
	{rowShare, "%", ""},
	{rowClientShare, "%", ""},
	{rowSmallCPU, "ms", "≤ 2.25x (4.5 ms)"},
	{rowLong, "MB", ""},
	{rowTokenCPU, "µs", "≤ 1.5x (85 µs)"},
	{rowPacedLag, "ms", ""},
	{rowStreams, "", "≥ 1x (1,500)"},
	{rowBurst, "ms", "≤ 9x (150 ms)"},
	{rowBurstLag, "ms", ""},
	{rowMemory, "MB", "≤ 4.3x (30 MB)"},
	{rowMemory500, "MB", "≤ 2.7x (100 MB)"},
	{rowMemory2000, "MB", "≤ 2.3x (300 MB)"},
	{rowHistory, "ms", "≤ 17 ms"},
	{rowHistoryCPU, "ms", ""},
	{rowFill, "/s", ""},
	{rowStart, "ms", "≤ 14x (150 ms)"},
	{rowIdle, "MB", "≤ 400 MB"},
	{rowIdleCPU, "%", ""},
	{rowOverReplies, "/s", ""},
	{rowOverRepeated, "", "0"},
	{rowOverFailed, "", "0"},
	{rowOverOpen, "", "0"},
	{rowOverRefused, "/s", ""},
	{rowOverAdmitted, "ms", ""},
	{rowOverRefusal, "ms", ""},
	{rowOverMostly, "ms", "a tenth of a first token, beside the lag"},
	{rowOverFirst, "ms", ""},
	{rowOverLag, "ms", ""},
	{rowOverRecovery, "s", "by itself"},
	{rowOverMemory, "x", "about 1x"},
	{rowOverHeap, "x", "about 1x"},
	{rowSoakReplies, "", ""},
	{rowSoakGoroutines, "x", "≤ 1.1x"},
	{rowSoakDescriptors, "x", "≤ 1.1x"},
	{rowSoakHeap, "x", "≤ 1.1x"},
	{rowSoakResident, "x", "≤ 1.15x"},
}

// threeReplicas is before the names of the rows about three replicas instead of one.
const threeReplicas = "three replicas, "

// overRows are the rows of an overload again, for three replicas.
func overRows() []row {
	var list []row
	for _, r := range rows {
		if strings.HasPrefix(r.name, "overload: ") {
			list = append(list, row{threeReplicas + r.name, r.unit, r.goal})
		}
	}
	return list
}

// write writes the table, the machine, and what there is to know about the figures.
func (b *bench) write(out io.Writer) error {
	grid := [][]string{b.head()}
	for _, r := range append(slices.Clone(rows), overRows()...) {
		if _, ok := b.figures[r.name]; ok {
			grid = append(grid, b.line(r))
		}
	}
	var text strings.Builder
	writeGrid(&text, grid)
	fmt.Fprintf(&text, "\nRatios are to the relay of this run, in brackets what was measured; %s.\n", machine())
	for _, v := range b.versions {
		fmt.Fprintf(&text, "%s: %s. ", v.name, v.commit)
	}
	fmt.Fprintf(&text, "Postgres is a private one without fsync; its own CPU is not in the server's.\n")
	for _, n := range b.notes {
		text.WriteString("- " + n + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (b *bench) head() []string {
	cells := []string{"", relayName}
	for _, database := range b.options.databases {
		if b.options.bare {
			cells = append(cells, bareColumn(database))
		}
		for _, v := range b.versions {
			cells = append(cells, b.columnOf(database, v))
		}
		if len(b.versions) > 1 {
			cells = append(cells, "now/before")
		}
	}
	return append(cells, "goal")
}

// line is one row: the relay's figure, each server's ratio to it with its figure, and
// the ratio of the versions where there are two.
func (b *bench) line(r row) []string {
	base := b.figures.of(r.name, relayName)
	if r.name == rowDirect {
		return append(append([]string{r.name, figure(b.figures.of(r.name, "direct"), r.unit)},
			make([]string, len(b.head())-3)...), r.goal)
	}
	cells := []string{r.name, figure(base, r.unit)}
	for _, database := range b.options.databases {
		if b.options.bare {
			cells = append(cells, against(b.figures.of(r.name, bareColumn(database)), base, r.unit))
		}
		var values []float64
		for _, v := range b.versions {
			value := b.figures.of(r.name, b.columnOf(database, v))
			values = append(values, value)
			cells = append(cells, against(value, base, r.unit))
		}
		if len(values) == 2 {
			cells = append(cells, ratio(values[1], values[0]))
		}
	}
	return append(cells, r.goal)
}

// against shows a value as a ratio where there is a base, with the value in brackets.
func against(value, base float64, unit string) string {
	x := ratio(value, base)
	switch {
	case math.IsNaN(value):
		return "–"
	case x == "–", unit == "%":
		return figure(value, unit)
	}
	return x + " (" + figure(value, unit) + ")"
}

// ratio shows a share, "–" when it means nothing.
func ratio(value, base float64) string {
	if math.IsNaN(value) || math.IsNaN(base) || base <= 0 {
		return "–"
	}
	return digits(value/base) + "x"
}

func figure(value float64, unit string) string {
	switch {
	case math.IsNaN(value):
		return "–"
	case unit == "%" || unit == "x":
		return digits(value) + unit
	case unit == "/s":
		return digits(value) + unit
	case unit == "":
		return digits(value)
	}
	return digits(value) + " " + unit
}

// digits keeps what a measurement is worth: two or three figures.
func digits(value float64) string {
	switch size := math.Abs(value); {
	case value == math.Trunc(value) && size < 1e6, size >= 100:
		return fmt.Sprintf("%.0f", value)
	case size >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// writeGrid writes Markdown that is also a table to the eye.
func writeGrid(out io.Writer, grid [][]string) {
	widths := make([]int, len(grid[0]))
	for _, cells := range grid {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for n, cells := range grid {
		for i, c := range cells {
			_, _ = fmt.Fprint(out, "| ", c, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)), " ") // To memory.
		}
		_, _ = fmt.Fprintln(out, "|")
		if n > 0 {
			continue
		}
		for _, w := range widths {
			_, _ = fmt.Fprint(out, "|", strings.Repeat("-", w+2))
		}
		_, _ = fmt.Fprintln(out, "|")
	}
}

// machine describes where this ran.
func machine() string {
	model := field("/proc/cpuinfo", "model name")
	memory := field("/proc/meminfo", "MemTotal")
	var kib int
	if _, err := fmt.Sscanf(memory, "%d kB", &kib); err == nil {
		memory = fmt.Sprintf("%.0f GiB", float64(kib)/mebibyte)
	}
	load := ""
	if average, err := loadAverage(); err == nil {
		load = fmt.Sprintf(", load average %.1f at the end", average)
	}
	return fmt.Sprintf("%d cores (%s), %s, %s%s, %s", runtime.NumCPU(), model, memory, goVersion(), load,
		time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

// goVersion is that of the go command, which builds the server.
func goVersion() string {
	out, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return runtime.Version()
	}
	return strings.TrimSpace(string(out))
}

// field returns the first value of a name in a file of /proc.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
