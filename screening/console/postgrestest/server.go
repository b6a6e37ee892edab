// Package postgrestest runs a PostgreSQL server for tests: Debian's, in a folder of its own, reached by a socket only.
package postgrestest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Server is a server that runs.
type Server struct {
	dir       string
	process   *exec.Cmd
	ended     chan struct{} // closed once process has
	bin       string
	as        *syscall.SysProcAttr
	databases atomic.Int32
}

// Start starts a server. It is an error where PostgreSQL is not installed.
func Start() (*Server, error) {
	tools, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(tools) == 0 {
		return nil, fmt.Errorf("PostgreSQL is not installed; deploy/install-packages test installs it")
	}
	dir, err := os.MkdirTemp("", "thermogate-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: filepath.Dir(tools[len(tools)-1]), as: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
	if err := s.start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) start() error {
	if os.Getuid() == 0 { // which PostgreSQL refuses to run as
		if err := s.asUser("postgres"); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	if out, err := s.command("initdb", "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return s.Restart()
}

// Restart starts a server that was killed, with what it had stored, and returns once it answers.
func (s *Server) Restart() error {
	if err := s.run(); err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := s.command("pg_isready", "-h", s.dir, "-U", "test", "-d", "postgres").Run()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			s.Stop()
			return fmt.Errorf("PostgreSQL does not start: %w", err)
		}
		select {
		case <-s.ended: // it found processes of the one that was killed
			if err := s.run(); err != nil {
				return err
			}
		default:
		}
	}
}

func (s *Server) run() error {
	process, ended := s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-h", "", "-c", "shared_buffers=128MB"), make(chan struct{})
	if err := process.Start(); err != nil {
		return err
	}
	go func() {
		_ = process.Wait() // it ends by a signal, or is started again
		close(ended)
	}()
	s.process, s.ended = process, ended
	return nil
}

// Kill ends the server's first process at once; the others notice.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// PID is the number of the server's first process.
func (s *Server) PID() int { return s.process.Process.Pid }

func (s *Server) end(signal syscall.Signal) {
	_ = s.process.Process.Signal(signal) // which is refused where it has ended
	<-s.ended
}

func (s *Server) asUser(name string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, int(uid), int(gid))
}

func (s *Server) command(tool string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, tool), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	return cmd
}

// Database makes a new database and returns its address.
func (s *Server) Database() (string, error) {
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if out, err := s.command("createdb", "-h", s.dir, "-U", "test", name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("createdb: %w: %s", err, out)
	}
	return "postgres://test@/" + name + "?host=" + url.QueryEscape(s.dir), nil
}

// Stop ends the server and removes what it kept.
func (s *Server) Stop() {
	s.end(syscall.SIGINT) // disconnects clients
	os.RemoveAll(s.dir)
}
