import { MembridgeError } from '../../contract/errors.ts';
import type { Deps } from '../deps.ts';

/**
 * What to paste on a machine that runs the original's agent, so that it takes part. Its token is made on the page, or by
 * `POST /api/runtime/enrolment-tokens`.
 * @param name what the machine calls itself: anything at all, so only what a node may be called is put into the line
 */
export function moveLine(name: string, { config }: Pick<Deps, 'config'>): string {
  const id = name.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  const settings = [
    `MEMBRIDGE_SERVER_URL=${config.publicUrl ?? 'ADDRESS'}`,
    'MEMBRIDGE_ENROL_TOKEN=TOKEN',
    ...(id === '' ? [] : [`MEMBRIDGE_NODE_ID=${id}`]),
  ];
  return `${settings.join(' ')} ./install.sh agent`;
}

/** The refusal of what a machine on the original's agent cannot be asked for: nobody calls agents by their URL. */
export function onOriginalAgent(name: string, deps: Pick<Deps, 'config'>): MembridgeError {
  return new MembridgeError(
    'conflict',
    `${name} runs the original's agent, which is shown here and given nothing to do. To move it, make a token (Nodes, Add a node; or POST /api/runtime/enrolment-tokens) and run this there, in a checkout of Membridge: ${moveLine(name, deps)}`,
  );
}
