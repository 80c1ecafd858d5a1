/** Returns the bits of information per character of a text, by character frequency (Shannon entropy). */
export function entropyOf(text: string): number {
  const counts = new Map<number, number>();
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/** Minimum bits per character of a random key; prose and identifiers of the same length have fewer. */
const RANDOM_BITS = 3.2;

/** Minimum changes between lower case, upper case and digits, per character. Words rarely change. */
const RANDOM_TURNS = 0.16;

/**
 * Returns whether a text looks random: it contains letters and digits, and they alternate as in no word.
 * @param leastTurns minimum changes per character
 */
export function looksRandom(text: string, leastTurns = RANDOM_TURNS): boolean {
  if (!/[0-9]/.test(text) || !/[A-Za-z]/.test(text)) return false;
  const turns = text.match(/[A-Z]?[a-z]+|[A-Z]+|[0-9]+/g)?.length ?? 0;
  const separators = text.match(/[^A-Za-z0-9]+/g)?.length ?? 0;
  if ((turns - 1 - separators) / text.length < leastTurns) return false;
  return entropyOf(text) >= Math.min(RANDOM_BITS, Math.log2(text.length) * 0.75);
}

/** Values in a secret's place: names of variables, and obvious examples. */
const STAND_IN =
  /redacted|example|changeme|change[-_]me|placeholder|your[-_]?|dummy|insert[-_]|replace[-_]|x{4}|\*{3}|\.{3}|process\.env|import\.meta|os\.environ|getenv|secrets\.|vars\.|^\$|^%|^env[.:]|^(?:true|false|null|none|undefined|nil|string|required|optional)$/i;

/** Code or an address instead of a secret: `user.password`, `./tokens.ts`, `https://…`, `Promise<string>`. */
const CODE_OR_ADDRESS =
  /^(?:[A-Za-z_$][\w$]*(?:[?!]?\.|\[|::|->))+[A-Za-z_$][\w$]*[.;]?$|^\.{0,2}\/|^~\/|:\/\/|^[A-Za-z]:[\\/]|^--?[a-z]|^[\w-]+\.(?:[jt]sx?|json|ya?ml|md|py|go|rs|sh|env|txt|pem|crt|key|sql|html|css)$/;

/** Returns whether a value stands in for a secret instead of being one. */
export function isStandIn(value: string): boolean {
  return STAND_IN.test(value) || CODE_OR_ADDRESS.test(value) || /^(.)\1*$/.test(value);
}
