// Package deploy runs what the folder deploy offers to copy: each proxy before a real server,
// with a reply that goes through it piece by piece, and checks the rest by what would read it:
// systemd, Docker Compose and Kubernetes. It knows the server from outside only.
//
// Its one invariant: a file that is tested is the file that is offered. Only addresses and
// certificates are put in their place, and it fails when one of these is not there.
package deploy
