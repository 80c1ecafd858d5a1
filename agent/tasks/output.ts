import { mkdir, open, readFile, readdir, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OutputChunk } from '../../contract/tasks/runs.ts';

/** How often new output is sent, in milliseconds. */
const SEND_MS = 250;
/** How much output may wait to be sent, in characters. What exceeds it is only in the log. */
const WAITING_CHARS = 1_000_000;
/** The size of one request, in bytes of JSON and in chunks: the control plane accepts a megabyte. */
const BATCH_BYTES = 600_000;
const BATCH_PIECES = 400;
/** How long the last chunks may take, in milliseconds. */
const FINAL_SEND_MS = 5_000;

/** Sends chunks to the control plane. @returns false when nobody watches any longer @throws when it must be tried again */
export type SendOutput = (chunks: readonly OutputChunk[]) => Promise<boolean>;

/** The output of a program: shown live as far as possible, and kept whole in a file until the attempt's log is stored. */
export class TaskOutput {
  readonly #path: string;
  readonly #send: SendOutput;
  #file: FileHandle | null = null;
  #waiting: OutputChunk[] = [];
  #chars = 0;
  #seq = 0;
  #skipped = 0;
  #isSending = false;
  readonly #closed = new AbortController();
  #isWanted = true;
  /** Settles when the file holds every line so far. */
  #written: Promise<void> = Promise.resolve();

  constructor(path: string, send: SendOutput) {
    this.#path = path;
    this.#send = send;
  }

  /** Accepts a chunk. */
  write(stream: OutputChunk['stream'], text: string): void {
    if (text === '') return;
    const at = Date.now();
    this.#keep({ at, stream, text });
    if (this.#chars + text.length > WAITING_CHARS) {
      this.#skipped += text.length;
      return;
    }
    if (this.#skipped > 0) {
      const note = `\n[${this.#skipped} characters are not shown live; the log has them]\n`;
      this.#skipped = 0;
      this.#queue({ seq: this.#seq, stream: 'stderr', at, text: note });
    }
    this.#queue({ seq: this.#seq, stream, at, text });
  }

  /**
   * Ends the output. What was not sent yet is sent in the background, for some seconds.
   * @returns the log: JSON lines of time, stream and text; null when nothing was written
   */
  async end(): Promise<Buffer | null> {
    this.#close();
    await this.#written;
    if (this.#file === null) return null;
    await this.#file.close();
    return await readFile(this.#path);
  }

  /** Removes the file. */
  async remove(): Promise<void> {
    this.#close();
    await this.#written;
    await this.#file?.close().catch(() => undefined);
    await rm(this.#path, { force: true });
  }

  #close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    setTimeout(() => {
      this.#isWanted = false;
    }, FINAL_SEND_MS).unref();
  }

  #keep(line: Omit<OutputChunk, 'seq'>): void {
    const text = `${JSON.stringify(line)}\n`;
    this.#written = this.#append(text, this.#written);
  }

  async #append(text: string, before: Promise<void>): Promise<void> {
    await before;
    try {
      if (this.#file === null) {
        await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
        this.#file = await open(this.#path, 'w', 0o600);
      }
      await this.#file.appendFile(text);
    } catch {
      // A full disk costs the log, not the run.
    }
  }

  #queue(chunk: OutputChunk): void {
    this.#seq += 1;
    this.#waiting.push(chunk);
    this.#chars += chunk.text.length;
    if (!this.#isSending) void this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    let pause = SEND_MS;
    while (this.#isWanted) {
      // Once closed, there is nothing more to collect.
      if (pause > SEND_MS || !this.#closed.signal.aborted) await this.#pause(pause);
      const batch = this.#nextBatch();
      if (batch.length === 0) break;
      try {
        this.#isWanted = await this.#send(batch);
        for (const { text } of this.#waiting.splice(0, batch.length)) this.#chars -= text.length;
        pause = SEND_MS;
      } catch {
        pause = Math.min(pause * 2, 5_000);
      }
    }
    this.#isSending = false;
  }

  async #pause(ms: number): Promise<void> {
    if (this.#closed.signal.aborted) await sleep(ms);
    else await sleep(ms, undefined, { signal: this.#closed.signal }).catch(() => undefined);
  }

  #nextBatch(): OutputChunk[] {
    const batch: OutputChunk[] = [];
    let bytes = 0;
    for (const chunk of this.#waiting) {
      bytes += Buffer.byteLength(JSON.stringify(chunk));
      if (batch.length > 0 && (bytes > BATCH_BYTES || batch.length === BATCH_PIECES)) break;
      batch.push(chunk);
    }
    return batch;
  }
}

/** Removes the logs that a killed agent left. Call it before any run. */
export async function sweepLogs(dir: string): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    if (name.endsWith('.jsonl')) await rm(join(dir, name), { force: true });
  }
}
