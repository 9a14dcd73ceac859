package clients

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/test/clients/install"
)

// motoEnv is an implementation of S3 that is not ours, with boto3 beside it.
var motoEnv = install.Env{Name: "moto"}

// startMoto serves S3 on a free address.
func startMoto(t *testing.T, bin string) (url string) {
	t.Helper()
	listen, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(listen)
	var log logBuffer
	cmd := exec.Command(filepath.Join(bin, "python"), filepath.Join(bin, "moto_server"), "-H", host, "-p", port)
	cmd.Env = append(cleanEnv(t.TempDir()), shared.tripwire.env()...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	deadline := time.After(30 * time.Second)
	for {
		if resp, err := http.Get("http://" + listen); err == nil {
			resp.Body.Close()
			return "http://" + listen
		}
		select {
		case <-ended:
			t.Fatalf("moto ended:\n%s", &log)
		case <-deadline:
			t.Fatalf("moto does not answer:\n%s", &log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestDelivery: invocation logs arrive in a bucket of S3, and an S3 user reads them there.
func TestDelivery(t *testing.T) {
	dir, err := motoEnv.Ensure(t.Context(), ".")
	if err != nil {
		t.Skipf("SKIPPED: moto cannot be installed: %v", err)
	}
	bin := filepath.Join(dir, "bin")
	store := startMoto(t, bin)
	const fake = "AKIAIOSFODNN7EXAMPLE"
	data := filepath.Join(t.TempDir(), "data")
	config := filepath.Join(t.TempDir(), "outcrop.yaml")
	text := fmt.Sprintf("destinations:\n  team-logs:\n    endpoint: %s\n    region: us-east-1\n    profile: store\n", store)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// The server's home is its data folder.
	profile := "[store]\naws_access_key_id = " + fake + "\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
	if err := os.MkdirAll(filepath.Join(data, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, ".aws", "credentials"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(shared.outcrop.bin, data, "--config", config, "--upstream", "scripted")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.stop() }()
	program := func(operation string) line {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, "python"), filepath.Join("py", "boto3_delivery.py"), operation, "")
		cmd.Env = append(s.env(t.TempDir(), shared.tripwire.env()...), "AWS_ENDPOINT_URL_S3="+store)
		l, err := run(cmd, nil)
		if err != nil || l.Event != "done" {
			t.Fatalf("%s: %+v, %v\n%s", operation, l, err, s.log)
		}
		return l
	}
	program("bucket")
	if got := program("call").Facts["configured"]; got != "team-logs/calls" {
		t.Errorf("configured %q", got)
	}
	s.stop() // a server that ends has delivered
	if s, err = startServer(shared.outcrop.bin, data, "--config", config, "--upstream", "scripted"); err != nil {
		t.Fatal(err)
	}
	got := program("read").Facts
	want := map[string]string{
		"checked": "True", "all below": "True", "offloaded": "120000",
		"InvokeModel": "ModelInvocationLog dict dict", "InvokeModelWithResponseStream": "ModelInvocationLog dict list",
		"Converse": "ModelInvocationLog dict dict", "ConverseStream": "ModelInvocationLog dict dict",
	}
	for what, w := range want {
		if got[what] != w {
			t.Errorf("%s: %q, want %q\n%s", what, got[what], w, s.log)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d facts, want %d: %q", len(got), len(want), got)
	}
}
