import { MembridgeError } from '../../contract/errors.ts';

/** Makes the error for a control plane that does not answer. */
export function unreachableError(url: string, reason: string): MembridgeError {
  return new MembridgeError(
    'control_plane_unreachable',
    `The control plane at ${url} does not answer: ${reason}. Check that it runs, and its address under Runtime, Settings.`,
  );
}

/** Makes the error for a call that was not sent, because the last ones failed. */
export function circuitOpenError(url: string, waitMs: number, lastError: string | null): MembridgeError {
  const again =
    waitMs <= 0 ? 'another call is trying right now' : `it is asked again in ${Math.ceil(waitMs / 1_000)} s`;
  return new MembridgeError(
    'control_plane_unreachable',
    `The control plane at ${url} did not answer the last calls (${lastError ?? 'no reason is known'}); ${again}.`,
  );
}

/** Makes the error for a server that answers, but is not the intended control plane. */
export function refusedError(url: string, reason: string): MembridgeError {
  return new MembridgeError('control_plane_refused', `The server at ${url} cannot be used: ${reason}.`);
}
