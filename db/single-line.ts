/**
 * A text for people as PostgreSQL takes it (it has no NUL) and a table cell can show it: on one line, and a sentence rather than a log.
 * @param most characters that are kept
 */
export function singleLine(text: string, most: number): string {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ');
  // Half of a surrogate pair, where it was cut or came so, is no text that jsonb takes.
  return (line.length <= most ? line : `${line.slice(0, most)} …`).toWellFormed();
}
