package whip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func (p *publisher) post(ctx context.Context, endpoint, offer string) (string, error) {
	request, err := p.request(ctx, http.MethodPost, endpoint, strings.NewReader(offer))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", typeSDP)
	response, err := p.client.cfg.HTTP.Do(request)
	if err != nil {
		return "", fmt.Errorf("whip: publish: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return "", fmt.Errorf("whip: publish: %w", err)
	}
	if response.StatusCode != http.StatusCreated {
		return "", refusalOf(response, body)
	}
	location, err := response.Location() // relative to where redirections led
	if err != nil {
		return "", errors.New("whip: the server did not say where the session is")
	}
	p.stats.Session = location.String()
	return string(body), nil
}

func (p *publisher) request(ctx context.Context, method, target string, body io.Reader) (*http.Request, error) {
	if _, err := url.Parse(target); err != nil {
		return nil, fmt.Errorf("whip: endpoint: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err == nil && p.cfg.Token != "" {
		request.Header.Set("Authorization", "Bearer "+p.cfg.Token)
	}
	return request, err
}

// refusalOf makes what a server said into the error it meant.
func refusalOf(response *http.Response, body []byte) error {
	said := problem{Detail: strings.TrimSpace(string(bytes.ToValidUTF8(body[:min(len(body), 200)], nil)))}
	if mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); mediaType == "application/problem+json" {
		_ = json.Unmarshal(body, &said)
	}
	seconds, _ := time.ParseDuration(response.Header.Get("Retry-After") + "s")
	return &Refusal{Status: response.StatusCode, Code: said.Code, Detail: said.Detail, RetryAfter: seconds}
}

// delete ends the session. The publisher's context may be done by now.
func (p *publisher) delete() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := p.request(ctx, http.MethodDelete, p.stats.Session, nil)
	if err != nil {
		return err
	}
	response, err := p.client.cfg.HTTP.Do(request)
	if err != nil {
		return fmt.Errorf("whip: end the session: %w", err)
	}
	_ = response.Body.Close()
	// A server that ended the session first does not know it any more.
	if response.StatusCode >= 300 && response.StatusCode != http.StatusNotFound {
		return fmt.Errorf("whip: end the session: the server said %s", response.Status)
	}
	return nil
}
