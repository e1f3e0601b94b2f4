package auth

// An Error says why a token does not let anybody in. It never holds the token.
type Error struct {
	Code    string // for programs: unauthorized, token-expired, token-early, token-invalid
	Message string // for people, in French
	Detail  string // for engineers, in English
}

func (e *Error) Error() string { return "auth: " + e.Detail }

// Challenge is the WWW-Authenticate header of the answer (RFC 6750 §3).
func (e *Error) Challenge() string {
	if e == ErrNoToken {
		return "Bearer" // nothing was sent, so nothing was wrong with it
	}
	return `Bearer error="invalid_token", error_description="` + e.Detail + `"`
}

// What can be wrong with a token.
var (
	// ErrNoToken is for those who find that one is missing: Identify does not
	// return it.
	ErrNoToken = &Error{"unauthorized", "Identifiez-vous pour continuer.", "no token"}
	ErrExpired = &Error{"token-expired", "Votre session a expiré. Reconnectez-vous.", "the token has expired"}
	ErrEarly   = &Error{"token-early", "Votre session n'est pas encore valable. Vérifiez l'heure de votre appareil.", "the token is not valid yet"}
	// ErrBadToken says no more: who made a false token need not know why.
	ErrBadToken = &Error{"token-invalid", "Votre identification n'est pas valable. Reconnectez-vous.", "the token is not valid"}
)
