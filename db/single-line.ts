/**
 * Converts a text for people to a form that PostgreSQL can store (without NUL) and a table cell can show: on
 * one line, and short.
 * @param most maximum number of characters
 */
export function singleLine(text: string, most: number): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ');
  // jsonb rejects half of a surrogate pair, which a cut may leave.
  return (line.length <= most ? line : `${line.slice(0, most)} …`).toWellFormed();
}
