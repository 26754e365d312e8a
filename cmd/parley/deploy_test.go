package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// afterDrain is how long a server may take to stop when its drain is over.
const afterDrain = 25 * time.Second

// Whoever copies a file gets settings that a server starts with, and the time to stop that
// it needs.
func TestDeploySettings(t *testing.T) {
	t.Parallel()
	image := imageEnviron(t)
	secrets := map[string]string{
		"POSTGRES_PASSWORD": "p", "NATS_PASSWORD": "n", "PARLEY_AUTH_KEYS": testKeys, "OPENAI_API_KEY": "sk-x",
		"PARLEY_DATABASE_URL": "postgres://u:p@db/parley", "PARLEY_NATS_URL": "nats://u:p@nats",
	}
	tool := buildSchema(t)
	for kind, file := range map[string]string{
		"compose sqlite": "compose/sqlite.yaml", "compose replicas": "compose/replicas.yaml",
		"kubernetes": "kubernetes/parley.yaml",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			kind, _, _ = strings.Cut(kind, " ")
			cmd := exec.Command(tool, kind, filepath.Join("../../deploy", file))
			for name, value := range secrets {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", file, err, out)
			}
			containers := strings.Split(string(out), "# ")[1:]
			if len(containers) == 0 {
				t.Fatalf("%s starts no Parley:\n%s", file, out)
			}
			for _, container := range containers {
				head, settings, _ := strings.Cut(container, "\n")
				environ := slices.Clone(image)
				for line := range strings.Lines(settings) {
					name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
					if value == "" && kind == "kubernetes" {
						value = secrets[name]
					}
					environ = append(environ, name+"="+value)
				}
				checkDeployed(t, head, head[strings.LastIndex(head, "grace=")+len("grace="):], environ)
			}
		})
	}
	t.Run("systemd", func(t *testing.T) {
		t.Parallel()
		unit, err := os.ReadFile("../../deploy/systemd/parley.service")
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindSubmatch(unit)
		if found == nil {
			t.Fatal("the unit has no TimeoutStopSec")
		}
		text, err := os.ReadFile("../../deploy/systemd/parley.env")
		if err != nil {
			t.Fatal(err)
		}
		var environ []string
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				environ = append(environ, line)
			}
		}
		checkDeployed(t, "the unit", string(found[1]), environ)
	})
}

// checkDeployed loads the settings of a server that gets so long to stop.
func checkDeployed(t *testing.T, what, grace string, environ []string) {
	t.Helper()
	cfg, err := loadConfig(environ)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if cfg.Mode != production || cfg.SignUpOpen || len(cfg.TrustedProxies) == 0 {
		t.Errorf("%s: mode %s, sign-up open %t, proxies %v; want production, closed, some", what, cfg.Mode,
			cfg.SignUpOpen, cfg.TrustedProxies)
	}
	if d, err := time.ParseDuration(grace); err != nil || cfg.Drain == 0 || d < cfg.Drain+afterDrain {
		t.Errorf("%s: it gets %s to stop and drains for %v; want a drain, and %v more", what, grace, cfg.Drain, afterDrain)
	}
}

// imageEnviron is the environment that the image gives.
func imageEnviron(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^(?:ENV| ) *([A-Z_]+=\S+)`).FindAllSubmatch(text, -1)
	var environ []string
	for _, m := range found {
		environ = append(environ, string(m[1]))
	}
	if len(environ) != 3 {
		t.Fatalf("the Dockerfile sets %v, want three variables", environ)
	}
	if !strings.Contains(string(text), `HEALTHCHECK --start-period=30s --timeout=5s CMD ["/parley", "health", "--live"]`) {
		t.Error("the Dockerfile has no check of health")
	}
	return environ
}

// buildSchema builds the reader of files for Docker Compose and Kubernetes.
func buildSchema(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schema")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = "../../test/deploy/schema"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// The names of variables in what people read and copy are those of the table.
func TestNamesOfVariables(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\bPARLEY_[A-Z0-9_]*[A-Z0-9]\b`)
	seen := 0
	check := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range name.FindAllString(string(text), -1) {
			if isLink(found, "") || strings.HasPrefix(found, testPrefix) || slices.Contains(exampleVariables, found) {
				continue
			}
			seen++
			// PARLEY_OIDC_ stands for several.
			if !isKnown(found) && !slices.ContainsFunc(variables, func(v variable) bool {
				return strings.HasPrefix(v.name, found+"_")
			}) && !isKnown(strings.TrimSuffix(found, "_FILE")) {
				t.Errorf("%s names %s, which is no variable", path, found)
			}
		}
	}
	for _, path := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "Dockerfile", "Makefile"} {
		check(filepath.Join("../..", path))
	}
	for _, root := range []string{"deploy", "docs"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				check(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 100 {
		t.Errorf("found %d names, want more", seen)
	}
}
