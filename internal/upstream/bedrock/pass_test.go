//go:build unix

package bedrock

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/heap"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// What the process of a middle is told.
const (
	envMiddle   = "OUTCROP_TEST_MIDDLE"   // which one it is
	envUpstream = "OUTCROP_TEST_UPSTREAM" // a URL
	envProfile  = "OUTCROP_TEST_PROFILE"  // of its CPU: a file, made if it is set
)

func TestMain(m *testing.M) {
	if by := os.Getenv(envMiddle); by != "" {
		if err := serveMiddle(by, os.Getenv(envUpstream)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkPassThrough is a call through a whole server and back, over TCP: its
// SigV4 verified, routed, signed anew, metered, recorded, and beside it through
// httputil.ReverseProxy, which does none of that: as it comes, with http.Server and
// http.DefaultTransport, and with as many idle connections as there are clients,
// since that Transport keeps two. Each is a process of its own: the figures are of it
// alone, without client and upstream.
func BenchmarkPassThrough(b *testing.B) {
	aws := httptest.NewServer(passedTo())
	b.Cleanup(aws.Close)
	for _, call := range passes {
		for _, by := range []string{"ReverseProxy", "ReverseProxy-idle", "outcrop", "outcrop-journal"} {
			b.Run(call.name+"/"+by, func(b *testing.B) {
				m := startMiddle(b, by, aws.URL)
				signed := m.sign(b, call.op, call.body)
				if strings.HasPrefix(call.name, "stream-paced") {
					signed.Header.Set("Traceparent", paced) // the one header that goes everywhere and is not signed
				}
				client := &http.Transport{MaxIdleConnsPerHost: 256}
				defer client.CloseIdleConnections()
				b.SetParallelism(max(call.clients/runtime.GOMAXPROCS(0), 1))
				b.ReportAllocs()
				var lost atomic.Int64
				before := m.spent(b)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := ask(client, signed, call.body); err != nil {
							if strings.HasPrefix(by, "outcrop") { // the others lose some, by design
								b.Error(err)
							}
							lost.Add(1)
						}
					}
				})
				after, n := m.spent(b), float64(b.N)
				b.ReportMetric(float64((after.CPU-before.CPU).Microseconds())/n, "cpu-us/op")
				b.ReportMetric(float64(after.Allocs-before.Allocs)/n, "allocs/op")
				b.ReportMetric(float64(after.Bytes-before.Bytes)/n, "B/op")
				b.ReportMetric(float64(lost.Load()), "lost")
			})
		}
	}
}

// passes are the calls, and of how many clients at once: sixteen keep the machine
// busy but for the paced stream. The budgets are of allocations, and a tenth above
// what is: they are for who adds one to each frame, or ten to each call.
var passes = []struct {
	name, op, body string
	clients        int
	budget         float64
}{
	{"invoke", "invoke", passBody, 16, 103},
	{"stream", "invoke-with-response-stream", passBody, 16, 122},
	{"stream-paced", "invoke-with-response-stream", passBody, 16, 122},
	{"stream-paced-128", "invoke-with-response-stream", passBody, 128, 122},
	{"converse", "converse", passConverse, 16, 107},
	{"converse-stream", "converse-stream", passConverse, 16, 133},
}

var (
	passBody     = strings.Replace(helloBody, "Hello", strings.Repeat("Hello ", 300), 1)
	passConverse = `{"messages":[{"role":"user","content":[{"text":"` + strings.Repeat("Hello ", 300) + `"}]}],"inferenceConfig":{"maxTokens":100}}`
)

// paced asks for a millisecond between frames, so that each comes alone. Without
// it most of them come together.
const paced = "00-00000000000000000000000000000001-0000000000000001-00"

// passedTo answers with 2 KB, or with a stream of 55 frames, each flushed.
func passedTo() http.HandlerFunc {
	text := strings.Repeat("sixteen letters ", 128)
	frames := chunks(events1[:2]...)
	for range 50 {
		frames = append(frames, chunk(events1[2]))
	}
	answers := map[string][][]byte{
		"invoke":                      {[]byte(strings.Replace(answer1, "Hi", text, 1))},
		"invoke-with-response-stream": append(frames, chunks(events1[4:]...)...),
		"converse":                    {[]byte(`{"output":{"message":{"role":"assistant","content":[{"text":"` + text + `"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":321}}`)},
		"converse-stream":             converseFrames(50),
	}
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		op := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		w.Header().Set("X-Amzn-Requestid", awsID)
		if !strings.HasSuffix(op, "stream") {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(answers[op][0])))
			w.Write(answers[op][0])
			return
		}
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		for _, f := range answers[op] {
			w.Write(f)
			w.(http.Flusher).Flush()
			if r.Header.Get("Traceparent") == paced {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// ask says whether the whole answer came.
func ask(client http.RoundTripper, signed *http.Request, body string) error {
	req := signed.Clone(signed.Context())
	req.Body = io.NopCloser(strings.NewReader(body))
	resp, err := client.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || n < 2000) {
		err = fmt.Errorf("%s, %d bytes", resp.Status, n)
	}
	return err
}

// middle is a process between client and upstream.
type middle struct {
	url   string
	asked io.Writer
	told  *bufio.Reader
}

// spent is what a middle has used since it began.
type spent struct {
	CPU           time.Duration // user and system
	Allocs, Bytes uint64
}

func startMiddle(b testing.TB, by, upstream string) *middle {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envMiddle+"="+by, envUpstream+"="+upstream)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	m := &middle{asked: in, told: bufio.NewReader(out)}
	line, err := m.told.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	m.url = strings.TrimSpace(line)
	return m
}

func (m *middle) spent(b testing.TB) (s spent) {
	b.Helper()
	if _, err := io.WriteString(m.asked, "\n"); err != nil {
		b.Fatal(err)
	}
	line, err := m.told.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &s)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (m *middle) sign(b testing.TB, op, body string) *http.Request {
	b.Helper()
	r, err := http.NewRequest(http.MethodPost, m.url+"/model/global.anthropic.claude-opus-4-6-v1/"+op, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(body))
	if err := new(sigv4.Signer).Sign(r, hex.EncodeToString(sum[:]), clientKey, "us-east-1", "bedrock", time.Now()); err != nil {
		b.Fatal(err)
	}
	return r
}

// serveMiddle says where it listens, then what it has spent for each line that it
// reads, until there is none.
func serveMiddle(by, upstream string) error {
	h, done, err := middleHandler(by, upstream)
	if err != nil {
		return err
	}
	defer done()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h}
	if strings.HasPrefix(by, "outcrop") {
		heap.Raise()
		server, ln = httpapi.NewHTTPServer(h, slog.New(slog.DiscardHandler)), httpapi.Gather(ln)
	}
	go server.Serve(ln)
	defer server.Close()
	fmt.Printf("http://%s\n", ln.Addr())
	if name := os.Getenv(envProfile); name != "" {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		line, err := json.Marshal(spent{time.Duration(u.Utime.Nano() + u.Stime.Nano()), m.Mallocs, m.TotalAlloc})
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", line)
	}
	return nil
}

func middleHandler(by, upstream string) (h http.Handler, done func(), err error) {
	if strings.HasPrefix(by, "ReverseProxy") {
		target, err := url.Parse(upstream)
		if err != nil {
			return nil, nil, err
		}
		p := httputil.NewSingleHostReverseProxy(target)
		p.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
		if by == "ReverseProxy-idle" {
			t := http.DefaultTransport.(*http.Transport).Clone()
			t.MaxIdleConnsPerHost = 256
			p.Transport = t
		}
		return p, func() {}, nil
	}
	u, err := New(context.Background(), Options{Endpoints: Endpoints{Runtime: upstream}, Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}, Idle: time.Minute, FirstContent: time.Minute})
	if err != nil {
		return nil, nil, err
	}
	c, err := theCatalog()
	if err != nil {
		return nil, nil, err
	}
	owner := identity.Owner{Account: "999999999999", Partition: "aws", ARN: "arn:aws:iam::999999999999:user/client", UserID: "AIDACLIENT"}
	g := &gateway.Gateway{Catalog: c, Region: "us-east-1", Upstream: u, Log: activity.NewRing(1000), Now: time.Now,
		Health: routing.NewHealth(routing.Options{}), Accounts: u.Accounts()}
	done = func() { u.Close() }
	if by == "outcrop-journal" {
		dir, err := os.MkdirTemp("", "outcrop-pass")
		if err != nil {
			return nil, nil, err
		}
		store, err := activity.OpenStore(dir, activity.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, nil, err
		}
		g.Journal = store
		done = func() {
			u.Close()
			store.Close()
			os.RemoveAll(dir)
		}
	}
	return &httpapi.Server{
		Gateway: g,
		Auth:    &identity.Authenticator{Keys: identity.NewRing([]identity.AccessKey{{Owner: owner, ID: clientKey.AccessKeyID, Secret: clientKey.SecretAccessKey}}, nil), Region: "us-east-1", Now: time.Now},
		Hop:     "front", Account: owner.Account, Bodies: httpapi.NewBudget(1 << 30), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, done, nil
}

// converseFrames is a ConverseStream of n deltas.
func converseFrames(n int) (frames [][]byte) {
	add := func(event, payload string) {
		frames = append(frames, eventstream.AppendEvent(nil, event, "application/json", []byte(payload)))
	}
	add("messageStart", `{"p":"abcdef","role":"assistant"}`)
	for range n {
		add("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"H"},"p":"abcdefghijklmnop"}`)
	}
	add("contentBlockStop", `{"contentBlockIndex":0,"p":"abcd"}`)
	add("messageStop", `{"p":"abcdefgh","stopReason":"end_turn"}`)
	add("metadata", `{"metrics":{"latencyMs":321},"p":"ab","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}`)
	return frames
}
