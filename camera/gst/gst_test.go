package gst

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Some elements crash on what a sender sends them. Left to itself gst-launch-1.0 would wait for a debugger then.
func TestAPipelineThatCrashesIsOver(t *testing.T) {
	stream, err := Start(t.Context(), "videotestsrc is-live=true ! video/x-raw,format=GRAY16_LE,width=160,height=120")
	if err != nil {
		t.Skip("needs GStreamer:", err)
	}
	defer stream.Close()
	if err := syscall.Kill(child(t, "gst-launch-1.0"), syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	<-stream.ended
	if err := stream.Err(); err == nil || errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "segmentation fault") {
		t.Errorf("it says %v", err)
	}
}

// child is the process of a name that this one has started.
func child(t *testing.T, name string) (pid int) {
	t.Helper()
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for field := range strings.FieldsSeq(string(text)) {
			running, _ := os.ReadFile("/proc/" + field + "/comm")
			if strings.HasPrefix(name, strings.TrimSpace(string(running))) {
				fmt.Sscan(field, &pid)
				return pid
			}
		}
	}
	t.Fatalf("no %s runs", name)
	return 0
}
