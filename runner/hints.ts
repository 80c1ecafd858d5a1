import { errorMessage } from '../contract/errors.ts';
import type { Piece, Resolved } from './hint.ts';
import { readHintedFiles } from './hint-files.ts';
import { readRecentMemory } from './hint-memory.ts';
import { shorten } from './lines.ts';

/** The sources for resolving a hint. */
export interface HintsCall {
  readonly hints: readonly string[];
  /** The only folder in which files are searched. */
  readonly cwd: string;
  /** Maximum size of the text in tokens of four characters. */
  readonly tokens: number;
  readonly databasePath: string;
  /** The project's name in claude-mem; null when unknown. */
  readonly project: string | null;
  readonly signal: AbortSignal;
}

const CHARACTERS_PER_TOKEN = 4;
const CUT_NOTE = '\n[cut here: the context is full]';
const PROMPT_FOLLOWS = '\n';

/**
 * Resolves hints to text before a prompt, in their order. A hint that cannot be resolved gives a note, never
 * an error.
 * @throws the signal's reason when it is aborted
 */
export async function resolveHints(call: HintsCall): Promise<{ text: string; notes: string[] }> {
  const notes: string[] = [];
  const blocks: string[] = [];
  let room = call.tokens * CHARACTERS_PER_TOKEN - PROMPT_FOLLOWS.length;
  let full = false;
  for (const hint of call.hints) {
    call.signal.throwIfAborted();
    if (full) {
      notes.push(`${shortenHint(hint)}: did not fit into the ${call.tokens} tokens of context.`);
      continue;
    }
    try {
      const resolved = resolveHint(hint, call, () => room);
      for await (const piece of resolved.pieces) {
        call.signal.throwIfAborted();
        const block = toBlock(piece, room);
        full = block.cut;
        if (block.text !== '') blocks.push(block.text);
        room -= block.text.length;
        if (!full) continue;
        notes.push(`${shortenHint(hint)}: was cut, to stay within the ${call.tokens} tokens of context.`);
        break;
      }
      notes.push(...resolved.notes.map((note) => `${shortenHint(hint)}: ${note}`));
    } catch (error) {
      call.signal.throwIfAborted();
      notes.push(`${shortenHint(hint)}: ${errorMessage(error)}`);
    }
  }
  return { text: blocks.length === 0 ? '' : blocks.join('') + PROMPT_FOLLOWS, notes };
}

const shortenHint = (hint: string): string => shorten(hint, 200);

function resolveHint(hint: string, call: HintsCall, room: () => number): Resolved {
  if (hint === '@memory/recent') return readRecentMemory(call.databasePath, call.project);
  if (hint.startsWith('@')) return { pieces: [], notes: ['unknown hint.'] };
  return readHintedFiles(call.cwd, hint, room, call.signal);
}

/** Formats a piece between markers that its own text cannot imitate, cut to the remaining room. */
function toBlock(piece: Piece, room: number): { text: string; cut: boolean } {
  const source = piece.source.replaceAll(/[\p{Cc}"<>&]/gu, '_');
  const open = `<context source="${source}">\n`;
  const close = '\n</context>\n';
  const text = piece.text.replaceAll(/<(\/?context\b)/gi, '‹$1').toWellFormed();
  const left = room - open.length - close.length;
  if (text.length <= left) return { text: open + text + close, cut: false };
  const cut = shorten(text, left, CUT_NOTE);
  return { text: cut === '' ? '' : open + cut + close, cut: true };
}
