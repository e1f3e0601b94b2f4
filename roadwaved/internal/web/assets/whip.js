// A WHIP client (RFC 9725) for one microphone: offer, answer, trickle ICE,
// ICE restart, end.

import { Problem, problemOf } from './page.js';

const connectTimeout = 20_000; // ms from the answer to the first connection

export class Publication extends EventTarget {
  #pc;
  #authorization;
  #resource; // the session's URL
  #etag;
  #answer; // SDP as last set
  #candidates = [];
  #sending = Promise.resolve(); // PATCH requests one after the other
  #over = false;

  // token names the creator; bitrate is where the encoder starts, in bits per
  // second. The event "state" tells each connectionState in its detail.
  constructor({ stream, token, bitrate = 48_000, stereo = false }) {
    super();
    this.#authorization = token ? { Authorization: `Bearer ${token}` } : {};
    this.#pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    const transceiver = this.#pc.addTransceiver(stream.getAudioTracks()[0], {
      direction: 'sendonly', streams: [stream], sendEncodings: [{ maxBitrate: bitrate }],
    });
    this.#onlyOpus(transceiver);
    this.sender = transceiver.sender;
    this.stereo = stereo;
    this.#pc.addEventListener('icecandidate', (e) => this.#gathered(e.candidate));
    this.#pc.addEventListener('connectionstatechange', () => {
      this.dispatchEvent(new CustomEvent('state', { detail: this.#pc.connectionState }));
    });
  }

  get state() { return this.#pc.connectionState; }

  // The id of the live is the last part of its session's path.
  get id() { return this.#resource ? decodeURIComponent(this.#resource.pathname.split('/').pop()) : ''; }

  // start resolves when sound can flow. It throws a Problem when the server
  // refuses or cannot be reached.
  async start(endpoint) {
    const offer = await this.#pc.createOffer();
    if (this.stereo) offer.sdp = withStereo(offer.sdp);
    const response = await this.#request('POST', new URL(endpoint, location.href), {
      headers: { 'Content-Type': 'application/sdp' }, body: offer.sdp,
    });
    if (response.status !== 201) throw await problemOf(response);
    this.#resource = new URL(response.headers.get('Location'), response.url);
    this.#etag = response.headers.get('ETag');
    const iceServers = iceServersOf(response.headers.get('Link'));
    if (iceServers.length) this.#pc.setConfiguration({ ...this.#pc.getConfiguration(), iceServers });
    const connected = this.#connected();
    connected.catch(() => {}); // it may fail while the descriptions are set
    this.#answer = await response.text();
    await this.#pc.setLocalDescription(offer);
    await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
    await connected;
  }

  // restart looks for another network path for the same session: from Wi-Fi
  // to 4G and back. It throws when the session is gone.
  async restart() {
    await this.#sending;
    const offer = await this.#pc.createOffer({ iceRestart: true });
    const response = await this.#request('PATCH', this.#resource, {
      headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*' }, body: fragment(offer.sdp, []),
    });
    if (response.status !== 200) throw await problemOf(response);
    this.#candidates = []; // those of the path that broke
    this.#etag = response.headers.get('ETag');
    this.#answer = withFragment(this.#answer, await response.text());
    await this.#pc.setLocalDescription(offer);
    await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
  }

  // limit sets what the encoder may use, in bits per second; it takes effect
  // within seconds and can go both ways.
  async limit(bitrate) {
    const parameters = this.sender.getParameters();
    for (const encoding of parameters.encodings ?? []) encoding.maxBitrate = bitrate;
    await this.sender.setParameters(parameters);
  }

  // quality gives the share of packets the server did not get, 0 to 1, and
  // the round trip in seconds; undefined where it is not known yet.
  async quality() {
    let loss, roundTrip;
    for (const report of (await this.sender.getStats()).values()) {
      if (report.type !== 'remote-inbound-rtp') continue;
      loss = report.fractionLost;
      roundTrip = report.roundTripTime;
    }
    return { loss, roundTrip };
  }

  // end tells the server and stops sending. It works while the page unloads.
  // The connection closes after the farewell: closed first, it would itself
  // end the session, and the server would not know for whom the farewell is.
  async end() {
    if (this.#over) return;
    this.#over = true;
    if (this.#resource) {
      const farewell = this.#request('DELETE', this.#resource, { keepalive: true });
      await Promise.race([farewell.catch(() => {}), new Promise((done) => setTimeout(done, 1000))]);
    }
    this.#pc.close(); // tells nobody
    this.dispatchEvent(new CustomEvent('state', { detail: 'closed' }));
  }

  async #request(method, url, init) {
    try {
      return await fetch(url, { method, ...init, headers: { ...this.#authorization, ...init.headers } });
    } catch {
      throw new Problem(0, 'unreachable', 'Le serveur ne répond pas.');
    }
  }

  #onlyOpus(transceiver) {
    const opus = RTCRtpSender.getCapabilities?.('audio')?.codecs.filter((c) => c.mimeType.toLowerCase() === 'audio/opus');
    if (opus?.length) transceiver.setCodecPreferences?.(opus);
  }

  #connected() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Problem(0, 'no-path', noPath)), connectTimeout);
      this.addEventListener('state', ({ detail }) => {
        if (detail === 'connected') resolve();
        else if (detail === 'failed') reject(new Problem(0, 'no-path', noPath));
        else if (detail === 'closed') reject(new Problem(0, 'closed', ''));
        else return;
        clearTimeout(timer);
      });
    });
  }

  // Candidates found at the same moment go in one request. The answer holds
  // all of the server's, so a server that takes no PATCH costs nothing.
  #gathered(candidate) {
    if (!candidate?.candidate) return;
    this.#candidates.push(candidate.candidate);
    if (this.#candidates.length === 1) setTimeout(() => this.#send(), 50);
  }

  #send() {
    const candidates = this.#candidates.splice(0);
    if (!candidates.length || this.#over) return;
    const body = fragment(this.#pc.localDescription.sdp, candidates);
    this.#sending = this.#sending.then(() => this.#request('PATCH', this.#resource, {
      headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': this.#etag }, body,
    })).catch(() => {}); // connectivity checks may succeed without
  }
}

const noPath = 'Le son ne passe pas jusqu’au serveur. Vérifiez votre connexion ou changez de réseau.';

// withStereo asks for two channels (RFC 7587 §6.1); the server's answer
// repeats what the offer says.
function withStereo(sdp) {
  const opus = /^a=rtpmap:(\d+) opus\/48000\/2/im.exec(sdp)?.[1];
  return sdp.replace(new RegExp(`^(a=fmtp:${opus} .*)$`, 'm'), '$1;stereo=1;sprop-stereo=1');
}

const lineOf = (sdp, start) => new RegExp(`^${start}.*$`, 'm').exec(sdp)?.[0].trimEnd();

// fragment is the SDP fragment of RFC 8840 §9.
function fragment(sdp, candidates) {
  return [
    lineOf(sdp, 'a=ice-ufrag:'), lineOf(sdp, 'a=ice-pwd:'), lineOf(sdp, 'm=audio'), lineOf(sdp, 'a=mid:'),
    ...candidates.map((c) => `a=${c}`), '',
  ].filter((line) => line !== undefined).join('\r\n');
}

// withFragment gives an answer the ICE part of a fragment.
function withFragment(answer, frag) {
  const ice = /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)\b/;
  const fresh = frag.split(/\r?\n/).filter((line) => ice.test(line));
  const lines = answer.split(/\r?\n/).filter((line) => line && !ice.test(line));
  const media = lines.findIndex((line) => line.startsWith('a=mid:'));
  return [...lines.slice(0, media + 1), ...fresh, ...lines.slice(media + 1), ''].join('\r\n');
}

// iceServersOf reads Link headers with rel="ice-server" (RFC 9725 §4.6).
export function iceServersOf(header) {
  const servers = [];
  for (const [, url, rest] of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)/g)) {
    const parameters = {};
    for (const [, name, quoted, plain] of rest.matchAll(/;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/g)) {
      parameters[name.toLowerCase()] = plain ?? quoted.replace(/\\(.)/g, '$1');
    }
    if (parameters.rel !== 'ice-server') continue;
    const server = { urls: url };
    if (parameters.username) Object.assign(server, { username: parameters.username, credential: parameters.credential });
    servers.push(server);
  }
  return servers;
}
