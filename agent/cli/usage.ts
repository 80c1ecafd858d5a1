import type { Command } from './command.ts';

const HEADER = "membridge: this machine's part in the fleet's memory";

const FOOTER = `Every command takes --json, and --help to say more. The agent must run (npm start).
The agent's data is looked for in MEMBRIDGE_AGENT_DATA_DIR, else in this checkout's .membridge/agent (npm start), else in
~/.membridge.`;

const typed = ({ name, usage }: Command): string => `membridge ${name} ${usage}`.trim();

/** What `membridge --help` says. */
export function usageOf(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => typed(command).length)) + 2;
  const lines = commands.map((command) => `  ${typed(command).padEnd(width)}${command.summary}`);
  return [HEADER, '', ...lines, '', FOOTER].join('\n');
}

/** What `membridge <command> --help` says. */
export function helpOf(command: Command): string {
  const help = command.help === undefined ? [] : ['', command.help];
  return [`${typed(command)} [--json]`, '', command.summary, ...help].join('\n');
}
