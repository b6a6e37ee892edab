package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/cmd/internal/program"
	"thermogate/screening/console"
	"thermogate/screening/console/sample"
	"thermogate/screening/mqtt"
)

func newRunCommand() *cobra.Command {
	var configPath string
	command := &cobra.Command{
		Use:   "run",
		Short: "The gate daemon",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			if c.Camera.URI == "" && c.MQTT.Broker == "" { // at a broker of others the console asks for it
				return program.Usage(errNoCamera)
			}
			log := newLogger(cmd.ErrOrStderr())
			s, err := openStation(cmd.Context(), c, func(ctx context.Context) (camera.Source, error) {
				if c.Camera.URI == "" {
					return nil, errNoCamera
				}
				source, err := openLive(ctx, c.Camera.URI, c.Camera.options(camera.Options{}))
				if err != nil {
					return nil, err
				}
				return camera.Plausible(source, func(s radiometry.Span) {
					if !c.OutcomeOnly { // the warmest in it may be somebody
						log.Info("first picture of the camera", "temperatures", s.String())
					}
				}), nil
			}, log)
			if err != nil {
				return err
			}
			defer s.close()
			if configPath != "" {
				defer keepStarted(configPath, log)()
			}
			return s.work(cmd.Context())
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the gate")
	return command
}

// work runs the gate, and the console within it where there is one, until ctx is done.
func (s *station) work(ctx context.Context) error {
	c := s.config
	s.log.Info("gate opens", "site", c.Site, "gate", c.Gate, "pages", c.HTTP.Scheme()+"://"+c.HTTP.Listen, "camera", cmp.Or(c.Camera.Name, camera.Masked(c.Camera.URI)))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.run(ctx) })
	if s.inside != nil {
		group.Go(func() error { s.consoleWithin().run(ctx); return nil })
	}
	return group.Wait()
}

var errNoCamera = errors.New("no camera: set camera.uri in the config (thermogate demo needs none)")

func newDemoCommand() *cobra.Command {
	var source sourceFlags
	command := &cobra.Command{
		Use:   "demo [RECORDING...]",
		Short: "All of it on this machine, without hardware or config",
		Long: `Demo runs a whole gate on this machine: a simulated camera or the given recordings, over and over,
an MQTT broker, the pages of the gate, and the console over it. It keeps what it records in a folder of its own under the system's folder for
temporary files and removes it at the end.`,
		RunE: func(cmd *cobra.Command, recordings []string) error {
			options, err := source.options()
			if err != nil {
				return err
			}
			return demo(cmd.Context(), recordings, options, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	source.bind(command.Flags())
	return command
}

func demo(ctx context.Context, recordings []string, options camera.Options, out, logs io.Writer) error {
	folder, err := os.MkdirTemp("", "thermogate-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	c := defaultConfig()
	c.Site, c.Gate, c.DataDir = "demo", "gate-1", folder
	c.Camera.URI = simulatorURI
	c.HTTP.Listen, c.Broker.Listen = freeAddress(c.HTTP.Listen), freeAddress(c.Broker.Listen)
	if len(recordings) == 0 {
		recordings = []string{simulatorURI}
	}
	for _, recording := range recordings { // a missing file is told now, not retried
		source, err := openSource(ctx, recording, options)
		if err != nil {
			return err
		}
		source.Close()
	}
	s, err := openStation(ctx, c, func(ctx context.Context) (camera.Source, error) {
		return openPlaylist(ctx, recordings, options)
	}, newLogger(logs))
	if err != nil {
		return err
	}
	defer s.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.run(ctx) })
	group.Go(func() error { return demoConsole(ctx, s, out) })
	return group.Wait()
}

// demoDays is how far back the console of the demo has made-up days.
const demoDays = 30

// demoConsole runs a console over the gate of the demo, and says where everything is.
func demoConsole(ctx context.Context, s *station, out io.Writer) error {
	gate := s.config
	c := console.DefaultConfig()
	c.Store.File = filepath.Join(gate.DataDir, consoleName, "console.db")
	c.MQTT.Own, c.MQTT.Broker = s.ownBroker, gate.mqtt().Broker
	c.HTTP.Listen = freeAddress(c.HTTP.Listen)
	c.Pages.Language, c.Pages.MadeUpUntil = gate.HTTP.Language, time.Now()
	over, err := console.Open(ctx, c, program.Version(), s.log)
	if err != nil {
		return endOf(ctx, err)
	}
	defer over.Close()
	s.linkConsole("http://" + over.Address())
	logIns, err := over.DemoLogIns(ctx)
	if err != nil {
		return endOf(ctx, err)
	}
	// Before it runs, or it would call a shift leader to what happened weeks ago.
	self := mqtt.Gate{Site: gate.Site, Name: gate.Gate}
	if err := sample.Fill(ctx, over.Store(), self, program.Version(), c.Pages.MadeUpUntil, demoDays, 1); err != nil {
		return endOf(ctx, err)
	}
	if err := sample.FillPeople(ctx, over.Store(), gate.Site, c.Pages.MadeUpUntil, 1); err != nil {
		return endOf(ctx, err)
	}
	fmt.Fprintf(out, `thermogate demo, gate %s of %s
  worker's page      http://%[3]s/
  engineers' page    http://%[3]s/status
  console            http://%[5]s/   log in as %[6]s, password %[7]s
                     as %[8]s, password %[9]s, or as %[10]s, password %[11]s,
                     or as %[13]s, password %[14]s, to see who of a list of people was screened
                     %[12]d days of five gates before now, and all people, are made up; four of the gates are nothing but that
  metrics            http://%[3]s/metrics
  events over MQTT   mosquitto_sub -L mqtt://%[4]s/thermogate/%[2]s/%[1]s/screening/+
Ctrl-C ends it.
`, gate.Gate, gate.Site, gate.HTTP.Listen, gate.Broker.Listen, over.Address(), logIns[0].Name, logIns[0].Password,
		logIns[1].Name, logIns[1].Password, logIns[2].Name, logIns[2].Password, demoDays, logIns[3].Name, logIns[3].Password)
	return over.Run(ctx)
}

// freeAddress is the wished address, or one with another port where that is taken.
func freeAddress(wished string) string {
	listener, err := net.Listen("tcp", wished)
	if err != nil {
		host, _, _ := net.SplitHostPort(wished)
		if listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return wished
		}
	}
	defer listener.Close()
	return listener.Addr().String()
}

// openLive opens a source whose frames come at their own pace.
func openLive(ctx context.Context, uri string, options camera.Options) (camera.Source, error) {
	source, err := openSource(ctx, uri, options)
	if err != nil || source.Info().Live {
		return source, err
	}
	return camera.Paced(source), nil
}

// playlist plays recordings one after the other, over and over.
type playlist struct {
	camera.Source // the one that plays
	uris          []string
	options       camera.Options
}

func openPlaylist(ctx context.Context, uris []string, options camera.Options) (camera.Source, error) {
	first, err := openLive(ctx, uris[0], options)
	if err != nil {
		return nil, err
	}
	return &playlist{camera.Plausible(first, nil), uris, options}, nil
}

func (p *playlist) Read(ctx context.Context, frame *camera.Frame) error {
	err := p.Source.Read(ctx, frame)
	if !errors.Is(err, io.EOF) {
		return err
	}
	p.uris = append(p.uris[1:], p.uris[0])
	next, err := openLive(ctx, p.uris[0], p.options)
	if err != nil {
		return err
	}
	p.Source.Close()
	p.Source = camera.Plausible(next, nil)
	return p.Source.Read(ctx, frame)
}

func newLogger(out io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, nil))
}
