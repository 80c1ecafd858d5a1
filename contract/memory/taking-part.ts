/**
 * Returns whether a node takes part in a space.
 * @param allowed names or canonical ids of the spaces that the machine's owner allows (MEMBRIDGE_SPACES); undefined:
 * all
 */
export function takesPart(
  allowed: readonly string[] | undefined,
  { cid, name }: { readonly cid: string; readonly name: string },
): boolean {
  return allowed === undefined || allowed.includes(cid) || allowed.includes(name);
}
