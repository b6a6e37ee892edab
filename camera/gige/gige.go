// Package gige lists the cameras that aravis finds: GigE Vision in this network, and USB3 Vision.
package gige

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"thermogate/camera/bounded"
)

// Camera is what aravis knows of one.
type Camera struct {
	// ID is the name that aravis has for it: vendor, model and serial number.
	ID string
	// Name is the vendor's and model's, and UserName what its owner called it within the camera, empty where nothing.
	Name, UserName string
	Serial         string
	// Address is the camera's in the network, or its bus.
	Address string
	// URI opens it, see camera.Open; empty where Problem says why not.
	URI string
	// Units is the scale of its counts, as radiometry.ScaleOf knows it.
	Units string
	// Problem is what is wrong with it, and what to do.
	Problem string
}

// Config is the lines for a gate's config, empty where the camera can't be used.
func (c Camera) Config() string {
	if c.URI == "" {
		return ""
	}
	lines := "camera:\n  uri: '" + strings.ReplaceAll(c.URI, "'", "''") + "'\n  units: " + c.Units
	if c.Units == "counts" {
		lines += " # no temperatures: set planck to the R, B, F and O of the camera"
	}
	return lines + "\n"
}

// tool is aravis' own.
const tool = "arv-tool-0.8"

// ErrNoTool is what List gives where aravis is not installed.
var ErrNoTool = errors.New("GigE Vision cameras are not looked for: " + tool + " is missing; install the packages aravis-tools-cli and libaravis-0.8-0")

// listTime is how long looking for cameras may take, and asking one of them.
const listTime = 5 * time.Second

// List asks the network for cameras, which takes a second. A camera in use is not disturbed.
func List(ctx context.Context) ([]Camera, error) {
	if _, err := exec.LookPath(tool); err != nil {
		return nil, ErrNoTool
	}
	found, err := ask(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for GigE Vision cameras: %w", err)
	}
	var cameras []Camera
	for _, line := range listed.FindAllStringSubmatch(found, -1) {
		cameras = append(cameras, query(ctx, line[1], line[2]))
	}
	return cameras, nil
}

// These match the lines in which the tool lists a camera, a feature with its value, and the features and entries there are.
var (
	listed  = regexp.MustCompile(`(?m)^(\S.*) \(([^()]+)\)$`)
	valued  = regexp.MustCompile(`(?m)^(\w+) = (.*)$`)
	entries = regexp.MustCompile(`(?m)^\s*(?:(Enumeration) +: \[\w+\]|EnumEntry +:) '(\w+)'`)
)

// query asks a camera what it is and what it can deliver.
func query(ctx context.Context, id, address string) Camera {
	c := Camera{ID: id, Name: id, Address: address}
	which := []string{"-n", id}
	if net.ParseIP(address) != nil {
		which = []string{"-a", address}
	}
	values, err := ask(ctx, append(which, "control", "DeviceVendorName", "DeviceModelName", "DeviceSerialNumber", "DeviceID", "DeviceUserID")...)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	known := map[string]string{}
	for _, value := range valued.FindAllStringSubmatch(values, -1) {
		known[value[1]] = strings.TrimSpace(value[2])
	}
	if name := strings.TrimSpace(known["DeviceVendorName"] + " " + known["DeviceModelName"]); name != "" {
		c.Name = name
	}
	c.UserName = known["DeviceUserID"]
	if c.Serial = known["DeviceSerialNumber"]; c.Serial == "" {
		c.Serial = known["DeviceID"]
	}
	features, err := ask(ctx, append(which, "features")...)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	c.choose(choices(features))
	return c
}

// choices are the entries of each feature that has some.
func choices(features string) map[string][]string {
	found := map[string][]string{}
	feature := ""
	for _, line := range entries.FindAllStringSubmatch(features, -1) {
		if line[1] != "" {
			feature = line[2]
		} else {
			found[feature] = append(found[feature], line[2])
		}
	}
	return found
}

// linear are the ways in which a camera delivers temperatures, best first.
var linear = []struct{ format, units string }{
	{"TemperatureLinear10mK", "centikelvin"},
	{"TemperatureLinear100mK", "decikelvin"},
}

// choose says how the camera is opened, by what it offers.
func (c *Camera) choose(offers map[string][]string) {
	pixels := offers["PixelFormat"]
	at := slices.IndexFunc([]string{"Mono16", "Mono14"}, func(format string) bool { return slices.Contains(pixels, format) })
	switch {
	case len(pixels) == 0:
		c.Problem = "it does not answer; another program may use it, or its address lies in another network than this machine's"
		return
	case at < 0:
		c.Problem = "it delivers pictures for eyes only (" + strings.Join(pixels, ", ") + "), without temperatures; Mono16 is needed"
		return
	}
	features := []string{"PixelFormat=" + []string{"Mono16", "Mono14"}[at]}
	c.Units = "counts"
	for _, l := range linear {
		if slices.Contains(offers["IRFormat"], l.format) {
			features = append(features, "IRFormat="+l.format)
			c.Units = l.units
			break
		}
	}
	if strings.ContainsAny(c.ID, `"\`) { // it would end there, and what follows be part of the pipeline
		c.Problem = `its name holds a " or \, which can't be part of a pipeline`
		return
	}
	c.URI = fmt.Sprintf(`gst:aravissrc camera-name="%s" features="%s" ! video/x-raw,format=GRAY16_LE`, c.ID, strings.Join(features, " "))
}

// ask runs the tool. It ends with 0 also where it fails, and says why to standard error.
func ask(ctx context.Context, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	command := exec.CommandContext(ctx, tool, arguments...)
	command.WaitDelay = time.Second
	output, err := command.Output()
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s does not answer within %v", tool, listTime)
	case err != nil:
		return "", fmt.Errorf("%s: %w", tool, err)
	case bytes.HasPrefix(output, []byte("Can't connect")):
		return "", errors.New("it does not let anybody in; another program may use it, or its address lies in another network than this machine's")
	}
	lines := strings.Split(string(output), "\n")
	for i, line := range lines {
		lines[i] = bounded.Printable(line)
	}
	return strings.Join(lines, "\n"), nil
}
