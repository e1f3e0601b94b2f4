package objects

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// try calls f until it succeeds, fails for good, or has failed as often as the
// configuration allows, with growing pauses. The error says what was tried.
func (s *S3) try(ctx context.Context, what string, f func() error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return s.fault(ctx, what, ctx.Err())
		}
		err := f()
		if err == nil {
			return nil
		}
		if attempt == s.cfg.Attempts || ctx.Err() != nil || !passing(err) {
			return s.fault(ctx, what, err)
		}
		s.cfg.Logger.Debug("object store: trying again", "what", what, "attempt", attempt, "in", pause, "err", s.fault(ctx, what, err))
		if !sleep(ctx, pause/2+rand.N(pause)) {
			return s.fault(ctx, what, err)
		}
		pause = min(2*pause, longPause)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passing tells whether another attempt may fare better: a network that failed,
// a server that is busy or broken.
func passing(err error) bool {
	for _, lasting := range []error{errNoKeys, errChanged, errNoRange} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		return false
	}
	answer, answered := errors.AsType[minio.ErrorResponse](err)
	if !answered || answer.StatusCode == 0 {
		return true
	}
	switch answer.Code {
	case "SlowDown", "RequestTimeout", "InternalError", "Throttling", "ExpiredToken", "BadDigest", "IncompleteBody":
		return true
	}
	return answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout
}

// codeNoUpload is the answer about an upload in parts that is over.
const codeNoUpload = "NoSuchUpload"

// advice says what to do about an answer, by its code.
var advice = map[string]string{
	"NoSuchBucket":                 "there is no bucket of that name here: create it, or correct the address and region",
	"AccessDenied":                 "these keys may not do that: give their user the right to read, write, delete and list in this bucket",
	"AllAccessDisabled":            "the bucket is disabled",
	"InvalidAccessKeyId":           "the store does not know this access key",
	"SignatureDoesNotMatch":        "the secret key does not fit the access key, or the region is wrong",
	"AuthorizationHeaderMalformed": "the region is wrong: set region= in the address",
	"InvalidRegion":                "the region is wrong: set region= in the address",
	"PermanentRedirect":            "the bucket is elsewhere: correct endpoint= and region= in the address",
	"RequestTimeTooSkewed":         "the clock of this machine is wrong",
	"QuotaExceeded":                "the bucket is full",

	"AccessControlListNotSupported": "the bucket takes no ACL: remove acl= from the address and let its policy say who may read",
}

// fault turns an error of the library into one of ours. Of what a server sent
// only its code is passed on.
func (s *S3) fault(ctx context.Context, what string, err error) error {
	where := fmt.Sprintf("objects: %s in bucket %s at %s", what, s.at.bucket, s.at.host)
	answer, answered := errors.AsType[minio.ErrorResponse](err)
	switch cause := ctx.Err(); {
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w: no answer in time: %w", where, station.ErrAway, cause)
	case cause != nil:
		return fmt.Errorf("%s: %w", where, cause)
	case answered && answer.Code == codeNoUpload:
		return fmt.Errorf("%s: %w", where, errNoUpload)
	case answered && answer.Code == "NoSuchKey":
		return fmt.Errorf("%s: %w", where, fs.ErrNotExist)
	case answered && answer.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w", where, errChanged)
	case answered && answer.StatusCode != 0 && passing(err):
		return fmt.Errorf("%s: %w: it says %d %.40q", where, station.ErrAway, answer.StatusCode, answer.Code)
	case answered && answer.StatusCode != 0:
		if todo, known := advice[answer.Code]; known {
			return fmt.Errorf("%s: %d %s: %s", where, answer.StatusCode, answer.Code, todo)
		}
		return fmt.Errorf("%s: the store refuses: %d %.40q", where, answer.StatusCode, answer.Code)
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("%s: %w: name the file with the certificate of its authority by SSL_CERT_FILE", where, err)
	case passing(err):
		return fmt.Errorf("%s: %w: %w", where, station.ErrAway, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

var (
	errChanged  = errors.New("the object was overwritten while it was read: open it again")
	errNoRange  = errors.New("the store does not give objects from the middle on")
	errNoUpload = errors.New("this upload was finished or deleted by somebody else")
)

// readFull fills buf from the body of a Put, which has promised that much.
func readFull(body io.Reader, buf []byte) error {
	_, err := io.ReadFull(body, buf)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("objects: reading what is to be stored: %w", err)
	}
	return nil
}
