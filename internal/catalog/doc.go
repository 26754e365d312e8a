// Package catalog knows which models there are: what each is, how much it can read at once,
// which upstream serves it, and which one is meant when nobody names one. It does not call
// models, and does not say who may use which.
//
// Its one invariant: what is listed, what a name resolves to and where a request for it
// goes come from one Snapshot, which never changes; a Catalog swaps it as a whole.
//
// Files: catalog.go asks the source and answers, snapshot.go is what may be used at one
// moment, names.go says which names mean one model, window.go how much a model can read,
// errors.go why there is no model.
package catalog
