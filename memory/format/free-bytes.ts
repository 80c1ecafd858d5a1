/**
 * Releases the memory of large bytes at once. The garbage collector sees only a small object and would free
 * about 60 MB too late. The bytes must not be used afterwards.
 * @param bytes with a backing buffer of their own; others are left alone
 */
export function freeBytes(bytes: Buffer): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
