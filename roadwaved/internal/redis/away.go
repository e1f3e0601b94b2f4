package redis

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// away marks the errors of a server that may answer later with
// [station.ErrAway]. To others it adds what to do, where they do not say so.
func away(err error) error {
	switch {
	case err == nil || errors.Is(err, station.ErrAway):
		return err
	case isAway(err):
		return fmt.Errorf("%w: %w", station.ErrAway, err)
	case goredis.HasErrorPrefix(err, "NOPERM"):
		return fmt.Errorf("%w: give the user the rights in roadwaved/deploy/redis/roadwave.acl", err)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("%w: name the file with the certificate of its authority by SSL_CERT_FILE", err)
	}
	return err
}

// awayReplies begin the answers of a server that cannot serve now: it starts, is
// full or busy, has no master, or is not the master any more.
var awayReplies = []string{
	"LOADING ", "READONLY ", "CLUSTERDOWN ", "MASTERDOWN ", "TRYAGAIN ", "BUSY ", "NOREPLICAS ", "MISCONF ", "OOM ", "UNBLOCKED ",
	"ERR max number of clients reached",
}

// awayTexts are in errors of go-redis that are nothing but text.
var awayTexts = []string{"all sentinels specified in configuration are unreachable", "cluster has no nodes", "connection not available"}

func isAway(err error) bool {
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, goredis.ErrClosed):
		return false // our own doing
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, goredis.ErrPoolTimeout), errors.Is(err, goredis.ErrPoolExhausted):
		return true
	}
	if reply := (goredis.Error)(nil); errors.As(err, &reply) {
		for _, prefix := range awayReplies {
			if strings.HasPrefix(reply.Error(), prefix) {
				return true
			}
		}
		return false
	}
	for _, text := range awayTexts {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// A witness remembers what went wrong with the commands of a context: asynq puts
// the text of it into errors of its own, which do not tell a server that is away.
type witness struct{}

type (
	witnessKey struct{}
	witnessed  struct{ err error }
)

func withWitness(ctx context.Context) (*witnessed, context.Context) {
	seen := &witnessed{}
	return seen, context.WithValue(ctx, witnessKey{}, seen)
}

func (witness) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if seen, ok := ctx.Value(witnessKey{}).(*witnessed); ok && err != nil {
			seen.err = err
		}
		return err
	}
}

func (witness) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (witness) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}
