/** Returns the path below which a proxy shows the page and its API, from index.html: `/membridge`, or ''. */
export function basePath(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="membridge-base-path"]')?.content ?? '';
}

/** Returns the address of a server path as this browser reaches it: `/docs` may be `/membridge/docs`. */
export function withBasePath(path: string): string {
  return `${basePath()}${path}`;
}

/** Returns whether the page was opened below its base path; it was not when somebody bypassed the proxy. */
export function isBelowBasePath(pathname: string): boolean {
  return `${pathname}/`.startsWith(`${basePath()}/`);
}
