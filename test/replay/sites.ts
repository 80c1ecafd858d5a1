import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker, bundleWorkflowCode, type InjectedSinks } from '@temporalio/worker';
import type { Sinks } from '@temporalio/workflow';

const ROOT = join(import.meta.dirname, '..', '..');

/** A place where workflow code asks Temporal for something: a command that a replay compares with the history. */
export interface Site {
  readonly file: string;
  readonly line: number;
  readonly code: string;
}

/** A history in a file. */
export interface RecordedHistory {
  readonly path: string;
  readonly text: string;
}

/** The result of a replay: the sites that it passed, by number, and why it failed. */
export interface Replayed {
  readonly sites: ReadonlySet<number>;
  readonly error: Error | null;
}

/** Workflow code that reports which sites a replay passes, and in which one site can request one timer too many. */
export interface Instrumented {
  readonly sites: readonly Site[];
  /** Replays histories. @returns the result of each, in order */
  replay(histories: readonly RecordedHistory[], brokenSite?: number): Promise<Replayed[]>;
  close(): void;
}

const CALLS = [
  String.raw`\b(?:this\.#)?(?:control|store|engine|activities|does)(?=\.\w+\()`,
  String.raw`(?<!function )\b(?:onNode|sleep|condition|upsertSearchAttributes|getExternalWorkflowHandle)(?=\()`,
  String.raw`(?<!function )\bcontinueAsNew(?=<)`,
  String.raw`\b(?:beside|byEngine)(?=\[)`,
  String.raw`(?<!function )\b(?:postWebhook|makeScheduledTask)(?=\()`,
];
const CALL = new RegExp(CALLS.join('|'), 'g');

const HEAD = `
import { proxySinks as sitesOf, sleep as breakSite } from '@temporalio/workflow';
const BROKEN_SITE: number = -1;
const { sites: passed } = sitesOf();
export function site(n: number): void {
  passed.hit(n);
  if (n === BROKEN_SITE) void breakSite(1).catch(() => undefined);
}
`;

interface SiteSinks extends Sinks {
  sites: { hit(site: number): void };
}

/** Makes the instrumented code: every call in `workflows/` with which a workflow asks for something becomes a site. */
export async function instrument(): Promise<Instrumented> {
  const folder = join(ROOT, '.membridge', 'replay');
  mkdirSync(folder, { recursive: true });
  const copy = mkdtempSync(join(folder, 'sites-'));
  cpSync(join(ROOT, 'workflows'), join(copy, 'workflows'), {
    recursive: true,
    filter: (path) => !path.endsWith('.test.ts') && !path.endsWith('histories'),
  });
  for (const name of ['contract', 'activities']) symlinkSync(join(ROOT, name), join(copy, name));
  const sites: Site[] = [];
  const files = readdirSync(join(copy, 'workflows')).filter((file) => file !== 'bundle.ts');
  for (const file of files) {
    const path = join(copy, 'workflows', file);
    const lines = readFileSync(path, 'utf8').split('\n');
    const marked = lines.map((code, at) => {
      if (/^\s*(?:\/?\*|\/\/|import |[}] from )/.test(code)) return code;
      return code.replaceAll(CALL, (call) => {
        sites.push({ file, line: at + 1, code: code.trim() });
        return `(site(${sites.length - 1}), ${call})`;
      });
    });
    const head = file === 'index.ts' ? '' : `import { site } from './site.ts';\n`;
    writeFileSync(path, head + marked.join('\n'));
  }
  writeFileSync(join(copy, 'workflows', 'site.ts'), HEAD);
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(copy, 'workflows', 'index.ts'),
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: console.error },
  });
  return {
    sites,
    replay: async (histories, brokenSite = -1) => {
      const passed = histories.map(() => new Set<number>());
      const errors = histories.map((): Error | null => null);
      const sinks: InjectedSinks<SiteSinks> = {
        sites: {
          hit: {
            fn: ({ workflowId }, site) => void passed[Number(workflowId)]?.add(site),
            callDuringReplay: true,
          },
        },
      };
      const path = join(copy, 'bundle.js');
      writeFileSync(path, code.replace('BROKEN_SITE = -1', `BROKEN_SITE = ${brokenSite}`));
      // Each history gets its number as workflow id, so that a site can report which history passes it.
      const numbered = histories.map(({ text }, at) => ({
        workflowId: String(at),
        history: historyFromJSON(JSON.parse(text)),
      }));
      const options = { workflowBundle: { codePath: path }, sinks };
      for await (const { workflowId, error } of Worker.runReplayHistories(options, numbered)) {
        errors[Number(workflowId)] = error ?? null;
      }
      return passed.map((sites, at) => ({ sites, error: errors[at] ?? null }));
    },
    close: () => rmSync(copy, { recursive: true, force: true }),
  };
}
