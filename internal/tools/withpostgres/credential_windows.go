package main

import "syscall"

// credential has nothing to do: Postgres gives up an administrator's rights by itself.
func credential(string) (*syscall.SysProcAttr, error) {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}, nil
}
