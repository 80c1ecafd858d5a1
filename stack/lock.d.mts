export interface Lock {
  release(): void;
}
export function startTimeOf(pid: number): string | undefined;
export function tryLock(file: string): Lock | { heldBy: number };
export function waitForLock(file: string, onWait: (pid: number) => void): Promise<Lock>;
