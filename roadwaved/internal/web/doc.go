// Package web holds the pages people see: the list of lives and replays, the
// studio that goes live from a microphone, and the player. Plain HTML, CSS and
// JavaScript modules, embedded, without a build step and without a request to
// anywhere else. The pages talk to the daemon only through its public HTTP API.
package web
