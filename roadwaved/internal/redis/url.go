package redis

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	dialTimeout = 2 * time.Second
	// dialerRetries is for commands, which are retried: once is enough to dial.
	dialerRetries = 1
)

// connector gives what connects to the server that a URL names. Every client it
// makes has connections of its own.
func connector(rawURL string) (connect func() goredis.UniversalClient, err error) {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	scheme, kind, _ := strings.Cut(scheme, "+")
	plain := scheme + "://" + rest
	switch kind {
	case "":
		connect, err = toServer(rawURL)
	case "cluster":
		connect, err = toCluster(plain)
	case "sentinel":
		connect, err = toSentinel(plain)
	default:
		err = errors.New("the scheme is none of these")
	}
	if err != nil {
		if broken := (*url.Error)(nil); errors.As(err, &broken) {
			err = broken.Err // the rest of it is the URL, with the password in it
		}
		return nil, fmt.Errorf("redis: the URL is not understood (want redis://host:port, redis+cluster://host:port or redis+sentinel://host:port?master_name=name): %w", err)
	}
	return connect, nil
}

func toServer(rawURL string) (func() goredis.UniversalClient, error) {
	opt, err := goredis.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return serverConnector(opt), nil
}

func serverConnector(opt *goredis.Options) func() goredis.UniversalClient {
	opt.ContextTimeoutEnabled = true // a caller's deadline counts more than the default timeouts
	opt.DialTimeout = cmp.Or(opt.DialTimeout, dialTimeout)
	opt.DialerRetries = cmp.Or(opt.DialerRetries, dialerRetries)
	opt.PipelinePoolSize = -1
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return func() goredis.UniversalClient { return goredis.NewClient(opt) }
}

func toCluster(rawURL string) (func() goredis.UniversalClient, error) {
	if u, err := url.Parse(rawURL); err != nil {
		return nil, err
	} else if db := strings.Trim(u.Path, "/"); db != "" && db != "0" {
		return nil, errors.New("a cluster has no databases but 0")
	}
	opt, err := goredis.ParseClusterURL(rawURL)
	if err != nil {
		return nil, err
	}
	opt.ContextTimeoutEnabled = true
	opt.DialTimeout = cmp.Or(opt.DialTimeout, dialTimeout)
	opt.DialerRetries = cmp.Or(opt.DialerRetries, dialerRetries)
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return func() goredis.UniversalClient { return goredis.NewClusterClient(opt) }, nil
}

func toSentinel(rawURL string) (func() goredis.UniversalClient, error) {
	opt, err := goredis.ParseFailoverURL(rawURL)
	switch {
	case err != nil:
		return nil, err
	case opt.MasterName == "":
		return nil, errors.New("a sentinel needs ?master_name=")
	case opt.RouteByLatency, opt.RouteRandomly, opt.ReplicaOnly:
		return nil, errors.New("only the master will do: what is read from a replica is late")
	}
	opt.ContextTimeoutEnabled = true
	opt.DialTimeout = cmp.Or(opt.DialTimeout, dialTimeout)
	opt.DialerRetries = cmp.Or(opt.DialerRetries, dialerRetries)
	opt.PipelinePoolSize = -1
	return func() goredis.UniversalClient { return goredis.NewFailoverClient(opt) }, nil
}
