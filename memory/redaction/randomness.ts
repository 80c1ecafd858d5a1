/** Bits of information in each character of a text, by how often each comes in it (Shannon). */
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

/** The least bits a character of a key made by chance; prose and identifiers of its length have less. */
const RANDOM_BITS = 3.2;

/** How often letters of one case, letters of the other and digits take turns, for each character. Words do it rarely. */
const RANDOM_TURNS = 0.16;

/**
 * Whether a text looks made by chance: it has letters and digits, and they take turns as they do in no word.
 * @param leastTurns how often at least, for each character
 */
export function looksRandom(text: string, leastTurns = RANDOM_TURNS): boolean {
  if (!/[0-9]/.test(text) || !/[A-Za-z]/.test(text)) return false;
  const turns = text.match(/[A-Z]?[a-z]+|[A-Z]+|[0-9]+/g)?.length ?? 0;
  const separators = text.match(/[^A-Za-z0-9]+/g)?.length ?? 0;
  if ((turns - 1 - separators) / text.length < leastTurns) return false;
  return entropyOf(text) >= Math.min(RANDOM_BITS, Math.log2(text.length) * 0.75);
}

/** What stands where a secret would: names of variables, and examples that say so. */
const STAND_IN =
  /redacted|example|changeme|change[-_]me|placeholder|your[-_]?|dummy|insert[-_]|replace[-_]|x{4}|\*{3}|\.{3}|process\.env|import\.meta|os\.environ|getenv|secrets\.|vars\.|^\$|^%|^env[.:]|^(?:true|false|null|none|undefined|nil|string|required|optional)$/i;

/** What is code or an address rather than a secret: `user.password`, `./tokens.ts`, `https://…`, `Promise<string>`. */
const CODE =
  /^(?:[A-Za-z_$][\w$]*(?:[?!]?\.|\[|::|->))+[A-Za-z_$][\w$]*[.;]?$|^\.{0,2}\/|^~\/|:\/\/|^[A-Za-z]:[\\/]|^--?[a-z]|^[\w-]+\.(?:[jt]sx?|json|ya?ml|md|py|go|rs|sh|env|txt|pem|crt|key|sql|html|css)$/;

/** Whether a value stands for a secret rather than is one. */
export function isStandIn(value: string): boolean {
  return STAND_IN.test(value) || CODE.test(value) || /^(.)\1*$/.test(value);
}
