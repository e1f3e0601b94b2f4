// The microphone: opening it, naming the devices, saying what went wrong.

import { Problem } from './page.js';

// openMicrophone gives a stream with one audio track. Radio wants the voice
// as it is: what a call would do to it is off unless wanted says otherwise.
export async function openMicrophone({ device, stereo, ...processing }) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem(0, 'insecure', 'Le micro n’est accessible que depuis une adresse https (ou localhost).');
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        deviceId: device ? { exact: device } : undefined,
        channelCount: { ideal: stereo ? 2 : 1 },
        sampleRate: { ideal: 48_000 },
        ...processing,
      },
    });
  } catch (error) {
    throw new Problem(0, error.name, troubles[error.name] ?? `Le micro ne s’ouvre pas (${error.message || error.name}).`);
  }
}

const troubles = {
  NotAllowedError: 'L’accès au micro est refusé. Autorisez-le dans les réglages du navigateur, puis réessayez.',
  NotFoundError: 'Aucun micro n’a été trouvé. Branchez-en un, puis réessayez.',
  NotReadableError: 'Le micro est déjà pris par une autre application.',
  OverconstrainedError: 'Ce micro n’est plus là. Choisissez-en un autre.',
};

// listMicrophones fills a select; devices have names once a microphone was
// opened.
export async function listMicrophones(select) {
  const devices = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
  const named = devices.filter((d) => d.kind === 'audioinput' && d.deviceId && d.deviceId !== 'default' && d.label);
  const chosen = select.value;
  select.replaceChildren(new Option('Micro par défaut', ''), ...named.map((d) => new Option(d.label, d.deviceId)));
  if (named.some((d) => d.deviceId === chosen)) select.value = chosen;
}
