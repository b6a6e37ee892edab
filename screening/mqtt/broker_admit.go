package mqtt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"

	"thermogate/screening/datadir"
)

// admittedName is the file, beside the broker's own, of the gates that were let in while it ran: the SHA-256 of their
// passwords, hexadecimal, by their names.
const admittedName = "broker-gates.json"

// Admit lets another gate of the site in from now on, also after a restart. One that has come in by an earlier Admit is
// disconnected, and its password is this one. Let the password be random: of it is kept a plain hash.
func (b *Broker) Admit(gate Gate, password string) error {
	if err := b.MayAdmit(gate); err != nil {
		return err
	}
	return b.change(gate, func(admitted map[string][sha256.Size]byte) { admitted[gate.Name] = sha256.Sum256([]byte(password)) })
}

// MayAdmit says why a gate can't be let in.
func (b *Broker) MayAdmit(gate Gate) error {
	switch {
	case gate.Site != b.access.gate.Site:
		return fmt.Errorf("this broker is for site %s, and the gate is of %s; give it the same site, or use another broker", b.access.gate.Site, gate.Site)
	case gate == b.access.gate:
		return fmt.Errorf("this broker is that of gate %s itself", gate.Name)
	case b.access.users[gate.Name].role != "":
		return fmt.Errorf("broker.users has %s already; take it out there, or give the gate another name", gate.Name)
	}
	return nil
}

// ErrConfigured is for a gate that the config lets in, which no program takes back.
var ErrConfigured = errors.New("broker.users of the config lets it in: take it out there, and start the gate whose broker this is again")

// Expel takes back what Admit gave, and disconnects the gate. It is nothing new for one that was not admitted; ErrConfigured
// for one in broker.users.
func (b *Broker) Expel(gate Gate) error {
	if b.access.users[gate.Name].role != "" && gate.Site == b.access.gate.Site {
		return ErrConfigured
	}
	return b.change(gate, func(admitted map[string][sha256.Size]byte) { delete(admitted, gate.Name) })
}

func (b *Broker) change(gate Gate, change func(map[string][sha256.Size]byte)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions == nil {
		return errors.New("the broker waits for its disk")
	}
	if err := b.access.change(change); err != nil {
		return fmt.Errorf("keeping whom the broker lets in: %w", err)
	}
	b.sessions.cut(gate.Name)
	return nil
}

// change keeps who is admitted before it counts.
func (a *access) change(change func(map[string][sha256.Size]byte)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	admitted := maps.Clone(a.admitted)
	change(admitted)
	kept := map[string]string{}
	for name, password := range admitted {
		kept[name] = hex.EncodeToString(password[:])
	}
	if err := datadir.Replace(a.file, kept); err != nil {
		return err
	}
	a.admitted = admitted
	return nil
}

// recall reads who was admitted before. Where the file is damaged the gates have to join anew; nobody else waits for that.
func (a *access) recall(file string, log *slog.Logger) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.file = file
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept map[string]string
	if err := json.Unmarshal(text, &kept); err != nil {
		log.Error("who was let in by this broker is not known any more: other gates have to join anew", "file", file, "error", err)
	}
	for name, password := range kept {
		if sum, err := hex.DecodeString(password); err == nil && len(sum) == sha256.Size {
			a.admitted[name] = [sha256.Size]byte(sum)
		}
	}
	return nil
}
