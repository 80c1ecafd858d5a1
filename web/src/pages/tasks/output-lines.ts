import type { OutputChunk } from '../../../../contract/tasks/runs.ts';

/** One line of a program's output. */
export interface OutputLine {
  /** Counts from 0 over the whole output. */
  readonly number: number;
  readonly stream: OutputChunk['stream'];
  /** As it is shown: without escape sequences, and without overwritten text. */
  readonly text: string;
  /** As received, while more of the line may follow; null once it has ended. */
  readonly raw: string | null;
}

/** What is shown of an attempt's output. */
export interface OutputView {
  readonly lines: readonly OutputLine[];
  /** How many earlier lines are not shown. */
  readonly cut: number;
  /** The sequence number of the last chunk. */
  readonly seq: number;
}

export const NO_OUTPUT: OutputView = { lines: [], cut: 0, seq: -1 };

/** The most lines that the page draws: the newest ones. */
export const MAX_LINES = 3_000;
/** A longer line is split: some programs write megabytes without a line end. */
const MAX_CHARS = 4_000;

/** CSI, OSC and other escape sequences (ECMA-48), also an incomplete one at the end. */
const ESCAPES =
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  /\u001B(?:\[[0-?]*[ -/]*(?:[@-~]|$)|\][^\u0007\u001B]*(?:\u0007|\u001B\\|$)|[ -/]*(?:[0-Z\\^-~]|$))/g;
/** Control characters without a meaning on a page; tab stays. */
// oxlint-disable-next-line no-control-regex -- these are what is taken out
const CONTROLS = /[\u0000-\u0008\u000B-\u001F\u007F]/g;

/** Returns a line as a terminal would show it: of texts overwritten after a carriage return, the last non-empty one. */
export function toTerminalLine(raw: string): string {
  const plain = raw.replaceAll(ESCAPES, '');
  const written = plain.split('\r').filter((part) => part !== '');
  return (written.at(-1) ?? '').replaceAll(CONTROLS, '');
}

/**
 * Adds further chunks, in order. Known chunks, as after a reconnection, change nothing.
 * @returns the same view when there is nothing new
 */
export function appendOutput(view: OutputView, chunks: readonly OutputChunk[]): OutputView {
  const fresh = chunks.filter(({ seq }) => seq > view.seq);
  if (fresh.length === 0) return view;
  const lines = [...view.lines];
  let next = view.cut + lines.length;
  let { seq } = view;
  for (const chunk of fresh) {
    if (chunk.seq <= seq) continue;
    const { stream, text } = chunk;
    seq = chunk.seq;
    const pieces = text.split('\n');
    for (const [index, piece] of pieces.entries()) {
      const ended = index < pieces.length - 1;
      // A stream continues its own open line, even if the other stream has written since.
      const at = index === 0 ? openLine(lines, stream) : -1;
      const raw = (lines[at]?.raw ?? '') + piece;
      if (raw === '' && !ended) continue;
      const parts = splitLongLine(raw);
      for (const [part, partText] of parts.entries()) {
        const open = part === parts.length - 1 && !ended;
        const line = { stream, text: toTerminalLine(partText), raw: open ? partText : null };
        const before = part === 0 ? lines[at] : undefined;
        if (before === undefined) {
          lines.push({ ...line, number: next });
          next += 1;
        } else {
          lines[at] = { ...line, number: before.number };
        }
      }
    }
  }
  const surplus = Math.max(0, lines.length - MAX_LINES);
  return { lines: lines.slice(surplus), cut: view.cut + surplus, seq };
}

/** Returns the index of a stream's open line; -1 when there is none. */
function openLine(lines: readonly OutputLine[], stream: OutputChunk['stream']): number {
  return lines.findLastIndex((line) => line.raw !== null && line.stream === stream);
}

/** Splits a line into parts that are not too long. */
function splitLongLine(raw: string): string[] {
  const parts: string[] = [];
  let rest = raw;
  while (rest.length > MAX_CHARS) {
    parts.push(rest.slice(0, MAX_CHARS));
    rest = rest.slice(MAX_CHARS);
  }
  return [...parts, rest];
}
