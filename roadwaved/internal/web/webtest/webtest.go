// Package webtest drives the pages in a headless Chromium. For tests.
package webtest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/roadwave/roadwave/media/mediatest"
)

// A Browser is one Chromium with a profile of its own, closed with its test. The
// profile is not in the test's folder, which must be empty as soon as the test
// has ended: Chromium's children write a moment longer than Chromium lives.
type Browser struct{ allocator context.Context }

// Open starts a browser, or skips the test where there is none. microphone is
// the path of a WAV file that its microphone hears, again and again; "" is
// Chromium's own beeping. The browser reaches nothing but this machine.
func Open(t testing.TB, microphone string) *Browser {
	t.Helper()
	chromium := mediatest.Tool(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium),
		chromedp.NoSandbox,
		chromedp.Flag("headless", "new"),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.WSURLReadTimeout(patience),
	)
	if microphone != "" {
		options = append(options, chromedp.Flag("use-file-for-fake-audio-capture", microphone))
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancelBrowser()
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", chromium, err)
	}
	return &Browser{ctx}
}

// patience is how long one step in a page may take, and busy how many times
// longer than on a quiet machine a person waits for something on a busy one.
const (
	patience = 2 * time.Minute
	busy     = 5
)

// A Tab is one page. What goes wrong in it (an exception, an error in the
// console, something the content security policy blocks) fails the test,
// unless it was expected.
type Tab struct {
	T   testing.TB
	ctx context.Context

	mu       sync.Mutex
	expected []string
}

// Tab opens a page of the given size in CSS pixels.
func (b *Browser) Tab(t testing.TB, width, height int64) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.allocator)
	t.Cleanup(cancel)
	p := &Tab{T: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	return p
}

// Dark makes the page believe that the person likes it dark.
func (p *Tab) Dark() {
	p.T.Helper()
	p.do("making it dark", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return err
	}))
}

// Expect lets errors pass whose text holds one of these.
func (p *Tab) Expect(text ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text...)
}

func (p *Tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.fault(text)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError {
			p.fault(e.Entry.Text + " " + e.Entry.URL)
		}
	}
}

func (p *Tab) fault(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.expected {
		if strings.Contains(text, e) {
			return
		}
	}
	p.T.Errorf("in the page: %s", text)
}

// Go opens a URL and waits for its load event.
func (p *Tab) Go(url string) {
	p.T.Helper()
	p.do("opening "+url, chromedp.Navigate(url))
}

// Click clicks on the element with an id, as a user would.
func (p *Tab) Click(id string) {
	p.T.Helper()
	p.do("clicking on #"+id, chromedp.Click(chromedp.CSS("#"+id)))
}

// Type writes into the field of a form.
func (p *Tab) Type(name, text string) {
	p.T.Helper()
	p.do("typing into "+name, chromedp.SendKeys(chromedp.CSS(`[name="`+name+`"]`), text))
}

func (p *Tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.T.Fatalf("%s: %v", what, err)
	}
}

// Eval gives the value of a JavaScript expression; of a promise, what it
// resolves to.
func Eval[T any](p *Tab, expression string) T {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.T.Fatalf("evaluating %.200s: %v", expression, err)
	}
	return v
}

// Wait waits until a JavaScript condition is true; it may hold await. soon is the
// time that it may take where the machine has nothing else to do.
func (p *Tab) Wait(soon time.Duration, condition string) {
	p.T.Helper()
	for deadline := time.Now().Add(busy * soon); ; time.Sleep(100 * time.Millisecond) {
		if Eval[bool](p, "(async () => Boolean("+condition+"))()") {
			return
		}
		if time.Now().After(deadline) {
			p.T.Fatalf("after %v still not: %s\nthe page says:\n%s", busy*soon, condition, p.Text())
		}
	}
}

// Text is what the page shows.
func (p *Tab) Text() string { return Eval[string](p, "document.body.innerText") }

// Picture writes what the page shows as PNG; folder "" does nothing.
func (p *Tab) Picture(folder, name string) {
	p.T.Helper()
	if folder == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)
	}
	if err != nil {
		p.T.Errorf("picture %s: %v", name, err)
	}
}
