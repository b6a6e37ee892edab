package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"thermogate/camera"
	"thermogate/camera/clip"
	"thermogate/cmd/internal/program"
	"thermogate/screening/badge"
	"thermogate/screening/console"
	"thermogate/screening/door"
	"thermogate/screening/event"
	"thermogate/screening/face"
	"thermogate/screening/gate"
	"thermogate/screening/journal"
	"thermogate/screening/kiosk"
	"thermogate/screening/kiosk/access"
	"thermogate/screening/listen"
	"thermogate/screening/metrics"
	"thermogate/screening/mqtt"
	"thermogate/screening/policy"
)

// station is a gate at work with all that belongs to it: camera, journal, broker, pages.
type station struct {
	config       config
	log          *slog.Logger
	detector     *face.Detector
	camera       *camera.Live
	journal      *journal.Journal
	broker       *mqtt.Client
	ownBroker    *mqtt.Broker // nil where the config names another one
	door         *door.Door   // nil at a gate that opens none
	badges       *badge.Desk  // nil at a gate without readers of badges
	clips        *clip.Keeper // nil where no clips are kept
	metrics      *metrics.Metrics
	health       *metrics.Health
	kiosk        *kiosk.Kiosk
	web          *listen.Listener
	logins       *listen.Attempts
	pages        http.Handler
	memory       memory
	pauses       pauseFile
	reference    referenceFile
	present      presence
	verdicts     chan verdict
	snapshots    chan snapshot
	recalibrated chan struct{}   // holds a token while what is kept of the reference source is to be replaced
	inside       *console.Config // of the console within the gate; nil where there is none
	closers      []func() error

	pausing sync.Mutex // one change of the pause at a time
	naming  sync.Mutex // held from where a verdict is made to where it is on its way, so that what says who it is about comes after it
	over    bool       // verdicts is closed; changes under naming

	mu          sync.Mutex  // of what follows; held while a frame goes through the gate
	gate        *gate.Gate  // nil before the first frame
	info        camera.Info // of the camera that gate is for
	pausedUntil time.Time   // zero while people are screened; changes under pausing, too

	statusMu sync.Mutex
	status   mqtt.Status
}

// verdict is an event on its way to the disk, with what the policy had learnt by then, or one that says who an earlier one is
// about.
type verdict struct {
	event  event.Event
	learnt policy.State // of a verdict
}

func (v verdict) alerts() bool { return v.event.Data.Outcome == event.Alert }

// verdictQueue is how many verdicts may wait to be handed to the journal, which takes them at once.
const verdictQueue = 256

// openStation takes hold of everything a gate needs and can fail to get. The camera is not part of that: it may come
// and go. After an error nothing is left open.
func openStation(ctx context.Context, c config, open func(context.Context) (camera.Source, error), log *slog.Logger) (*station, error) {
	s := &station{
		config:    c,
		log:       log,
		health:    metrics.NewHealth(metrics.DefaultHealthConfig()),
		memory:    memory{path: filepath.Join(c.DataDir, "memory.json")},
		pauses:    pauseFile{path: filepath.Join(c.DataDir, "pause.json")},
		reference: referenceFile{path: filepath.Join(c.DataDir, "reference.json")}, recalibrated: make(chan struct{}, 1),
		verdicts: make(chan verdict, verdictQueue), snapshots: make(chan snapshot, snapshotQueue),
	}
	if err := s.acquire(ctx, open); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *station) acquire(ctx context.Context, open func(context.Context) (camera.Source, error)) error {
	var err error
	if s.inside, err = readConsole(&s.config); err != nil {
		return err
	}
	c := s.config
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil && !journal.Refused(err) { // the journal tells of the disk
		return fmt.Errorf("data_dir %s: %w", c.DataDir, err)
	}
	if s.web, err = listen.Open(c.HTTP.Config, s.log); err != nil {
		return fmt.Errorf("http.%w", err)
	}
	s.closers = append(s.closers, s.web.Close)
	if s.detector, err = c.detector(); err != nil {
		return err
	}
	s.closers = append(s.closers, s.detector.Close)
	if s.journal, err = journal.Open(ctx, filepath.Join(c.DataDir, journalName), c.journal(), s.log); err != nil {
		return err
	}
	s.closers = append(s.closers, s.journal.Close)
	self, connection := mqtt.Gate{Site: c.Site, Name: c.Gate}, c.mqtt()
	if c.MQTT.Broker == "" {
		if s.ownBroker, err = mqtt.StartBroker(c.Broker, self, filepath.Join(c.DataDir, brokerName), s.log); err != nil {
			return err
		}
		s.closers = append(s.closers, s.ownBroker.Close)
		connection.Own = s.ownBroker
	}
	if s.broker, err = mqtt.New(connection, self, s.journal, s.obey, s.log); err != nil {
		return err
	}
	if err := s.broker.Keep(filepath.Join(c.DataDir, "mqtt.json")); err != nil {
		s.log.Warn("what was published before may not be taken back", "error", err)
	}
	s.broker.HandleAlerts(s.hearOfAlert)
	s.broker.TellSettings(c.told())
	s.tell(func(status *mqtt.Status) { // before the broker is told anything, its last will included
		*status = mqtt.Status{Version: program.Version(), Camera: string(event.CameraStarting), Lacks: c.lacks()}
	})
	if c.Door.Output != "" {
		if s.door, err = door.New(c.Door, door.Calls{May: s.present.mayGoIn, Answered: s.doorAnswered, Moved: s.doorMoved}, s.log); err != nil {
			return err
		}
	}
	s.metrics = metrics.New(program.Version())
	s.metrics.SetGate(c.Site, c.Gate)
	if err := s.openBadges(); err != nil {
		return err
	}
	pages := kiosk.DefaultConfig()
	pages.Gate, pages.Version, pages.Language, pages.StallLimit = c.Site+" "+c.Gate, program.Version(), c.HTTP.Language, c.Camera.Stall
	pages.Page, pages.Door, pages.OutcomeOnly = c.Kiosk, s.door != nil, c.OutcomeOnly
	pages.Badges, pages.Reader = s.badges != nil, c.Badge.Page
	s.kiosk = kiosk.New(pages)
	s.kiosk.SetLacks(c.lacks())
	s.linkConsole("")
	s.logins = listen.NewAttempts(s.log)
	if s.pages, err = s.routes(); err != nil {
		return err
	}
	if c.Clips.AroundAlerts {
		s.clips = clip.NewKeeper(c.Clips, filepath.Join(c.DataDir, clipsName), s.log)
	}
	s.recallVerdicts(ctx)
	s.recallPause()
	s.camera = camera.NewLive(open, c.Camera.live(s.cameraChanged))
	s.closers = append(s.closers, s.camera.Close)
	return nil
}

// recallVerdicts tells the pages of the latest verdicts of earlier runs.
func (s *station) recallVerdicts(ctx context.Context) {
	err := journal.List(ctx, filepath.Join(s.config.DataDir, journalName), journal.Filter{Limit: kiosk.HistoryLength},
		func(entry journal.Entry) error {
			if entry.Event.Data.Outcome != event.Named {
				s.kiosk.Resume(entry.Event)
			}
			return nil
		})
	if err != nil {
		s.log.Warn("not all earlier verdicts can be listed", "error", err)
	}
}

// close lets go of everything, last things first.
func (s *station) close() {
	for _, closer := range slices.Backward(s.closers) {
		if err := closer(); err != nil {
			s.log.Debug("closing", "error", err)
		}
	}
}

// routes serve the pages to whoever is let in, and to everybody whether the gate works, without why not.
func (s *station) routes() (http.Handler, error) {
	private := http.NewServeMux()
	private.Handle("/metrics", s.metrics.Handler())
	private.Handle("/", s.kiosk)
	if s.config.Badge.Page {
		private.Handle("POST /badge/page", s.kiosk.FromScreen(badge.NewPage(s.kiosk.HappenedAt, s.takeBadge)))
	}
	identity := s.config.identity()
	identity.Started = time.Now().UTC().Truncate(time.Second)
	s.health.Register(private, identity)
	private.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(s.config.told()) // a client that is gone needs no answer
	})
	guarded := http.Handler(private)
	if s.config.HTTP.PasswordFile != "" {
		who, err := access.Open(filepath.Join(s.config.DataDir, "access.json"), s.config.HTTP.Guarded, s.logins, s.log)
		if err != nil {
			return nil, err
		}
		s.kiosk.OfferRecalibration(s.recalibrate)
		guarded = s.kiosk.Entrance(private, who, s.config.HTTP.Config)
	}
	brief := http.NewServeMux()
	s.health.RegisterBrief(brief)
	brief.Handle("/", guarded)
	public := http.NewServeMux()
	public.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.URL.Query().Has("verbose") {
			guarded.ServeHTTP(w, r)
			return
		}
		brief.ServeHTTP(w, r)
	})
	if s.config.Badge.WebhookSecretFile != "" {
		webhook, err := badge.NewWebhook(s.config.Badge.WebhookSecretFile, s.takeBadge)
		if err != nil {
			return nil, err
		}
		public.Handle("POST /badge/webhook", webhook) // its signature lets it in, whatever a proxy needs to let it through
	}
	return public, nil
}

// run screens people until ctx is done.
func (s *station) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.screen(ctx) })
	group.Go(func() error { s.record(); return nil })
	group.Go(func() error { s.publishSnapshots(ctx); return nil })
	group.Go(func() error { s.keepReference(ctx); return nil })
	if s.door != nil {
		group.Go(func() error { s.door.Run(); return nil }) // until record closes it
	}
	if s.clips != nil {
		group.Go(func() error { s.clips.Run(ctx); return nil })
	}
	if s.badges != nil {
		group.Go(func() error { s.readBadges(ctx); return nil })
	}
	group.Go(func() error { s.broker.Run(ctx); return nil })
	group.Go(func() error { return s.watch(ctx) })
	group.Go(func() error { return s.web.Serve(ctx, s.pages) })
	group.Go(func() error { <-ctx.Done(); s.kiosk.Close(); return nil })
	return group.Wait()
}

// cameraChanged tells everybody of a camera that came or went.
func (s *station) cameraChanged(status camera.Status) {
	state := event.CameraState(status.State)
	if state != event.CameraOK {
		s.present.clear()
	}
	if status.Err != nil {
		s.log.Warn("camera "+string(status.State), "error", status.Err)
	} else {
		s.log.Info("camera " + string(status.State))
	}
	s.metrics.SetCamera(state)
	s.health.SetCamera(state, status.Hung)
	s.kiosk.SetCamera(state)
	s.tell(func(status *mqtt.Status) { status.Camera, status.Reference, status.Group = string(state), "", "" })
}

// tell changes what the broker's side knows of the gate.
func (s *station) tell(change func(*mqtt.Status)) {
	s.statusMu.Lock()
	defer s.statusMu.Unlock()
	change(&s.status)
	s.broker.SetStatus(s.status)
}

// watch passes on what nobody tells of by himself: counters, the broker, the systemd watchdog.
func (s *station) watch(ctx context.Context) error {
	notify(daemon.SdNotifyReady)
	defer notify(daemon.SdNotifyStopping)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before camera.Status
	for {
		before = s.watchCamera(before)
		broker := s.broker.State()
		s.endPause()
		s.metrics.SetBroker(broker.Connected)
		s.metrics.SetBacklog(broker.Backlog)
		s.metrics.SetStored(broker.Receivers, broker.Unstored)
		s.health.SetBroker(broker.Connected, s.brokerProblem(broker))
		s.metrics.SetTotals(totals(broker, s.journal.Stats(), s.logins.Wrong()))
		s.kiosk.SetBroker(broker.Connected, broker.Backlog)
		s.kiosk.SetTurnedAway(broker.TurnedAway && s.config.joined())
		if s.door != nil {
			fault := s.door.Err()
			s.health.SetDoor(fault)
			s.kiosk.SetDoor(fault)
		}
		s.tellJournal()
		if s.health.Moving() {
			notify(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// watchCamera passes on what has changed since the last status.
func (s *station) watchCamera(before camera.Status) camera.Status {
	status := s.camera.Status()
	s.metrics.AddCaptured(int(status.Frames - before.Frames))
	s.metrics.AddDropped(int(status.Dropped - before.Dropped))
	for range status.Reopened - before.Reopened {
		s.metrics.AddReopened()
	}
	if status.Reopened != before.Reopened || status.Hung != before.Hung {
		s.health.SetCamera(event.CameraState(status.State), status.Hung) // a sign of life while there are no frames
	}
	return status
}

// turnedAway is what a broker's refusal means that let the gate in when it joined.
const turnedAway = "it refuses this gate: an administrator has revoked it in the console, or another box has joined as it. Its events stay in the journal. " +
	"Ask an administrator for a link (page Gates of the console), and give it to thermogate join"

// brokerProblem is what is wrong with the connection, or with the gate's own broker.
func (s *station) brokerProblem(state mqtt.State) string {
	if state.TurnedAway && s.config.joined() {
		return turnedAway
	}
	if state.Doubled {
		return "another machine connects to the broker as this gate, and both throw each other off: switch off the one that was replaced, or give it another name"
	}
	if state.LastError == "" && s.ownBroker != nil {
		if err := s.ownBroker.Err(); err != nil {
			return err.Error()
		}
	}
	return state.LastError
}

// tellJournal passes on whether events get to the disk.
func (s *station) tellJournal() {
	err, kept := s.journal.Err(), s.journal.Stats()
	s.health.SetJournal(err, kept.WaitingSince)
	s.metrics.SetJournal(err != nil, kept.Waiting)
	s.kiosk.SetJournal(err, errors.Is(err, journal.ErrSlow))
}

func totals(broker mqtt.State, kept journal.Stats, wrongPasswords uint64) metrics.Totals {
	return metrics.Totals{
		CommandsObeyed:     broker.Commands,
		MessagesRefused:    broker.Refused,
		SparkplugSkipped:   broker.Skipped,
		JournalDropped:     kept.Dropped,
		UnstoredDropped:    kept.DroppedUnstored,
		JournalUnreadable:  kept.Unreadable,
		JournalWasSetAside: kept.SetAside != "",
		WrongPasswords:     wrongPasswords,
	}
}

// notify tells systemd, where it started us.
func notify(state string) { daemon.SdNotify(false, state) }

// screen walks the newest frames through the gate.
func (s *station) screen(ctx context.Context) error {
	defer s.endVerdicts()
	var frame camera.Frame
	var problem event.Reason // of the frame before
	var left bool            // the source, then
	for {
		if err := s.camera.Read(ctx, &frame); err != nil {
			return endOf(ctx, err)
		}
		if err := s.look(&frame, &problem, &left); err != nil {
			return err
		}
	}
}

// look walks one frame through the gate, and tells everybody what it shows.
func (s *station) look(frame *camera.Frame, problem *event.Reason, left *bool) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	scene, verdicts, err := s.process(frame)
	if err != nil {
		return err
	}
	if now := scene.Reference.Problem; now != *problem {
		if *problem = now; now == event.RangeChanged {
			s.log.Warn("all temperatures of the camera have jumped: it went to another range or gain; nobody is judged by readings from before")
		}
	}
	if now := scene.Reference.Left; now != *left {
		if *left = now; now {
			s.log.Warn("the reference source is not what or where it was; nobody is judged by it until it is back, or the command recalibrate says that it is right",
				"problem", scene.Reference.Problem, "correction", event.Hundredths(scene.Reference.CorrectionCelsius))
		} else {
			s.log.Info("the reference source is trusted again")
		}
	}
	s.guardDoor(scene, verdicts)
	s.film(frame, verdicts)
	s.metrics.ObserveScene(scene)
	s.health.ObserveScene(scene)
	s.kiosk.Show(scene)
	lacks := s.lacks(scene)
	s.kiosk.SetLacks(lacks)
	s.tell(func(status *mqtt.Status) {
		status.Camera, status.Reference, status.Group = string(event.CameraOK), string(scene.Reference.Problem), string(scene.Group)
		status.Lacks = lacks
	})
	for _, v := range verdicts {
		s.verdicts <- v
	}
	return nil
}

// lacks is what nobody has told the gate, as far as a scene shows.
func (s *station) lacks(scene *event.Scene) event.Lacks {
	lacks := s.config.lacks()
	reference := scene.Reference
	lacks.Units = reference.Problem == event.NotRadiometric
	lacks.Reference = lacks.Reference && !reference.Found && (reference.Problem == event.NoProblem || lacks.Units) // a recording may tell it
	return lacks
}

// guardDoor locks a door that stands open for somebody else than whoever is before it now. It waits for no disk.
func (s *station) guardDoor(scene *event.Scene, verdicts []verdict) {
	if s.door != nil && (scene.LockDoor || slices.ContainsFunc(verdicts, verdict.alerts)) {
		s.door.Lock()
	}
}

// film has the seconds around alerts kept, where that is switched on.
func (s *station) film(frame *camera.Frame, verdicts []verdict) {
	if s.clips == nil {
		return
	}
	s.clips.See(frame)
	for _, v := range verdicts {
		if v.alerts() {
			s.clips.Keep(v.event.ID, v.event.Time)
		}
	}
}

// process takes a frame through the gate, which is set up anew for another camera.
func (s *station) process(frame *camera.Frame) (*event.Scene, []verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.camera.Info(); s.gate == nil || !now.SameAs(s.info) {
		gate, err := s.newGate(now)
		if err != nil {
			return nil, nil, err
		}
		s.gate, s.info = gate, now
		if s.clips != nil {
			s.clips.SetCamera(describe(s.config, now, camera.Orientation(s.config.Camera.Orientation)))
		}
	}
	s.gate.HoldUp(s.kiosk.HoldsUp())
	scene, events, err := s.gate.Process(frame)
	if err != nil {
		return nil, nil, err
	}
	s.present.see(scene)
	var later []event.Event
	if s.badges != nil {
		later = s.badges.See(scene, events)
		s.askForCode()
	}
	var verdicts []verdict
	for _, e := range events {
		verdicts = append(verdicts, verdict{s.config.leaves(e), s.gate.Policy().State()})
		s.takeSnapshot(&e, scene)
	}
	for _, e := range later {
		verdicts = append(verdicts, verdict{event: s.config.leaves(e)})
	}
	return scene, verdicts, nil
}

// newGate sets the gate up for a camera, with what was learnt of the people here before.
func (s *station) newGate(info camera.Info) (*gate.Gate, error) {
	gate, err := gate.New(s.config.gate(), info, s.detector, rand.Reader)
	if err != nil {
		return nil, err
	}
	if s.gate != nil {
		err = gate.Policy().Restore(s.gate.Policy().State(), time.Now())
	} else {
		err = s.memory.recall(gate.Policy(), time.Now())
	}
	if err != nil {
		s.log.Warn("the group policy starts with its prior", "error", err)
	}
	s.recallReference(gate)
	gate.SetPaused(!s.pausedUntil.IsZero())
	return gate, nil
}

// keeping is an event on its way to the disk.
type keeping struct {
	event event.Event
	opens bool         // the door is to be told
	done  <-chan error // of the journal
}

// record keeps every verdict on disk, and only then shows it and tells the door. Those that come while the disk is busy
// share its next sync.
func (s *station) record() {
	if s.door != nil {
		defer s.door.Close()
	}
	learnt := make(chan policy.State, 1)
	var learning sync.WaitGroup
	learning.Go(func() { s.learn(learnt) })
	defer learning.Wait()
	defer close(learnt)
	verdicts := s.verdicts // all, also while the station shuts down
	var keepings []keeping
	for verdicts != nil || len(keepings) > 0 {
		var done <-chan error
		if len(keepings) > 0 {
			done = keepings[0].done
		}
		select {
		case v, more := <-verdicts:
			if !more {
				verdicts = nil
				continue
			}
			keepings = append(keepings, s.keep(v.event))
			if v.event.Data.Outcome == event.Named {
				continue
			}
			select {
			case <-learnt: // an older state that nobody has taken yet
			default:
			}
			learnt <- v.learnt
		case err := <-done:
			s.settle(keepings[0], err)
			keepings = keepings[1:]
		}
	}
}

// learn keeps what the group policy has learnt, the newest that there is when the disk has time for it.
func (s *station) learn(learnt <-chan policy.State) {
	failed := false
	for state := range learnt {
		err := s.memory.save(state)
		if err != nil && !failed { // the same line again and again helps nobody
			s.log.Error("what the group policy learnt is not kept", "error", err)
		}
		failed = err != nil
	}
}

// keep hands an event to the journal.
func (s *station) keep(e event.Event) keeping {
	if since := e.Data.MeasurableSince; since != nil {
		e.Data.SecondsToVerdict = new(time.Since(*since).Seconds())
	}
	opens := s.door != nil && s.door.Announce(&e)
	return keeping{e, opens, s.journal.Keep(e, opens)}
}

// settle goes on with an event that the journal has kept, or could not. While the disk takes nothing people are still
// told, but no door opens.
func (s *station) settle(k keeping, err error) {
	if err != nil && !errors.Is(err, journal.ErrWaiting) {
		s.log.Error("event not kept", "id", k.event.ID, "error", err)
		s.metrics.AddLost()
	}
	if err != nil {
		s.tellJournal()
	}
	if k.opens && err != nil {
		k.opens = false
		s.door.Skip(k.event, "it could not be stored on disk")
	}
	s.show(k.event, k.opens)
	s.metrics.ObserveEvent(k.event)
}

// show puts a verdict on the page and tells the door of it, if its person still stands there.
func (s *station) show(e event.Event, opens bool) {
	if e.Data.Reason == event.Left || e.Data.Reason == event.WalkedThrough { // nobody is there to read it
		s.kiosk.Recall(e)
		return
	}
	if e.Data.Outcome == event.Named { // the page says nothing of it
		if opens {
			s.door.Open(e)
		}
		return
	}
	late := s.present.late(&e)
	if late == nil {
		s.kiosk.Verdict(e)
		if opens {
			s.door.Open(e)
		}
		return
	}
	s.log.Warn("a verdict comes too late to be shown", "id", e.ID, "why", late)
	s.metrics.AddLate()
	s.kiosk.Late(e)
	if opens {
		s.door.Skip(e, late.Error())
	}
}

// doorAnswered lets an event be published that has waited for the door.
func (s *station) doorAnswered(e event.Event) {
	s.journal.Release(e)
	s.metrics.ObserveDoor(*e.Data.Door)
}

// doorMoved has the page say "go in" only while the door is open.
func (s *station) doorMoved(move door.Move) {
	s.kiosk.SetDoorOpen(move == door.Opened)
	if move == door.Cut {
		s.metrics.AddDoorLockedEarly()
		s.log.Info("the door is locked before its time: somebody else stands before the gate")
	}
}

// endOf is nil for an error that only says that ctx is done.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// obey carries out a command of the broker's side.
func (s *station) obey(_ context.Context, command mqtt.Command) error {
	if command.Verb == mqtt.Badge {
		return s.obeyBadge(command)
	}
	if command.Verb == mqtt.Pause {
		s.pausing.Lock()
		defer s.pausing.Unlock()
		s.pause(command.Pause, command.By)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate == nil {
		return errors.New("no frame has come from the camera yet")
	}
	switch command.Verb {
	case mqtt.GroupReset:
		s.gate.Policy().Reset()
	case mqtt.Recalibrate:
		s.learnAnew()
	case mqtt.Ambient:
		return s.gate.SetAmbient(command.AmbientCelsius)
	case mqtt.Rescreen:
		if !s.pausedUntil.IsZero() {
			return errors.New("screening is paused")
		}
		return s.gate.Rescreen(command.Event)
	default:
		return fmt.Errorf("%s is not offered by this gate", command.Verb)
	}
	return nil
}

// recalibrate takes the word of somebody who is logged in on the gate's pages.
func (s *station) recalibrate() error {
	return s.obey(context.Background(), mqtt.Command{Verb: mqtt.Recalibrate})
}

// learnAnew has what was learnt of camera and reference source be replaced. Whoever calls it holds mu.
func (s *station) learnAnew() {
	s.gate.Recalibrate()
	s.gate.Policy().Recalibrated()
	s.log.Info("the reference source is found and learnt anew, on somebody's word")
	select {
	case s.recalibrated <- struct{}{}:
	default:
	}
}

// hearOfAlert tells the page what the console says of an alert, and the gate what became of it.
func (s *station) hearOfAlert(alert mqtt.Alert) {
	word := kiosk.Untaken
	switch {
	case alert.Closed:
		word = kiosk.Closed
	case alert.Taken:
		word = kiosk.Taken
	}
	s.kiosk.SetAlert(alert.Event, word)
	s.mu.Lock()
	defer s.mu.Unlock()
	if alert.Outcome == mqtt.FalseAlert && s.gate != nil { // a gate without a frame has no alert in mind
		s.gate.CloseAlert(alert.Event)
	}
}
