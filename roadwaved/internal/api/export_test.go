package api

import "github.com/danielgtaylor/huma/v2"

// Routes are the patterns of the mux.
func (a *API) Routes() []string { return a.routes }

// Document is the OpenAPI document before it is written down.
func (a *API) Document() *huma.OpenAPI { return a.doc }

// Pages are the paths that the document leaves out.
var Pages = pages
