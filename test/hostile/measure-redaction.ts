import { redactText } from '../../memory/space/redact.ts';
import { HarmlessMemories } from './harmless-corpus.ts';
import { PLACES, plantedSecrets, type PlantedSecret } from './secret-corpus.ts';

/** The results of redaction on secrets of known forms, and on memories without any. */
export interface RedactionReport {
  readonly secrets: number;
  readonly caught: number;
  /** Secrets that were left, each with its place. */
  readonly missed: readonly string[];
  /** JSON that was no longer JSON, and texts in which a second pass found more. */
  readonly broken: readonly string[];
  readonly memories: number;
  readonly false_alarms: number;
  readonly mb_per_second: number;
}

/** Returns the secret lines of a secret: its first and last line only name its kind. */
const partsOf = ({ secret }: PlantedSecret): string[] =>
  secret.split('\n').filter((line) => line.length > 6 && !line.startsWith('-----'));

/**
 * Plants every secret in every place, and counts how many are removed; then counts changed harmless memories.
 * @param memories how many harmless memories to read
 */
export function measureRedaction(seed: number, memories: number): RedactionReport {
  const planted = plantedSecrets(seed);
  const missed: string[] = [];
  const broken: string[] = [];
  let caught = 0;
  for (const each of planted) {
    for (const [place, put] of Object.entries(PLACES)) {
      const text = put(each.text);
      const redacted = redactText(text);
      const left = partsOf(each).some(
        (part) => redacted.includes(part) || redacted.includes(JSON.stringify(part).slice(1, -1)),
      );
      if (left) missed.push(`${each.name}, ${place}`);
      else caught += 1;
      if (redactText(redacted) !== redacted || (isJson(text) && !isJson(redacted)))
        broken.push(`${each.name}, ${place}`);
    }
  }
  const harmless = new HarmlessMemories(seed);
  let falseAlarms = 0;
  let characters = 0;
  let ms = 0;
  for (let n = 0; n < memories; n += 1) {
    const text = harmless.next();
    characters += text.length;
    const began = performance.now();
    if (redactText(text) !== text) falseAlarms += 1;
    ms += performance.now() - began;
  }
  return {
    secrets: planted.length,
    caught,
    missed,
    broken,
    memories,
    false_alarms: falseAlarms,
    mb_per_second: Math.round(characters / 1_000 / ms),
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
