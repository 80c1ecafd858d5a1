import type { Trust } from '../../contract/memory/memory.ts';
import { CALL_FAULTS, type PlannedFault } from './bucket.ts';
import { ATTACKS, type Attack } from './intruder.ts';
import { Dice } from './dice.ts';
import type { MirrorOrder } from './mirrors.ts';
import type { OriginalAct } from './original.ts';
import type { FullFile } from './process.ts';
import { TRUSTS } from './trust.ts';
import { WRITES, type WriteKind } from './workload.ts';

/** A request to a simulated machine's engine, and what happens during it. */
export interface Call {
  readonly machine: number;
  readonly what: 'push' | 'pull' | 'full-pull' | 'notice' | 'audit' | 'publish' | 'import';
  /** The step (a store call or an SQL statement) at which the process dies; null: it lives. */
  readonly dieAfter: number | null;
  readonly faults: readonly PlannedFault[];
  /** The file that has no room to grow. */
  readonly full: FullFile | null;
  /** Another program holds claude-mem's write lock until this store call. */
  readonly lockedUntil: number | null;
  /** The call is cancelled at this store call. */
  readonly cancelledAt: number | null;
  /** claude-mem writes at this store call. */
  readonly meanwhile: { readonly at: number; readonly write: WriteKind } | null;
  /** A person's answers to a publication or an import of a mirror. */
  readonly mirror?: MirrorOrder;
}

/** Faults of the store as a whole, and of machines. */
export const STORE_LOSSES = ['lose-head', 'lose-certificate', 'lose-segment', 'forget-newest'] as const;
export const GOING_BACK = [
  'keep-database',
  'restore-database',
  'restore-database',
  'empty-database',
  'truncate-database',
] as const;
export const OTHER_FAULTS = [
  'copy-segment',
  'keep-ledger',
  'lose-ledger',
  'restore-ledger',
  'restore-ledger',
  'clone-machine',
  'clock',
  'kill',
  'restart',
] as const;
export type Fault =
  (typeof STORE_LOSSES)[number] | (typeof GOING_BACK)[number] | (typeof OTHER_FAULTS)[number];

/** One step of a history. Its meaning does not depend on other steps, so that a failing history can be shortened. */
export type Step =
  | { readonly do: 'write'; readonly machine: number; readonly write: WriteKind; readonly seed: number }
  | { readonly do: 'sync'; readonly calls: readonly Call[]; readonly seed: number }
  /** The same clean-up on every machine, before any of them syncs. */
  | { readonly do: 'clean-ups'; readonly seed: number }
  | { readonly do: 'fault'; readonly fault: Fault; readonly machine: number; readonly seed: number }
  /** A tool beside Membridge copies rows from one machine's database into another's. */
  | { readonly do: 'copy'; readonly from: number; readonly machine: number; readonly seed: number }
  /** A person sets what a machine does with another node's memories. */
  | { readonly do: 'trust'; readonly machine: number; readonly of: number; readonly trust: Trust }
  /** claude-mem is upgraded in place between two calls, after the agent has looked at what was written. */
  | { readonly do: 'upgrade'; readonly machine: number; readonly seed: number }
  /** Every space is encrypted from here on. */
  | { readonly do: 'encrypt' }
  /** A full-text index of claude-mem is damaged, or a person repairs it. */
  | { readonly do: 'damage' | 'mend'; readonly machine: number; readonly seed: number }
  /** The machine with the original's scripts acts. */
  | { readonly do: 'original'; readonly act: OriginalAct; readonly seed: number }
  /** A removed machine writes into the store. */
  | { readonly do: 'attack'; readonly attack: Attack; readonly seed: number }
  | { readonly do: 'wait'; readonly ms: number };

/** Releases whose tables the sync supports; a fleet mixes them. */
export const RELEASES = [
  '8.5.10',
  '9.1.1',
  '10.6.3',
  '12.0.0',
  '12.7.5',
  '13.10.4',
  '13.11.0',
  '13.12.0',
  '13.15.3',
  '13.25.3',
] as const;

/** A history before it happens; it depends only on the seed. */
export interface Plan {
  readonly releases: readonly string[];
  /** How wrong each machine's clock is at first, in ms. */
  readonly skews: readonly number[];
  /** How many writes the first machine had when the second was made as a copy of its database; 0: it was no copy. */
  readonly shared: number;
  /** The machine with its own names for projects; null for none. */
  readonly names: number | null;
  /** Whether there is a second space, of some of the projects. */
  readonly second: boolean;
  /** Whether a machine that was removed still writes into the store. */
  readonly hostile: boolean;
  readonly steps: readonly Step[];
}

const TEN_YEARS_MS = 10 * 365 * 86_400_000;

/** Draws a history. */
export function drawPlan(seed: number): Plan {
  const plan = INSERTED.reduce((plan, { salt, share, rate, draw }) => {
    const dice = new Dice(seed ^ salt);
    if (!dice.chance(share)) return plan;
    const steps = plan.steps.flatMap((step): Step[] =>
      dice.chance(rate) ? [step, ...draw(dice, plan.releases.length)] : [step],
    );
    return { ...plan, hostile: plan.hostile || salt === HOSTILE, steps };
  }, drawHonestPlan(seed));
  const dice = new Dice(seed ^ 0x5ea1);
  if (!dice.chance(0.25)) return plan;
  // From the start, or from some moment on, even while a push is half done.
  const halfDone = plan.steps.flatMap((step, n) => (isHalfDone(step) ? [n + 1] : []));
  const at = dice.chance(0.4)
    ? 0
    : halfDone.length > 0 && dice.chance(0.5)
      ? dice.pick(halfDone)
      : dice.below(plan.steps.length + 1);
  return { ...plan, steps: plan.steps.toSpliced(at, 0, { do: 'encrypt' }) };
}

/** Returns whether a push may end before the store has everything that it had prepared. */
const isHalfDone = (step: Step): boolean =>
  step.do === 'sync' &&
  step.calls.some(
    ({ what, dieAfter, faults }) => what === 'push' && (dieAfter !== null || faults.length > 0),
  );

/** Steps that only some histories have; they change nothing else there. */
interface Inserted {
  /** Sets its chance apart from that of the others. */
  readonly salt: number;
  /** The share of histories that have any. */
  readonly share: number;
  /** The share of the other steps that one of these follows. */
  readonly rate: number;
  readonly draw: (dice: Dice, machines: number) => Step[];
}

const HOSTILE = 0x1417;
const INSERTED: readonly Inserted[] = [
  {
    salt: HOSTILE,
    share: 0.1,
    rate: 0.2,
    draw: (dice) => [{ do: 'attack', attack: dice.pick(ATTACKS), seed: dice.seed() }],
  },
  {
    salt: 0xc0b1,
    share: 0.3,
    rate: 0.15,
    draw: (dice, machines) => {
      const [from = 0, machine = 0] = dice.shuffled(Array.from({ length: machines }, (_, n) => n));
      return [{ do: 'copy', from, machine, seed: dice.seed() }];
    },
  },
  {
    salt: 0x7257,
    share: 0.2,
    rate: 0.12,
    draw: (dice, machines) => {
      const [of = 0, machine = 0] = dice.shuffled(Array.from({ length: machines }, (_, n) => n));
      return [{ do: 'trust', machine, of, trust: dice.pick(TRUSTS) }];
    },
  },
  {
    salt: 0x09c4,
    share: 0.2,
    rate: 0.06,
    draw: (dice, machines) => [{ do: 'upgrade', machine: dice.below(machines), seed: dice.seed() }],
  },
  {
    salt: 0xda3a,
    share: 0.2,
    rate: 0.12,
    draw: (dice, machines) => [
      {
        do: dice.pick(['damage', 'damage', 'mend'] as const),
        machine: dice.below(machines),
        seed: dice.seed(),
      },
    ],
  },
  {
    salt: 0x1e9a,
    share: 0.2,
    rate: 0.4,
    draw: (dice, machines) => [drawMirrorStep(dice, dice.below(machines))],
  },
];

/** Returns whether a step concerns the mirrors of the original's scripts. */
export const isOfMirror = (step: Step): boolean =>
  step.do === 'original' || (step.do === 'sync' && step.calls.some(({ mirror }) => mirror !== undefined));

function drawMirrorStep(dice: Dice, machine: number): Step {
  const what = dice.weighted([
    [5, 'original'],
    [5, 'publish'],
    [1, 'import'],
  ] as const);
  if (what === 'original') {
    const act = dice.weighted([
      [5, 'write'],
      [4, 'push'],
      [1, 'push-half'],
      [1, 'push-damaged'],
      [3, 'pull'],
    ] as const);
    return { do: 'original', act, seed: dice.seed() };
  }
  const hit = dice.chance(0.4);
  const overwrite = dice.chance(0.5);
  // A damaged arrival looks like a damaged mirror, which a person may have overwritten.
  const fitting = CALL_FAULTS.filter((fault) => !overwrite || !fault.endsWith('-body'));
  const count = hit && dice.chance(0.6) ? dice.between(1, 3) : 0;
  const call: Call = {
    machine,
    what,
    dieAfter: hit && dice.chance(0.5) ? 1 + dice.below(22) ** 2 : null,
    faults: Array.from({ length: count }, () => ({ at: dice.between(1, 16), fault: dice.pick(fitting) })),
    full: hit && dice.chance(0.1) ? dice.pick(['ledger.db', 'claude-mem.db'] as const) : null,
    lockedUntil: hit && dice.chance(0.1) ? dice.between(1, 6) : null,
    cancelledAt: hit && dice.chance(0.1) ? dice.between(1, 14) : null,
    meanwhile: dice.chance(0.15) ? { at: dice.between(1, 12), write: dice.pick(WRITES) } : null,
    mirror: {
      space: dice.below(4),
      agrees: dice.chance(0.7),
      slip: dice.chance(0.4) ? dice.pick([-1, -1, 1]) : 0,
      overwrite,
      force: dice.chance(0.8),
      pushAt: dice.chance(0.2) ? dice.between(1, 12) : null,
    },
  };
  return { do: 'sync', calls: [call], seed: dice.seed() };
}

function drawHonestPlan(seed: number): Plan {
  const dice = new Dice(seed);
  const machines = dice.weighted([
    [10, 2],
    [5, 3],
    [1, 4],
    [1, 5],
  ] as const);
  const mixed = dice.chance(0.5);
  const newest = '13.25.3';
  const releases = Array.from({ length: machines }, () => (mixed ? dice.pick(RELEASES) : newest));
  // A store that loses what was sent and a machine that loses what it wrote may together lose a memory for good.
  const storeLoses = dice.chance(0.5);
  const calm = dice.chance(0.15);
  const faults: readonly Fault[] = [...OTHER_FAULTS, ...(storeLoses ? STORE_LOSSES : GOING_BACK)];

  const drawCall = (machine: number): Call => {
    const what = dice.weighted([
      [4, 'push'],
      [4, 'pull'],
      [2, 'full-pull'],
      [1, 'notice'],
      [1, 'audit'],
    ] as const);
    const hit = !calm && dice.chance(0.5);
    const count = hit && dice.chance(0.6) ? dice.between(1, 3) : 0;
    return {
      machine,
      what,
      dieAfter: hit && dice.chance(0.4) ? 1 + Math.floor(dice.below(18) ** 2 * (dice.below(100) / 60)) : null,
      faults: Array.from({ length: count }, () => ({
        at: dice.between(1, 6),
        fault: dice.pick(CALL_FAULTS),
      })),
      full: hit && dice.chance(0.1) ? dice.pick(['ledger.db', 'claude-mem.db'] as const) : null,
      lockedUntil: hit && dice.chance(0.12) ? dice.between(1, 6) : null,
      cancelledAt: hit && dice.chance(0.08) ? dice.between(1, 6) : null,
      meanwhile: dice.chance(0.15) ? { at: dice.between(1, 4), write: dice.pick(WRITES) } : null,
    };
  };
  const drawStep = (): Step => {
    const machine = dice.below(machines);
    const what = dice.weighted([
      [5, 'write'],
      [6, 'sync'],
      [calm ? 0 : 2, 'fault'],
      [1, 'wait'],
      [1, 'clean-ups'],
    ] as const);
    switch (what) {
      case 'clean-ups':
        return { do: 'clean-ups', seed: dice.seed() };
      case 'write':
        return { do: 'write', machine, write: dice.pick(WRITES), seed: dice.seed() };
      case 'sync': {
        const together = dice.chance(0.25) ? dice.between(2, machines) : 1;
        const chosen = dice.shuffled(Array.from({ length: machines }, (_, n) => n)).slice(0, together);
        return { do: 'sync', calls: chosen.map(drawCall), seed: dice.seed() };
      }
      case 'fault':
        return { do: 'fault', fault: dice.pick(faults), machine, seed: dice.seed() };
      case 'wait':
        return { do: 'wait', ms: dice.pick([1_000, 60_000, 700_000, 86_400_000, 3 * 86_400_000]) };
    }
  };
  return {
    releases,
    skews: releases.map(() => (dice.chance(0.3) ? drawSkew(dice) : 0)),
    shared: dice.chance(0.3) ? dice.between(1, 5) : 0,
    names: dice.chance(0.25) ? dice.below(machines) : null,
    second: dice.chance(0.2),
    hostile: false,
    // Short histories find as much as long ones, and more of them are run.
    steps: Array.from({ length: Math.min(dice.between(10, 60), dice.between(10, 60)) }, drawStep),
  };
}

/** Draws a wrong clock: sometimes by years, otherwise by minutes; in ms. */
export function drawSkew(dice: Dice): number {
  return dice.weighted([
    [2, 0],
    [2, dice.between(-600_000, 600_000)],
    [1, TEN_YEARS_MS],
    [1, -TEN_YEARS_MS],
  ]);
}
