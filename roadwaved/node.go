package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// nodeName is the name of the daemon that owns a data folder. It is kept there,
// beside the recordings: whoever starts on the folder again answers for the
// lives that were on air in it, whatever the host is called by then.
func nodeName(data string, shared bool) (string, error) {
	path := nodeFile(data)
	b, err := os.ReadFile(path)
	if err == nil {
		if name := strings.TrimSpace(string(b)); name != "" {
			return name, nil
		}
		return "", fmt.Errorf("--data: %s is empty: it should hold this daemon's name; delete it if nothing was on air here", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("--data: %w", err)
	}
	name, err := newNodeName(data, shared)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("--data: %w", err)
	}
	return name, nil
}

func nodeFile(data string) string { return filepath.Join(data, "node") }

// newNodeName makes a name that no other daemon has. A data folder from before
// daemons had names keeps the one that all of them had, while it has its catalog
// to itself.
func newNodeName(data string, shared bool) (string, error) {
	if _, err := os.Stat(filepath.Join(data, "catalog.sqlite")); err == nil && !shared {
		return "local", nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("naming this daemon: %w", err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("naming this daemon: %w", err)
	}
	return host + "-" + id.String()[:8], nil
}

// nodeURL is where other daemons reach this one, empty when that cannot be told.
// Where it listens on every address, the one from which it reaches the database is
// that of the network which the daemons share.
func (d *daemon) nodeURL() string {
	if d.cfg.NodeURL != "" {
		return strings.TrimSuffix(d.cfg.NodeURL, "/")
	}
	address := *d.public.Addr().(*net.TCPAddr)
	if !address.IP.IsUnspecified() || !d.shared() {
		return "http://" + address.String()
	}
	ip, err := sourceAddress(d.cfg.DatabaseURL)
	if err != nil {
		d.log.Error("other daemons cannot reach this one: set --node-url", "err", err)
		return ""
	}
	address.IP = ip
	url := "http://" + address.String()
	d.log.Info("other daemons reach this one", "url", url)
	return url
}

// sourceAddress is the address from which this machine speaks to the host of a
// URL. Nothing is sent.
func sourceAddress(rawURL string) (net.IP, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("no host to speak to") // the error would hold the URL, with its password
	}
	conn, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), "9"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP, nil
}
