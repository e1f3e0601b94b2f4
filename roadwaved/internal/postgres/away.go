package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An awayError is a database that does not answer, or not now.
type awayError struct {
	target string
	err    error
}

func (e *awayError) Error() string {
	return "database " + e.target + " does not answer: " + line(e.err)
}

func (e *awayError) Unwrap() []error { return []error{station.ErrAway, e.err} }

// classify gives an error the meaning it has in the contracts.
func classify(target string, err error) error {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return station.ErrNotFound
	case away(err):
		return &awayError{target, err}
	case advice(err) != "" || errors.As(err, new(*pgconn.ConnectError)):
		return &refusalError{err}
	}
	return err
}

// A refusalError is a server that will not do it however often it is asked.
type refusalError struct{ err error }

func (e *refusalError) Error() string { return line(e.err) }
func (e *refusalError) Unwrap() error { return e.err }

// line is an error in one line, with what to do about it.
func line(err error) string {
	// The driver gives each attempt a line, with and without encryption.
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.TrimSpace(line))
	}
	text := strings.Join(slices.Compact(lines), " ")
	if todo := advice(err); todo != "" {
		text += ": " + todo
	}
	return text
}

// noTLS is how the driver's error ends where nothing was tried after TLS.
const noTLS = "server refused TLS connection"

// advice says what to do about an error, if that is not clear from its text.
func advice(err error) string {
	answer, _ := errors.AsType[*pgconn.PgError](err)
	switch {
	case answer == nil:
	case answer.Code == "42501": // insufficient privilege
		return ownership
	case answer.Code == "53300": // too many connections
		return "raise max_connections there, lower pool_max_conns in the URLs of the daemons, or put a pooler in between"
	case answer.Code == "28000" && strings.HasSuffix(answer.Message, "no encryption"):
		return "it wants TLS: set sslmode=verify-full in the URL"
	}
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "name the file with the certificate of its authority by sslrootcert= in the URL, or by SSL_CERT_FILE"
	case errors.As(err, new(x509.HostnameError)):
		return "connect to a name that its certificate has, or set sslmode=verify-ca in the URL"
	case strings.HasSuffix(err.Error(), noTLS):
		return "turn TLS on there, or set sslmode=disable in the URL if the network is yours alone"
	}
	return ""
}

const ownership = `the role of the daemons owns the tables and may create more in their schema: run "roadwaved migrate" with that role`

// about is classify for what concerns the whole database: it is named.
func about(target string, err error) error {
	err = classify(target, err)
	if errors.Is(err, station.ErrAway) {
		return fmt.Errorf("postgres: %w", err)
	}
	return fmt.Errorf("postgres: database %s: %w", target, err)
}

// away tells whether the same call may succeed later.
func away(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // the caller's wish
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return later(answer.Code)
	}
	if errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.CertificateInvalidError)) || strings.HasSuffix(err.Error(), noTLS) {
		return false
	}
	// What goes wrong on the way: refused, reset, timed out, unknown host, closed
	// under the query.
	var network net.Error
	var connect *pgconn.ConnectError
	var errno syscall.Errno
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.As(err, &network) || errors.As(err, &errno) || errors.As(err, &connect) || pgconn.SafeToRetry(err)
}

// SQLSTATE codes of a statement that took, or waited, too long.
const (
	statementTimeout = "57014" // or somebody cancelled it
	lockTimeout      = "55P03"
)

// later tells the SQLSTATE codes that say "not now".
func later(code string) bool {
	switch code {
	case "57P01", "57P02", "57P03", "57P05", // shutting down, crashed, starting up, idle for too long
		statementTimeout,
		lockTimeout,
		"40001", "40P01", // serialization, deadlock
		"25P03", // idle in a transaction
		readOnly:
		return true
	}
	// connection exceptions; insufficient resources; system errors such as a
	// device that fails
	switch code[:2] {
	case "08", "53", "58":
		return code != "58P01" // a file of the installation that is missing stays so
	}
	return false
}
