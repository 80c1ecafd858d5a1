/** Names that were typed, one a line; commas are part of a name. */
export function namesIn(typed: string): string[] {
  const names = typed.split('\n').map((line) => line.trim());
  return [...new Set(names.filter((line) => line !== ''))];
}
