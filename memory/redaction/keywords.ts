/** Bits of a character's class; the classes of three characters make an index of the table, which fits into a core's cache. */
const BITS = 5;
const SIZE = 2 ** (3 * BITS);

/** Characters that count as one class; every letter is a class of its own, in either case, and all others are class 0. */
const CLASSES = ['0123456789', '_-', './:', '=~"<+@|;& ($'];

const CLASS_OF = new Uint8Array(256);
for (let letter = 0; letter < 26; letter += 1) {
  CLASS_OF[97 + letter] = letter + 1;
  CLASS_OF[65 + letter] = letter + 1;
}
CLASSES.forEach((characters, index) => {
  for (const character of characters) CLASS_OF[character.charCodeAt(0)] = 27 + index;
});

/** The class of a character, by its last byte: what is no Latin letter may look like one here, and is compared later. */
const classOf = (code: number): number => CLASS_OF[code & 255] as number;

/** A keyword, and what it stands for. */
export interface Keyword<T> {
  /** In lower case, at least three characters. */
  readonly word: string;
  readonly value: T;
}

/** Keywords whose first three characters are of the same classes. */
interface Bucket<T> {
  readonly keywords: Keyword<T>[];
  /** The classes that a fourth character may have, as bits: most places are passed over by it. */
  fourth: number;
}

/**
 * Finds any of many keywords in one pass over a text: a table says of the classes of every three characters whether a keyword
 * may begin with them, so that nearly all of a text costs one look each.
 */
export class KeywordTable<T> {
  /** Whether a keyword begins with the classes of three characters: a byte each, so that it fits into the innermost cache. */
  readonly #begins = new Uint8Array(SIZE);
  /** The number of their bucket, 0 for none. */
  readonly #bucketOf = new Uint16Array(SIZE);
  readonly #buckets: Bucket<T>[] = [{ keywords: [], fourth: 0 }];

  /** @throws Error for a keyword that is too short, or of which nothing can be told from its first characters */
  constructor(keywords: readonly Keyword<T>[]) {
    for (const keyword of keywords) {
      const { word } = keyword;
      const classes = [0, 1, 2].map((at) => classOf(word.charCodeAt(at)));
      if (word.length < 3 || classes.includes(0)) throw new Error(`the keyword ${word} cannot be looked for`);
      const index = classes.reduce((sum, each) => (sum << BITS) | each, 0);
      if (this.#bucketOf[index] === 0) {
        this.#begins[index] = 1;
        this.#bucketOf[index] = this.#buckets.length;
        this.#buckets.push({ keywords: [], fourth: 0 });
      }
      const bucket = this.#buckets[this.#bucketOf[index] as number] as Bucket<T>;
      bucket.keywords.push(keyword);
      bucket.fourth |= word.length === 3 ? -1 : 1 << classOf(word.charCodeAt(3));
    }
  }

  /** Whether a text contains any keyword. Most texts contain none, so most are scanned once, by this. */
  isIn(text: string): boolean {
    const begins = this.#begins;
    let index = 0;
    for (let at = 0; at < text.length; at += 1) {
      index = ((index << BITS) | (CLASS_OF[text.charCodeAt(at) & 255] as number)) & (SIZE - 1);
      if (begins[index] !== 0 && this.#at(text, at - 2, index).length > 0) return true;
    }
    return false;
  }

  /**
   * Calls `visit` for every keyword in a text, from left to right; keywords at one place come in the order in which they were
   * given.
   */
  each(text: string, visit: (value: T, at: number) => void): void {
    const begins = this.#begins;
    let index = 0;
    for (let at = 0; at < text.length; at += 1) {
      index = ((index << BITS) | (CLASS_OF[text.charCodeAt(at) & 255] as number)) & (SIZE - 1);
      if (begins[index] === 0) continue;
      for (const { value } of this.#at(text, at - 2, index)) visit(value, at - 2);
    }
  }

  /** The keywords at a place, of those whose first three characters are of the classes there. */
  #at(text: string, at: number, index: number): readonly Keyword<T>[] {
    const { fourth, keywords } = this.#buckets[this.#bucketOf[index] as number] as Bucket<T>;
    // Behind the end of a text there is no character: NaN counts as 0.
    if ((fourth & (1 << classOf(text.charCodeAt(at + 3)))) === 0) return NOTHING;
    return keywords.filter(({ word }) => isAt(text, at, word));
  }
}

const NOTHING: readonly never[] = [];

/** Whether a word is at a place of a text, in either case. */
function isAt(text: string, begin: number, word: string): boolean {
  for (let at = 0; at < word.length; at += 1) {
    const wanted = word.charCodeAt(at);
    const found = text.charCodeAt(begin + at);
    if (found === wanted) continue;
    // Upper case letters differ from lower case by one bit.
    if (wanted < 97 || wanted > 122 || (found | 32) !== wanted) return false;
  }
  return true;
}
