package district

import (
	"errors"
	"fmt"

	"thermogate/screening/listen"
)

// ConsoleUser is what the server of a district of one machine calls its console.
const ConsoleUser = "district"

// OneNode is how a server in the console's own process is found by plants, where a district has no other: package onenode is that
// server. It is the section "district.own" of the configuration file of a district's console.
type OneNode struct {
	// Listen is ADDRESS:PORT for plants.
	Listen string `yaml:"listen"`
	// Folder is where it keeps what is not stored yet.
	Folder string `yaml:"folder"`
	// CertFile and KeyFile (PEM) switch TLS on. An address that others can reach needs them.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// User and PasswordFile are those of all plants. Without a file a password is made, and told once.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// DefaultOneNode listens on this machine only.
func DefaultOneNode() OneNode {
	return OneNode{Listen: "127.0.0.1:4222", Folder: "thermogate-district-data/nats", User: "plants"}
}

// Validate names the first key that is wrong and what would be right. It opens no file.
func (c OneNode) Validate() error {
	if c.Folder == "" {
		return errors.New("folder: name the folder for what is not stored yet")
	}
	if c.User == "" || c.User == ConsoleUser {
		return fmt.Errorf("user: %q can't be the user of plants", c.User)
	}
	return (listen.Config{Listen: c.Listen, CertFile: c.CertFile, KeyFile: c.KeyFile}).Validate()
}
