package main

import (
	"fmt"
	"io"
	"strings"
)

// defaultText is the default as people read it.
func (v variable) defaultText() string {
	switch {
	case v.fallback != "":
		return v.fallback
	case v.value != "":
		return "`" + v.value + "`"
	}
	return "none"
}

// writeConfigHelp writes the configuration's part of --help.
func writeConfigHelp(w io.Writer) error {
	var b strings.Builder
	b.WriteString("Configuration, from the environment (an empty value counts as unset):\n")
	for _, v := range variables {
		if v.group != "" {
			fmt.Fprintf(&b, "\n%s:\n", v.group)
		}
		fmt.Fprintf(&b, "\n  %s\n", v.name)
		fmt.Fprintf(&b, "      %s\n", plain(v.meaning))
		fmt.Fprintf(&b, "      default: %s\n", plain(v.defaultText()))
		fmt.Fprintf(&b, "      accepted: %s\n", plain(v.accepted))
		fmt.Fprintf(&b, "      example: %s=%s\n", v.name, shellWord(v.example))
		if v.secret {
			fmt.Fprintf(&b, "      or: %s%s=/run/secrets/%s\n", v.name, fileSuffix, strings.ToLower(v.name))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// configMarkdown is the tables of docs/configuration.md, one for each group.
func configMarkdown() string {
	var b strings.Builder
	for _, v := range variables {
		if v.group != "" {
			fmt.Fprintf(&b, "\n## %s\n\n| Variable | Default | Accepted | Meaning |\n|---|---|---|---|\n", v.group)
		}
		meaning := v.meaning
		if v.secret {
			meaning += " Secret: never printed, and read from a file where `" + v.name + fileSuffix + "` names one."
		}
		cells := []string{"`" + v.name + "`", v.defaultText(), v.accepted, meaning}
		for i, cell := range cells {
			cells[i] = strings.NewReplacer("|", `\|`, "*", `\*`).Replace(cell)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}

// plain takes the Markdown out of a text of the table.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// shellWord quotes an example so that it can be pasted into a shell.
func shellWord(text string) string {
	if strings.ContainsAny(text, "?&*;|<>()$ ") {
		return "'" + text + "'"
	}
	return text
}

func joinOIDC(c config, field func(oidcIssuer) string) string {
	parts := make([]string, len(c.OIDC))
	for i, o := range c.OIDC {
		parts[i] = field(o)
	}
	return strings.Join(parts, ",")
}
