package auth

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const (
	leeway = 30 * time.Second
	// maxToken bounds what is decoded before any signature is checked.
	maxToken = 8 << 10
	// roleOperator is the value of the claim "role" of operators.
	roleOperator = "operator"
)

// bearer takes the token out of a request, "" when there is none.
func bearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil // meant for somebody before us, such as a proxy
	}
	if token = strings.TrimSpace(token); len(values) > 1 || len(token) > maxToken {
		return "", ErrBadToken
	}
	return token, nil
}

// isSubject tells whether s can be the id of a person everywhere: in logs, in
// pages and in the catalog, which drops space around it. One that is only claimed
// is none.
func isSubject(s string) bool {
	return s != "" && !strings.HasPrefix(s, Claimed) && utf8.ValidString(s) && utf8.RuneCountInString(s) <= station.MaxCreatorID &&
		s == strings.TrimSpace(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	Premium bool             `json:"premium"`
	Role    jwt.ClaimStrings `json:"role"` // a string or a list of them
}

// A checker reads signed tokens.
type checker struct {
	parser *jwt.Parser
}

func newChecker(cfg Config, algorithms ...string) checker {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(cfg.Now), jwt.WithStrictDecoding(),
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	return checker{jwt.NewParser(options...)}
}

// identify reads the request's token; key finds what it is checked with.
func (c checker) identify(r *http.Request, key jwt.Keyfunc) (Identity, error) {
	token, err := bearer(r)
	if err != nil {
		return Identity{}, err
	}
	if token == "" {
		return Identity{}, nil
	}
	var said claims
	_, err = c.parser.ParseWithClaims(token, &said, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok { // it must be understood, and we know of none (RFC 7515 §4.1.11)
			return nil, ErrBadToken
		}
		return key(t)
	})
	// The claims are filled in even where the signature is wrong.
	if err != nil {
		return Identity{}, verdict(err)
	}
	if !isSubject(said.Subject) {
		return Identity{}, ErrBadToken
	}
	return Identity{
		Subject:       said.Subject,
		Premium:       said.Premium,
		Operator:      slices.Contains(said.Role, roleOperator),
		Authenticated: true,
		Proven:        true,
	}, nil
}

// verdict makes an error of the parser one of ours, without what the token
// holds. Times are looked at only after the signature was found good.
func verdict(err error) error {
	switch {
	case errors.Is(err, station.ErrAway):
		return errKeysAway
	case errors.Is(err, jwt.ErrTokenExpired):
		return ErrExpired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return ErrEarly
	}
	return ErrBadToken
}
