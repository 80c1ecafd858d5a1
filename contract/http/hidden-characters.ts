// This file may hold only constants and pure functions: the page, the API and the node share it.

/**
 * Characters that change how a text reads but cannot be seen:
 * - control and format characters (Unicode Cc and Cf: bidirectional controls, zero-width characters, tags);
 * - variation selectors and the other default-ignorable characters;
 * - every blank but U+0020, line and paragraph separators, and the braille blank.
 * Tab and line feed are left out.
 */
const HIDDEN_CHARACTER =
  /[\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\u{1D159}]|[^\P{Cc}\t\n]|[^\P{Zs} ]/gu;

/** The parts of an emoji besides its pictograph. They are hidden characters too, but no reason to warn. */
const EMOJI_SEQUENCE = /\p{Extended_Pictographic}\uFE0F?(?:\u200D\p{Extended_Pictographic}\uFE0F?)*/gu;

/** A part of a text: readable as it is, or the name of a character that cannot be seen. */
export interface TextPart {
  readonly text: string;
  readonly isHidden: boolean;
}

/**
 * Splits a text into parts that can be drawn.
 * @returns each hidden character as its own part, named as in `U+202E`
 */
export function visibleParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN_CHARACTER)) {
    if (match.index > from) parts.push({ text: text.slice(from, match.index), isHidden: false });
    parts.push({ text: codePointName(match[0]), isHidden: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), isHidden: false });
  return parts;
}

/** Returns the text with each hidden character written as `⟨U+202E⟩`, for places that accept only plain text. */
export function visibleText(text: string): string {
  return visibleParts(text)
    .map((part) => (part.isHidden ? `⟨${part.text}⟩` : part.text))
    .join('');
}

/** Returns whether a text has a hidden character that a reader must be warned of; CRLF line ends and emoji do not count. */
export function hasHiddenCharacters(text: string): boolean {
  return (
    text
      .replaceAll(/\r(?=\n|$)/g, '')
      .replaceAll(EMOJI_SEQUENCE, '')
      .search(HIDDEN_CHARACTER) !== -1
  );
}

const codePointName = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
