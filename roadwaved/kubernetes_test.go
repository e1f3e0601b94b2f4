package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const kubernetes = "deploy/kubernetes"

// A manifest is what these tests read of an object of Kubernetes, or of a
// kustomization.
type manifest struct {
	file     string
	Kind     string
	Metadata struct {
		Name   string
		Labels labels
	}
	Spec struct {
		Selector, PodSelector labels
		ServiceName           string
		Replicas              *int
		Ports                 []port
		Ingress               []struct{ Ports []port }
		Template              struct {
			Metadata struct{ Labels labels }
			Spec     pod
		}
		VolumeClaimTemplates             []struct{ Metadata struct{ Name string } }
		ScaleTargetRef                   struct{ Name string }
		MinReplicaCount, MaxReplicaCount int
		SecretTargetRef                  []reference
		Triggers                         []struct {
			Metadata          struct{ Query, TargetQueryValue string }
			AuthenticationRef reference
		}
	}
	Resources []string
	Images    []struct{ Name, NewName, NewTag string }
}

type pod struct {
	AutomountServiceAccountToken, EnableServiceLinks *bool
	TerminationGracePeriodSeconds                    int
	SecurityContext                                  struct {
		RunAsNonRoot   bool
		SeccompProfile struct{ Type string }
	}
	Containers []container
	Volumes    []struct{ Name string }
}

type container struct {
	Name, Image, WorkingDir string
	Args                    []string
	EnvFrom                 []struct{ ConfigMapRef reference }
	Env                     []struct {
		Name      string
		ValueFrom struct {
			FieldRef     struct{ FieldPath string }
			SecretKeyRef reference
		}
	}
	Ports                                       []port
	StartupProbe, LivenessProbe, ReadinessProbe probe
	Lifecycle                                   struct {
		PreStop struct{ Exec struct{ Command []string } }
	}
	SecurityContext struct {
		AllowPrivilegeEscalation *bool
		ReadOnlyRootFilesystem   bool
		Capabilities             struct{ Drop []string }
	}
	VolumeMounts []struct{ Name, MountPath string }
}

type reference struct{ Name, Key string }

type probe struct {
	HTTPGet                         struct{ Path, Port string }
	PeriodSeconds, FailureThreshold int
}

type port struct {
	Name          string
	Port          any // a number of a Service, a name of a NetworkPolicy
	TargetPort    string
	ContainerPort int
	Protocol      string
}

type labels map[string]string

// UnmarshalJSON reads both kinds of selectors.
func (l *labels) UnmarshalJSON(b []byte) error {
	var plain map[string]string
	if err := json.Unmarshal(b, &plain); err == nil {
		*l = plain
		return nil
	}
	var wrapped struct{ MatchLabels map[string]string }
	err := json.Unmarshal(b, &wrapped)
	*l = wrapped.MatchLabels
	return err
}

func (l labels) selects(of labels) bool {
	for k, v := range l {
		if of[k] != v {
			return false
		}
	}
	return len(l) > 0
}

// readManifests gives every object of every file; a key that is there twice is
// an error.
func readManifests(t *testing.T) (all []manifest) {
	t.Helper()
	err := filepath.WalkDir(kubernetes, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".yaml" {
			return err
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		for documents := yaml.NewDecoder(f); ; {
			var document map[string]any
			if err := documents.Decode(&document); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			b, err := json.Marshal(document) // whose names match without a tag for each
			if err != nil {
				return err
			}
			m := manifest{file: filepath.ToSlash(file)}
			if err := json.Unmarshal(b, &m); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			all = append(all, m)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// manifestOf finds an object.
func manifestOf(t *testing.T, kind, name string) manifest {
	t.Helper()
	all := readManifests(t)
	i := slices.IndexFunc(all, func(m manifest) bool { return m.Kind == kind && m.Metadata.Name == name })
	if i < 0 {
		t.Fatalf("there is no %s %s", kind, name)
	}
	return all[i]
}

// The workloads by what their only container runs.
func workloads(t *testing.T) map[string]manifest {
	t.Helper()
	return map[string]manifest{
		"serve":   manifestOf(t, "StatefulSet", "roadwave"),
		"worker":  manifestOf(t, "Deployment", "roadwave-worker"),
		"migrate": manifestOf(t, "Job", "roadwave-migrate"),
	}
}

// readEnv reads a file of variables.
func readEnv(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(kubernetes, "example", name))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			env[name] = value
		}
	}
	return env
}

// What a Secret would hold.
var someSecrets = map[string]string{
	"ROADWAVE_DATABASE_URL": "postgres://roadwave:sesame@db.example/roadwave",
	"ROADWAVE_REDIS_URL":    "redis://redis.example:6379/0",
	"ROADWAVE_STORAGE_URL":  "s3://radio?endpoint=https://s3.example",
	"AWS_ACCESS_KEY_ID":     "id",
	"AWS_SECRET_ACCESS_KEY": "key",
	"KEDA_DATABASE_URL":     "postgres://keda:sesame@db.example/roadwave",
}

// environment is what Kubernetes would give a container, and its arguments with
// the $(VARIABLES) in them filled in.
func (c container) environment(t *testing.T) (env map[string]string, args []string) {
	t.Helper()
	env = map[string]string{}
	if len(c.EnvFrom) > 0 {
		env = readEnv(t, "roadwave.env")
	}
	for _, e := range c.Env {
		switch from := e.ValueFrom; {
		case from.FieldRef.FieldPath == "status.hostIP":
			env[e.Name] = "203.0.113.7"
		case from.FieldRef.FieldPath == "status.podIP":
			env[e.Name] = "10.244.1.7"
		case from.SecretKeyRef.Name == "roadwave" && someSecrets[from.SecretKeyRef.Key] != "":
			env[e.Name] = someSecrets[from.SecretKeyRef.Key]
		default:
			t.Errorf("%s: where %s comes from, nobody knows", c.Name, e.Name)
		}
	}
	for _, a := range c.Args {
		for name, value := range env {
			a = strings.ReplaceAll(a, "$("+name+")", value)
		}
		args = append(args, a)
	}
	return env, args
}

// parse is what the program makes of the arguments and environment of a
// container, in which nothing may be of no use.
func (c container) parse(t *testing.T, drop string) (Config, error) {
	t.Helper()
	env, args := c.environment(t)
	delete(env, drop)
	cfg := defaultConfig()
	settings := []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", turnUserEnv, turnPassEnv}
	for _, group := range helpGroups {
		for _, name := range group.flags {
			settings = append(settings, envName(name))
		}
	}
	for name := range env {
		if !slices.Contains(settings, name) && !strings.Contains(strings.Join(c.Args, " "), "$("+name+")") {
			t.Errorf("%s: there is no setting %s", c.Name, name)
		}
	}
	err := cfg.parseAll(args[1:], func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}, noFlags)
	switch args[0] {
	case "serve":
		err = cmp.Or(err, cfg.validateOpen())
	case "worker":
		err = cmp.Or(err, cfg.scaledOut("a worker"))
	}
	return cfg, err
}

// The program accepts what the manifests give it, and the manifests say the same
// as the settings do.
func TestKubernetesSettings(t *testing.T) {
	configs := map[string]Config{}
	for command, m := range workloads(t) {
		c := m.Spec.Template.Spec.Containers[0]
		if c.Args[0] != command {
			t.Errorf("%s runs %q", c.Name, c.Args)
		}
		cfg, err := c.parse(t, "")
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		configs[command] = cfg
		if _, err := c.parse(t, "ROADWAVE_AUTH"); (err == nil) != (command == "migrate") {
			t.Errorf("%s without ROADWAVE_AUTH: %v", c.Name, err)
		}
		ports := map[string]int{}
		for _, p := range c.Ports {
			ports[p.Name] = p.ContainerPort
		}
		for name, address := range map[string]string{"http": cfg.Listen, "admin": cfg.AdminListen, "media": cfg.MediaUDP, "media-tcp": cfg.MediaUDP} {
			if n, ok := ports[name]; ok && address != ":"+strconv.Itoa(n) {
				t.Errorf("%s listens on %s for %s, its port is %d", c.Name, address, name, n)
			}
		}
		for _, v := range c.VolumeMounts {
			if v.MountPath != cfg.Data || v.MountPath != c.WorkingDir {
				t.Errorf("%s has its data in %s and its volume at %s", c.Name, cfg.Data, v.MountPath)
			}
		}
	}
	if d := configs["serve"]; d.Workers != 0 || !slices.Equal(d.MediaHost, []string{"203.0.113.7"}) || d.NodeURL != "http://10.244.1.7:8080" || len(d.Proxies) != 1 {
		t.Errorf("a daemon is set to %+v", d)
	}
	scaled := manifestOf(t, "ScaledObject", "roadwave-worker")
	if perWorker := scaled.Spec.Triggers[0].Metadata.TargetQueryValue; perWorker != strconv.Itoa(configs["worker"].Workers) {
		t.Errorf("a worker makes %d replays at a time, it is scaled for %s", configs["worker"].Workers, perWorker)
	}
}

// No file holds a secret, and each name that is asked of the Secret is in the
// example.
func TestKubernetesSecrets(t *testing.T) {
	example := readEnv(t, "secret.env.example")
	for name, value := range example {
		if value != "" {
			t.Errorf("the example has a value for %s", name)
		}
	}
	if !maps.EqualFunc(example, someSecrets, func(_, _ string) bool { return true }) {
		t.Errorf("the example has %v", slices.Sorted(maps.Keys(example)))
	}
	for name := range readEnv(t, "roadwave.env") {
		if _, secret := someSecrets[name]; secret {
			t.Errorf("%s is among the settings that everybody may read", name)
		}
	}
	for _, m := range readManifests(t) {
		if m.Kind == "Secret" {
			t.Errorf("%s has a Secret", m.file)
		}
		for _, r := range m.Spec.SecretTargetRef {
			if _, ok := example[r.Key]; r.Name != "roadwave" || !ok {
				t.Errorf("%s wants %s of the Secret %s", m.file, r.Key, r.Name)
			}
		}
	}
}

// Whatever points at something points at what is there.
func TestKubernetesReferences(t *testing.T) {
	all := readManifests(t)
	for _, m := range all {
		dir, file := path.Split(m.file)
		if m.Kind != "Kustomization" && !slices.ContainsFunc(all, func(o manifest) bool {
			return o.file == dir+"kustomization.yaml" && slices.Contains(o.Resources, file)
		}) {
			t.Errorf("%s is in no kustomization", m.file)
		}
		for _, resource := range m.Resources {
			file := path.Join(path.Dir(m.file), resource)
			if info, err := os.Stat(file); err != nil {
				t.Error(err)
			} else if info.IsDir() {
				file = path.Join(file, "kustomization.yaml")
			}
			if !slices.ContainsFunc(all, func(o manifest) bool { return o.file == file }) {
				t.Errorf("%s lists %s, in which there is nothing", m.file, resource)
			}
		}
		own := m.Spec.Template.Metadata.Labels
		for _, s := range []labels{m.Spec.Selector, m.Spec.PodSelector} {
			if s == nil {
				continue
			}
			pods := slices.DeleteFunc(slices.Clone(all), func(o manifest) bool { return !s.selects(o.Spec.Template.Metadata.Labels) })
			if len(pods) == 0 || own != nil && !s.selects(own) {
				t.Errorf("%s %s selects %v, which is nobody, or not its own", m.Kind, m.Metadata.Name, s)
				continue
			}
			m.checkPorts(t, pods[0].Spec.Template.Spec.Containers[0])
		}
		if own != nil {
			m.checkPod(t)
		}
		if name := m.Spec.ServiceName; name != "" {
			manifestOf(t, "Service", name)
		}
		if name := m.Spec.ScaleTargetRef.Name; name != "" {
			if target := manifestOf(t, "Deployment", name); target.Spec.Replicas != nil {
				t.Errorf("%s says how many there are, and so does who scales it", name)
			}
			manifestOf(t, "TriggerAuthentication", m.Spec.Triggers[0].AuthenticationRef.Name)
		}
	}
}

// checkPorts looks for the ports that an object names in the pods it selects.
func (m manifest) checkPorts(t *testing.T, of container) {
	t.Helper()
	wanted := slices.Clone(m.Spec.Ports)
	for _, rule := range m.Spec.Ingress {
		wanted = append(wanted, rule.Ports...)
	}
	for _, want := range wanted {
		name, _ := want.Port.(string)
		name = cmp.Or(want.TargetPort, name)
		if !slices.ContainsFunc(of.Ports, func(p port) bool {
			return p.Name == name && cmp.Or(p.Protocol, "TCP") == cmp.Or(want.Protocol, "TCP")
		}) {
			t.Errorf("%s %s: %s has no port %q", m.Kind, m.Metadata.Name, of.Name, name)
		}
	}
}

// checkPod wants what keeps a pod in its place, and its image named once.
func (m manifest) checkPod(t *testing.T) {
	t.Helper()
	p := m.Spec.Template.Spec
	c := p.Containers[0]
	no := func(b *bool) bool { return b != nil && !*b }
	if s := c.SecurityContext; len(p.Containers) != 1 || !no(p.AutomountServiceAccountToken) || !no(p.EnableServiceLinks) ||
		!p.SecurityContext.RunAsNonRoot || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" ||
		!no(s.AllowPrivilegeEscalation) || !s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("%s may do more than it needs", m.Metadata.Name)
	}
	if c.Image != "roadwaved:set-by-the-overlay" {
		t.Errorf("%s has the image %s", m.Metadata.Name, c.Image)
	}
	for _, v := range c.VolumeMounts {
		if !slices.ContainsFunc(p.Volumes, func(o struct{ Name string }) bool { return o.Name == v.Name }) &&
			!slices.ContainsFunc(m.Spec.VolumeClaimTemplates, func(o struct{ Metadata struct{ Name string } }) bool { return o.Metadata.Name == v.Name }) {
			t.Errorf("%s has no volume %s", m.Metadata.Name, v.Name)
		}
	}
}

// The images are named, with one tag.
func TestKubernetesImages(t *testing.T) {
	var images []string
	for _, m := range readManifests(t) {
		for _, i := range m.Images {
			images = append(images, i.Name+" "+i.NewName+":"+i.NewTag)
		}
	}
	images = slices.Compact(images)
	if len(images) != 1 || !regexp.MustCompile(`^roadwaved \S+:[0-9.]+$`).MatchString(images[0]) {
		t.Fatalf("the examples have the images %q", images)
	}
	b, err := os.ReadFile(kubernetes + "/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)[1]
	for _, want := range []string{
		"-t " + strings.Fields(images[0])[1] + " .", "golang:" + string(version) + "-", "CGO_ENABLED=0",
		"\nUSER 65532:65532\n", "-o /roadwaved ./roadwaved\n", "COPY --from=build /roadwaved /usr/local/bin/roadwaved\n", `ENTRYPOINT ["/usr/local/bin/roadwaved"]`,
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the Containerfile has no %q", want)
		}
	}
}

// The time that Kubernetes gives is longer than the time that the program takes.
func TestKubernetesPatience(t *testing.T) {
	for command, m := range workloads(t) {
		p := m.Spec.Template.Spec
		c := p.Containers[0]
		if command == "migrate" {
			continue
		}
		if s := c.StartupProbe; time.Duration(s.PeriodSeconds*s.FailureThreshold)*time.Second < 2*startPatience {
			t.Errorf("%s is ended before it has given up waiting for its services", c.Name)
		}
		grace := time.Duration(p.TerminationGracePeriodSeconds) * time.Second
		if command == "worker" {
			if grace > jobLease {
				t.Errorf("a worker that hangs is left alone for %v, its job goes to another after %v", grace, jobLease)
			}
			continue
		}
		sleep, err := time.ParseDuration(c.Lifecycle.PreStop.Exec.Command[1] + "s")
		if err != nil || c.Lifecycle.PreStop.Exec.Command[0] != "sleep" {
			t.Fatal("before the end", c.Lifecycle.PreStop.Exec.Command, err)
		}
		// Servers, recordings, the journal; and as much again where services hang.
		if took := drainPatience + 3*shutdownPatience; grace < sleep+2*took {
			t.Errorf("a daemon has %v to end, of which it sleeps %v and may take %v or more", grace, sleep, took)
		}
	}
}

// Probes ask for what a real daemon answers.
func TestKubernetesProbes(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, t.TempDir(), "--workers", "0")
	for command, m := range workloads(t) {
		c := m.Spec.Template.Spec.Containers[0]
		for what, p := range map[string]probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if p.HTTPGet.Path == "" && command == "migrate" {
				continue
			}
			resp, err := http.Get(d.admin + p.HTTPGet.Path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK || p.HTTPGet.Port != "admin" {
				t.Errorf("%s of %s: %s on port %s", what, c.Name, resp.Status, p.HTTPGet.Port)
			}
		}
	}
}
