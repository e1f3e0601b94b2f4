package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	minSecret = 32 // bytes: as long as the hash (RFC 7518 §3.2)
	maxSecret = 64 << 10
)

// secret believes tokens that were signed with a secret we share.
type secret struct {
	checker
	key []byte
}

func newSecret(path string, cfg Config) (*secret, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsRune(path, filepath.Separator) {
		// It may be the secret itself: it is not repeated.
		return nil, errors.New("auth: hs256 names no file in the current folder; write the secret into a file and give its path, like hs256:/etc/roadwave/secret")
	}
	if err != nil {
		return nil, fmt.Errorf("auth: the secret of hs256: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("auth: the secret of hs256: %w", err)
	}
	key, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("auth: the secret of hs256: %w", err)
	}
	key = bytes.TrimRight(key, "\r\n")
	if len(key) < minSecret || len(key) > maxSecret {
		return nil, fmt.Errorf("auth: the secret in %s has %d bytes, want %d to %d: make one with openssl rand -hex 32", path, len(key), minSecret, maxSecret)
	}
	if info.Mode().Perm()&0o044 != 0 {
		cfg.Logger.Warn("others can read the secret that creators' tokens are signed with: chmod 600", "file", path, "mode", info.Mode().Perm())
	}
	return &secret{newChecker(cfg, jwt.SigningMethodHS256.Alg()), key}, nil
}

// Identify implements [Authenticator].
func (s *secret) Identify(r *http.Request) (Identity, error) {
	return s.identify(r, func(*jwt.Token) (any, error) { return s.key, nil })
}

// Close implements [Authenticator].
func (s *secret) Close() error { return nil }
