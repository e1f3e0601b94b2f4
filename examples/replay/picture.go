package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"time"

	"github.com/roadwave/roadwave/replay"
)

const (
	width, height    = 1280, 760
	left, right      = 80, 20
	panelHeight      = 270
	loudest, softest = 0.0, -60.0 // LUFS
)

var (
	paper  = color.RGBA{0xfa, 0xf9, 0xf6, 0xff}
	ink    = color.RGBA{0x22, 0x22, 0x22, 0xff}
	faint  = color.RGBA{0xdd, 0xdb, 0xd5, 0xff}
	shade  = color.RGBA{0xf6, 0xd5, 0xcf, 0xff}
	red    = color.RGBA{0xc0, 0x39, 0x2b, 0xff}
	before = color.RGBA{0x8a, 0x9b, 0xa8, 0xff}
	after  = color.RGBA{0x1f, 0x77, 0xa4, 0xff}
	green  = color.RGBA{0x2e, 0x8b, 0x57, 0xff}
)

// drawPicture draws momentary loudness over time, before and after, on the same scales.
func drawPicture(path string, r replay.Result) error {
	p := picture{image.NewRGBA(image.Rect(0, 0, width, height)), r.Recorded}
	p.fill(p.Bounds(), paper)
	p.text(left, 16, "MOMENTARY LOUDNESS IN LUFS", ink)
	p.panel(60, fmt.Sprintf("BEFORE  %.1f LUFS  %.1f DBTP  %.1f S", r.Before.Integrated, r.Before.TruePeak, r.Recorded.Seconds()),
		r.Before.Momentary, before, r.Removed)
	p.panel(60+panelHeight+80, fmt.Sprintf("AFTER  %.1f LUFS  %.1f DBTP  %.1f S", r.After.Integrated, r.After.TruePeak, r.Duration.Seconds()),
		r.After.Momentary, after, nil)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, p); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

type picture struct {
	*image.RGBA
	length time.Duration // of the time axis
}

func (p picture) x(t time.Duration) int {
	return left + int(t.Seconds()/p.length.Seconds()*(width-left-right))
}

// panel draws one curve below its title.
func (p picture) panel(top int, title string, curve []float32, c color.Color, removed []replay.Interval) {
	y := func(lufs float64) int {
		part := (loudest - max(softest, min(lufs, loudest))) / (loudest - softest)
		return top + 24 + int(part*panelHeight)
	}
	p.text(left, top, title, c)
	for _, cut := range removed {
		p.fill(image.Rect(p.x(cut.Begin), y(loudest), p.x(cut.End), y(softest)), shade)
		p.text(p.x(cut.Begin)+6, y(loudest)+6, fmt.Sprintf("-%.1f S", cut.Duration().Seconds()), red)
	}
	for lufs := softest; lufs <= loudest; lufs += 10 {
		p.fill(image.Rect(left, y(lufs), width-right, y(lufs)+1), faint)
		label := fmt.Sprintf("%.0f", lufs)
		p.text(left-10-textWidth(label), y(lufs)-textHeight/2, label, ink)
	}
	for i, lufs := range curve {
		if math.IsInf(float64(lufs), -1) {
			continue
		}
		begin, end := time.Duration(i)*100*time.Millisecond, time.Duration(i+1)*100*time.Millisecond
		p.fill(image.Rect(p.x(begin), y(float64(lufs)), max(p.x(end), p.x(begin)+1), y(softest)), c)
	}
	p.fill(image.Rect(left, y(-14)-1, width-right, y(-14)+1), green)
	p.text(width-right-textWidth("TARGET -14"), y(-14)-textHeight-4, "TARGET -14", green)
	for t := time.Duration(0); t <= p.length; t += grid(p.length) {
		p.fill(image.Rect(p.x(t), y(softest), p.x(t)+1, y(softest)+6), ink)
		label := fmt.Sprintf("%d:%02d", int(t.Minutes()), int(t.Seconds())%60)
		p.text(p.x(t)-textWidth(label)/2, y(softest)+10, label, ink)
	}
}

// grid is a round distance between labels of the time axis, at most 12 of them.
func grid(length time.Duration) time.Duration {
	for _, d := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute} {
		if length/d <= 12 {
			return d
		}
	}
	return time.Hour
}

func (p picture) fill(r image.Rectangle, c color.Color) {
	draw.Draw(p, r, image.NewUniform(c), image.Point{}, draw.Src)
}

func (p picture) text(x, y int, s string, c color.Color) {
	for _, char := range s {
		for row, bits := range glyphs[char] {
			for column := range glyphColumns {
				if bits>>(glyphColumns-1-column)&1 == 1 {
					p.fill(image.Rect(0, 0, dot, dot).Add(image.Pt(x+column*dot, y+row*dot)), c)
				}
			}
		}
		x += advance
	}
}
