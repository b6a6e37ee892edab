package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"thermogate/screening/event"
)

// Health knows whether the gate is alive and whether it can screen people. All methods may be called from several
// goroutines at once.
type Health struct {
	config HealthConfig

	mu              sync.Mutex
	moved           time.Time // the loop last showed a sign of life
	frame           time.Time // a frame last went through
	camera          event.CameraState
	hung            int // how often the camera's driver hangs
	reference       event.Reason
	group           event.Reason
	referenceUsable time.Time
	referenceLeft   bool
	broker          bool
	brokerProblem   string
	journal         error
	unstored        time.Time // since when something waits for the disk
	door, console   error
	pausedUntil     time.Time
}

// HealthConfig says how long a part may be silent or out of order before that counts.
type HealthConfig struct {
	// Hang is how long the loop may go without a frame or an attempt to reopen the camera. It has to be longer than
	// the longest pause between two attempts.
	Hang time.Duration
	// Stale is how old the newest frame may be.
	Stale time.Duration
	// ReferenceGrace is how long the reference source may be unusable: people walk past it and shutters close.
	ReferenceGrace time.Duration
	// Unstored is how long events may wait for the disk before the process counts as failing.
	Unstored time.Duration
}

// DefaultHealthConfig fits a camera of 9 frames a second that is reopened at least every half minute.
func DefaultHealthConfig() HealthConfig {
	return HealthConfig{Hang: time.Minute, Stale: 2 * time.Second, ReferenceGrace: 5 * time.Second, Unstored: time.Minute}
}

// Fault is one part that keeps the gate from working.
type Fault struct {
	Part   string `json:"part"` // loop, camera, reference, group, broker, journal, door, console or pause
	Detail string `json:"detail,omitempty"`
}

// NewHealth returns the health of a gate that is starting up.
func NewHealth(config HealthConfig) *Health {
	now := time.Now()
	return &Health{config: config, moved: now, referenceUsable: now, camera: event.CameraStarting,
		reference: event.ReferenceMissing}
}

// ObserveScene records that a frame went through.
func (h *Health) ObserveScene(scene *event.Scene) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moved = time.Now()
	h.frame = h.moved
	h.reference, h.referenceLeft, h.group = scene.Reference.Problem, scene.Reference.Left, scene.Group
	if h.reference == event.NoProblem || h.reference == event.CarrierMoving { // a carrier may go its way
		h.referenceUsable = h.moved
	}
}

// SetCamera records the state of the camera, and how many calls of its driver hang. Call it at every attempt to reopen the
// camera, also when the state stays the same: it is the sign of life while there are no frames. While a call hangs it is
// none: a restart is then what helps.
func (h *Health) SetCamera(state event.CameraState, hung int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.camera, h.hung = state, hung
	if hung == 0 {
		h.moved = time.Now()
	}
}

// SetBroker records whether the MQTT broker is connected, and what is wrong with it, empty when nothing is known.
func (h *Health) SetBroker(connected bool, problem string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broker, h.brokerProblem = connected, problem
}

// SetJournal records why events do not get to the disk, or not in time, nil when they do, and since when something waits
// for it, the zero time when nothing does.
func (h *Health) SetJournal(err error, unstored time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.journal, h.unstored = err, unstored
}

// SetPaused records until when nobody is screened; the zero time ends the pause.
func (h *Health) SetPaused(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pausedUntil = until
}

// SetDoor records why the door does not obey, nil when it does.
func (h *Health) SetDoor(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.door = err
}

// SetConsole records why the console within the gate does not run, nil when it does or there is none.
func (h *Health) SetConsole(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.console = err
}

// Moving says whether the loop moves. One that hangs is only helped by a restart.
func (h *Health) Moving() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.still() <= h.config.Hang
}

func (h *Health) still() time.Duration { return time.Since(h.moved) }

// Alive returns what is wrong with the process itself: a loop or a camera's driver that hangs, or nothing that gets to the disk for long. A
// restart brings back no disk, so whoever restarts the process looks at Moving. Anything else is left to Ready.
func (h *Health) Alive() []Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	var faults []Fault
	if still := h.still(); still > h.config.Hang {
		detail := "no frame and no attempt to reopen the camera for %s"
		if h.hung > 0 {
			detail = "the camera's driver hangs, and there was no frame for %s"
		}
		faults = append(faults, Fault{"loop", fmt.Sprintf(detail, seconds(still))})
	}
	if h.journal != nil && !h.unstored.IsZero() && time.Since(h.unstored) > h.config.Unstored {
		faults = append(faults, Fault{"journal", h.journal.Error()})
	}
	return faults
}

// Ready returns what keeps the gate from screening people and telling of it, nothing when all is well.
func (h *Health) Ready() []Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	var faults []Fault
	if detail := h.cameraFault(); detail != "" {
		faults = append(faults, Fault{"camera", detail})
	} else if out := time.Since(h.referenceUsable); out > h.config.ReferenceGrace {
		detail := fmt.Sprintf("%s for %s", h.reference, seconds(out))
		if h.referenceLeft {
			detail += ": it is not what or where it was; put that right, or press “Learn anew” at /status or send the command recalibrate"
		}
		faults = append(faults, Fault{"reference", detail})
	}
	if h.group == event.BaselineShift {
		faults = append(faults, Fault{"group", "everybody reads low, or high, so nobody passes: is the reference source as warm as measure.reference_celsius says, " +
			"the lens clean, does the sun or a draught reach the camera? Put it right; if all is well and people still read so, press “Learn anew” at /status or send recalibrate"})
	}
	if !h.broker {
		faults = append(faults, Fault{"broker", strings.TrimSuffix("not connected, events wait in the journal: "+h.brokerProblem, ": ")})
	} else if h.brokerProblem != "" {
		faults = append(faults, Fault{"broker", h.brokerProblem})
	}
	if h.journal != nil {
		faults = append(faults, Fault{"journal", h.journal.Error()})
	}
	if h.door != nil {
		faults = append(faults, Fault{"door", h.door.Error()})
	}
	if h.console != nil {
		faults = append(faults, Fault{"console", h.console.Error()})
	}
	if !h.pausedUntil.IsZero() {
		faults = append(faults, Fault{"pause", "nobody is screened until " + h.pausedUntil.Format(time.RFC3339)})
	}
	return faults
}

func (h *Health) cameraFault() string {
	switch {
	case h.camera != event.CameraOK && h.hung > 0:
		return string(h.camera) + ", its driver hangs"
	case h.camera != event.CameraOK:
		return string(h.camera)
	case h.frame.IsZero():
		return "no frame yet"
	case time.Since(h.frame) > h.config.Stale:
		return fmt.Sprintf("no frame for %s", seconds(time.Since(h.frame)))
	case h.reference == event.RoomTooWarm:
		return "what it sees is as warm as skin, so people walk through unseen: cool the room or move the gate, and screen by hand meanwhile"
	case h.reference == event.RangeChanged:
		return "all its temperatures have jumped: it went to another range or gain; fix that in the camera's settings"
	}
	return ""
}

// Identity says which gate answers.
type Identity struct {
	Site string `json:"site"`
	Gate string `json:"gate"`
	// Config changes with the configuration that the gate was started with.
	Config  string    `json:"config"`
	Started time.Time `json:"started,omitzero"`
}

// Register serves /healthz (200 while the process is alive) and /readyz (200 while the gate can screen people), 503
// otherwise, both with the faults as JSON.
func (h *Health) Register(mux *http.ServeMux, gate Identity) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeFaults(w, &gate, h.Alive()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { writeFaults(w, &gate, h.Ready()) })
}

// RegisterBrief serves the same for everybody: of a fault only its part, and not which gate it is.
func (h *Health) RegisterBrief(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeFaults(w, nil, brief(h.Alive())) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { writeFaults(w, nil, brief(h.Ready())) })
}

func brief(faults []Fault) []Fault {
	for i := range faults {
		faults[i].Detail = ""
	}
	return faults
}

func writeFaults(w http.ResponseWriter, gate *Identity, faults []Fault) {
	body := struct {
		Status string `json:"status"`
		*Identity
		Faults []Fault `json:"faults,omitempty"`
	}{"ok", gate, faults}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if len(faults) > 0 {
		body.Status = "failing"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}

func seconds(d time.Duration) time.Duration { return d.Round(time.Second) }
