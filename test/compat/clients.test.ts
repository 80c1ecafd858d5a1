import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { REQUESTS } from './clients.ts';
import { startCompatFleet, type CompatFleet } from './fixture.ts';

/** The file for `npm run compat` with the answer to each request. */
const report = process.env['MEMBRIDGE_COMPAT_REPORT'];

let fleet: CompatFleet;
beforeAll(async () => {
  fleet = await startCompatFleet();
});
afterAll(async () => {
  await fleet.stop();
});

for (const request of REQUESTS) {
  const { client, does, method, path, differs } = request;
  const play = async (): Promise<void> => {
    let different: string[];
    try {
      different = await fleet.play(request);
    } catch (error) {
      different = [String(error)];
    }
    const line = { client, does, method, path, refused: differs?.row ?? null, different };
    if (report !== undefined) appendFileSync(report, `${JSON.stringify(line)}\n`);
    expect(different).toEqual([]);
  };
  test(titleOf(request), play);
}

test('finds a row in docs/compatibility.md for each played refusal, and no other', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'compatibility.md'), 'utf8');
  const rows = [...page.matchAll(/^\| ([A-Z]\d+) +\|/gm)].map(([, row]) => row);
  const played = REQUESTS.flatMap(({ differs }) => (differs === undefined ? [] : [differs.row]));
  expect(new Set(rows)).toEqual(new Set(played));
  expect(rows).toHaveLength(new Set(rows).size);
});

function titleOf({ client, does, differs }: (typeof REQUESTS)[number]): string {
  const how =
    differs === undefined ? 'as the original' : `as row ${differs.row} of docs/compatibility.md says`;
  return `the ${client} ${does} and is answered ${how}`;
}
