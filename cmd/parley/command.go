package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// subcommand is one row of what the program can be told to do. The table, commands, makes
// the parsing, the list of parley --help, and the help of each.
type subcommand struct {
	name      string // One word, or two: "user add".
	arguments string // The arguments by position, as the usage shows them: DIR, or [FILTER].
	summary   string // What it does, in a line.
	more      string // What else its own help says; may be empty.
	// prepare declares the flags, and returns what is run after they are read.
	prepare func(flags *flag.FlagSet) action
}

// action is what a command does, with its arguments by position: as many as the usage
// names.
type action func(ctx context.Context, p *program, args []string) error

// program is everything that a command may touch. The configuration is read by those
// that need it, so that the others run whatever it says.
type program struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// configured returns the configuration, and a log that writes as it says.
func (p *program) configured() (config, *slog.Logger, error) {
	cfg, err := loadConfig(p.environ)
	if err != nil {
		return config{}, nil, err
	}
	return cfg, newLogger(cfg, p.stderr), nil
}

// usageError is a call of the command that makes no sense. Its text repeats no argument
// that could be a secret: a password lands there when somebody forgets how it is given.
type usageError struct {
	problem string
	command *subcommand // Nil: the program.
}

func (e usageError) Error() string {
	if e.command == nil {
		return e.problem + " (see parley --help)"
	}
	return fmt.Sprintf("%s: %s\nUsage: %s\nMore: parley %[1]s --help", e.command.name, e.problem, e.command.usage())
}

// run is the whole program, with everything it touches as an argument.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	armFailpoints(environ)
	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		args = []string{"serve"}
	}
	switch args[0] {
	case "help":
		return writeHelp(stdout, slices.DeleteFunc(slices.Clone(args[1:]), isHelpFlag))
	case "--help", "-h", "-help":
		return writeHelp(stdout, nil)
	case "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	c, rest := findCommand(args)
	if c == nil {
		if len(group(args[0])) > 0 && asksForHelp(args[1:]) {
			return writeHelp(stdout, args[:1])
		}
		return unknownCommand(args)
	}
	if asksForHelp(rest) {
		return c.writeHelp(stdout)
	}
	flags := c.flags()
	do := c.prepare(flags)
	positional, err := parseArguments(flags, rest)
	if err != nil {
		return usageError{problem: plainFlagError(err), command: c}
	}
	if err := c.checkCount(positional); err != nil {
		return err
	}
	return do(ctx, p, positional)
}

// findCommand returns the command that the arguments begin with, or nil, and the rest.
func findCommand(args []string) (*subcommand, []string) {
	for _, words := range []int{2, 1} {
		if len(args) < words {
			continue
		}
		name := strings.Join(args[:words], " ")
		for i := range commands {
			if commands[i].name == name {
				return &commands[i], args[words:]
			}
		}
	}
	return nil, args
}

// group returns the commands of two words that begin with the given one.
func group(word string) []subcommand {
	var found []subcommand
	for _, c := range commands {
		if first, _, two := strings.Cut(c.name, " "); two && first == word {
			found = append(found, c)
		}
	}
	return found
}

func unknownCommand(args []string) error {
	if members := group(args[0]); len(members) > 0 {
		var names []string
		for _, c := range members {
			_, second, _ := strings.Cut(c.name, " ")
			names = append(names, second)
		}
		problem := fmt.Sprintf("%s needs one of %s", args[0], strings.Join(names, ", "))
		if len(args) > 1 {
			problem = fmt.Sprintf("%s has no such command: it has %s", args[0], strings.Join(names, ", "))
			if likely, slips := closest(args[1], names); slips <= 2 {
				problem += fmt.Sprintf("; did you mean %s?", likely)
			}
		}
		return usageError{problem: problem}
	}
	if strings.HasPrefix(args[0], "-") {
		name, _, _ := strings.Cut(args[0], "=")
		return usageError{problem: fmt.Sprintf("there is no flag %s: everything is configured by the environment", name)}
	}
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i], _, _ = strings.Cut(c.name, " ")
	}
	problem := fmt.Sprintf("there is no command %q", args[0])
	if likely, slips := closest(args[0], names); slips <= 2 {
		problem += fmt.Sprintf("; did you mean %s?", likely)
	}
	return usageError{problem: problem}
}

// asksForHelp reports whether a flag for help is among the arguments, wherever: none of
// them is ever a folder or an e-mail address. Behind -- everything is taken as it is.
func asksForHelp(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.ContainsFunc(args, isHelpFlag)
}

func isHelpFlag(a string) bool { return a == "--help" || a == "-h" || a == "-help" }

// parseArguments takes flags before and after the arguments by position.
func parseArguments(flags *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if len(rest) == 0 {
			return positional, nil
		}
		if taken := len(args) - len(rest); taken > 0 && args[taken-1] == "--" {
			return append(positional, rest...), nil
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
}

// plainFlagError says what package flag says in the words of the usage.
func plainFlagError(err error) string {
	text := err.Error()
	for was, is := range map[string]string{
		"flag provided but not defined: -": "there is no flag --",
		"flag needs an argument: -":        "a value is missing after --",
	} {
		if name, ok := strings.CutPrefix(text, was); ok {
			return is + name
		}
	}
	// The others quote a value.
	return "a flag has a value that it cannot have"
}

// checkCount refuses arguments that are missing or too many. It repeats none of them.
func (c *subcommand) checkCount(positional []string) error {
	names := strings.Fields(c.arguments)
	if len(positional) > len(names) {
		problem := "takes no arguments"
		if len(names) > 0 {
			problem = fmt.Sprintf("takes %s and nothing else, got %d arguments", c.arguments, len(positional))
		}
		return usageError{problem: problem, command: c}
	}
	for i, name := range names {
		missing := i >= len(positional)
		if missing && !strings.HasPrefix(name, "[") {
			return usageError{problem: name + " is missing", command: c}
		}
		if !missing && positional[i] == "" {
			return usageError{problem: strings.Trim(name, "[]") + " is empty", command: c}
		}
	}
	return nil
}

// flags returns an empty set, which writes nothing by itself.
func (c *subcommand) flags() *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// usage is how the command is called, in a line.
func (c *subcommand) usage() string {
	text := "parley " + c.name
	flags := c.flags()
	c.prepare(flags)
	flags.VisitAll(func(f *flag.Flag) { text += " [" + flagUsage(f) + "]" })
	if c.arguments != "" {
		text += " " + c.arguments
	}
	return text
}

func flagUsage(f *flag.Flag) string {
	value, _ := flag.UnquoteUsage(f)
	if value == "" {
		return "--" + f.Name
	}
	return "--" + f.Name + " " + value
}

// writeHelp writes the help of the program, of a group of commands, or of one.
func writeHelp(w io.Writer, words []string) error {
	if len(words) == 0 {
		return writeProgramHelp(w)
	}
	c, rest := findCommand(words)
	members := group(words[0])
	switch {
	case c != nil && len(rest) == 0:
		return c.writeHelp(w)
	case len(members) == 0 || len(words) > 1:
		return unknownCommand(words)
	}
	text := new(strings.Builder)
	fmt.Fprintf(text, "Usage: parley %s COMMAND\n\nCommands:\n", words[0])
	writeSummaries(text, members)
	fmt.Fprintf(text, "\nEach has a help of its own: parley %s --help\n", members[0].name)
	_, err := io.WriteString(w, text.String())
	return err
}

func (c *subcommand) writeHelp(w io.Writer) error {
	text := new(strings.Builder)
	fmt.Fprintf(text, "Usage: %s\n\n%s%s.\n", c.usage(), strings.ToUpper(c.summary[:1]), c.summary[1:])
	if c.more != "" {
		fmt.Fprintf(text, "\n%s\n", c.more)
	}
	flags := c.flags()
	c.prepare(flags)
	heading := "\nFlags:\n"
	flags.VisitAll(func(f *flag.Flag) {
		_, meaning := flag.UnquoteUsage(f)
		fmt.Fprintf(text, "%s  %-20s %s\n", heading, flagUsage(f), meaning)
		heading = ""
	})
	_, err := io.WriteString(w, text.String())
	return err
}

// writeSummaries writes a line for each command.
func writeSummaries(w io.Writer, rows []subcommand) {
	for _, c := range rows {
		_, _ = fmt.Fprintf(w, "  %-22s %s\n", strings.TrimSpace(c.name+" "+c.arguments), c.summary)
	}
}

// writeProgramHelp writes the commands and the settings.
func writeProgramHelp(w io.Writer) error {
	text := new(strings.Builder)
	text.WriteString("Parley is a self-hosted chat backend for GraphQL frontends.\n\n" +
		"Usage: parley [COMMAND]\n\nCommands:\n")
	writeSummaries(text, commands)
	text.WriteString("\nEach has a help of its own: parley COMMAND --help, or parley help COMMAND.\n" +
		"Everything is configured by the environment:\n\n")
	_, err := io.WriteString(w, text.String())
	return errors.Join(err, writeConfigHelp(w))
}
