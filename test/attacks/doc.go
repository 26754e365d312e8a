// Package attacks holds what one user, or nobody, might do to take the server down, as
// tests against the real binary in a memory limit. Beside each attack a bystander goes on
// with a chat, and all that it asks for must be answered.
//
// A test starts a server, says what the attacker does, and lets the bystander check that
// nothing of it shows:
//
//	s := start(t)
//	defer s.bystander(t)()
//	… the attack, as s.user(t, "eve") …
//
// When the test ends, the server must be alive, and must never have had more memory than
// the limit. The attacks run on Linux, which says how much a process has had.
//
//	server_linux_test.go     the process, and its limit
//	client_linux_test.go     who asks: users, nobody, sockets, the bystander
//	size_linux_test.go       answers that are long, or are not read; feeds that multiply
//	prompt_linux_test.go     conversations that are longer than a prompt may be
//	quota_linux_test.go      sends, conversations, texts and refreshes without end
//	stranger_linux_test.go   what nobody may send: dear headers and documents, sockets on
//	                         which nobody signs in, requests whose end is not clear
//
// The server uses SQLite; where one user may keep others from the database it uses Postgres
// when make test has started one.
//
// It owns no rule of the product. Its one invariant: it knows the server by its protocol
// and by /proc alone.
package attacks
