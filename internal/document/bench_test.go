package document

import "testing"

// BenchmarkFirstUse is what the first PDF of a new installation waits for.
func BenchmarkFirstUse(b *testing.B) {
	for b.Loop() {
		start(b, "")
	}
}

// BenchmarkStart is what the first PDF of a process waits for.
func BenchmarkStart(b *testing.B) {
	start(b, cache)
	for b.Loop() {
		start(b, cache)
	}
}

func start(b *testing.B, dir string) {
	r, err := New(Options{CacheDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkText(b *testing.B) {
	for name, data := range map[string][]byte{"1page": pages(1, prose()), "100pages": pages(100, prose())} {
		b.Run(name, func(b *testing.B) {
			r := newReader(b, Options{})
			if err := r.Prepare(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Text(b.Context(), PDF, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	for name, data := range map[string][]byte{"1page": pages(1, prose()), "report": report()} {
		b.Run(name, func(b *testing.B) {
			r := newReader(b, Options{})
			if err := r.Prepare(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Render(b.Context(), data, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefuse is a file that does as much as it may: the bound on the work
// that one document can make.
func BenchmarkRefuse(b *testing.B) {
	for name, data := range map[string][]byte{"steps": curves(), "memory": endless()} {
		b.Run(name, func(b *testing.B) {
			r := newReader(b, Options{})
			for b.Loop() {
				_, err := r.Render(b.Context(), data, 0)
				expect(b, name, err, errTooMuch.Message)
			}
		})
	}
}
