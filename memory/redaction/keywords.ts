/**
 * Bits of a character's class; the classes of three characters form an index into the table, which fits into
 * a core's cache.
 */
const CLASS_BITS = 5;
const TABLE_SIZE = 2 ** (3 * CLASS_BITS);

/**
 * Characters that share a class. Every letter, regardless of case, has its own class; all others are class 0.
 */
const CLASSES = ['0123456789', '_-', './:', '=~"<+@|;& ($'];

const CLASS_OF = new Uint8Array(256);
for (let letter = 0; letter < 26; letter += 1) {
  CLASS_OF[97 + letter] = letter + 1;
  CLASS_OF[65 + letter] = letter + 1;
}
CLASSES.forEach((characters, index) => {
  for (const character of characters) CLASS_OF[character.charCodeAt(0)] = 27 + index;
});

/**
 * Returns the class of a character, by its last byte: a non-Latin character may look like a letter here, and
 * is compared later.
 */
const classOf = (code: number): number => CLASS_OF[code & 255] as number;

/** A keyword, and the value for it. */
export interface Keyword<T> {
  /** In lower case, at least three characters. */
  readonly word: string;
  readonly value: T;
}

/** Keywords whose first three characters have the same classes. */
interface Bucket<T> {
  readonly keywords: Keyword<T>[];
  /** The possible classes of the fourth character, as bits; rules out most positions. */
  fourth: number;
}

/**
 * Finds any of many keywords in one pass over a text. A table shows for the classes of three characters
 * whether a keyword may begin with them, so nearly every position costs one lookup.
 */
export class KeywordTable<T> {
  /**
   * Whether a keyword begins with the classes of three characters; one byte each, so that it fits into the L1
   * cache.
   */
  readonly #begins = new Uint8Array(TABLE_SIZE);
  /** The number of the bucket, 0 for none. */
  readonly #bucketOf = new Uint16Array(TABLE_SIZE);
  readonly #buckets: Bucket<T>[] = [{ keywords: [], fourth: 0 }];

  /** @throws Error for a keyword that is too short, or whose first characters do not distinguish it */
  constructor(keywords: readonly Keyword<T>[]) {
    for (const keyword of keywords) {
      const { word } = keyword;
      const classes = [0, 1, 2].map((at) => classOf(word.charCodeAt(at)));
      if (word.length < 3 || classes.includes(0)) throw new Error(`the keyword ${word} cannot be looked for`);
      const index = classes.reduce((sum, each) => (sum << CLASS_BITS) | each, 0);
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

  /**
   * Returns whether a text contains any keyword. Most texts contain none, so this is the only scan of most.
   */
  isIn(text: string): boolean {
    const begins = this.#begins;
    let index = 0;
    for (let at = 0; at < text.length; at += 1) {
      index = ((index << CLASS_BITS) | (CLASS_OF[text.charCodeAt(at) & 255] as number)) & (TABLE_SIZE - 1);
      if (begins[index] !== 0 && this.#at(text, at - 2, index).length > 0) return true;
    }
    return false;
  }

  /**
   * Calls `visit` for every keyword in a text, from left to right; keywords at one position come in their
   * given order.
   */
  each(text: string, visit: (value: T, at: number) => void): void {
    const begins = this.#begins;
    let index = 0;
    for (let at = 0; at < text.length; at += 1) {
      index = ((index << CLASS_BITS) | (CLASS_OF[text.charCodeAt(at) & 255] as number)) & (TABLE_SIZE - 1);
      if (begins[index] === 0) continue;
      for (const { value } of this.#at(text, at - 2, index)) visit(value, at - 2);
    }
  }

  /** Returns the keywords at a position, among those with the classes of the three characters there. */
  #at(text: string, at: number, index: number): readonly Keyword<T>[] {
    const { fourth, keywords } = this.#buckets[this.#bucketOf[index] as number] as Bucket<T>;
    // Past the end of the text charCodeAt returns NaN, which counts as 0.
    if ((fourth & (1 << classOf(text.charCodeAt(at + 3)))) === 0) return NO_KEYWORDS;
    return keywords.filter(({ word }) => isAt(text, at, word));
  }
}

const NO_KEYWORDS: readonly never[] = [];

/** Returns whether a word is at a position, ignoring case. */
function isAt(text: string, begin: number, word: string): boolean {
  for (let at = 0; at < word.length; at += 1) {
    const wanted = word.charCodeAt(at);
    const found = text.charCodeAt(begin + at);
    if (found === wanted) continue;
    // Upper and lower case letters differ by one bit.
    if (wanted < 97 || wanted > 122 || (found | 32) !== wanted) return false;
  }
  return true;
}
