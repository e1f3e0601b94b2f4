package objects

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/loopback"
)

const (
	amazon        = "https://s3.amazonaws.com"
	defaultRegion = "us-east-1"
	publicRead    = "public-read"
)

// maxPrefix is what the longest key leaves of the 1024 bytes a name may have.
const maxPrefix = 400

// An address is where a bucket is, as its URL says.
type address struct {
	bucket, prefix string // prefix without slashes at its ends
	host           string // and port
	secure         bool
	region         string
	lookup         minio.BucketLookupType
	acl            string
}

// options are the words an address may have in its query.
var options = []string{"endpoint", "region", "path_style", "acl", "insecure"}

// parse reads an address. Its errors never quote more of it than a bucket, an
// option's name or a host: somebody may have put a password where none belongs.
func parse(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "s3" || u.Opaque != "" {
		return address{}, errors.New("objects: the address of a bucket is like s3://bucket/prefix?endpoint=https://host&region=name")
	}
	if u.User != nil {
		return address{}, errSecret
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address{}, errors.New("objects: the options after ? cannot be read: give name=value, joined by &")
	}
	if err := checkOptions(query); err != nil {
		return address{}, err
	}
	a := address{
		bucket: u.Host,
		prefix: strings.Trim(u.Path, "/"),
		region: cmp.Or(query.Get("region"), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), defaultRegion),
		acl:    query.Get("acl"),
	}
	if s3utils.CheckValidBucketNameStrict(a.bucket) != nil {
		return address{}, fmt.Errorf("objects: %q cannot be the name of a bucket: 3 to 63 of a-z, 0-9, dot and dash", a.bucket)
	}
	if a.prefix != "" && (hls.CheckKey(a.prefix) != nil || len(a.prefix) > maxPrefix) {
		return address{}, fmt.Errorf("objects: the prefix after bucket %s: give a path like a/b of at most %d bytes", a.bucket, maxPrefix)
	}
	if a.acl != "" && a.acl != publicRead {
		return address{}, errors.New("objects: acl can only be " + publicRead)
	}
	return a, errors.Join(a.setEndpoint(query), a.setLookup(query.Get("path_style")))
}

var errSecret = errors.New("objects: keys do not belong into the address of a bucket, where others see them: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a shared credentials file")

func checkOptions(query url.Values) error {
next:
	for name, values := range query {
		for _, known := range options {
			if name == known && len(values) == 1 {
				continue next
			}
		}
		lower := strings.ToLower(name)
		for _, word := range []string{"key", "secret", "token", "password", "credential"} {
			if strings.Contains(lower, word) {
				return errSecret
			}
		}
		return fmt.Errorf("objects: option %.40q: known are %s, each once", name, strings.Join(options, ", "))
	}
	return nil
}

func (a *address) setEndpoint(query url.Values) error {
	e, err := url.Parse(cmp.Or(query.Get("endpoint"), amazon))
	switch {
	case err == nil && e.User != nil:
		return errSecret
	case err != nil || e.Host == "" || strings.Trim(e.Path, "/") != "" || e.RawQuery != "" || (e.Scheme != "https" && e.Scheme != "http"):
		return errors.New("objects: endpoint must be like https://host or https://host:port")
	}
	insecure, err := boolean("insecure", query.Get("insecure"))
	if err != nil {
		return err
	}
	if e.Scheme == "http" && !insecure && !loopback.Is(e.Hostname()) {
		return fmt.Errorf("objects: endpoint http://%s would send everything readable over the network: use https, or add insecure=true if that network is yours alone", e.Host)
	}
	a.host, a.secure = e.Host, e.Scheme == "https"
	return nil
}

func (a *address) setLookup(value string) error {
	if value == "" {
		a.lookup = minio.BucketLookupAuto
		return nil
	}
	inPath, err := boolean("path_style", value)
	a.lookup = minio.BucketLookupDNS
	if inPath {
		a.lookup = minio.BucketLookupPath
	}
	return err
}

func boolean(name, value string) (bool, error) {
	if value == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("objects: %s is true or false", name)
	}
	return b, nil
}

// name is the name in the bucket of the object that key stands for.
func (a *address) name(key string) string {
	if a.prefix == "" {
		return key
	}
	return a.prefix + "/" + key
}

// key is what [address.name] made a name of.
func (a *address) key(name string) (string, bool) {
	if a.prefix == "" {
		return name, true
	}
	return strings.CutPrefix(name, a.prefix+"/")
}
