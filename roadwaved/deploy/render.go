package deploy

import (
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// whole is the nginx.conf around the shipped files.
const whole = `daemon off;
%s
worker_processes %d;
pid %s/nginx.pid;
error_log %s/error.log warn;
events { worker_connections 4096; }
http {
    types { }
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    access_log off;
    client_body_temp_path %[4]s/temp-body;
    proxy_temp_path %[4]s/temp-proxy;
    fastcgi_temp_path %[4]s/temp-fastcgi;
    uwsgi_temp_path %[4]s/temp-uwsgi;
    scgi_temp_path %[4]s/temp-scgi;
    include roadwave.conf;
}
`

// addresses are the ports of one attempt to start.
type addresses struct{ public, redirect, status string }

// write lays out a configuration in the folder: the shipped files, changed only
// where the operator is told to.
func (c NginxConfig) write(a addresses) error {
	if err := copyFiles(c.Folder); err != nil {
		return err
	}
	name, edits := "roadwave-daemon.conf", c.edits(a)
	if c.Bucket != "" {
		name = "roadwave-bucket.conf"
		bucket, err := c.bucketEdits()
		if err != nil {
			return err
		}
		edits = append(edits, bucket...)
	}
	shipped, err := Files.ReadFile("nginx/" + name)
	if err != nil {
		return err
	}
	const caches = "proxy_cache_path /var/cache/"
	if n := strings.Count(string(shipped), caches); n != 4 {
		return fmt.Errorf("deploy: %s has %d caches, not 4", name, n)
	}
	moved := strings.ReplaceAll(string(shipped), caches, "proxy_cache_path "+c.Folder+"/")
	rendered, err := apply(moved, edits)
	if err != nil {
		return fmt.Errorf("deploy: %s: %w", name, err)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // else its workers cannot enter a folder that is root's own
	}
	conf := fmt.Sprintf(whole, user, c.Workers, c.Folder, c.Folder)
	return writeFiles(c.Folder, map[string]string{"nginx.conf": conf, "roadwave.conf": rendered})
}

func copyFiles(folder string) error {
	return fs.WalkDir(Files, "nginx/roadwave", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(folder, filepath.FromSlash(strings.TrimPrefix(name, "nginx/")))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		body, err := Files.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, body, 0o644)
	})
}

func writeFiles(folder string, files map[string]string) error {
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// An edit replaces one line of a shipped file, "" takes it out.
type edit struct{ line, by string }

func (c NginxConfig) edits(a addresses) []edit {
	list := []edit{
		c.servers("max_fails=3 fail_timeout=5s;"),
		{"access_log /var/log/nginx/roadwave.log roadwave buffer=64k flush=5s;", "access_log " + c.Folder + "/access.log roadwave;"},
		{"listen 127.0.0.1:8082;", "listen " + a.status + ";"},
		{"listen 80;", "listen " + a.redirect + ";"},
		{"listen [::]:80;", ""}, {"listen [::]:443 ssl http2;", ""}, // here is IPv4 loopback only
	}
	if c.Bucket == "" {
		list = append(list, c.servers("max_fails=0;"))
	}
	if c.Behind != "" {
		list = append(list, edit{"# set_real_ip_from 192.0.2.0/24;", "set_real_ip_from " + c.Behind + ";"},
			edit{"# real_ip_header X-Forwarded-For;", "real_ip_header X-Forwarded-For;"})
	}
	const (
		listen      = "listen 443 ssl http2;"
		certificate = "ssl_certificate /etc/letsencrypt/live/radio.example/fullchain.pem;"
		key         = "ssl_certificate_key /etc/letsencrypt/live/radio.example/privkey.pem;"
	)
	if c.Certificate != "" {
		return append(list, edit{listen, "listen " + a.public + " ssl http2;"},
			edit{certificate, "ssl_certificate " + c.Certificate + ";"}, edit{key, "ssl_certificate_key " + c.Key + ";"})
	}
	return append(list, edit{listen, "listen " + a.public + ";"}, edit{certificate, ""}, edit{key, ""},
		edit{"ssl_protocols TLSv1.2 TLSv1.3;", ""}, edit{"ssl_session_cache shared:roadwave_tls:10m;", ""})
}

// servers lists the daemons in an upstream.
func (c NginxConfig) servers(how string) edit {
	var lines []string
	for _, d := range c.Daemons {
		lines = append(lines, "server "+d+" "+how)
	}
	return edit{"server 127.0.0.1:8080 " + how, strings.Join(lines, "\n    ")}
}

func (c NginxConfig) bucketEdits() ([]edit, error) {
	u, err := url.Parse(c.Bucket)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(c.Bucket, " ;{}\"'$\\") {
		return nil, fmt.Errorf("deploy: bucket %q: want http(s)://host:port/bucket[/prefix]", c.Bucket)
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	origin := u.Scheme + "://roadwave_bucket" + strings.TrimSuffix(path.Clean("/"+u.Path), "/")
	list := []edit{
		{"server s3.gra.io.cloud.ovh.net:443 max_fails=0;", "server " + host + " max_fails=0;"},
		{"set $roadwave_origin https://roadwave_bucket/my-bucket;", "set $roadwave_origin " + origin + ";"},
		{"set $roadwave_origin_host s3.gra.io.cloud.ovh.net;", "set $roadwave_origin_host " + u.Host + ";"},
	}
	const (
		name  = "proxy_ssl_name s3.gra.io.cloud.ovh.net;"
		trust = "proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;"
	)
	if u.Scheme == "http" { // NGINX would want the file of who vouches all the same
		return append(list, edit{name, ""}, edit{trust, ""}, edit{"proxy_ssl_verify on;", ""}, edit{"proxy_ssl_verify_depth 3;", ""}), nil
	}
	list = append(list, edit{name, "proxy_ssl_name " + u.Hostname() + ";"})
	if c.BucketCA != "" {
		list = append(list, edit{trust, "proxy_ssl_trusted_certificate " + c.BucketCA + ";"})
	}
	return list, nil
}

// apply makes the edits, each of a line that is there once.
func apply(conf string, edits []edit) (string, error) {
	lines := strings.Split(conf, "\n")
	for _, e := range edits {
		found := 0
		for i, line := range lines {
			if strings.TrimSpace(line) == e.line {
				lines[i] = strings.Replace(line, e.line, e.by, 1)
				found++
			}
		}
		if found != 1 {
			return "", fmt.Errorf("the line %q is there %d times, not once", e.line, found)
		}
	}
	return strings.Join(lines, "\n"), nil
}
