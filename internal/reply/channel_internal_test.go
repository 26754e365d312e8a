package reply

import (
	"testing"

	"parley/ent"
	"parley/ent/message"
)

// Every channel has a column of its own, in the row as in memory.
func TestEveryChannelHasAColumn(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	var want Texts
	for c := range want {
		want[c] = Channel(c).Column() + "!"
		if seen[want[c]] || !message.ValidColumn(Channel(c).Column()) {
			t.Errorf("channel %d has the column %q, of another or of none", c, want[c])
		}
		seen[want[c]] = true
	}
	var row ent.Message
	want.put(&row)
	if got := TextsOf(&row); got != want {
		t.Errorf("put into a row and read again: %q, want %q", got, want)
	}
	u := ent.NewClient().Message.Update()
	want.set(u)
	for c, text := range want {
		if got, _ := u.Mutation().Field(Channel(c).Column()); got != text {
			t.Errorf("an update sets %s to %v, want %q", Channel(c).Column(), got, text)
		}
	}
}
