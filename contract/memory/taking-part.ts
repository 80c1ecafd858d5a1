/**
 * Whether a node takes part in a space.
 * @param allowed names or canonical ids of spaces that the node's owner lets it take part in (MEMBRIDGE_SPACES); undefined: all
 */
export function takesPart(
  allowed: readonly string[] | undefined,
  { cid, name }: { readonly cid: string; readonly name: string },
): boolean {
  return allowed === undefined || allowed.includes(cid) || allowed.includes(name);
}
