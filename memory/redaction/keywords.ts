/** Characters by which keywords are looked for; letters count in either case. All others count as one. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789_-.:/=~"<+@|;& ($';

/** Bits of a character's number; three characters make the index of the table. */
const BITS = 6;
const MASK = 2 ** (3 * BITS) - 1;

const NUMBERS = new Uint8Array(128);
[...ALPHABET].forEach((character, index) => {
  NUMBERS[character.charCodeAt(0)] = index + 1;
  NUMBERS[character.toUpperCase().charCodeAt(0)] = index + 1;
});

/** A keyword, and what it stands for. */
export interface Keyword<T> {
  /** In lower case, at least three characters, the first three of the alphabet above. */
  readonly word: string;
  readonly value: T;
}

/**
 * Finds any of many keywords in one pass over a text: a table says of every three characters whether a keyword begins with
 * them, so that nearly all of a text costs one look each.
 */
export class KeywordTable<T> {
  readonly #table = new Uint16Array(MASK + 1);
  readonly #buckets: Keyword<T>[][] = [[]];

  /** @throws Error for a keyword that is too short or begins with a character outside of the alphabet */
  constructor(keywords: readonly Keyword<T>[]) {
    for (const keyword of keywords) {
      let index = 0;
      for (let at = 0; at < 3; at += 1) {
        const number = NUMBERS[keyword.word.charCodeAt(at)] ?? 0;
        if (number === 0) throw new Error(`the keyword ${keyword.word} cannot be looked for`);
        index = (index << BITS) | number;
      }
      let bucket = this.#table[index] ?? 0;
      if (bucket === 0) {
        bucket = this.#buckets.length;
        this.#buckets.push([]);
        this.#table[index] = bucket;
      }
      this.#buckets[bucket]?.push(keyword);
    }
  }

  /**
   * Calls `visit` for every keyword in a text, from left to right; keywords at one place come in the order in which they were
   * given.
   */
  each(text: string, visit: (value: T, at: number) => void): void {
    const table = this.#table;
    let index = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      index = ((index << BITS) | (code < 128 ? (NUMBERS[code] as number) : 0)) & MASK;
      const bucket = table[index] as number;
      if (bucket === 0) continue;
      const begin = at - 2;
      for (const { word, value } of this.#buckets[bucket] ?? []) {
        if (isAt(text, begin, word)) visit(value, begin);
      }
    }
  }
}

/** Whether a word is at a place of a text whose first three characters are known to be the word's. */
function isAt(text: string, begin: number, word: string): boolean {
  for (let at = 3; at < word.length; at += 1) {
    const wanted = word.charCodeAt(at);
    const found = text.charCodeAt(begin + at);
    if (found === wanted) continue;
    // Upper case letters differ from lower case by one bit.
    if (wanted < 97 || wanted > 122 || (found | 32) !== wanted) return false;
  }
  return true;
}
