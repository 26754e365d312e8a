// Command gqlpatch changes what gqlgen has generated, where gqlgen lets nobody say how it
// should be. Run it from the root of the repository, after gqlgen: go generate .
//
// A subscription encodes its events into one buffer, and keeps that until it ends: after one
// long event each of many open feeds would hold as much. The patch lets go of a long one.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
)

const (
	path   = "graph/generated/root_.generated.go"
	before = "\t\t\tbuf.Reset()\n"
	after  = "\t\t\tif buf.Cap() > 64<<10 { // Patched by internal/tools/gqlpatch.\n" +
		"\t\t\t\tbuf = bytes.Buffer{}\n\t\t\t}\n" + before
)

func main() {
	if err := patch(); err != nil {
		log.Fatalf("patch the generated GraphQL server: %v", err)
	}
}

func patch() error {
	code, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := bytes.Count(code, []byte(before)); n != 1 {
		return fmt.Errorf("%s resets a buffer in %d places, want one: has gqlgen changed?", path, n)
	}
	if bytes.Contains(code, []byte(after)) {
		return nil
	}
	return os.WriteFile(path, bytes.Replace(code, []byte(before), []byte(after), 1), 0o600)
}
