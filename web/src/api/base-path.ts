/** Gives the path below which a proxy shows the page and its API, as the server wrote it into index.html: `/membridge`, or ''. */
export function basePath(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="membridge-base-path"]')?.content ?? '';
}

/** Gives the address of one of the server's paths as this browser reaches it: `/docs` may be `/membridge/docs`. */
export function withBasePath(path: string): string {
  return `${basePath()}${path}`;
}

/** Whether the page was opened below its base path. It was not where somebody went round the proxy. */
export function isBelowBasePath(pathname: string): boolean {
  return `${pathname}/`.startsWith(`${basePath()}/`);
}
