import type { Server } from '../transport/server.ts';
import { requestToken } from '../transport/token.ts';
import type { ApiAddress } from './listen.ts';

/**
 * Returns what a person reads who wants another machine to join: the command to paste there, and the authority's pin.
 * @param options.apiKey makes the token of the command; null, where others may read it, leaves a place for one
 */
export async function describeJoining(
  server: Server,
  { urls, pin }: NonNullable<ApiAddress['remote']>,
  { apiKey, caFile }: { apiKey: string | null; caFile: string | null },
): Promise<string[]> {
  const [best = server.url, ...others] = urls;
  const token = apiKey === null ? 'TOKEN' : (await requestToken(server, apiKey, {})).token;
  const settings = [
    `MEMBRIDGE_SERVER_URL=${best}`,
    ...(pin === null ? [] : [`MEMBRIDGE_SERVER_PIN=${pin}`]),
    `MEMBRIDGE_ENROL_TOKEN=${token}`,
  ];
  const source =
    apiKey === null
      ? 'TOKEN: on the page, Nodes, "Add a node".'
      : 'The token admits one machine within an hour. More: on the page, Nodes, "Add a node".';
  return [
    '  To add a machine, run this there, in a checkout of Membridge:',
    '',
    `    ${settings.join(' ')} ./install.sh agent`,
    '',
    `  ${source}`,
    ...(others.length === 0 ? [] : [`  This server also answers at ${others.join(', ')}`]),
    ...(pin === null ? [] : [`  Its certificates end at the key ${pin}`]),
    ...(caFile === null
      ? []
      : [
          `  Browsers warn until they know this server's authority: import ${caFile} there, or accept it once.`,
        ]),
    '',
  ];
}
