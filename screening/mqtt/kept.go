package mqtt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"

	"thermogate/screening/datadir"
)

// kept is what a client has to know after a restart, in a small file.
type kept struct {
	path string // empty keeps nothing
	log  *slog.Logger

	mu      sync.Mutex
	content keptContent
}

type keptContent struct {
	// BdSeq is that of the newest Sparkplug connection, absent before the first.
	BdSeq *uint8 `json:"bd_seq,omitempty"`
	// Discovery are the topics on which the gate has described itself for Home Assistant.
	Discovery []string `json:"discovery,omitempty"`
}

// Keep has the client keep in the file at path what it has to know after a restart. Call it before Run. A file that can't be read is
// an error, and is made anew when there is something to keep.
func (c *Client) Keep(path string) error {
	c.kept.path = path
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &c.kept.content); err != nil {
		c.kept.content = keptContent{}
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	return nil
}

// change changes what is kept. Where the disk does not take it, a restart will not know of it.
func (k *kept) change(change func(*keptContent)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.content)
	if k.path == "" {
		return
	}
	if err := datadir.Replace(k.path, k.content); err != nil {
		k.log.Error("a restart will not know of this", "file", k.path, "error", err)
	}
}

// nextBdSeq is the number of another Sparkplug connection; 0 follows 255.
func (k *kept) nextBdSeq() (next uint8) {
	k.change(func(c *keptContent) {
		if c.BdSeq != nil {
			next = *c.BdSeq + 1
		}
		c.BdSeq = &next
	})
	return next
}

func (k *kept) discovery() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.content.Discovery)
}

func (k *kept) describedOn(topic string) {
	if !slices.Contains(k.discovery(), topic) {
		k.change(func(c *keptContent) { c.Discovery = append(c.Discovery, topic) })
	}
}

func (k *kept) takenBack(topic string) {
	k.change(func(c *keptContent) {
		c.Discovery = slices.DeleteFunc(c.Discovery, func(t string) bool { return t == topic })
	})
}
