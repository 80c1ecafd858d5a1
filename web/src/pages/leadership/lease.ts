import type { Leadership, LeadershipEvent } from '../../../../contract/memory/leadership.ts';

/** The lengths of a lease to choose from, in seconds. */
export const LEASES = [
  { value: '300', label: '5 minutes' },
  { value: '3600', label: '1 hour' },
  { value: '28800', label: '8 hours' },
  { value: '86400', label: '1 day' },
  { value: '604800', label: '1 week' },
] as const;

/** Returns whether a lease has expired by now; Temporal reports that a moment later. */
export function isExpired({ status, expires_at }: Leadership, now: number): boolean {
  return status === 'active' && expires_at !== null && expires_at <= now;
}

const SECOND = 1_000;

/** Formats the length of a lease: "8 hours". */
export function leaseWords(seconds: number): string {
  return LEASES.find(({ value }) => Number(value) === seconds)?.label ?? countdown(seconds * SECOND);
}

/** Formats the rest of a lease: "58 min 3 s", "2 d 4 h". Never less than zero. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / SECOND));
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600),
    Math.floor(seconds / 60),
  ];
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}

/** Describes an event as a sentence without its period. `all` tells whose lease ended. */
export function eventWords(told: LeadershipEvent, all: readonly LeadershipEvent[]): string {
  const { event, epoch } = told;
  const selected = all.find((other) => other.epoch === epoch && other.event === 'selected');
  const node = told.primary_node_id ?? selected?.primary_node_id ?? null;
  switch (event) {
    case 'selected':
      return `${node ?? 'nobody'} became primary`;
    case 'expired':
      return node === null ? 'the lease expired' : `the lease of ${node} expired`;
    case 'released':
      return node === null ? 'the lease was given back' : `${node} gave the lease back`;
  }
}

/** The actor, in words. */
export const ACTOR_WORDS: Record<string, string> = {
  page: 'on this page',
  browser: 'on this page',
  api: 'by an API call',
  admin: 'by the admin key',
  engine: 'by itself',
};
