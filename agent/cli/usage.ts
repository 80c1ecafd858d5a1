import type { Command } from './command.ts';

const HEADER = "membridge: this machine's part in the fleet's memory";

const FOOTER = `"membridge COMMAND --help" says what follows a command and what it does; every command takes --json. The agent must
run (npm start).
The agent's data is looked for in MEMBRIDGE_AGENT_DATA_DIR, else in this checkout's .membridge/agent (npm start), else in
~/.membridge.`;

const usageLine = ({ name, usage }: Command): string => `membridge ${name} ${usage}`.trim();

/** Returns the text of `membridge --help`. */
export function helpText(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  const lines = commands.map(({ name, summary }) => `  membridge ${name.padEnd(width)}${summary}`);
  return [HEADER, '', ...lines, '', FOOTER].join('\n');
}

/** Returns the text of `membridge <command> --help`. */
export function commandHelpText(command: Command): string {
  const help = command.help === undefined ? [] : ['', command.help];
  return [`${usageLine(command)} [--json]`, '', command.summary, ...help].join('\n');
}
