// Package whip receives one creator's audio over WebRTC, as RFC 9725 (WHIP)
// describes it, and gives it as a [media.Source].
//
// A [Server] is an [net/http.Handler] for two resources: the endpoint
// (POST an SDP offer to /whip, get 201 and an answer) and one session each
// (PATCH candidates or an ICE restart to /whip/{id}, DELETE ends it). All
// sessions share one UDP port, with the same port over TCP for creators whose
// network lets no UDP through. A [Session] is what the application reads:
//
//	srv, err := whip.NewServer(whip.Config{
//		OnPublish: func(_ context.Context, s *whip.Session) error {
//			rec, err := opusrec.Create(s.ID()+".opus", opusrec.Config{}) // one per creator
//			if err != nil {
//				return err
//			}
//			return media.Copy(rec, s) // returns when the creator stops; closes rec
//		},
//	})
//	http.Handle("/whip", srv)
//	http.Handle("/whip/", srv)
//
// Audio only, Opus only: a video section of the offer is refused in the
// answer, the audio goes on. Lost packets are asked for again (RTCP NACK),
// transport-cc is not negotiated because senders answer it with padding. The
// answer holds every candidate, so creators that cannot trickle need not.
//
// [Client] is the other side: it publishes a [media.Source] to any WHIP server,
// in real time. Tests, benchmarks and examples use it; it also makes a small
// contribution encoder.
//
// This is the only package of the module that imports Pion.
package whip
