import { ASSIGNED_RULES } from './assigned-rules.ts';
import { NAME_KEYWORDS, findValue, type Span } from './key-values.ts';
import { KeywordTable, type Keyword } from './keywords.ts';
import { PREFIX_RULES } from './prefix-rules.ts';
import { entropyOf, looksRandom } from './randomness.ts';
import { SPECIAL_RULES, beginReading, type Reading, type SpecialRule } from './special-rules.ts';

/** A rule with the keyword that triggers it. */
interface Rule {
  readonly find: SpecialRule;
  /** Whether the secret has an exact format. Its name then wins over that of a looser rule. */
  readonly isExact: boolean;
}

const prefixRules = PREFIX_RULES.flatMap(([name, keywords, source, options = {}]): Keyword<Rule>[] => {
  const { back = 0, entropy = 0 } = options;
  // A rejected match is read again from the next keyword on, so its length must be bounded.
  if (entropy > 0 && /,\}|[*+](?!\/)/.test(source.replace(/\[[^\]]*\]/g, 'x')))
    throw new Error(`the rule ${name} is not bounded`);
  const pattern = new RegExp(`(?<![A-Za-z0-9])(?:${source})`, 'y');
  const find: SpecialRule = (text, at) => {
    if (at < back) return null;
    pattern.lastIndex = at - back;
    const match = pattern.exec(text);
    if (match === null) return null;
    const secret = match[1] ?? match[0];
    if (entropy > 0 && entropyOf(secret) < entropy) return null;
    return { start: pattern.lastIndex - secret.length, end: pattern.lastIndex, name };
  };
  return keywords.split(' ').map((word) => ({ word, value: { find, isExact: true } }));
});

/**
 * Minimum turns for a value that follows an issuer's name and has the right length: it may look less random.
 */
const NAMED_TURNS = 0.08;

const assignedRules = ASSIGNED_RULES.flatMap(([issuers, value]): Keyword<Rule>[] => {
  const pattern = new RegExp(
    `[\\w.-]{0,24}(?:[ \\t][\\w.-]{1,24})?["'\`\\]]{0,3}[ \\t]{0,4}(?:=>|:=|==?|:|>|,)[ \\t]{0,4}["'\`]?(${value})(?![\\w=/+-])`,
    'iy',
  );
  const find =
    (word: string): SpecialRule =>
    (text, at) => {
      pattern.lastIndex = at + word.length;
      const secret = pattern.exec(text)?.[1];
      if (secret === undefined || !looksRandom(secret, NAMED_TURNS)) return null;
      return { start: pattern.lastIndex - secret.length, end: pattern.lastIndex, name: 'assigned-secret' };
    };
  return issuers.split(' ').map((word) => ({ word, value: { find: find(word), isExact: false } }));
});

const nameRules = NAME_KEYWORDS.map(([word, isChosen]): Keyword<Rule> => ({
  word,
  value: { find: (text, at) => findValue(text, at, word, isChosen), isExact: false },
}));

const specialRules = SPECIAL_RULES.flatMap(([words, find]): Keyword<Rule>[] =>
  words.map((word) => ({ word, value: { find, isExact: true } })),
);

const RULE_TABLE = new KeywordTable<Rule>([...specialRules, ...prefixRules, ...assignedRules, ...nameRules]);

/**
 * Finds the secrets of a text, from left to right, without overlaps. Takes time linear in the text's length:
 * every keyword costs a bounded number of steps, and finds are not read again.
 * @returns null for a text without any keyword, which most are
 */
export function findSecrets(text: string): Span[] | null {
  if (!RULE_TABLE.isIn(text)) return null;
  const exact: Span[] = [];
  const loose: Span[] = [];
  const reading: Reading = beginReading();
  let exactEnd = 0;
  let looseEnd = 0;
  RULE_TABLE.each(text, ({ find, isExact }, at) => {
    if (at < (isExact ? exactEnd : looseEnd)) return;
    const found = find(text, at, reading);
    if (found === null || found.start < (isExact ? exactEnd : looseEnd)) return;
    if (isExact) {
      exact.push(found);
      exactEnd = found.end;
    } else {
      loose.push(found);
      looseEnd = found.end;
    }
  });
  return loose.length === 0 ? exact : merge(exact, loose);
}

/** Minimum length of the rest of a value that is replaced beside an exact secret in it. */
const MIN_REST_CHARS = 6;

/**
 * Merges the finds, leaving out loose ones that exact ones name better. Both lists are sorted and free of
 * overlaps.
 */
function merge(exact: readonly Span[], loose: readonly Span[]): Span[] {
  const merged: Span[] = [...exact];
  let next = 0;
  for (const { start, end, name } of loose) {
    let from = start;
    while ((exact[next]?.end ?? Infinity) <= start) next += 1;
    for (let index = next; (exact[index]?.start ?? Infinity) < end; index += 1) {
      const { start: other, end: otherEnd } = exact[index] as Span;
      if (other - from >= MIN_REST_CHARS) merged.push({ start: from, end: other, name });
      from = otherEnd;
    }
    if (from === start || end - from >= MIN_REST_CHARS)
      if (from < end) merged.push({ start: from, end, name });
  }
  return merged.sort((a, b) => a.start - b.start);
}
