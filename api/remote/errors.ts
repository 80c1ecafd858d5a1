import { MembridgeError } from '../../contract/errors.ts';

/** The error of a control plane that is away. */
export function unreachable(url: string, reason: string): MembridgeError {
  return new MembridgeError(
    'control_plane_unreachable',
    `The control plane at ${url} does not answer: ${reason}. Check that it runs, and its address under Runtime, Settings.`,
  );
}

/** The error of a call that was not made, because the last ones failed. */
export function circuitIsOpen(url: string, waitMs: number, lastError: string | null): MembridgeError {
  const again =
    waitMs <= 0 ? 'another call looks right now' : `it is asked again in ${Math.ceil(waitMs / 1_000)} s`;
  return new MembridgeError(
    'control_plane_unreachable',
    `The control plane at ${url} did not answer the last calls (${lastError ?? 'no reason is known'}); ${again}.`,
  );
}

/** The error of a server that is there, but is not the control plane that was meant. */
export function refused(url: string, reason: string): MembridgeError {
  return new MembridgeError('control_plane_refused', `The server at ${url} cannot be used: ${reason}.`);
}
