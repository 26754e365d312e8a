package catalog

import "fmt"

// RequiredError says that nobody has named a model and that there is no default.
type RequiredError struct {
	// Models are the names to choose from.
	Models []string
}

// Error implements error.
func (e *RequiredError) Error() string {
	return fmt.Sprintf("a model must be named; there are %d and no default", len(e.Models))
}

// UnknownError says that a model may not be used.
type UnknownError struct {
	// Known is how many may be used.
	Known int
}

// Error implements error.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("the model is not one of the %d that may be used", e.Known)
}

// UnavailableError says that the list of models cannot be had.
type UnavailableError struct {
	Err error
}

// Error implements error.
func (e *UnavailableError) Error() string { return fmt.Sprintf("no list of models: %v", e.Err) }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }
