package eventstream

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// awsVectors finds the test data of AWS's own Go implementation, where
// go.mod's version of it has been fetched.
func awsVectors(t *testing.T) string {
	t.Helper()
	const module = "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("SKIPPED: AWS's event-stream vectors are not there: `go mod download %s` gets them (%v)", module, err)
	}
	return filepath.Join(dir, "testdata")
}

func vectors(t *testing.T, class string) map[string]string {
	t.Helper()
	root := awsVectors(t)
	paths, err := filepath.Glob(filepath.Join(root, "encoded", class, "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s vectors in %s (%v)", class, root, err)
	}
	byName := map[string]string{}
	for _, p := range paths {
		byName[filepath.Base(p)] = filepath.Join(root, "decoded", class, filepath.Base(p))
	}
	return byName
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encodedOf(decoded string) string {
	return strings.Replace(decoded, string(filepath.Separator)+"decoded"+string(filepath.Separator),
		string(filepath.Separator)+"encoded"+string(filepath.Separator), 1)
}

func TestAWSPositive(t *testing.T) {
	for name, path := range vectors(t, "positive") {
		t.Run(name, func(t *testing.T) {
			var want struct {
				Total   int `json:"total_length"`
				Headers []struct {
					Name  string
					Type  byte
					Value any
				}
				Payload []byte
			}
			dec := json.NewDecoder(bytes.NewReader(readFile(t, path)))
			dec.UseNumber()
			if err := dec.Decode(&want); err != nil {
				t.Fatal(err)
			}
			encoded := readFile(t, encodedOf(path))
			m, err := NewReader(iotest.OneByteReader(bytes.NewReader(encoded))).Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Raw) != want.Total || !bytes.Equal(m.Payload, want.Payload) || len(m.Headers) != len(want.Headers) {
				t.Fatalf("got %+v, want %+v", m, want)
			}
			var headers []Header // made of AWS's decoded values alone
			for i, w := range want.Headers {
				h := Header{Name: w.Name, Type: w.Type}
				switch v := w.Value.(type) {
				case bool:
					h = BoolHeader(w.Name, v)
				case json.Number:
					n, err := v.Int64()
					if err != nil {
						t.Fatal(err)
					}
					h = IntHeader(w.Name, w.Type, n)
				case string:
					if h.Value, err = base64.StdEncoding.DecodeString(v); err != nil {
						t.Fatal(err)
					}
				default:
					t.Fatalf("value %v", v)
				}
				if g := m.Headers[i]; g.Name != h.Name || g.Type != h.Type || !bytes.Equal(g.Value, h.Value) {
					t.Errorf("header %d: got %+v, want %+v", i, g, h)
				}
				headers = append(headers, h)
			}
			if again := AppendMessage(nil, headers, want.Payload); !bytes.Equal(again, encoded) {
				t.Errorf("encoded %x, want %x", again, encoded)
			}
			var text, back bytes.Buffer
			if err := errors.Join(Dump(&text, bytes.NewReader(encoded)), Load(&back, bytes.NewReader(text.Bytes()))); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back.Bytes(), encoded) {
				t.Errorf("text %s", text.Bytes())
			}
		})
	}
}

func TestAWSNegative(t *testing.T) {
	for name, path := range vectors(t, "negative") {
		t.Run(name, func(t *testing.T) {
			want := map[string]error{
				"Prelude checksum mismatch": ErrPreludeCRC,
				"Message checksum mismatch": ErrMessageCRC,
			}[strings.TrimSpace(string(readFile(t, path)))]
			if want == nil {
				t.Fatalf("a class of error that this test does not know: %s", readFile(t, path))
			}
			_, err := NewReader(bytes.NewReader(readFile(t, encodedOf(path)))).Next()
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}
