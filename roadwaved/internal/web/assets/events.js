// Server-sent events over fetch: unlike EventSource it can send a token.

// follow calls on(type, data) for each event and resolves when the stream
// ends. It throws when it cannot be opened or is cut.
export async function follow(url, { headers, signal, on }) {
  const response = await fetch(url, { headers: { Accept: 'text/event-stream', ...headers }, cache: 'no-store', signal });
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) dispatch(event, on);
  }
}

function dispatch(event, on) {
  let type = 'message', data = '';
  for (const line of event.split('\n')) {
    if (line.startsWith('event: ')) type = line.slice(7);
    else if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (data) on(type, JSON.parse(data));
}
