package main

import (
	"strings"
	"testing"
)

// Who mends one setting after another wants the same list each time.
func TestComplaintsKeepTheirOrder(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
		err  func(*Config) error
	}{
		{
			args: []string{"--media-udp", "c", "--listen", "a", "--admin-listen", "b", "--public-url", "d", "--log-format", "xml"},
			want: "listen admin-listen media-udp public-url log-format",
			err:  func(c *Config) error { return c.validate() },
		},
		{
			want: "database-url redis-url storage-url",
			err:  func(c *Config) error { return c.scaledOut("a worker") },
		},
	} {
		c := defaultConfig()
		if err := c.flags(t.Output()).Parse(tt.args); err != nil {
			t.Fatal(err)
		}
		var named []string
		for word := range strings.FieldsSeq(tt.err(&c).Error()) {
			if name, ok := strings.CutPrefix(word, "--"); ok {
				named = append(named, name)
			}
		}
		if got := strings.Join(named, " "); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}
