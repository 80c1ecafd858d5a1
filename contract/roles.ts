/** The roles of a process: `control` keeps the fleet and its memory, `runtime` serves the page and people's work. */
const ROLES = ['control', 'runtime'] as const;
export type Role = (typeof ROLES)[number];

/**
 * Parses MEMBRIDGE_ROLES: role names, separated by commas, in any order.
 * @returns the roles, or null when the text names none or something else
 */
export function parseRoles(text: string): ReadonlySet<Role> | null {
  const names = text.split(',').map((name) => name.trim());
  const roles = ROLES.filter((role) => names.includes(role));
  return names.every((name) => roles.some((role) => role === name)) ? new Set(roles) : null;
}
