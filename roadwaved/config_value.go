package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The types of flags that package flag does not know.
var (
	_ flag.Value = (*list)(nil)
	_ flag.Value = (*prefixes)(nil)
	_ flag.Value = (*clock)(nil)
	_ flag.Value = (*perAddress)(nil)
)

// list is a flag of values separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = nil
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			*l = append(*l, v)
		}
	}
	return nil
}

// prefixes is a flag of networks: addresses stand for themselves alone.
type prefixes []netip.Prefix

func (p *prefixes) String() string {
	var texts []string
	for _, prefix := range *p {
		texts = append(texts, prefix.String())
	}
	return strings.Join(texts, ",")
}

func (p *prefixes) Set(s string) error {
	var texts list
	_ = texts.Set(s)
	*p = nil
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, aerr := netip.ParseAddr(text); aerr == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("%q is neither a network like 10.0.0.0/8 nor an address", text)
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

// clock is a flag of a time of day, since midnight.
type clock time.Duration

func (c *clock) String() string {
	return time.Time{}.Add(time.Duration(*c)).Format("15:04")
}

func (c *clock) Set(s string) error {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return errors.New("want a time of day like 03:00")
	}
	*c = clock(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute)
	return nil
}

// perAddress is a flag of what one network address may do; 0 is no limit. Many
// phones share the address of a mobile network.
type perAddress struct {
	Listeners int // counted on one live
	Reactors  int // users whose likes and reports count on one live
	Joins     int // per minute
	Beats     int // heartbeats and goodbyes, per minute
	Reactions int // likes and reports, per minute
	Publishes int // attempts to go live, per minute
	Streams   int // event streams at the same time
}

// A limit is one of them.
type limit struct {
	name  string
	value *int
}

// fields are the limits by name, in the order in which they are shown.
func (p *perAddress) fields() []limit {
	return []limit{
		{"listeners", &p.Listeners}, {"reactors", &p.Reactors}, {"joins", &p.Joins}, {"beats", &p.Beats},
		{"reactions", &p.Reactions}, {"publishes", &p.Publishes}, {"streams", &p.Streams},
	}
}

func (p *perAddress) String() string {
	var texts []string
	for _, f := range p.fields() {
		texts = append(texts, fmt.Sprintf("%s=%d", f.name, *f.value))
	}
	return strings.Join(texts, ",")
}

// Set changes the limits that are named.
func (p *perAddress) Set(s string) error {
	var texts list
	_ = texts.Set(s)
	for _, text := range texts {
		name, number, _ := strings.Cut(text, "=")
		i := slices.IndexFunc(p.fields(), func(f limit) bool { return f.name == name })
		n, err := strconv.Atoi(number)
		if i < 0 || err != nil || n < 0 {
			return fmt.Errorf("%q is not a limit, they are like %s", text, p)
		}
		*p.fields()[i].value = n
	}
	return nil
}

// orNone turns 0, no limit, into what stands for that where 0 is the default.
func orNone(limit int) int {
	if limit == 0 {
		return -1
	}
	return limit
}
