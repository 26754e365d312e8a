package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// setting is the value of a variable, and where it comes from.
type setting struct {
	value string
	file  string // Empty: the environment.
}

// environment is what os.Environ said, sorted out.
type environment struct {
	settings map[string]setting // By the name of the variable.
	notes    []string
	errs     []error
	failed   map[string]bool // Variables whose value is in a file that cannot be used.
}

// fileSuffix ends the names of variables that hold the path of a file with a secret.
const fileSuffix = "_FILE"

// maxSecretFile bounds such a file, so that a wrong path does not fill the memory.
const maxSecretFile = 64 << 10

// readEnvironment finds what is meant for Parley. An empty value counts as unset, which is
// what ${NAME} of an unset NAME turns into in compose files.
func readEnvironment(environ []string) environment {
	e := environment{settings: make(map[string]setting), failed: make(map[string]bool)}
	files := make(map[string]string)
	var strangers []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		value = strings.TrimSpace(value)
		secret, isFile := secretOf(name)
		switch {
		case isKnown(name):
			if value != "" {
				e.settings[name] = setting{value: value}
			}
		case isFile:
			if value != "" {
				files[secret] = value
			}
		case isLink(name, value):
			if name == "PARLEY_PORT" && !isLinkURL(value) {
				e.notes = append(e.notes,
					"PARLEY_PORT is ignored, since Kubernetes and Docker set it; the port is part of PARLEY_ADDR")
			}
		case slices.Contains(exampleVariables, name) || strings.HasPrefix(name, testPrefix):
		case strings.HasPrefix(name, prefix):
			e.errs = append(e.errs, &configError{Name: name, Problem: "no such variable; " + meant(name)})
		case value != "":
			strangers = append(strangers, name)
		}
	}
	for _, v := range variables {
		if path, ok := files[v.name]; ok {
			e.readSecret(v.name, path)
		}
	}
	slices.Sort(strangers)
	for _, name := range strangers {
		likely := ours(name)
		if _, set := e.settings[likely]; likely != "" && !set {
			e.notes = append(e.notes, fmt.Sprintf("%s is not read: here it is called %s", name, likely))
		}
	}
	return e
}

// secretOf returns the variable whose value a file holds that the given one names.
func secretOf(name string) (variableName string, ok bool) {
	base, ok := strings.CutSuffix(name, fileSuffix)
	return base, ok && slices.ContainsFunc(variables, func(v variable) bool { return v.name == base && v.secret })
}

// readSecret takes the value of a variable from a file.
func (env *environment) readSecret(name, path string) {
	wrong := func(problem string) {
		env.errs = append(env.errs, &configError{Name: name + fileSuffix, Problem: problem})
		env.failed[name] = true
	}
	if _, both := env.settings[name]; both {
		wrong("set beside " + name + ": set one of them")
		return
	}
	text, err := readSecretFile(path)
	switch {
	case err != nil && !looksLikePath(path):
		// It may be the secret itself.
		wrong("there is no file of that name; the value is the path of a file that holds the secret, best from /")
	case err != nil:
		wrong(fmt.Sprintf("%s: %v", path, err))
	case text == "":
		wrong(path + ": the file is empty")
	default:
		env.settings[name] = setting{value: text, file: path}
	}
}

// readSecretFile returns the text of a file without white space around it, such as the
// line's end that editors and echo put there.
func readSecretFile(path string) (text string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", bare(err)
	}
	if info.IsDir() {
		return "", errors.New("it is a folder")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", bare(err)
	}
	defer func() { _ = f.Close() }() // Only read.
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", bare(err)
	}
	if len(b) > maxSecretFile {
		return "", fmt.Errorf("it has more than %d bytes", maxSecretFile)
	}
	return strings.TrimSpace(string(b)), nil
}

// bare is what the system says, without the path.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// looksLikePath reports whether a text can be shown as a path: no key and no URL begins
// like this and has only such characters.
func looksLikePath(text string) bool {
	if !filepath.IsAbs(text) && !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
		return false
	}
	rest := strings.TrimPrefix(text, filepath.VolumeName(text))
	return !strings.ContainsFunc(rest, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._- /", r) &&
			r != filepath.Separator
	})
}

// exampleVariables are read by the programs in examples/, often in the shell that starts
// the server.
var exampleVariables = []string{"PARLEY_URL", "PARLEY_EMAIL", "PARLEY_PASSWORD"}

// meant says which variable a name that begins with PARLEY_ is likely to mean.
func meant(name string) string {
	if base, ok := strings.CutSuffix(name, fileSuffix); ok && isKnown(base) {
		return "only secrets are read from files: set " + base
	}
	return "did you mean " + nearest(name) + "?"
}

// otherNames are names of settings in other programs, and in the heads of people.
var otherNames = map[string]string{
	"API_KEY": "OPENAI_API_KEY", "BASE_URL": "OPENAI_BASE_URL", "API_BASE": "OPENAI_BASE_URL",
	"BASEURL": "OPENAI_BASE_URL", "API_URL": "OPENAI_BASE_URL", "KEY": "OPENAI_API_KEY",
	"HOST": "PARLEY_ADDR", "LISTEN": "PARLEY_ADDR", "BIND": "PARLEY_ADDR", "ADDRESS": "PARLEY_ADDR",
	"DSN": "PARLEY_DATABASE_URL", "DB": "PARLEY_DATABASE_URL", "DB_URL": "PARLEY_DATABASE_URL",
	"DATABASE": "PARLEY_DATABASE_URL", "POSTGRES_URL": "PARLEY_DATABASE_URL", "POSTGRES": "PARLEY_DATABASE_URL",
	"NATS": "PARLEY_NATS_URL", "DATA": "PARLEY_DATA_DIR", "DIR": "PARLEY_DATA_DIR",
	"LOG_FORMAT": "PARLEY_LOG", "LEVEL": "PARLEY_LOG_LEVEL", "ENV": "PARLEY_MODE",
	"SECRET": "PARLEY_AUTH_KEYS", "JWT_SECRET": "PARLEY_AUTH_KEYS", "KEYS": "PARLEY_AUTH_KEYS",
	"ORIGINS": "PARLEY_ALLOWED_ORIGINS", "CORS_ORIGINS": "PARLEY_ALLOWED_ORIGINS",
	"PROXIES": "PARLEY_TRUSTED_PROXIES", "DEFAULT_MODEL": "PARLEY_MODEL",
}

// nearest returns the variable that a name is likely to mean: the one with the fewest
// slips between, where a wrong prefix is one, and a name of other programs none.
func nearest(name string) string {
	likely, _ := nearestBy(name)
	return likely
}

func nearestBy(name string) (likely string, slips int) {
	name = strings.ToUpper(name)
	for _, p := range prefixes {
		rest, ok := strings.CutPrefix(name, p)
		if other := otherNames[rest]; ok && other != "" {
			return other, 0
		}
	}
	slips = -1
	for _, v := range variables {
		d := min(distance(name, v.name), 1+distance(withoutPrefix(name), withoutPrefix(v.name)))
		if slips < 0 || d < slips || d == slips && closer(name, v.name, likely) {
			likely, slips = v.name, d
		}
	}
	return likely, slips
}

// closer reports whether a is rather meant by a name than b, with as many slips: it begins
// like it for longer, or is about as long.
func closer(name, a, b string) bool {
	likeA, likeB := commonStart(name, a), commonStart(name, b)
	longer := func(other string) int { return max(len(name)-len(other), len(other)-len(name)) }
	return likeA > likeB || likeA == likeB && longer(a) < longer(b)
}

func commonStart(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// openAIPrefix begins the names that Parley shares with other programs.
const openAIPrefix = "OPENAI_"

var prefixes = []string{prefix + openAIPrefix, prefix, openAIPrefix}

func withoutPrefix(name string) string {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(name, p); ok {
			return rest
		}
	}
	return name
}

// ours returns the variable that one which is not Parley's looks as if it was meant to be,
// or "": OPENAI_BASEURL, PARLY_ADDR. Other programs may own it, so it stops nothing.
func ours(name string) string {
	likely, slips := nearestBy(name)
	switch {
	case name == likely || name == "OPENAI_LOG": // The latter is of OpenAI's own clients.
		return ""
	case strings.HasPrefix(name, openAIPrefix):
		if slips > 2 {
			return ""
		}
	case distance(strings.ToUpper(name), likely) > 2:
		return ""
	}
	return likely
}
