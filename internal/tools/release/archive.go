package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// file is a file of an archive.
type file struct {
	name string
	text []byte
	mode fs.FileMode
}

// pack writes the archive of a binary: a zip for Windows, where nothing else opens by itself.
func (p plan) pack(b binary, licences []byte) error {
	folder := fmt.Sprintf("parley_%s_%s_%s", p.version, b.os, b.arch)
	program, err := os.ReadFile(b.path)
	if err != nil {
		return err
	}
	files := []file{{b.name(), program, 0o755}, {"licenses.txt", licences, 0o644}}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(p.root, name))
		if err != nil {
			return err
		}
		files = append(files, file{name, text, 0o644})
	}
	err = fs.WalkDir(os.DirFS(p.root), "deploy", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(os.DirFS(p.root), name)
		files = append(files, file{name, text, 0o644})
		return err
	})
	if err != nil {
		return err
	}
	for i := range files {
		files[i].name = path.Join(folder, files[i].name)
	}
	write, ending := writeTar, ".tar.gz"
	if b.os == "windows" {
		write, ending = writeZip, ".zip"
	}
	var archive bytes.Buffer
	if err := write(&archive, files, p.time); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.out, folder+ending), archive.Bytes(), 0o644)
}

func writeTar(w io.Writer, files []file, at time.Time) error {
	packed := gzip.NewWriter(w) // Its header has no time and no name.
	archive := tar.NewWriter(packed)
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.name, Mode: int64(f.mode), Size: int64(len(f.text)), ModTime: at,
			Format: tar.FormatPAX,
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

func writeZip(w io.Writer, files []file, at time.Time) error {
	archive := zip.NewWriter(w)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at}
		header.SetMode(f.mode)
		member, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := member.Write(f.text); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeSums writes the sum of each file of a folder, in the form that sha256sum -c reads.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir) // In the order of names.
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), entry.Name())
	}
	return os.WriteFile(filepath.Join(dir, sumsName), sums.Bytes(), 0o644)
}
