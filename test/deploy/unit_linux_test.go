package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"parley/test/built"
)

// mostExposed is what systemd-analyze may say of the unit, of 100: it says 96 of one that
// restricts nothing.
const mostExposed = "20"

func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	path, err := built.Server()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := strings.NewReplacer("{{BINARY}}", path)
	unit := place(t, "systemd/parley.service", [][2]string{
		{"ExecStart=/usr/local/bin/parley", "ExecStart={{BINARY}}"},
	}, put)
	file := write(t, dir, "parley.service", unit)
	// Warnings, such as of an unknown setting, do not change the status.
	out, err := output(t, dir, "systemd-analyze", "verify", "--man=no", file)
	if err != nil || strings.Contains(out, file) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := output(t, dir, "systemd-analyze", "security", "--offline=true", "--no-pager",
		"--threshold="+mostExposed, file); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// The file of settings means the same to systemd and to a shell, and a server starts with it.
func TestSystemdEnvironment(t *testing.T) {
	t.Parallel()
	path, err := built.Server()
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := freeAddr(t), t.TempDir()
	put := strings.NewReplacer("{{ADDR}}", addr, "{{DIR}}", dir)
	file := write(t, dir, "parley.env", place(t, "systemd/parley.env", [][2]string{
		{"PARLEY_ADDR=127.0.0.1:8080", "PARLEY_ADDR={{ADDR}}"},
		{"PARLEY_DATA_DIR=/var/lib/parley", "PARLEY_DATA_DIR={{DIR}}"},
		{"PARLEY_DRAIN=5s", "PARLEY_DRAIN=0s"}, // So that the test ends sooner.
	}, put))
	// The command of the unit's comment, for accounts.
	unit, err := os.ReadFile("../../deploy/systemd/parley.service")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^#   runuser -u parley -- sh -c '(.*)'$`).FindSubmatch(unit)
	if found == nil {
		t.Fatal("the unit says no command that makes accounts")
	}
	installed := strings.NewReplacer("/etc/parley/parley.env", file, "exec parley", "exec "+path)
	command := installed.Replace(string(found[1]))
	startProgram(t, dir, "sh", "-c", strings.Replace(command, " user add ann@example.com", "", 1))
	waitReady(t, addr)
	if out, err := output(t, dir, "sh", "-c", command); err != nil || !strings.Contains(out, "ann@example.com") {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}
