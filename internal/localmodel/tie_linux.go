package localmodel

import (
	"os/exec"
	"syscall"
)

// tie makes the kernel end the child with the thread that starts it, even if
// the child is too stuck to see its pipe close.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
