package web

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"thermogate/screening/console/postgrestest"
	"thermogate/screening/console/store"
)

var (
	postgresUsed atomic.Bool
	postgres     = sync.OnceValues(postgrestest.Start)
)

func TestMain(m *testing.M) {
	code := m.Run()
	if postgresUsed.Load() {
		if s, err := postgres(); err == nil {
			s.Stop()
		}
	}
	os.Exit(code)
}

// TestOnPostgreSQL has the pages do on the other kind of store what they do on SQLite.
func TestOnPostgreSQL(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"pages": TestEveryPageInBothLanguages, "roles": TestRolesAndScope, "reading": TestReading, "stream": TestStream, "accounts": TestAccounts, "audit": TestAudit, "unreadable": TestUnreadable,
		"provider": TestProvider,
		"alert":    TestBrowserAlertToItsEnd, "escalation": TestBrowserEscalation,
	} {
		t.Run(name, test)
	}
}

// storeOf is SQLite but for the tests of TestOnPostgreSQL.
func storeOf(t testing.TB) store.Config {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.File = filepath.Join(t.TempDir(), "console.db")
	if !strings.HasPrefix(t.Name(), "TestOnPostgreSQL/") {
		return cfg
	}
	postgresUsed.Store(true)
	s, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.PostgreSQL, err = s.Database(); err != nil {
		t.Fatal(err)
	}
	return cfg
}
