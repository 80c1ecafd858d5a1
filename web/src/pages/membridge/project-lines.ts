/** Returns typed names, one a line; a comma is part of a name. */
export function parseNames(typed: string): string[] {
  const names = typed.split('\n').map((line) => line.trim());
  return [...new Set(names.filter((line) => line !== ''))];
}
