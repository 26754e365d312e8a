package store_test

import (
	"fmt"
	"strings"
	"testing"

	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

func eachDatabase(b *testing.B, bench func(b *testing.B, s *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, storetest.Postgres(b)) })
}

// BenchmarkSend stores a pair and waits for a reply that ends at once, in a line
// that is short and in one that is long: the cost must be the same.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{10, 5000} {
		b.Run(fmt.Sprint("line=", n), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, s *store.Store) {
				u := makeUser(b, s, "a@example.com")
				service := startChat(b, s)
				lines := make([]pid.ID, 32)
				for i := range lines {
					l := makeLine(b, s, u)
					l.fill(n)
					s.Client().Conversation.UpdateOneID(l.id).SetHeadID(*l.last).ExecX(u.ctx)
					lines[i] = l.id
					if n > 1000 {
						lines = lines[:1]
						break
					}
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					in := chat.SendInput{ConversationID: &lines[i%len(lines)], Content: "hello", Wait: true}
					if _, err := service.SendMessage(u.ctx, u.id, in); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		})
	}
}

// BenchmarkSendAlone stores the pair in a new conversation and does not wait.
func BenchmarkSendAlone(b *testing.B) {
	eachDatabase(b, func(b *testing.B, s *store.Store) {
		u := makeUser(b, s, "a@example.com")
		service := startChat(b, s)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := service.SendMessage(u.ctx, u.id, chat.SendInput{Content: "hello"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPrompt reads a line and makes the prompt of it.
func BenchmarkPrompt(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint("rows=", n), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, s *store.Store) {
				u := makeUser(b, s, "a@example.com")
				l := makeLine(b, s, u)
				l.fill(n)
				b.ReportAllocs()
				for b.Loop() {
					line, err := s.Line(u.ctx, u.id, l.id, n, 1<<30)
					if err != nil || len(line) != n {
						b.Fatalf("got %d rows, %v, want %d", len(line), err, n)
					}
					if got := prompt.Of(line); len(got) < n-1 { // The last one may be a reply.
						b.Fatalf("got %d messages, want about %d", len(got), n)
					}
				}
			})
		})
	}
}

// BenchmarkPage reads 20 messages from the end of a line of 5,000. Before the
// first ANALYZE, Postgres does not know that sorting them costs more than reading
// them in order.
func BenchmarkPage(b *testing.B) {
	for _, statement := range []string{"SELECT 1", "ANALYZE"} {
		b.Run(statement, func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, s *store.Store) { benchmarkPage(b, s, statement) })
		})
	}
}

func benchmarkPage(b *testing.B, s *store.Store, statement string) {
	u := makeUser(b, s, "a@example.com")
	l := makeLine(b, s, u)
	l.fill(5000)
	write, _ := s.Pools()
	if _, err := write.ExecContext(b.Context(), statement); err != nil {
		b.Fatal(err)
	}
	service := startChat(b, s)
	b.ReportAllocs()
	for b.Loop() {
		p, err := service.ListMessages(u.ctx, u.id, []pid.ID{l.id}, chat.PageArgs{Last: ptr(20)})
		if err != nil || len(p[l.id].Items) != 20 {
			b.Fatalf("got %d messages, %v, want 20", len(p[l.id].Items), err)
		}
	}
}

// BenchmarkCheckpoint stores the running text of 1,500 replies once, as one replica
// does about every second: in transactions of 32, as the engine does it, and one by
// one, for the ratio.
func BenchmarkCheckpoint(b *testing.B) {
	const streams = 1500
	for _, batch := range []int{32, 1} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, s *store.Store) { benchmarkCheckpoint(b, s, streams, batch) })
		})
	}
}

func benchmarkCheckpoint(b *testing.B, s *store.Store, streams, batch int) {
	u := makeUser(b, s, "a@example.com")
	replica := pid.New(pid.Replica)
	due := make([]reply.Checkpoint, streams)
	for i := range due {
		l := makeLine(b, s, u)
		m := l.builder(message.RoleASSISTANT, "").SetStatus(message.StatusSTREAMING).SetOwner(replica).SetAttempt(1).
			SaveX(u.ctx)
		due[i] = reply.Checkpoint{MessageID: m.ID, UserID: u.id, Attempt: 1}
	}
	ctx := viewer.AsSweep(b.Context())
	text := strings.Repeat("a piece of a longer text ", 80) // 2,000 bytes
	b.ReportAllocs()
	for b.Loop() {
		text += "." // No update is without a change.
		for i := range due {
			due[i].Texts[reply.Content] = text
		}
		for rest := due; len(rest) > 0; rest = rest[min(batch, len(rest)):] {
			lost, err := s.Checkpoint(ctx, replica, rest[:min(batch, len(rest))])
			if err != nil || len(lost) > 0 {
				b.Fatalf("lost %v, %v", lost, err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(streams), "µs/reply")
}
