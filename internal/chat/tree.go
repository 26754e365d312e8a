package chat

import (
	"slices"
	"strings"
	"time"

	"parley/internal/pid"
)

// node is a message as far as it decides where a line goes.
type node struct {
	id     pid.ID
	parent pid.ID // "": message 0, or not known.
	index  int
	// activated is when it came onto the visible line last.
	activated time.Time
}

// descend returns the line below a message, the message itself left out, that goes on as it
// was left: at each place to the child that was on the visible line last. Of children that
// came there at once, as copies do, the one made last counts. nodes are those behind the
// message, in any order.
func descend(from pid.ID, nodes []node) []node {
	children := make(map[pid.ID][]node, len(nodes))
	for _, n := range nodes {
		children[n.parent] = append(children[n.parent], n)
	}
	var line []node
	for at := children[from]; len(at) > 0; {
		next := slices.MaxFunc(at, func(a, b node) int {
			if c := a.activated.Compare(b.activated); c != 0 {
				return c
			}
			return strings.Compare(string(a.id), string(b.id))
		})
		line = append(line, next)
		at = children[next.id]
	}
	return line
}

// subtree returns a message and all that follows it, the deepest first, so that no row is
// deleted before one that refers to it.
func subtree(root node, nodes []node) []node {
	children := make(map[pid.ID][]node, len(nodes))
	for _, n := range nodes {
		children[n.parent] = append(children[n.parent], n)
	}
	all := []node{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].id]...)
	}
	slices.Reverse(all)
	return all
}
