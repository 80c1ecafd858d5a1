// Constants and pure functions alone: the page, the API and the node share this file.

/**
 * Characters that change how a text reads without being seen: control and format characters (Unicode Cc and Cf: bidirectional controls,
 * zero-width characters, tags), variation selectors and the other default-ignorable ones, every blank but U+0020, line and
 * paragraph separators, and the braille blank. Tab and line feed are left out.
 */
const HIDDEN =
  /[\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\u{1D159}]|[^\P{Cc}\t\n]|[^\P{Zs} ]/gu;

/** What an emoji is made of beside its pictograph. These are drawn, too, but are no reason to warn. */
const EMOJI = /\p{Extended_Pictographic}\uFE0F?(?:\u200D\p{Extended_Pictographic}\uFE0F?)*/gu;

/** A part of a text: what can be read as it is, or the name of a character that could not be seen. */
export interface TextPart {
  readonly text: string;
  readonly isHidden: boolean;
}

/**
 * Cuts a text into parts that can be drawn.
 * @returns each hidden character as a part of its own, named as in `U+202E`
 */
export function visibleParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > from) parts.push({ text: text.slice(from, match.index), isHidden: false });
    parts.push({ text: codePointName(match[0]), isHidden: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), isHidden: false });
  return parts;
}

/** The text with each hidden character written as `⟨U+202E⟩`, for places that take plain text alone. */
export function visibleText(text: string): string {
  return visibleParts(text)
    .map((part) => (part.isHidden ? `⟨${part.text}⟩` : part.text))
    .join('');
}

/** Whether a text has a hidden character that a reader must be warned of: not the ends of CRLF lines, and not emoji. */
export function hasHiddenCharacters(text: string): boolean {
  return (
    text
      .replaceAll(/\r(?=\n|$)/g, '')
      .replaceAll(EMOJI, '')
      .search(HIDDEN) !== -1
  );
}

const codePointName = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
