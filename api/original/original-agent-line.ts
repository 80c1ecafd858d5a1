import { MembridgeError } from '../../contract/errors.ts';
import type { Deps } from '../deps.ts';

/**
 * Returns the command to paste on a machine with the original's agent, so that it joins. People make the token on the
 * page, or with `POST /api/runtime/enrolment-tokens`.
 * @param name the machine's own name, which may be any text; only a valid node id is put into the line
 */
export function moveLine(name: string, { config, serverPin }: Pick<Deps, 'config' | 'serverPin'>): string {
  const pin = serverPin();
  const id = name.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  const settings = [
    `MEMBRIDGE_SERVER_URL=${config.publicUrl ?? 'ADDRESS'}`,
    ...(pin === null ? [] : [`MEMBRIDGE_SERVER_PIN=${pin}`]),
    'MEMBRIDGE_ENROL_TOKEN=TOKEN',
    ...(id === '' ? [] : [`MEMBRIDGE_NODE_ID=${id}`]),
  ];
  return `${settings.join(' ')} ./install.sh agent`;
}

/** Makes the refusal of a request to a machine with the original's agent: nobody calls such agents by their URL. */
export function onOriginalAgent(name: string, deps: Pick<Deps, 'config' | 'serverPin'>): MembridgeError {
  return new MembridgeError(
    'conflict',
    `${name} runs the original's agent, which is shown here and given nothing to do. To move it, make a token (Nodes, Add a node; or POST /api/runtime/enrolment-tokens) and run this there, in a checkout of Membridge: ${moveLine(name, deps)}`,
  );
}
