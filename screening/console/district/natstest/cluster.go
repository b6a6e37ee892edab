// Package natstest runs NATS servers with JetStream for tests: real processes, built from the server's module.
package natstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"thermogate/testdata"
)

// Cluster is servers that know each other, or one alone.
type Cluster struct {
	dir   string
	nodes []*node
}

type node struct {
	port    int
	args    []string
	log     string
	process *exec.Cmd
	exited  chan struct{}
}

// Options are what differs from a cluster that lets everybody do everything.
type Options struct {
	// Config is added to that of each server, such as accounts and TLS.
	Config string
	// Whole makes all of a server's config, in place of the usual one.
	Whole func(Node) string
	// Connect are for who asks whether the servers are ready, where Config has users or TLS.
	Connect []nats.Option
}

// Node is what a config of a server names.
type Node struct {
	Number       int // from 0 on
	Listen       string
	Cluster      string   // where it listens for the others
	ClusterPeers []string // where all do
	Folder       string   // for what it stores
}

func (n Node) config() string {
	config := fmt.Sprintf("server_name: node%d\nlisten: %q\njetstream: {store_dir: %q}\n", n.Number, n.Listen, n.Folder)
	if len(n.ClusterPeers) > 1 {
		config += fmt.Sprintf("cluster: {name: district, listen: %q, routes: [\"nats://%s\"]}\n", n.Cluster, strings.Join(n.ClusterPeers, `", "nats://`))
	}
	return config
}

// readyLimit is how long servers may take until JetStream works, on a machine that does much else.
const readyLimit = 3 * time.Minute

// Start runs so many servers, 1 or 3, on free ports of this machine, and returns once JetStream works.
func Start(nodes int, options Options) (*Cluster, error) {
	binary, err := build()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "thermogate-nats-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := c.start(binary, nodes, options); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// build returns the path of the server, which Go keeps in its cache.
func build() (string, error) {
	cmd := exec.Command("go", "tool", "-n", "github.com/nats-io/nats-server/v2")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("building nats-server: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (c *Cluster) start(binary string, nodes int, options Options) error {
	var ports []int
	for range 2 * nodes {
		port, err := testdata.TakePort()
		if err != nil {
			return err
		}
		ports = append(ports, port)
	}
	address := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	var peers []string
	for _, port := range ports[nodes:] {
		peers = append(peers, address(port))
	}
	for i := range nodes {
		is := Node{i, address(ports[i]), peers[i], peers, c.Folder(i)}
		if err := os.Mkdir(is.Folder, 0o700); err != nil {
			return err
		}
		config := is.config() + options.Config
		if options.Whole != nil {
			config = options.Whole(is)
		}
		file := filepath.Join(c.dir, fmt.Sprintf("node%d.conf", i))
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return err
		}
		c.nodes = append(c.nodes, &node{port: ports[i], log: filepath.Join(c.dir, fmt.Sprintf("node%d.log", i)), args: []string{binary, "-c", file}})
		if err := c.StartNode(i); err != nil {
			return err
		}
	}
	return c.ready(options.Connect)
}

// ready returns once JetStream answers.
func (c *Cluster) ready(options []nats.Option) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	for {
		err := c.answers(ctx, options)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("JetStream does not start: %w\n%s", err, c.Log(0))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *Cluster) answers(ctx context.Context, options []nats.Option) error {
	conn, err := nats.Connect(c.URL(0), options...)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, time.Second) // servers that have not found each other do not answer
	defer cancel()
	if _, err = js.AccountInfo(ask); err != nil || len(c.nodes) == 1 {
		return err
	}
	// A stream on all of them is what a cluster can make once all have found each other.
	const probe = "NATSTEST"
	ctx, cancelProbe := context.WithTimeout(ctx, 10*time.Second)
	defer cancelProbe()
	if _, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: probe, Subjects: []string{"natstest"}, Replicas: len(c.nodes)}); err != nil {
		return err
	}
	return js.DeleteStream(ctx, probe)
}

// URL is the address of one server.
func (c *Cluster) URL(i int) string { return fmt.Sprintf("nats://127.0.0.1:%d", c.nodes[i].port) }

// URLs are the addresses of all.
func (c *Cluster) URLs() []string {
	var all []string
	for i := range c.nodes {
		all = append(all, c.URL(i))
	}
	return all
}

// PID is the number of a server's process; 0 while it does not run.
func (c *Cluster) PID(i int) int {
	if c.nodes[i].process == nil {
		return 0
	}
	return c.nodes[i].process.Process.Pid
}

// Name is what a server is called in its cluster.
func (c *Cluster) Name(i int) string { return fmt.Sprintf("node%d", i) }

// Folder is where a server keeps what it stores.
func (c *Cluster) Folder(i int) string { return filepath.Join(c.dir, c.Name(i)) }

// Log is what a server has written so far.
func (c *Cluster) Log(i int) string {
	text, err := os.ReadFile(c.nodes[i].log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// StartNode starts a server that was killed or stopped, with what it had stored, and does not wait for it.
func (c *Cluster) StartNode(i int) error {
	n := c.nodes[i]
	out, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(n.args[0], n.args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	exited := make(chan struct{})
	started := make(chan error, 1)
	go func() {
		defer close(exited)
		runtime.LockOSThread() // for Pdeathsig is sent when the thread ends that has started the process
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		_ = cmd.Wait() // it is ended by a signal
	}()
	if err := <-started; err != nil {
		return err
	}
	n.process, n.exited = cmd, exited
	return nil
}

// KillNode ends a server at once, as a power cut does.
func (c *Cluster) KillNode(i int) error { return c.end(i, syscall.SIGKILL) }

// StopNode has a server end by itself.
func (c *Cluster) StopNode(i int) error { return c.end(i, syscall.SIGTERM) }

func (c *Cluster) end(i int, signal syscall.Signal) error {
	n := c.nodes[i]
	if n.process == nil {
		return nil
	}
	if err := n.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-n.exited
	n.process = nil
	return nil
}

// Stop ends all servers and removes what they kept.
func (c *Cluster) Stop() {
	for i := range c.nodes {
		_ = c.KillNode(i) // one that can't be killed is gone
	}
	_ = os.RemoveAll(c.dir) // a folder for temporary files
}
