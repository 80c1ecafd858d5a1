/** The most that an answer may hold, in bytes: the longest list of ours is far below. */
export const MAX_BODY_BYTES = 8 * 1_024 * 1_024;

/**
 * Reads an answer's body, and stops at the limit.
 * @returns its text, or null when it is larger than MAX_BODY_BYTES; the rest is then not read
 */
export async function readBody(response: Response): Promise<string | null> {
  const declared = Number(response.headers.get('Content-Length') ?? 0);
  if (declared > MAX_BODY_BYTES) {
    await response.body?.cancel();
    return null;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the stream.
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
