package objects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestAddress(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	for raw, want := range map[string]address{
		"s3://bucket": {bucket: "bucket", host: "s3.amazonaws.com", secure: true, region: "us-east-1"},
		"s3://house-1/a/b/?endpoint=https://s3.gra.io.cloud.ovh.net&region=gra&acl=public-read": {
			bucket: "house-1", prefix: "a/b", host: "s3.gra.io.cloud.ovh.net", secure: true, region: "gra", acl: "public-read"},
		"s3://bucket?endpoint=http%3A%2F%2F127.0.0.1:9000&path_style=true": {
			bucket: "bucket", host: "127.0.0.1:9000", region: "us-east-1", lookup: minio.BucketLookupPath},
		"s3://bucket?endpoint=http://[::1]:9000/&path_style=false": {
			bucket: "bucket", host: "[::1]:9000", region: "us-east-1", lookup: minio.BucketLookupDNS},
		"s3://bucket?endpoint=http://minio:9000&insecure=true": {bucket: "bucket", host: "minio:9000", region: "us-east-1"},
	} {
		if got, err := parse(raw); err != nil || got != want {
			t.Errorf("parse(%q) = %+v, %v, want %+v", raw, got, err, want)
		}
	}
	t.Setenv("AWS_DEFAULT_REGION", "sbg")
	if got, err := parse("s3://bucket"); err != nil || got.region != "sbg" {
		t.Errorf("the region is %q, %v", got.region, err)
	}
}

func TestBadAddress(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                      "like s3://",
		"https://bucket":                        "like s3://",
		"s3:bucket":                             "like s3://",
		"s3://hunter2@bucket":                   "do not belong",
		"s3://key:hunter2@bucket":               "do not belong",
		"s3://key:hunter2@bucket:%zz":           "like s3://",
		"s3://bucket?secret_key=hunter2":        "do not belong",
		"s3://bucket?AWS_SESSION_TOKEN=hunter2": "do not belong",
		"s3://bucket?endpoint=https://key:hunter2@host": "do not belong",
		"s3://bucket?colour=hunter2":                    "known are endpoint",
		"s3://bucket?region=a&region=b":                 "each once",
		"s3://bucket?region=%zzhunter2":                 "cannot be read",
		"s3://B":                                        "name of a bucket",
		"s3://bucket/a//b":                              "prefix",
		"s3://bucket/../b":                              "prefix",
		"s3://bucket?acl=public-read-write":             "acl",
		"s3://bucket?endpoint=host":                     "endpoint must",
		"s3://bucket?endpoint=https://host/path":        "endpoint must",
		"s3://bucket?endpoint=http://10.0.0.1:9000":     "insecure=true",
		"s3://bucket?endpoint=http://minio.localhost":   "insecure=true",
		"s3://bucket?path_style=perhaps":                "true or false",
		"s3://bucket?insecure=perhaps":                  "true or false",
	} {
		_, err := Open(t.Context(), raw, Config{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) = %v, want one that says %q and no secret", raw, err, want)
		}
	}
	for _, cfg := range []Config{{Attempts: 21}, {Attempts: -1}, {Stall: 1}, {AccessKey: "a"}, {SecretKey: "a"}} {
		if _, err := Open(t.Context(), "s3://bucket", cfg); err == nil {
			t.Errorf("Open takes %+v", cfg)
		}
	}
}

// lonely removes every way to find keys but those a test sets.
func lonely(t *testing.T) {
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	} {
		t.Setenv(name, "")
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	// The service that knows the role of a machine is never this.
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
}

func TestKeysFromTheUsualPlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials")
	text := "[default]\naws_access_key_id = of-default\naws_secret_access_key = x\n[radio]\naws_access_key_id = of-radio\naws_secret_access_key = x\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cfg  Config
		env  []string
		want string
	}{
		"configuration": {cfg: Config{AccessKey: "of-config", SecretKey: "x"}, env: []string{"AWS_ACCESS_KEY_ID=no", "AWS_SECRET_ACCESS_KEY=x"}, want: "of-config"},
		"AWS":           {env: []string{"AWS_ACCESS_KEY_ID=of-aws", "AWS_SECRET_ACCESS_KEY=x", "MINIO_ROOT_USER=no", "MINIO_ROOT_PASSWORD=x"}, want: "of-aws"},
		"MinIO":         {env: []string{"MINIO_ROOT_USER=of-minio", "MINIO_ROOT_PASSWORD=x", "AWS_SHARED_CREDENTIALS_FILE=" + file}, want: "of-minio"},
		"file":          {env: []string{"AWS_SHARED_CREDENTIALS_FILE=" + file}, want: "of-default"},
		"profile":       {env: []string{"AWS_SHARED_CREDENTIALS_FILE=" + file, "AWS_PROFILE=radio"}, want: "of-radio"},
	} {
		t.Run(name, func(t *testing.T) {
			lonely(t)
			for _, e := range test.env {
				k, v, _ := strings.Cut(e, "=")
				t.Setenv(k, v)
			}
			v, err := keys(test.cfg).GetWithContext(nil)
			if err != nil || v.AccessKeyID != test.want {
				t.Errorf("the key is %q, %v, want %q", v.AccessKeyID, err, test.want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		lonely(t)
		s, err := Open(t.Context(), "s3://bucket?endpoint=http://127.0.0.1:1", Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), "a.ts", strings.NewReader("x")); !errors.Is(err, errNoKeys) || errors.Is(err, station.ErrAway) {
			t.Errorf("Put = %v, want one that says where keys are looked for", err)
		}
	})
}

// What servers answer becomes an error that tells what to do; of their words
// only the code is repeated.
func TestFault(t *testing.T) {
	s := &S3{at: address{bucket: "bucket", host: "host"}}
	answer := func(status int, code string) error {
		return fmt.Errorf("wrapped: %w", minio.ErrorResponse{StatusCode: status, Code: code, Message: "hunter2"})
	}
	for _, test := range []struct {
		err  error
		is   error
		away bool
		says string
	}{
		{answer(404, "NoSuchKey"), fs.ErrNotExist, false, ""},
		{answer(404, "NoSuchBucket"), nil, false, "there is no bucket"},
		{answer(412, "PreconditionFailed"), errChanged, false, ""},
		{answer(403, "AccessDenied"), nil, false, "may not do that"},
		{answer(403, "InvalidAccessKeyId"), nil, false, "does not know this access key"},
		{answer(403, "RequestTimeTooSkewed"), nil, false, "clock"},
		{answer(400, "AuthorizationHeaderMalformed"), nil, false, "region"},
		{answer(301, "PermanentRedirect"), nil, false, "elsewhere"},
		{answer(418, "Teapot"), nil, false, `418 "Teapot"`},
		{answer(503, "SlowDown"), nil, true, `503 "SlowDown"`},
		{answer(500, "InternalError"), nil, true, ""},
		{answer(429, "TooMany"), nil, true, ""},
		{answer(400, "RequestTimeout"), nil, true, ""},
		{os.ErrDeadlineExceeded, os.ErrDeadlineExceeded, true, ""},
		{errNoKeys, errNoKeys, false, "AWS_ACCESS_KEY_ID"},
	} {
		got := s.fault(t.Context(), "storing x", test.err)
		if test.is != nil && !errors.Is(got, test.is) || errors.Is(got, station.ErrAway) != test.away ||
			!strings.Contains(got.Error(), test.says) || strings.Contains(got.Error(), "hunter2") {
			t.Errorf("%v became %v", test.err, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.fault(ctx, "storing x", answer(503, "SlowDown")); !errors.Is(got, context.Canceled) || errors.Is(got, station.ErrAway) {
		t.Errorf("after a cancellation: %v", got)
	}
}
