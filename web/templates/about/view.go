// Package about holds the page that says what this process is.
package about

import (
	"time"

	"switchgear/web/templates/layout"
)

// View is the about page.
type View struct {
	Page      layout.Page
	Now       time.Time
	Version   string
	GoVersion string
	StartedAt time.Time
	ProcessID int
	// PublicURL is how browsers reach the console.
	PublicURL string
	// APIDocs leads to the page about the machine API; empty when another listener serves it.
	APIDocs   string
	Listeners []Listener
	// KeyFile is empty when the master key comes from the environment.
	KeyFile, KeyFingerprint string
	Database                Database
	// Licences lists third-party parts that are shipped to the browser.
	Licences []Licence
}

// Listener is one open address.
type Listener struct{ Name, Address, Serves string }

// Database is the state of the store.
type Database struct {
	Path                string
	SizeBytes, WALBytes int64
	SQLiteVersion       string
	SchemaVersion       int64
	Pragmas             []Pragma
}

// Pragma is one setting of the store as read back from it.
type Pragma struct{ Name, Value string }

// Licence is one vendored part.
type Licence struct{ Name, Version, Licence string }
