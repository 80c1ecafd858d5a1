import { createHash, type KeyObject } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import { freeBytes } from './free-bytes.ts';
import { parseOperation, type Operation } from './operation.ts';
import { nameHash, type SegmentName } from './layout.ts';
import { SealLine, seal, unseal, type SealingKey, type SealingPublicKey } from './sealing.ts';
import { signBytes, verifyBytes, type NodeKey } from './signing.ts';

/**
 * A segment holds at most this many operations, and this many bytes of them unless a single one is larger.
 */
export const MAX_OPERATIONS = 5_000;
export const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Limits for an unpacked segment, against zstd bombs. Above the largest prompt ever seen (19 MB), and below
 * the memory thread's limit (agent/memory/memory-host.ts).
 */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;
const MAX_LINES = 2 * MAX_OPERATIONS;

/** zstd level 3: 246 MB/s at ratio 4.0 on memory rows; higher levels cost more than they save. */
const ZSTD_LEVEL = 3;

const HeaderLine = z.strictObject({
  format: z.literal('membridge-segment/1'),
  space: z.string(),
  node: z.string(),
  epoch: z.string(),
  seq: z.number().int().positive(),
  /** SHA-256 of the whole preceding segment; 64 zeros for the first of an incarnation. */
  prev_sha: z.string().regex(/^[0-9a-f]{64}$/),
  /** The claude-mem schema of the rows, for people. */
  schema: z.string(),
  codec: z.literal('zstd'),
  key_id: z.string(),
  operations: z.number().int().positive(),
  body_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  body_bytes: z.number().int().positive(),
  /** How the body is encrypted; absent where it is not. */
  seal: SealLine.optional(),
  /**
   * Segments, as "node/epoch/seq-hash", whose memories this one sends again because they could not be read.
   */
  heals: z.array(z.string()).optional(),
});
export type SegmentHeader = z.infer<typeof HeaderLine>;

export const FIRST_PREV_SHA = '0'.repeat(64);

/** A segment ready for the store. */
export interface SealedSegment {
  readonly bytes: Buffer;
  /** SHA-256 of the bytes, in hex. */
  readonly sha: string;
  readonly header: SegmentHeader;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/**
 * Seals a segment: a clear header line, a line with its Ed25519 signature, then the operations as NDJSON
 * under zstd. The signature covers the header line, which contains the body's digest.
 * @param lines operations, one JSON document each, without newlines
 * @param options.recipients keys to encrypt the body for, null for none
 */
export function sealSegment(
  identity: { space: string; node: string; epoch: string; seq: number; prevSha: string; schema: string },
  lines: readonly string[],
  key: NodeKey,
  options: { recipients?: readonly SealingPublicKey[] | null; heals?: readonly string[] } = {},
): SealedSegment {
  const text = Buffer.from(`${lines.join('\n')}\n`, 'utf8');
  const packed = zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
  freeBytes(text);
  const { recipients = null, heals = [] } = options;
  const sealed = recipients === null ? null : seal(packed, recipients);
  const body = sealed?.body ?? packed;
  const header: SegmentHeader = {
    format: 'membridge-segment/1',
    space: identity.space,
    node: identity.node,
    epoch: identity.epoch,
    seq: identity.seq,
    prev_sha: identity.prevSha,
    schema: identity.schema,
    codec: 'zstd',
    key_id: key.keyId,
    operations: lines.length,
    body_sha256: sha256(body),
    body_bytes: body.length,
    ...(sealed === null ? {} : { seal: sealed.line }),
    ...(heals.length === 0 ? {} : { heals: [...heals] }),
  };
  const line = Buffer.from(canonicalJson(header), 'utf8');
  const bytes = Buffer.concat([line, Buffer.from(`\n${signBytes(key, line)}\n`, 'utf8'), body]);
  return { bytes, sha: sha256(bytes), header };
}

/**
 * Splits a segment into header, signature and body without verifying them.
 * @throws Error when it is not a segment
 */
function splitSegment(bytes: Buffer): {
  header: SegmentHeader;
  headerLine: Buffer;
  signature: string;
  body: Buffer;
} {
  const first = bytes.indexOf(0x0a);
  const second = first < 0 ? -1 : bytes.indexOf(0x0a, first + 1);
  if (second < 0) throw new Error('the object is truncated or not a segment');
  const headerLine = bytes.subarray(0, first);
  return {
    header: HeaderLine.parse(JSON.parse(headerLine.toString('utf8'))),
    headerLine,
    signature: bytes.subarray(first + 1, second).toString('utf8'),
    body: bytes.subarray(second + 1),
  };
}

/**
 * Returns whether an object's header has this segment's name and is signed with this key; its body may be
 * damaged.
 */
export function isSignedAs(name: SegmentName, bytes: Buffer, publicKey: KeyObject): boolean {
  try {
    const { header, headerLine, signature } = splitSegment(bytes);
    const { node, epoch, seq } = header;
    const isNamed = node === name.node && epoch === name.epoch && seq === name.seq;
    return isNamed && verifyBytes(publicKey, headerLine, signature);
  } catch {
    return false;
  }
}

/**
 * Returns whether a segment's body is encrypted.
 * @throws Error when it is not a segment
 */
export function isSealed(bytes: Buffer): boolean {
  return splitSegment(bytes).header.seal !== undefined;
}

/** A segment whose content matches its name, split but not yet trusted. */
export type NamedSegment = ReturnType<typeof splitSegment> & { readonly name: SegmentName };

/**
 * Opens an object as the segment that its name says. Checks the name's hash first, because a damaged object
 * is not worth reading.
 * @throws Error when the content does not match the name, or is not a segment
 */
export function openSegment(bytes: Buffer, name: SegmentName): NamedSegment {
  if (nameHash(sha256(bytes)) !== name.hash) throw new Error('its content does not fit its name');
  return { ...splitSegment(bytes), name };
}

/**
 * Checks everything that can be checked without the neighboring segments: its header matches its place, the
 * named node wrote it, and it is intact.
 * @param publicKey the writer's key, from a certificate of the control plane
 * @throws Error saying what does not match
 */
export function verifySegment(segment: NamedSegment, cid: string, publicKey: KeyObject): void {
  const { header, headerLine, signature, body, name } = segment;
  if (
    header.space !== cid ||
    header.node !== name.node ||
    header.epoch !== name.epoch ||
    header.seq !== name.seq
  ) {
    throw new Error('its header names another position than its object key');
  }
  if (!verifyBytes(publicKey, headerLine, signature))
    throw new Error('its signature is not that of its node');
  if (body.length !== header.body_bytes || sha256(body) !== header.body_sha256) {
    throw new Error('its body is not the one that was signed');
  }
}

/**
 * Returns the raw lines of a verified segment.
 * @param keys the sealing keys of this node
 * @returns with `bytes`, the unpacked size of the body
 * @throws Error when the body cannot be decrypted or unpacked, or the number of lines is not the one signed
 */
export function readLines(
  bytes: Buffer,
  keys: readonly SealingKey[] = [],
): { header: SegmentHeader; lines: string[]; bytes: number } {
  const { header, body } = splitSegment(bytes);
  const packed = header.seal === undefined ? body : unseal(body, header.seal, keys);
  if (header.operations > MAX_LINES) {
    throw new Error(`its header states ${header.operations} operations; at most ${MAX_LINES} are allowed`);
  }
  const text = zstdDecompressSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  // Count before splitting: millions of empty lines would exceed the memory.
  const count = countLines(text);
  if (count !== header.operations) {
    throw new Error(`it holds ${count} operations where ${header.operations} were signed`);
  }
  const lines = text.toString('utf8').trimEnd().split('\n');
  const unpacked = text.length;
  freeBytes(text);
  return { header, lines, bytes: unpacked };
}

/** Returns the number of lines; every line ends with a newline. */
function countLines(text: Buffer): number {
  let count = 0;
  for (let at = text.indexOf(0x0a); at >= 0; at = text.indexOf(0x0a, at + 1)) count += 1;
  return count;
}

/**
 * Returns the operations of a verified segment. Sets a malformed line aside with its reason, so that it does
 * not cost the others.
 * @param keys the sealing keys of this node
 * @throws Error as for readLines
 */
export function readOperations(
  bytes: Buffer,
  keys: readonly SealingKey[] = [],
): { header: SegmentHeader; operations: Operation[]; problems: string[]; bytes: number } {
  const { header, lines, bytes: unpacked } = readLines(bytes, keys);
  const operations: Operation[] = [];
  const problems: string[] = [];
  lines.forEach((line, index) => {
    try {
      operations.push(parseOperation(line));
    } catch (error) {
      problems.push(`operation ${index + 1}: ${error instanceof Error ? error.name : 'unreadable'}`);
    }
  });
  return { header, operations, problems, bytes: unpacked };
}
