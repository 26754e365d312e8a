package script

// Measure returns how many pieces a message gives, and of how many bytes.
func Measure(message string) (pieces, bytes int) {
	all := read(message).pieces()
	for _, p := range all {
		bytes += len(p)
	}
	return len(all), bytes
}
