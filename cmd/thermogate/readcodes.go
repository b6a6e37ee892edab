package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"thermogate/camera"
	"thermogate/screening/badge"
	"thermogate/screening/badge/zbar"
)

const (
	// heldFor is how long a code may not be found that is still held before the camera.
	heldFor = 2 * time.Second
	// readAtOnce is how quickly a code is read whose read is nobody else's.
	readAtOnce = 500 * time.Millisecond
	// codesAgain is how often the process is started that reads codes, once it has ended.
	codesAgain = 2 * time.Second
	// lowPriority leaves the processor to the thermal camera.
	lowPriority = 10
)

func newReadCodesCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "read-codes",
		Short:  "Prints the codes that are held before a camera, whose address comes on the standard input",
		Hidden: true, // run starts it: what takes pictures apart that anybody may hold up has a process of its own
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			input := bufio.NewReader(cmd.InOrStdin())
			uri, err := input.ReadString('\n')
			if err != nil {
				return errors.New("the address of the camera is to come on the standard input, in one line")
			}
			go func() {
				_, _ = io.Copy(io.Discard, input) // its end is that of whoever started this
				cancel()
			}()
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, lowPriority) // it is no less right without
			return endOf(ctx, printCodes(ctx, strings.TrimSuffix(uri, "\n"), cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
}

// printCodes prints each code once for each time that it is held before the camera, and again where that took too long: when, in
// microseconds since 1970, and the code.
func printCodes(ctx context.Context, uri string, out, problems io.Writer) error {
	scanner, err := zbar.Open()
	if err != nil {
		return err
	}
	defer scanner.Close()
	live := camera.DefaultLiveConfig()
	live.OnState = func(status camera.Status) {
		if status.Err != nil {
			fmt.Fprintln(problems, status.Err)
		}
	}
	source := camera.NewLive(func(ctx context.Context) (camera.Source, error) {
		return openLive(ctx, uri, camera.Options{EightBit: true})
	}, live)
	defer source.Close()
	var frame camera.Frame
	var grey []byte
	seen := map[string]time.Time{}
	for {
		if err := source.Read(ctx, &frame); err != nil {
			return err
		}
		grey = grey[:0]
		for _, count := range frame.Counts {
			grey = append(grey, byte(count))
		}
		codes, err := scanner.Scan(grey, frame.Width, frame.Height)
		if err != nil {
			return err
		}
		for code, at := range seen {
			if frame.Captured.Sub(at) > heldFor {
				delete(seen, code)
			}
		}
		for _, code := range codes {
			_, held := seen[code]
			if !held && !strings.ContainsAny(code, "\r\n") {
				fmt.Fprintln(out, frame.Captured.UnixMicro(), code)
			}
			if held || time.Since(frame.Captured) < readAtOnce { // else its read is late, and another one is not
				seen[code] = frame.Captured
			}
		}
	}
}

// readCodes keeps a process running that reads codes by the second camera, until ctx ends.
func (s *station) readCodes(ctx context.Context) {
	told := ""
	for ctx.Err() == nil {
		err := s.readCodesOnce(ctx)
		if ctx.Err() == nil && err != nil && err.Error() != told { // the same line again and again helps nobody
			told = err.Error()
			s.log.Warn("no codes are read by the second camera", "camera", camera.Masked(s.config.Camera.Visible), "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(codesAgain):
		}
	}
}

func (s *station) readCodesOnce(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	process := exec.CommandContext(ctx, self, "read-codes")
	address, err := process.StdinPipe() // not as an argument: others can read those, and it may hold a password
	if err != nil {
		return err
	}
	defer address.Close()
	codes, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	problems, err := process.StderrPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	fmt.Fprintln(address, s.config.Camera.Visible)
	last := make(chan string, 1)
	go func() {
		var line string
		for lines := bufio.NewScanner(problems); lines.Scan(); {
			if lines.Text() != line { // the same line again and again helps nobody
				line = lines.Text()
				s.log.Warn("the camera that reads codes", "says", line)
			}
		}
		last <- line
	}()
	for lines := bufio.NewScanner(codes); lines.Scan(); {
		at, code, _ := strings.Cut(lines.Text(), " ")
		micros, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			continue // a library has printed something
		}
		s.takeBadge(badge.Read{At: time.Now(), Made: time.UnixMicro(micros), Kind: badge.Camera, Text: code})
	}
	line := <-last
	if err := process.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, line)
	}
	return errors.New("the process that reads codes has ended")
}
