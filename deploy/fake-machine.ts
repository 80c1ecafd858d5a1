import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export const root = dirname(import.meta.dirname);

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * A machine for tests of install.sh: its own home folder and a stand-in for systemctl. The stand-in remembers what is
 * enabled and active and records each call; no real systemd is used.
 */
export class FakeMachine {
  readonly folder = mkdtempSync(join(tmpdir(), 'membridge-install-'));
  readonly home = join(this.folder, 'home');
  readonly data = join(this.folder, 'data');
  readonly #calls = join(this.folder, 'systemctl', 'calls');

  constructor(systemState = 'running') {
    const protectedFiles = {
      '.claude-mem/claude-mem.db': 'memories',
      '.claude/settings.json': '{}',
      '.claude/.credentials.json': '{"token":"secret"}',
      '.claude-mem-minio/config.env': 'export MINIO_BUCKET=mine',
      '.claude-mem-minio/bin/hook-push': '#!/bin/sh',
    };
    for (const [file, text] of Object.entries(protectedFiles)) this.write(join(this.home, file), text);
    this.write(
      join(this.folder, 'bin', 'systemctl'),
      `#!/bin/sh
state=${dirname(this.#calls)}
[ "$1" = --user ] && shift
verb=$1
shift
[ "$1" = --quiet ] && shift
case $verb in
  is-system-running) echo ${systemState} ;;
  is-enabled) [ -e "$state/$1.enabled" ] ;;
  is-active) [ -e "$state/$1.active" ] ;;
  *) echo "$verb $*" | sed 's/ $//' >> ${this.#calls}
     case $verb in enable) : > "$state/$1.enabled" ;; start | restart) : > "$state/$1.active" ;; esac ;;
esac
`,
    );
    chmodSync(join(this.folder, 'bin', 'systemctl'), 0o755);
    mkdirSync(dirname(this.#calls));
  }

  /** Runs the real install.sh, as a user's installation unless `--system` is among the arguments. */
  install(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
    const given = args.includes('--system') ? args.filter((arg) => arg !== '--system') : [...args, '--user'];
    return this.run(join(root, 'install.sh'), given, env);
  }

  /** Runs a program with this machine's home and PATH, and nothing else of our environment. */
  run(file: string, args: string[], env: Record<string, string> = {}): Promise<Outcome> {
    return new Promise((settle) => {
      execFile(file, args, { env: { ...this.environment(), ...env } }, (error, stdout, stderr) =>
        settle({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  }

  environment(): Record<string, string> {
    const path = [join(this.folder, 'bin'), dirname(process.execPath), process.env.PATH ?? ''];
    return {
      HOME: this.home,
      PATH: path.join(':'),
      // What is built once a machine stays where it is.
      XDG_CACHE_HOME: process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
      MEMBRIDGE_DATA_DIR: this.data,
    };
  }

  /** Returns the calls of systemctl since the last time that would have changed something. */
  takeCalls(): string[] {
    if (!existsSync(this.#calls)) return [];
    const calls = readFileSync(this.#calls, 'utf8').trim().split('\n');
    rmSync(this.#calls);
    return calls;
  }

  /** Returns every file and folder below a folder: mode, time of change and content. */
  snapshot(folder = this.folder): Record<string, string> {
    const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    return Object.fromEntries(
      entries.map((entry) => {
        const found = statSync(join(folder, entry));
        const content = found.isFile()
          ? createHash('sha256')
              .update(readFileSync(join(folder, entry)))
              .digest('hex')
          : '';
        return [entry, `${found.mode.toString(8)} ${found.mtimeMs} ${content}`];
      }),
    );
  }

  /** Returns the same for the installed checkout, without what is too large to read each time. */
  checkout(): Record<string, string> {
    const entries = readdirSync(root).filter(
      (name) => !['.git', 'node_modules', '.membridge'].includes(name),
    );
    const folders = entries.filter((name) => statSync(join(root, name)).isDirectory());
    return Object.assign({}, ...folders.map((name) => this.snapshot(join(root, name)))) as Record<
      string,
      string
    >;
  }

  /** Returns a snapshot of what nothing may ever change. */
  protectedFiles(): Record<string, string>[] {
    return ['.claude', '.claude-mem', '.claude-mem-minio'].map((name) =>
      this.snapshot(join(this.home, name)),
    );
  }

  write(file: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
