import { createInterface } from 'node:readline/promises';
import { UsageError } from '../calls/engine-call.ts';
import { printAside } from './command.ts';

/**
 * Asks the person at the terminal. Only "y" and "yes" count as a yes.
 * @param name the command that asks
 * @param streams where to ask: standard input and standard error, except in tests
 * @throws UsageError where there is no terminal
 */
export async function confirm(
  name: string,
  question: string,
  streams: { input: NodeJS.ReadStream; output: NodeJS.WriteStream } = {
    input: process.stdin,
    output: process.stderr,
  },
): Promise<boolean> {
  if (!streams.input.isTTY || !streams.output.isTTY) {
    throw new UsageError(
      `"${name}" asks before it changes anything, and there is no terminal: add --yes. Nothing was changed.`,
    );
  }
  const terminal = createInterface(streams);
  try {
    const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
    const isYes = /^y(es)?$/i.test(answer.trim());
    if (!isYes) printAside('Nothing was changed.');
    return isYes;
  } finally {
    terminal.close();
  }
}
