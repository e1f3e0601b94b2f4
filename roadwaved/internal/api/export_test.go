package api

import (
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"
)

// Routes are the patterns of the mux.
func (a *API) Routes() []string { return a.routes }

// Document is the OpenAPI document before it is written down.
func (a *API) Document() *huma.OpenAPI { return a.doc }

// Pages are the paths that the document leaves out.
var Pages = pages

// Client is who sends a request.
func (a *API) Client(r *http.Request) netip.Addr { return a.client(r) }

// StandIn is what stands for their address.
func (a *API) StandIn(r *http.Request) string { return a.standIn(r) }

// Cursor is a place in a list.
type Cursor = cursor

// Cursors, in and out.
var (
	CursorAt   = cursorAt
	ReadCursor = cursor.read
)

// ReceiveMessage gives a hub what comes by the wire, and tells whether it is an
// event.
func (h *Hub) ReceiveMessage(b []byte) bool {
	_, err := parseMessage(b)
	h.receive(b)
	return err == nil
}

// Forwarded marks requests that another daemon sent on.
const Forwarded = forwardedHeader
