export function findOnPath(name: string, path?: string): string[];
export function cacheDir(): string;
export function installHint(packages: string[]): string;
export function nodeIsNewEnough(version: string): boolean;
export function elapsed(since: number): string;
