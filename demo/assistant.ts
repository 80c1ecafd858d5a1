/**
 * The program of the demo's agents, in place of Claude, which needs an account. It repeats its prompt, a word at a
 * time. A prompt that begins with "Fail" makes it fail.
 */
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two words, in milliseconds. */
const WORD_MS = 120;

const prompt = (await text(process.stdin)).trim();
if (prompt.startsWith('Fail')) {
  process.stderr.write('The prompt asked me to fail.\n');
  process.exit(1);
}
process.stdout.write(
  `I stand in for Claude on ${process.env['MEMBRIDGE_NODE_ID'] ?? 'this node'}. You asked:\n\n`,
);
for (const word of prompt.split(/(?<=\s)/)) {
  process.stdout.write(word);
  await sleep(WORD_MS);
}
process.stdout.write('\n');
