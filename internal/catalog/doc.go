// Package catalog knows which models there are: what each is, which upstream serves it,
// and which one is meant when nobody names one. It does not call models, and does not say
// who may use which.
//
// Its one invariant: what is listed, what a name resolves to and where a request for it
// goes come from one Snapshot, which never changes; a Catalog swaps it as a whole.
package catalog
