import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { errorMessage } from '../contract/errors.ts';
import { UsageError } from './calls/engine-call.ts';
import { print, type Command } from './cli/command.ts';
import { COMMANDS } from './cli/commands.ts';
import { commandHelpText, helpText } from './cli/usage.ts';

const COMMON_OPTIONS = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const satisfies ParseArgsOptionsConfig;

/** Options may stand before the command too, so the parser first accepts those of every command. */
const ALL_OPTIONS: ParseArgsOptionsConfig = Object.assign(
  {},
  ...COMMANDS.map(({ options }) => options),
  COMMON_OPTIONS,
);

/** The command, once its name was read: a usage error then shows the help of that command. */
let commandSoFar: Command | null = null;

/** Runs one command. @returns the exit code: 0 done, 1 the request failed, 2 wrong usage */
async function run(argv: string[]): Promise<number> {
  const { positionals, values } = parseArgs({ args: argv, allowPositionals: true, options: ALL_OPTIONS });
  const { json, help, ...options } = values as Record<string, string | boolean | undefined>;
  const [first, ...rest] = positionals;
  const asksHelp = help === true || first === 'help';
  const [name, ...words] = first === 'help' ? rest : positionals;
  if (name === undefined) {
    print(helpText(COMMANDS));
    return asksHelp ? 0 : 2;
  }
  const command = find(name);
  commandSoFar = command;
  if (asksHelp) {
    print(commandHelpText(command));
    return 0;
  }
  const foreign = Object.keys(options).find((option) => !(option in (command.options ?? {})));
  if (foreign !== undefined) throw new UsageError(`--${foreign} is not an option of "${name}"`);
  return await command.run({ words, options }, json === true);
}

function find(name: string): Command {
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) throw new UsageError(`there is no command "${name}"`);
  return command;
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const wrongUse = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  const usage = commandSoFar === null ? helpText(COMMANDS) : commandHelpText(commandSoFar);
  process.stderr.write(`membridge: ${errorMessage(error)}\n${wrongUse ? `\n${usage}\n` : ''}`);
  process.exitCode = wrongUse ? 2 : 1;
}
