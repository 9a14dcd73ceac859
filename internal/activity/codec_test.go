package activity

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// fill sets each field of a struct to something of its own.
func fill(v reflect.Value, n *int64) {
	for i := range v.NumField() {
		f := v.Field(i)
		*n++
		switch f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(1_790_000_000, 123_456_789).UTC()))
			continue
		case messages.Rest: // not stored: the answer itself has it
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString(fmt.Sprintf("text %d", *n))
		case reflect.Int, reflect.Int64:
			f.SetInt(*n * 1_000_003)
		case reflect.Uint8:
			f.SetUint(uint64(Kept))
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Struct:
			fill(f, n)
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
			fill(f.Elem(), n)
		case reflect.Map:
			f.Set(reflect.ValueOf(map[string]string{"team": "a", "é": "", "": "x"}))
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 2, 2))
			for j := range 2 {
				if e := f.Index(j); e.Kind() == reflect.Struct {
					fill(e, n)
				} else {
					e.SetString(fmt.Sprintf("item %d", j))
				}
			}
		default:
			panic(f.Type())
		}
	}
}

// A field of Record that the codec forgets fails here.
func TestRecordRoundTrip(t *testing.T) {
	var full Record
	n := int64(0)
	fill(reflect.ValueOf(&full).Elem(), &n)
	odd := Record{RequestID: "x", Status: -1, Billed: math.MaxInt64, Premium: math.MinInt64, Warnings: []string{"", "b"}, Tried: []Attempt{{}}, Deliver: &Delivery{}}
	for name, r := range map[string]Record{"zero": {}, "full": full, "odd": odd} {
		data := appendRecord(nil, &r)
		var got Record
		if err := decodeRecord(data, &got); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, r)
		}
		// What a later version adds is passed over.
		later := append(bytes.Clone(data), 0xf8, 0x3f, 1, 0xfa, 0x3f, 2, 'h', 'i')
		if err := decodeRecord(later, &got); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s with unknown fields: %v", name, err)
		}
	}
	if n := len(appendRecord(nil, &Record{})); n != 0 {
		t.Errorf("the zero record takes %d bytes", n)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	var full Record
	n := int64(0)
	fill(reflect.ValueOf(&full).Elem(), &n)
	f.Add(appendRecord(nil, &full))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again Record
		if decodeRecord(data, &r) != nil {
			return
		}
		if err := decodeRecord(appendRecord(nil, &r), &again); err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%v\n%+v\n%+v", err, r, again)
		}
	})
}

func TestFrames(t *testing.T) {
	events := []Event{
		{"message_start", []byte(`{"type":"message_start","message":{}}`)},
		{"content_block_delta", []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`)},
		{"content_block_delta", []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" world"}}`)},
		{"content_block_delta", []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" world"}}`)},
		{"", nil}, {"", []byte{}}, {"of tomorrow", []byte("aaaa")}, {"of tomorrow", []byte("aaaaaaa")}, {"of tomorrow", []byte("aa")},
		{"message", bytes.Repeat([]byte("x"), 100_000)},
	}
	var f frames
	var lengths []int
	for _, e := range events {
		before := len(f.buf)
		f.add(e.Name, e.Data)
		lengths = append(lengths, len(f.buf)-before)
	}
	got, err := decodeFrames(nil, f.buf)
	if err != nil || len(got) != len(events) {
		t.Fatalf("%d events, %v", len(got), err)
	}
	for i := range got {
		if got[i].Name != events[i].Name || !bytes.Equal(got[i].Data, events[i].Data) {
			t.Errorf("event %d: %s %q", i, got[i].Name, got[i].Data)
		}
	}
	if lengths[2] > 12 {
		t.Errorf("the event of a token takes %d bytes", lengths[2])
	}
	for n := range f.buf[:200] {
		decodeFrames(nil, f.buf[:n]) // must not panic
	}
}

func FuzzFrames(f *testing.F) {
	var seed frames
	seed.add("message_start", []byte("{}"))
	seed.add("x", []byte("{}}"))
	f.Add(seed.buf)
	f.Add([]byte{3, 0x80, 0x80, 0x80, 0x80, 8, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		events, err := decodeFrames(nil, data)
		if err != nil {
			return
		}
		var again frames
		for _, e := range events {
			again.add(e.Name, e.Data)
		}
		got, err := decodeFrames(nil, again.buf)
		if err != nil || len(got) != len(events) {
			t.Fatal(err)
		}
	})
}

func TestSharedEnds(t *testing.T) {
	for range 2000 {
		a := make([]byte, rand.IntN(40))
		for i := range a {
			a[i] = 'a' + byte(rand.IntN(2))
		}
		b := bytes.Clone(a)
		if len(b) > 0 {
			b[rand.IntN(len(b))] = 'x'
		}
		b = b[:rand.IntN(len(b)+1)]
		front, back := 0, 0
		for front < min(len(a), len(b)) && a[front] == b[front] {
			front++
		}
		for back < min(len(a), len(b)) && a[len(a)-1-back] == b[len(b)-1-back] {
			back++
		}
		if f, k := sharedFront(a, b), sharedBack(a, b); f != front || k != back {
			t.Fatalf("%q %q: %d, %d; want %d, %d", a, b, f, k, front, back)
		}
	}
}

func TestDay(t *testing.T) {
	for at, want := range map[string]string{
		"2026-11-22T00:00:00Z":           "2026-11-22",
		"2026-11-22T23:59:59.999999999Z": "2026-11-22",
		"2026-11-22T23:30:00-05:00":      "2026-11-23",
		"2028-02-29T12:00:00Z":           "2028-02-29",
		"2026-12-31T23:59:59Z":           "2026-12-31",
		"1969-12-31T23:59:59Z":           "1969-12-31",
	} {
		when, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Fatal(err)
		}
		d := DayOf(when)
		back, err := ParseDay(d.String())
		if d.String() != want || err != nil || back != d {
			t.Errorf("%s: %s, want %s", at, d, want)
		}
		if ref := (Ref{d, 1<<offsetBits - 1}); d >= 0 && RefOf(ref.ID()) != ref {
			t.Errorf("%v -> %v", ref, RefOf(ref.ID()))
		}
	}
	if _, err := ParseDay("2026-02-30"); err == nil {
		t.Error("30 February is a day")
	}
}

func TestCharge(t *testing.T) {
	// A thousand fresh, two thousand read from the cache, and five hundred written:
	// worked out by hand at $3, $0.30, $3.75 and $15 a million, +10 % regional.
	global := catalog.Price{Rates: catalog.Rates{Input: 3e9, CacheWrite5m: 3.75e9, CacheWrite1h: 6e9, CacheRead: 0.3e9, Output: 15e9}}
	local := catalog.Price{Rates: catalog.Rates{Input: 3.3e9, CacheWrite5m: 4.125e9, CacheWrite1h: 6.6e9, CacheRead: 0.33e9, Output: 16.5e9}}
	u := messages.Usage{InputTokens: 1000, CacheReadInputTokens: 2000, CacheCreationInputTokens: 500, OutputTokens: 100}
	var r Record
	r.Charge(u, local, global, true)
	if r.Billed != 7_672_500 || r.WouldCost != 0 || r.Premium != 697_500 || r.CacheSaved != 5_527_500 {
		t.Errorf("billed %d, premium %d, saved %d", r.Billed, r.Premium, r.CacheSaved)
	}
	r.Charge(u, global, global, false)
	if r.Billed != 0 || r.WouldCost != 6_975_000 || r.Premium != 0 {
		t.Errorf("would cost %d, premium %d", r.WouldCost, r.Premium)
	}
	r.Charge(messages.Usage{CacheCreationInputTokens: 1000}, global, global, true)
	if r.CacheSaved != -750_000 {
		t.Errorf("a cache that was only filled saved %d", r.CacheSaved)
	}
}
